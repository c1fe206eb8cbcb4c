"""What decoding a file costs, from its header: files that would take very long are refused, and memory is estimated."""

from __future__ import annotations

import re
from typing import Final

from PIL import Image

__all__ = ["decoding_bytes", "slow_to_read"]

# A JPEG's usual header has about twenty segments, and a progressive one ten scans; each scan passes over all pixels.
_MAX_SCANS: Final = 100
_MAX_SEGMENTS: Final = 5000
# Headers are read byte by byte between their parts.
_MAX_GAP: Final = 1 << 16

_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_START_OF_FRAME: Final = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_PROGRESSIVE: Final = (0xC2, 0xC6, 0xCA, 0xCE)
_WITHOUT_LENGTH: Final = (0x01, *range(0xD0, 0xDA))

# The size, and the largest value except in black and white.
_PPM: Final = re.compile(rb"P(?:[14](?:GAP\d+){2}|[2356](?:GAP\d+){3})\s".replace(b"GAP", rb"(?:\s|#[^\r\n]*[\r\n])+"))

# Bytes per pixel that decoders of these formats need beside Pillow's image.
_DECODER_BYTES: Final = {"WEBP": 12, "AVIF": 8, "HEIF": 6, "JPEG2000": 18}
_JPEG_COEFFICIENTS: Final = 6
_SMALL_MODES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_STORED_BYTES: Final = 4
# A layer with transparency, the white below it, and both together.
_COMPOSITING_BYTES: Final = 12


def slow_to_read(data: bytes) -> str | None:
    """Return why reading a file's header or scans would take very long; None if it would not."""
    if data.startswith(b"\xff\xd8\xff"):
        return _slow_jpeg(data)
    if data[:1] == b"P" and data[1:2] in b"123456" and len(data) > _MAX_GAP and not _PPM.match(data, 0, _MAX_GAP):
        return f"its header is longer than {_MAX_GAP} bytes"
    return None


def _slow_jpeg(data: bytes) -> str | None:
    position, components, progressive = 2, 0, False
    for _ in range(_MAX_SEGMENTS):
        marker = _JPEG_MARKER.search(data, position, position + _MAX_GAP)
        if marker is None:
            # A shorter rest is left to the decoder, which explains what is missing.
            return f"more than {_MAX_GAP} bytes of its header are empty" if len(data) - position > _MAX_GAP else None
        position = marker.end()
        code = data[position - 1]
        if code == _START_OF_SCAN:
            if not progressive and data[position + 2 : position + 3] == bytes((components,)):
                return None  # one scan has everything
            # In compressed data 0xFF is always followed by 0 unless it starts a marker.
            end = data.find(bytes((0xFF, _END_OF_IMAGE)), position)
            scans = 1 + data.count(bytes((0xFF, _START_OF_SCAN)), position, end if end >= 0 else len(data))
            return f"it has {scans} scans, the limit is {_MAX_SCANS}" if scans > _MAX_SCANS else None
        if code in _START_OF_FRAME:
            progressive = code in _PROGRESSIVE
            components = int.from_bytes(data[position + 7 : position + 8], "big")
        if code not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
    return f"its header has more than {_MAX_SEGMENTS} segments"


def decoding_bytes(image: Image.Image, full_size: tuple[int, int]) -> int:
    """Return about how much memory loading an opened image takes and bringing it to 8 bits, upright and opaque.

    Args:
        image: Not loaded yet; a JPEG may be in draft mode.
        full_size: Its size without draft mode.
    """
    stored = _SMALL_MODES.get(image.mode, _STORED_BYTES)
    result = 1 if image.mode in ("1", "L", "F") or image.mode.startswith("I") else _STORED_BYTES
    per_pixel = stored + _DECODER_BYTES.get(image.format or "", 0)
    # One more to turn it: whether that is needed, a PNG says only after it was loaded.
    per_pixel += result * (1 + (image.mode not in ("L", "RGB", "CMYK")))
    if image.has_transparency_data:
        per_pixel += _COMPOSITING_BYTES
    need = image.width * image.height * per_pixel
    if image.info.get("progressive"):
        need += full_size[0] * full_size[1] * _JPEG_COEFFICIENTS
    return need
