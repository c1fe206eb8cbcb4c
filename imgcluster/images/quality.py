"""Measures of a picture's quality that do not depend on its size: contrast and sharpness."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

__all__ = ["contrast", "sharpness"]

_SIDE: Final = 256
_OCTAVES: Final = 3
_STRONGEST: Final = 0.99
# Gray values of 255. Weaker edges, as in a picture of one color, do not tell sharp from blurred.
_LEAST_EDGE: Final = 4.0
_LEAST_SIDE: Final = 12


def contrast(colors: npt.NDArray[Any]) -> float:
    """Return the standard deviation of red, green and blue around their means, in [0, 0.5].

    Args:
        colors: ``(height, width, 3)`` from 0 to 255.
    """
    return float(np.sqrt(colors.reshape(-1, 3).var(axis=0).mean())) / 255


def sharpness(picture: Image.Image) -> float:
    """Return how steep the steepest edges of a picture are for its size, in [0, 1]; NaN where there are none.

    An edge that is one pixel wide is as steep after the picture is halved; that of a blurred picture becomes twice as
    steep. The measure is the mean over three halvings, starting with a longer side of 256 pixels, so a larger copy of a
    picture is as sharp as the picture if it shows the same details.
    """
    gray = picture.convert("L")
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
    return float(np.mean(ratios)) if ratios else math.nan


def _steepest(gray: Image.Image) -> float:
    """Return the difference between adjacent gray values that 1 % of them exceed, at least 1."""
    width, height = gray.size
    if min(gray.size) < 2:
        return 1.0
    here = gray.crop((0, 0, width - 1, height - 1))
    across = ImageChops.difference(here, gray.crop((1, 0, width, height - 1)))
    down = ImageChops.difference(here, gray.crop((0, 1, width - 1, height)))
    counts = np.cumsum(ImageChops.lighter(across, down).histogram())
    return max(float(np.interp(_STRONGEST * counts[-1], counts, np.arange(256))), 1.0)
