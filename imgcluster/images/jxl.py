"""The size of a JPEG XL image, read from its header, because pillow_jxl decodes all pixels before Pillow sees a size.

The format is that of ISO/IEC 18181: the codestream starts with the size, and part 2 can wrap it in boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["is_jxl", "jxl_size"]

_NAKED: Final = b"\xff\x0a"
# The signature and a size of more than a billion pixels per side fit into this.
_HEADER_BYTES: Final = 16
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIDE_BITS: Final = (9, 13, 18, 30)


def is_jxl(data: bytes) -> bool:
    """Return whether pillow_jxl accepts the bytes of a file."""
    return data.startswith(_NAKED) or data[4:7] == b"JXL"


def jxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels, as stored.

    Raises:
        ValueError: The header is damaged or truncated.
    """
    header = data[:_HEADER_BYTES] if data.startswith(_NAKED) else b"".join(_codestream(data))[:_HEADER_BYTES]
    if not header.startswith(_NAKED):
        raise ValueError("the JPEG XL header cannot be read")
    bits = _Bits(header[len(_NAKED) :])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


def _side(bits: _Bits, small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take(_SIDE_BITS[bits.take(2)])


def _codestream(data: bytes) -> Iterator[bytes]:
    """Yield the start of each part of the codestream in a file of boxes."""
    position = 0
    while position + 8 <= len(data):
        length, kind, start = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8], 8
        if length == 1:
            length, start = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        end = len(data) if length == 0 else position + length
        if end < position + start:
            return
        if kind in (b"jxlc", b"jxlp"):
            # A part starts with its number.
            first = position + start + (4 if kind == b"jxlp" else 0)
            yield data[first : min(end, first + _HEADER_BYTES)]
        position = end


class _Bits:
    """Reads numbers from bytes, the lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the JPEG XL header is truncated")
        number = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return number
