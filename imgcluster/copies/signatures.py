"""What is compared of each image: a small square of its gray values, and a smaller one of its colors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels, Vectors

__all__ = ["COLOR_SIDE", "SIDE", "SIGNATURE_SPEC", "Signatures", "orientation_invariants", "pooled", "signature"]

SIDE: Final = 96
COLOR_SIDE: Final = 16

SIGNATURE_SPEC: Final = InputSpec(width=SIDE, height=SIDE, channels=3, resize="stretch", filter="bilinear")
"""The pixels that `signature` takes."""

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_FREQUENCIES: Final = 8


@dataclass(frozen=True, slots=True)
class Signatures:
    """Signatures of n images.

    Attributes:
        gray: ``uint8 (n, SIDE, SIDE)``.
        color: Blue and red minus gray, halved, around 128: ``uint8 (n, COLOR_SIDE, COLOR_SIDE, 2)``.
        sizes: Width and height of the originals in pixels, ``int32 (n, 2)``.
    """

    gray: npt.NDArray[np.uint8]
    color: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]


def signature(pixels: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return gray values and colors, as in `Signatures`, of pixels ``uint8 (SIDE, SIDE, 3)``."""
    values = pixels.astype(np.float32)
    gray = values @ _LUMA
    block = SIDE // COLOR_SIDE
    differences = (values[:, :, [2, 0]] - gray[:, :, None]) / 2 + 128
    color = differences.reshape(COLOR_SIDE, block, COLOR_SIDE, block, 2).mean(axis=(1, 3))
    return np.rint(gray).astype(np.uint8), np.rint(color).clip(0, 255).astype(np.uint8)


def pooled(gray: npt.NDArray[np.uint8], side: int) -> Vectors:
    """Return gray values averaged to ``float32 (n, side, side)`` in [0, 1]; `side` divides `SIDE`."""
    block = SIDE // side
    blocks = gray.reshape(len(gray), side, block, side, block)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32) / 255, np.float32)


def orientation_invariants(gray: npt.NDArray[np.uint8]) -> Vectors:
    """Return vectors ``float32 (n, 63)`` that do not change when an image is turned or mirrored.

    Mirroring changes the signs of the coefficients of the cosine transform, and turning exchanges rows and columns.
    """
    from scipy.fft import dctn

    small = pooled(gray, 2 * _FREQUENCIES)
    coefficients = np.abs(dctn(small, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES])
    coefficients[:, 0, 0] = 0
    length = np.linalg.norm(coefficients, axis=(1, 2), keepdims=True)
    coefficients /= np.maximum(length, 1e-6)
    turned = coefficients.transpose(0, 2, 1)
    rows, columns = np.triu_indices(_FREQUENCIES)
    sums = (coefficients + turned)[:, rows, columns][:, 1:]
    rows, columns = np.triu_indices(_FREQUENCIES, 1)
    differences = np.abs(coefficients - turned)[:, rows, columns]
    return np.concatenate([sums, differences], axis=1).astype(np.float32)
