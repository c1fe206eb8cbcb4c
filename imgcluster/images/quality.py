"""A picture's quality: contrast and sharpness, which do not depend on its size, and problems of quality."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["QUALITY_PROBLEMS", "contrast", "fine_detail", "quality_problems", "sharpness"]

QUALITY_PROBLEMS: Final = ("blurred", "dark", "bright", "low-contrast", "single-color", "tiny")
"""What `quality_problems` finds."""

_SIDE: Final = 256
_OCTAVES: Final = 3
_STRONGEST: Final = 0.99
# Gray values of 255. Weaker edges, as in a picture of one color, do not tell sharp from blurred.
_LEAST_EDGE: Final = 4.0
_LEAST_SIDE: Final = 12
_GRAY_VALUES: Final = np.arange(256)

# Less than 1 % of the photographs in benchmarks/outliers.py are beyond any of these.
_BLURRED: Final = 0.3
_DARK: Final = 0.12
_BRIGHT: Final = 0.88
_LOW_CONTRAST: Final = 0.06
_SINGLE_COLOR: Final = 0.01
_TINY: Final = 64


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


def fine_detail(gray: npt.NDArray[np.uint8]) -> float:
    """Return the energy of the differences between adjacent pixels as a share of the variance; 0 for one gray value.

    Of photographs of the same scene in the same size ``(height, width)``, the sharpest has the most.
    """
    values = gray.astype(np.float32)
    variance = float(values.var())
    energy = float(np.square(np.diff(values, axis=0)).mean() + np.square(np.diff(values, axis=1)).mean())
    return energy / variance if variance else 0.0


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


def quality_problems(
    statistics: npt.NDArray[np.float32], sizes: npt.NDArray[np.int32]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which images have each problem of `QUALITY_PROBLEMS`; what was not measured is no problem.

    Args:
        statistics: Brightness, colorfulness, contrast and sharpness, ``float32 (n, 4)``; NaN if not measured.
        sizes: Width and height in pixels, ``int32 (n, 2)``; 0 if not known.

    Returns:
        For each problem ``bool (n,)``.
    """
    brightness, _, spread, sharp = statistics.T
    shorter = sizes.min(axis=1)
    single = (spread < _SINGLE_COLOR) & np.isnan(sharp)
    # Nothing but soft transitions, in a picture that is large enough for edges.
    measured = shorter * np.minimum(1, _SIDE / np.maximum(sizes.max(axis=1), 1)) >= 2 * _LEAST_SIDE
    without_edges = np.isnan(sharp) & (spread >= _LOW_CONTRAST) & measured
    return {
        "blurred": (sharp < _BLURRED) | without_edges,
        "dark": brightness < _DARK,
        "bright": brightness > _BRIGHT,
        "low-contrast": (spread < _LOW_CONTRAST) & ~single,
        "single-color": single,
        "tiny": (shorter < _TINY) & (shorter > 0),
    }
