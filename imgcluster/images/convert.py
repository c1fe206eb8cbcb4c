"""Converting pictures: to 8 bits without palette and transparency, and to sRGB."""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

__all__ = ["flatten", "to_srgb"]

_LOG = logging.getLogger(__name__)

# Images of more than 8 bits are converted in strips of so many pixels.
_STRIP_PIXELS: Final = 1 << 18


def flatten(image: Image.Image) -> Image.Image:
    """Return the image in mode ``L``, ``RGB`` or ``CMYK``: 8 bits, no palette, no transparency."""
    mode = image.mode
    if mode in ("L", "RGB", "CMYK") and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return _to_eight_bits(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("L" if mode == "1" else "RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit values from their full range, 32-bit and floating-point values from the range in the image."""
    mode = image.mode
    if mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        low, high = _range(image)
    if mode == "I" and low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    elif mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    # A constant image outside the usual ranges has an empty range.
    scale = 255.0 / ((high - low) or 1.0)
    pixels = np.empty((image.height, image.width), dtype=np.uint8)
    for top, numbers in _strips(image):
        pixels[top : top + len(numbers)] = np.rint((numbers - low) * scale)
    return Image.fromarray(pixels)


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the smallest and the largest value of an image."""
    ranges = [(float(numbers.min()), float(numbers.max())) for _, numbers in _strips(image)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _strips(image: Image.Image) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yield the rows of an image with one channel in strips, so that not all are floating-point numbers at once.

    Each comes with the position of its first row; values that are not finite are 0.
    """
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        yield top, np.nan_to_num(strip.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture converted from its ICC `profile`; as it is without one, or if that is damaged."""
    if profile is None:
        return picture
    transform = _srgb_transform(profile, picture.mode)
    if transform is None:
        return picture
    try:
        return ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, ValueError) as error:
        _LOG.debug("color profile ignored: %s", error)
        return picture


@functools.lru_cache(maxsize=64)
def _srgb_transform(profile: bytes, mode: str) -> Any | None:
    """Return the transform from this ICC `profile` to sRGB for images in `mode`; None if none is needed."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).casefold():
            return None
        return ImageCms.buildTransform(source, _srgb_profile(), mode, "RGB")
    # A damaged profile, or one for another mode, is ignored: that is better than skipping the file.
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _LOG.debug("color profile ignored: %s", error)
        return None


@functools.cache
def _srgb_profile() -> Any:
    return ImageCms.createProfile("sRGB")
