"""Measures of reconstructions. Images are ``float32 (n, height, width, channels)`` in [0, 1]."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Floats",
    "cosine_similarity",
    "mean_squared_errors",
    "psnr",
    "restored_share",
    "ssim",
]

Floats = npt.NDArray[np.float32]

# Wang et al. 2004: a Gaussian window of 11 pixels and these two constants.
_SSIM_SD: Final = 1.5
_SSIM_RADIUS: Final = 5
_SSIM_C1: Final = 0.01**2
_SSIM_C2: Final = 0.03**2
# Keeps the PSNR of a perfect copy finite.
_PSNR_LIMIT: Final = 1e-10
_NORM_EPSILON: Final = 1e-12


def mean_squared_errors(output: Floats, target: Floats) -> Floats:
    """Return each image's mean squared difference, ``float32 (n,)``."""
    return np.asarray(np.square(output - target).mean(axis=(1, 2, 3)), dtype=np.float32)


def psnr(output: Floats, target: Floats) -> Floats:
    """Return each image's peak signal-to-noise ratio in dB, ``float32 (n,)``, 100 at most."""
    return np.asarray(-10 * np.log10(np.maximum(mean_squared_errors(output, target), _PSNR_LIMIT)), dtype=np.float32)


def cosine_similarity(output: Floats, target: Floats) -> Floats:
    """Return each image's cosine similarity, ``float32 (n,)``.

    For color images it is the mean over pixels of the cosine between their channel vectors, as in reference A; for
    gray ones, whose pixels have no direction, the cosine between the images as vectors. With black it is 0.
    """
    axes = 3 if output.shape[3] > 1 else (1, 2, 3)
    product = (output * target).sum(axis=axes)
    norms = np.sqrt(np.square(output).sum(axis=axes) * np.square(target).sum(axis=axes))
    return np.asarray(
        (product / np.maximum(norms, _NORM_EPSILON)).reshape(len(output), -1).mean(axis=1), dtype=np.float32
    )


def ssim(output: Floats, target: Floats) -> Floats:
    """Return each image's mean structural similarity, ``float32 (n,)``, at most 1.

    Wang, Bovik, Sheikh & Simoncelli 2004 (https://doi.org/10.1109/TIP.2003.819861), averaged over channels,
    without the border where the window extends beyond the image (except for images smaller than the window).
    """
    from scipy.ndimage import gaussian_filter

    def smooth(values: Floats) -> Floats:
        blurred = gaussian_filter(values, (0, _SSIM_SD, _SSIM_SD, 0), radius=(0, _SSIM_RADIUS, _SSIM_RADIUS, 0))
        inner = slice(_SSIM_RADIUS, -_SSIM_RADIUS)
        return np.asarray(blurred[:, inner, inner] if min(values.shape[1:3]) > 2 * _SSIM_RADIUS else blurred)

    mean_output, mean_target = smooth(output), smooth(target)
    variance_output = smooth(output * output) - mean_output**2
    variance_target = smooth(target * target) - mean_target**2
    covariance = smooth(output * target) - mean_output * mean_target
    similarity = ((2 * mean_output * mean_target + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_output**2 + mean_target**2 + _SSIM_C1) * (variance_output + variance_target + _SSIM_C2)
    )
    return np.asarray(similarity.mean(axis=(1, 2, 3)), dtype=np.float32)


def restored_share(noisy: Floats, output: Floats, clean: Floats) -> float:
    """Return the fraction of corrupted pixels of black-and-white images that are restored to the right side of ½.

    NaN if no pixel is corrupted.
    """
    corrupted = noisy != clean
    restored = (output >= 0.5) == (clean >= 0.5)
    return float(restored[corrupted].mean()) if corrupted.any() else float("nan")
