"""Images as arrays: bytes from values in [0, 1], tiles from many, PNG from either."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imgcluster.fileio.atomic import atomic_path
from imgcluster.types import Pixels, Values

__all__ = [
    "is_own_png",
    "merge_chrominance",
    "tile",
    "to_pixels",
    "write_png",
]

_SOFTWARE: Final = ("Software", "imgcluster")


def to_pixels(images: Values) -> Pixels:
    """Return images in [0, 1] as ``uint8`` of the same shape, rounded."""
    return np.rint(images.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def tile(images: Pixels) -> Pixels:
    """Arrange ``uint8 (n, height, width, channels)`` images row by row in one nearly square image.

    Unused cells are white.
    """
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * columns, height, width, channels), 255, dtype=np.uint8)
    canvas[:count] = images
    ordered = canvas.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(ordered).reshape(rows * height, columns * width, channels)


def merge_chrominance(gray: Values, chrominance: Values) -> Values:
    """Return RGB images from luminance ``(n, h, w, 1)`` and chrominance (Cb, Cr) ``(n, h, w, 2)`` centered at ½.

    The conversion is that of JPEG (ITU-R BT.601).
    """
    blue, red = chrominance[..., :1] - 0.5, chrominance[..., 1:] - 0.5
    color = np.concatenate([gray + 1.402 * red, gray - 0.344136 * blue - 0.714136 * red, gray + 1.772 * blue], axis=3)
    return np.asarray(color.clip(0.0, 1.0), dtype=np.float32)


def write_png(path: Path, pixels: Pixels) -> None:
    """Write one image, ``uint8 (height, width, channels)`` of 1 or 3 channels, to `path`; `is_own_png` knows it."""
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    texts = PngInfo()
    texts.add_text(*_SOFTWARE)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=texts)


def is_own_png(path: Path) -> bool:
    """Return whether `write_png` wrote a file."""
    name, software = _SOFTWARE
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return bool(picture.info.get(name) == software)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
