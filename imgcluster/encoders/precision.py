"""Choosing among the files of an encoder with several precisions.

``NAME.onnx`` has full precision (``fp32``); ``NAME.fp16.onnx`` and ``NAME.int8.onnx`` are the others. A file of a lower
precision can carry in its metadata (`REFERENCE_KEY`) the vectors of `reference_images` that it gave on the machine that
exported it: it is used only where it gives the same. The files of the hub carry none; there the full-precision vectors
are kept when the precisions are compared. Without either ``auto`` does not choose int8.
"""

from __future__ import annotations

import base64
import functools
import platform
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import EncoderError
from imgcluster.types import PRECISIONS, Pixels, Precision, Vectors

__all__ = [
    "AGREEMENT",
    "REFERENCE_KEY",
    "SAME_RESULT",
    "cosines",
    "has_int8_dot_products",
    "order_of",
    "read_reference",
    "reference_images",
    "split_precision",
    "write_reference",
]

REFERENCE_KEY: Final = "imgcluster.reference"

SAME_RESULT: Final = 0.9985
"""The least cosine of the same file's vectors on two machines; with `photos` in int8, rounding gives 0.9994 and
saturation 0.9974."""

AGREEMENT: Final = 0.97
"""The least mean cosine to the full-precision vectors; that of `photos` in int8 is 0.997."""

_HALF_PRECISION_DEVICES: Final = ("cuda", "tensorrt", "rocm", "migraphx", "directml", "coreml")
_REFERENCE_COUNT: Final = 2


def split_precision(stem: str) -> tuple[str, Precision]:
    """Return the encoder's name and precision that the stem of an ONNX file's name says."""
    name, _, suffix = stem.rpartition(".")
    return (name, suffix) if name and suffix in PRECISIONS else (stem, "fp32")


def order_of(device: str, available: Collection[Precision], *, checked: bool) -> list[Precision]:
    """Return the available precisions in the order in which ``--precision auto`` tries them on a device.

    Args:
        device: A key of `device_names.DEVICES`.
        available: The precisions that the encoder has files of.
        checked: Whether there are reference vectors, without which int8 is not preferred to full precision.
    """
    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    if device in _HALF_PRECISION_DEVICES:
        # The GPU providers have no kernels for quantized convolutions.
        order = ("fp16", "fp32", "int8")
    elif device == "cpu" and checked and has_int8_dot_products():
        order = ("int8", "fp32", "fp16")
    return [precision for precision in order if precision in available]


@functools.cache
def has_int8_dot_products() -> bool:
    """Return whether this processor multiplies int8 without saturation (x86: VNNI; Arm: dotprod).

    False where that is not known, as on Windows with an x86 processor.
    """
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        if machine != "arm64":
            return False
        command = ["/usr/sbin/sysctl", "-n", "hw.optional.arm.FEAT_DotProd"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "1"
    if sys.platform == "win32":
        if machine != "arm64":
            return False
        import ctypes

        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(43))  # PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = {
        flag for line in text.splitlines() if line.lower().startswith(("flags", "features")) for flag in line.split()
    }
    return bool(flags & {"avx512_vnni", "avx_vnni", "asimddp"})


def reference_images(width: int, height: int, channels: int) -> Pixels:
    """Return the images that precisions are compared on, ``uint8 (2, height, width, channels)``.

    Smooth waves and edges in integer arithmetic, so that they are the same on every machine.
    """
    y, x = np.indices((height, width), dtype=np.int64)
    x, y = x * 1024 // width, y * 1024 // height
    images = np.empty((_REFERENCE_COUNT, height, width, channels), dtype=np.uint8)
    for channel in range(channels):
        wave = np.abs((x * (2 + channel) + y * (3 - channel)) % 1024 - 512)
        disc = (x - 512) ** 2 + (y - 400 - 60 * channel) ** 2 < (260 + 40 * channel) ** 2
        images[0, :, :, channel] = wave * 255 // 512
        images[1, :, :, channel] = np.where(disc, 40 + 80 * channel, 255 - (x * (channel + 1) % 1024) * 200 // 1024)
    return images


def write_reference(vectors: Vectors) -> str:
    """Return the vectors of `reference_images` as text, for the metadata of an ONNX file."""
    return base64.b64encode(np.asarray(vectors, dtype="<f2").tobytes()).decode("ascii")


def read_reference(text: str) -> Vectors:
    """Return the vectors that `write_reference` wrote.

    Raises:
        EncoderError: The text is not valid.
    """
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2")
        return values.reshape(_REFERENCE_COUNT, -1).astype(np.float32)
    except ValueError:
        raise EncoderError(f"the encoder's metadata has an invalid {REFERENCE_KEY!r}; export it again") from None


def cosines(first: Vectors, second: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of each row of `first` with that of `second`; 0 where one is zero or not finite."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (a * b).sum(axis=1) / norms
    return np.asarray(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float64)
