"""PNG files with large texts or a large color profile, which Pillow refuses because they could fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["without_large_texts"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_PROFILE: Final = b"iCCP"
# Shorter texts are left, because orientation and capture time can be in them.
_MAX_TEXT: Final = 1 << 16
_MAX_TEXTS: Final = 1 << 20
# Pillow's limit of a profile, and that of this module: about that of a JPEG.
_PILLOW_PROFILE: Final = 1 << 20
_MAX_PROFILE: Final = 1 << 24


def without_large_texts(data: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of a file without those chunks of a PNG, and the large color profile; b"" for none.

    Other files are returned unchanged.
    """
    if not data.startswith(_SIGNATURE):
        return data, b""
    removed: list[tuple[int, int]] = []
    profile, total = b"", 0
    for kind, start, end in _chunks(data):
        body = data[start + 8 : end - 4] if kind in _TEXTS or kind == _PROFILE else b""
        if kind in _TEXTS:
            size = max(len(body), len(_inflated(kind, body, _MAX_TEXT + 1)))
            total += size
            if size > _MAX_TEXT or total > _MAX_TEXTS:
                removed.append((start, end))
        elif kind == _PROFILE:
            inflated = _inflated(kind, body, _MAX_PROFILE + 1)
            if len(inflated) > _PILLOW_PROFILE:
                profile = inflated if len(inflated) <= _MAX_PROFILE else b""
                removed.append((start, end))
    if not removed:
        return data, b""
    parts, position = [], 0
    for start, end in removed:
        parts.append(data[position:start])
        position = end
    return b"".join([*parts, data[position:]]), profile


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of each complete chunk."""
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        yield data[position + 4 : position + 8], position, end
        position = end


def _inflated(kind: bytes, body: bytes, limit: int) -> bytes:
    """Return at most `limit` bytes of what is compressed in a chunk; b"" if nothing is."""
    # The keyword ends with a zero, and the method, or in iTXt the flag and the method, comes before the stream.
    start = body.find(b"\0") + 2
    if kind == b"tEXt" or (kind == b"iTXt" and body[start - 1 : start] != b"\1"):
        return b""
    if kind == b"iTXt":
        # A language and a translated keyword follow.
        start = body.find(b"\0", body.find(b"\0", start + 1) + 1) + 1
    try:
        return zlib.decompressobj().decompress(body[start:], limit)
    except zlib.error:
        return b""
