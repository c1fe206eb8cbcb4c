"""Small images of every format that is read, and damage to them; nothing here is a test."""

from __future__ import annotations

import contextlib
import io
import random
from typing import Any, Final

import numpy as np
from PIL import Image

from imgcluster.images.optional_decoders import can_decode

__all__ = ["EXTENSIONS", "damaged", "samples"]

# An orientation of 6.
_EXIF: Final = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"

_WRITTEN: Final[list[tuple[str, str, dict[str, Any]]]] = [
    *[("JPEG", mode, {"quality": 80}) for mode in ("RGB", "L", "CMYK")],
    (
        "JPEG",
        "RGB",
        {"progressive": True, "exif": _EXIF},
    ),
    *[("PNG", mode, {}) for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16")],
    *(("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("GIF", "P", {"save_all": True}), ("GIF", "L", {})),
    *[("BMP", mode, {}) for mode in ("RGB", "L", "P", "1")],
    ("DIB", "RGB", {}),
    *[("TIFF", "RGB", {"compression": name}) for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")],
    *(("TIFF", "I;16", {}), ("TIFF", "1", {"compression": "group4"}), ("TIFF", "F", {})),
    *(("AVIF", "RGB", {}), ("JPEG2000", "RGB", {}), ("JPEG2000", "L", {"no_jp2": True}), ("ICO", "RGBA", {})),
    *[("PPM", mode, {}) for mode in ("RGB", "L", "1")],
    *(("HEIF", "RGB", {}), ("JXL", "RGB", {})),
]
EXTENSIONS: Final = {"JPEG": "jpg", "JPEG2000": "jp2", "HEIF": "heic", "TIFF": "tif"}


def samples() -> list[tuple[str, bytes]]:
    """Return (format, content) of small images in all formats and modes that can be written here."""
    for kind in ("HEIF", "JXL"):
        can_decode(kind)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    found = []
    for kind, mode, options in _WRITTEN:
        stream = io.BytesIO()
        with contextlib.suppress(KeyError, OSError, ValueError):
            picture = Image.fromarray(pixels)
            picture = picture.convert("L").convert(mode) if mode in ("I;16", "F", "1") else picture.convert(mode)
            picture.save(stream, kind, **options)
            found.append((kind, stream.getvalue()))
    psd = b"8BPS\0\x01" + bytes(6) + b"\0\x03\0\0\0\x02\0\0\0\x02\0\x08\0\x03" + bytes(12) + b"\0\0" + bytes(range(12))
    return [*found, ("PSD", psd)]


def damaged(content: bytes, other: bytes, generator: random.Random) -> bytes:
    """Return a file's content after a few random damages; parts of `other` may be put into it."""
    data = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        start = generator.randrange(len(data) + 1)
        length = min(generator.choice((1, 2, 4, 16, 200)), len(data) - start)
        match generator.randrange(7):
            case 0:
                del data[start:]
            case 1:
                data[start : start + length] = generator.randbytes(length)
            case 2:
                data[start : start + length] = bytes([generator.choice((0, 0xFF, 0x7F, 0x80))]) * length
            case 3:
                del data[start : start + length]
            case 4:
                data[start:start] = data[start : start + length] * generator.choice((1, 3, 50))
            case 5:
                at = generator.randrange(len(other))
                data[start:start] = other[at : at + 200]
            case _ if length:
                # Lengths and offsets are where decoders go wrong.
                data[start] ^= 1 << generator.randrange(8)
    return bytes(data)
