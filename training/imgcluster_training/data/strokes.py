"""Generated black-and-white strokes that look like signatures, one per image.

They replace the signatures of reference E, whose images are not public. Each is the path of a pen: loops of changing
size that move to the right, broken into a few words, some underlined.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from imgcluster.types import Pixels

__all__ = ["SIDE", "draw_strokes"]

SIDE: Final = 224
_POINTS_PER_LETTER: Final = 24
_MARGIN: Final = 14.0


def draw_strokes(count: int, *, seed: int) -> Pixels:
    """Draw `count` signatures.

    Args:
        count: How many.
        seed: The same seed gives the same pixels, and more images begin with the same ones.

    Returns:
        ``uint8 (count, 224, 224, 1)``, values 255 (paper) and 0 (ink).
    """
    streams = np.random.SeedSequence(seed).spawn(count)
    images = np.empty((count, SIDE, SIDE, 1), dtype=np.uint8)
    for number, stream in enumerate(streams):
        images[number, :, :, 0] = _signature(np.random.default_rng(stream))
    return images


def _signature(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    letters = int(random.integers(4, 12))
    x, y = _pen_path(letters, random)
    # A signature fills the image in one direction, and slants slightly upwards.
    available = SIDE - 2 * _MARGIN
    scale = min(available / np.ptp(x), random.uniform(0.3, 0.75) * available / np.ptp(y))
    x, y = (x - x.mean()) * scale, (y - y.mean()) * scale
    angle = np.deg2rad(random.normal(-6.0, 6.0))
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    x, y = (values - (values.max() + values.min()) / 2 + SIDE / 2 for values in (x, y))

    picture = Image.new("1", (SIDE, SIDE), 1)
    pen = ImageDraw.Draw(picture)
    width = int(random.integers(2, 5))
    # The pen is lifted between the parts of a name.
    breaks = sorted(random.choice(np.arange(1, letters), size=min(2, letters - 1), replace=False))
    starts = [0, *(int(letter) * _POINTS_PER_LETTER for letter in breaks)]
    stops = [start - int(random.integers(3, 9)) for start in starts[1:]] + [len(x)]
    for start, stop in zip(starts, stops, strict=True):
        points = list(zip(x[start:stop].tolist(), y[start:stop].tolist(), strict=True))
        pen.line(points, fill=0, width=width, joint="curve")
    if random.random() < 0.5:
        pen.line(_underline(x, y, random), fill=0, width=width, joint="curve")
    return np.asarray(picture, dtype=np.uint8) * 255


def _pen_path(letters: int, random: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the pen's coordinates: a circular motion whose radius, speed and slant change from letter to letter."""
    knots = np.arange(letters + 1)
    time = np.linspace(0, letters, letters * _POINTS_PER_LETTER)

    def smooth(low: float, high: float) -> npt.NDArray[np.float64]:
        return np.interp(time, knots, random.uniform(low, high, letters + 1))

    height = np.interp(time, knots, random.choice([0.5, 0.7, 1.0, 1.8], letters + 1, p=[0.3, 0.35, 0.2, 0.15]))
    # The first letter is a capital.
    height *= 1 + 1.2 * np.exp(-((time / 0.8) ** 2))
    phase = 2 * np.pi * np.cumsum(smooth(0.7, 1.3)) / _POINTS_PER_LETTER + random.uniform(0, 2 * np.pi)
    x = np.cumsum(smooth(0.5, 1.5)) / _POINTS_PER_LETTER + smooth(0.1, 0.6) * np.cos(phase)
    y = height * np.sin(phase) + smooth(0.0, 0.5) * np.sin(2 * phase + random.uniform(0, 6))
    slant = random.uniform(-0.1, 0.6)
    return x - slant * y, y


def _underline(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], random: np.random.Generator
) -> list[tuple[float, float]]:
    along = np.linspace(x.min() + random.uniform(0, 30), x.max() - random.uniform(0, 10), 20)
    below = min(float(y.max()) + random.uniform(2, 12), SIDE - 6.0)
    bow = random.uniform(-8, 8) * np.sin(np.linspace(0, np.pi, 20))
    return list(zip(along.tolist(), (below + bow).tolist(), strict=True))
