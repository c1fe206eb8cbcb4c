"""What reconstructions are measured by. Arrays in, numbers out; nothing here trains.

Images are ``float32 (n, height, width, channels)`` in [0, 1]. Clusterings are scored by
`imgcluster.evaluation.external`.
"""

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
# A perfect copy would have infinite PSNR, and a mean of infinities says nothing.
_PSNR_LIMIT: Final = 1e-10
_NORM_EPSILON: Final = 1e-12


def mean_squared_errors(made: Floats, wanted: Floats) -> Floats:
    """Return each image's mean squared difference, ``float32 (n,)``."""
    return np.asarray(np.square(made - wanted).mean(axis=(1, 2, 3)), dtype=np.float32)


def psnr(made: Floats, wanted: Floats) -> Floats:
    """Return each image's peak signal-to-noise ratio in dB, ``float32 (n,)``, 100 at most."""
    return np.asarray(-10 * np.log10(np.maximum(mean_squared_errors(made, wanted), _PSNR_LIMIT)), dtype=np.float32)


def cosine_similarity(made: Floats, wanted: Floats) -> Floats:
    """Return each image's cosine similarity, ``float32 (n,)``.

    Of colour images it is the mean over pixels of the cosine between their channel vectors, as in reference
    A; of grey ones, whose pixels have no direction, the cosine between the images as vectors. With black it
    is 0.
    """
    axes = 3 if made.shape[3] > 1 else (1, 2, 3)
    product = (made * wanted).sum(axis=axes)
    norms = np.sqrt(np.square(made).sum(axis=axes) * np.square(wanted).sum(axis=axes))
    return np.asarray(
        (product / np.maximum(norms, _NORM_EPSILON)).reshape(len(made), -1).mean(axis=1), dtype=np.float32
    )


def ssim(made: Floats, wanted: Floats) -> Floats:
    """Return each image's mean structural similarity, ``float32 (n,)``, at most 1.

    Wang, Bovik, Sheikh & Simoncelli 2004 (https://doi.org/10.1109/TIP.2003.819861), channels averaged,
    without the border that the window overhangs (images smaller than the window keep it).
    """
    from scipy.ndimage import gaussian_filter

    def smooth(values: Floats) -> Floats:
        blurred = gaussian_filter(values, (0, _SSIM_SD, _SSIM_SD, 0), radius=(0, _SSIM_RADIUS, _SSIM_RADIUS, 0))
        inner = slice(_SSIM_RADIUS, -_SSIM_RADIUS)
        return np.asarray(blurred[:, inner, inner] if min(values.shape[1:3]) > 2 * _SSIM_RADIUS else blurred)

    mean_made, mean_wanted = smooth(made), smooth(wanted)
    variance_made = smooth(made * made) - mean_made**2
    variance_wanted = smooth(wanted * wanted) - mean_wanted**2
    covariance = smooth(made * wanted) - mean_made * mean_wanted
    similarity = ((2 * mean_made * mean_wanted + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_made**2 + mean_wanted**2 + _SSIM_C1) * (variance_made + variance_wanted + _SSIM_C2)
    )
    return np.asarray(similarity.mean(axis=(1, 2, 3)), dtype=np.float32)


def restored_share(noisy: Floats, made: Floats, clean: Floats) -> float:
    """Return the share of the corrupted pixels of black-and-white images that come out on the right side of ½.

    NaN where no pixel is corrupted.
    """
    corrupted = noisy != clean
    right = (made >= 0.5) == (clean >= 0.5)
    return float(right[corrupted].mean()) if corrupted.any() else float("nan")
