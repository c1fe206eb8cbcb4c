"""Thumbnails: the centered square of an image as a small JPEG or PNG, made while the image is decoded anyway."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from imgcluster.types import Pixels

__all__ = ["THUMBNAIL_SIDE", "can_be_thumbnail", "make_thumbnail", "read_thumbnail", "square"]

THUMBNAIL_SIDE: Final = 128
"""Pixels of the side of a thumbnail; images whose shorter side is smaller are not enlarged."""

_QUALITY: Final = 85
_FORMATS: Final = ("JPEG", "PNG")
# About that of a thumbnail; others have metadata or are hardly compressed.
_LARGEST_FILE: Final = 4096
# Several times what the noisiest picture takes.
_MOST_BYTES: Final = 1 << 17


def square(picture: Image.Image) -> Image.Image:
    """Return the largest centered square of a picture, `THUMBNAIL_SIDE` pixels wide at most."""
    short = min(picture.size)
    left, upper = (picture.width - short) / 2, (picture.height - short) / 2
    side = min(short, THUMBNAIL_SIDE)
    return picture.resize(
        (side, side), Image.Resampling.BILINEAR, box=(left, upper, left + short, upper + short), reducing_gap=2.0
    )


def make_thumbnail(picture: Image.Image) -> bytes:
    """Return a square picture as JPEG."""
    buffer = io.BytesIO()
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def can_be_thumbnail(image: Image.Image, data: bytes) -> bool:
    """Return whether the bytes of an image's file, which needs no conversion, can be its thumbnail.

    That is faster for many tiny images, such as digits, than compressing them again.
    """
    return (
        image.format in _FORMATS
        and image.mode in ("L", "RGB")
        and image.width == image.height <= THUMBNAIL_SIDE
        and len(data) <= _LARGEST_FILE
        and "icc_profile" not in image.info
    )


def read_thumbnail(data: bytes, side: int) -> Pixels | None:
    """Return a thumbnail as ``uint8 (side, side, 3)``; None if the bytes are none."""
    # More could take the decoder minutes.
    if len(data) > _MOST_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if max(image.size) > THUMBNAIL_SIDE:
                return None
            picture = image.convert("RGB")
    # Bytes from a damaged workspace make a decoder raise anything.
    except Exception:
        return None
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture)
