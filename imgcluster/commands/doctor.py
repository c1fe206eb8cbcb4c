"""`doctor`: which devices work, how fast they are, whether their results agree, and what is missing."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import numpy as np

from imgcluster._version import __version__
from imgcluster.encoders import PixelEncoder
from imgcluster.encoders.devices import available_devices
from imgcluster.errors import DeviceError, ImgclusterError
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
from imgcluster.optional import EXTRAS, UnavailablePackage, import_optional
from imgcluster.options import DEFAULT_ENCODER
from imgcluster.types import Pixels

__all__ = ["DeviceCheck", "DoctorSummary", "doctor", "images_per_second", "random_images"]

_BATCH: Final = 16
_ROUNDS: Final = 3
# Devices that compute in half precision stay below this; a broken driver does not.
_TOLERANCE: Final = 1e-2
_PACKAGES: Final = ("onnxruntime-gpu", "onnxruntime", "numpy", "pillow", "pyarrow", "scikit-learn", "hdbscan")
_PURPOSES: Final = {
    "heif": "HEIC images",
    "raw": "camera raw images",
    "jxl": "JPEG XL images",
    "umap": "--reduce umap",
    "evoc": "--method evoc",
    "hub": "encoders of the Hugging Face hub, and text",
    "ray": "embed --ray, cluster --ray, run --ray",
    "train": "train-encoder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck:
    """The check of one device.

    Attributes:
        device: A key of `device_names.DEVICES`, with the number if one was given.
        runs: Whether it ran a batch.
        problem: Why it does not run, or must not be used; empty if it works.
        images_per_second: Median of three batches of 16 images; None if it does not run.
        difference: Largest difference from the CPU's values, relative to their largest; None if it does not run.
    """

    device: str
    runs: bool
    problem: str = ""
    images_per_second: float | None = None
    difference: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSummary:
    """The result of `doctor`.

    Attributes:
        imgcluster: Version.
        python: Version.
        platform: Operating system and processor.
        processors: Number of processors that imgcluster may use.
        encoder: Name of the encoder that was run.
        best: The device that ``--device auto`` chooses.
        devices: The check of each device.
        packages: Version of each installed core package.
        formats: Whether each image format, or feature of formats, can be read.
        missing: For each extra that is not installed or broken: its purpose and the command that installs it.
    """

    imgcluster: str
    python: str
    platform: str
    processors: int
    encoder: str
    best: str
    devices: tuple[DeviceCheck, ...]
    packages: dict[str, str]
    formats: dict[str, bool]
    missing: tuple[tuple[str, str], ...]


def doctor(*, encoder: str | os.PathLike[str] = DEFAULT_ENCODER, device: str | None = None) -> DoctorSummary:
    """Run a batch on every device that ONNX Runtime has a provider for, or on `device` alone.

    Args:
        encoder: Name or ``.onnx`` file of the encoder to run.
        device: A device as for `embed`, or None for all.

    Raises:
        DeviceError: `device` does not run here.
        EncoderError: The encoder does not even run on the CPU.
    """
    reference = PixelEncoder(encoder, device="cpu")
    images = random_images(reference.info.input_spec)
    if device is not None:
        # An error that it does not run ends the command.
        PixelEncoder(encoder, device=device)
    best = PixelEncoder(encoder, device="auto").device
    names = [device] if device and device != "auto" else available_devices()
    return DoctorSummary(
        imgcluster=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processors=processors(),
        encoder=reference.info.name,
        best=best,
        devices=tuple(_check(encoder, name, images) for name in names),
        packages={name: version for name in _PACKAGES if (version := _version(name))},
        formats=_formats(),
        missing=tuple(
            (purpose, f"pip install 'imgcluster[{extra}]'")
            for extra, purpose in _PURPOSES.items()
            if not all(_imports(package) for package in EXTRAS[extra])
        ),
    )


def _check(encoder: str | os.PathLike[str], device: str, images: Pixels) -> DeviceCheck:
    try:
        model = PixelEncoder(encoder, device=device)
        vectors = model.encode(images)
        # The same weights on the CPU, so that the difference is that of the device.
        precision = model.info.precision or "auto"
        expected = PixelEncoder(encoder, device="cpu", precision=precision, compare=False).encode(images)
        speed = images_per_second(model, images)
    except DeviceError as error:
        return DeviceCheck(device=device, runs=False, problem=str(error))
    except ImgclusterError as error:
        return DeviceCheck(device=device, runs=False, problem=f"it fails when used: {error}")
    difference = float(np.abs(vectors - expected).max() / max(float(np.abs(expected).max()), 1e-12))
    return DeviceCheck(
        device=device,
        runs=True,
        problem="" if difference <= _TOLERANCE else "its results differ from those of the CPU: do not use it",
        images_per_second=speed,
        difference=difference,
    )


def random_images(spec: InputSpec) -> Pixels:
    """Return a batch of random images in the input size of an encoder."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (_BATCH, spec.height, spec.width, spec.channels), dtype=np.uint8)


def images_per_second(model: PixelEncoder, images: Pixels) -> float:
    """Return how many images per second an encoder processes, in the median of a few rounds; it has run before."""
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        model.encode(images)
        seconds.append(time.perf_counter() - start)
    return round(len(images) / statistics.median(seconds), 1)


def _formats() -> dict[str, bool]:
    from PIL import features

    from imgcluster.images.formats import RAW
    from imgcluster.images.optional_decoders import can_decode

    return {
        "JPEG": bool(features.check("jpg")),
        "WebP": bool(features.check("webp")),
        "TIFF (compressed)": bool(features.check("libtiff")),
        "JPEG 2000": bool(features.check("jpg_2000")),
        "AVIF": bool(features.check("avif")),
        "HEIC": can_decode("HEIF"),
        "camera raw": can_decode(RAW),
        "JPEG XL": can_decode("JXL"),
        "color profiles": bool(features.check("littlecms2")),
    }


def _imports(package: str) -> bool:
    try:
        import_optional(package)
    except UnavailablePackage:
        return False
    return True


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
