"""Measures of a picture's quality that do not depend on its size: contrast and sharpness."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["contrast", "sharpness"]

_SIDE: Final = 256
_OCTAVES: Final = 3
_STRONGEST: Final = 0.99
# Gray values of 255. Weaker edges, as in a picture of one color, do not tell sharp from blurred.
_LEAST_EDGE: Final = 4.0
_LEAST_SIDE: Final = 12
_GRAY_VALUES: Final = np.arange(256)


def contrast(colors: npt.NDArray[Any]) -> float:
    """Return the standard deviation of red, green and blue around their means, in [0, 0.5].

    Args:
        colors: ``(height, width, channels)``, integers from 0 to 255; one channel stands for three that are equal.
    """
    values = colors.reshape(-1, colors.shape[2]).astype(np.float64)
    count = len(values)
    # These sums of integers are exact, and products of small matrices are several times as fast as NumPy's `var`.
    sums = np.ones(count) @ values
    variances = (count * np.diagonal(values.T @ values) - sums * sums) / count**2
    return math.sqrt(float(variances.sum()) / len(variances)) / 255


def sharpness(picture: Image.Image) -> float:
    """Return how steep the steepest edges of a picture are for its size, in [0, 1]; NaN where there are none.

    An edge that is one pixel wide is as steep after the picture is halved; that of a blurred picture becomes twice as
    steep. The measure is the mean over three halvings, starting with a longer side of 256 pixels, so a larger copy of a
    picture is as sharp as the picture if it shows the same details.
    """
    gray = picture if picture.mode == "L" else picture.convert("L")
    scale = _SIDE / max(gray.size)
    if scale < 1:
        sides = (max(1, round(gray.width * scale)), max(1, round(gray.height * scale)))
        gray = gray.resize(sides, Image.Resampling.BILINEAR)
    ratios = []
    steepness = _steepest(gray)
    for _ in range(_OCTAVES):
        gray = gray.reduce(2)
        if min(gray.size) < _LEAST_SIDE:
            break
        steepness_halved = _steepest(gray)
        if max(steepness, steepness_halved) < _LEAST_EDGE:
            break
        # From 0.5 for a wide edge to 1 for a narrow one.
        ratios.append(min(max(2 * steepness / steepness_halved - 1, 0.0), 1.0))
        steepness = steepness_halved
    return sum(ratios) / len(ratios) if ratios else math.nan


def _steepest(gray: Image.Image) -> float:
    """Return the difference between adjacent gray values that 1 % of them exceed, at least 1."""
    if min(gray.size) < 2:
        return 1.0
    values = np.asarray(gray)
    here, right, below = values[:-1, :-1], values[:-1, 1:], values[1:, :-1]
    across = np.maximum(here, right) - np.minimum(here, right)
    down = np.maximum(here, below) - np.minimum(here, below)
    counts = np.bincount(np.maximum(across, down).ravel(), minlength=256).cumsum()
    return max(float(np.interp(_STRONGEST * counts[-1], counts, _GRAY_VALUES)), 1.0)
