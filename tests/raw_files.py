"""Camera raw files made in memory: DNG, which LibRaw reads like the files of a camera; nothing here is a test."""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
from PIL import Image

from pictures import encoded

_TYPES: Final = {"byte": (1, "B"), "ascii": (2, "c"), "short": (3, "H"), "long": (4, "I"), "ratio": (5, "I")}
_RED, _GREEN, _BLUE = 0, 1, 2

Entry = tuple[int, str, Any]


def dng(
    upright: Image.Image,
    *,
    preview: Image.Image | bytes | None = None,
    orientation: int = 1,
    captured: str = "",
    camera: tuple[str, str] = ("Acme", "Acme One"),
    size: tuple[int, int] | None = None,
) -> bytes:
    """Return a DNG with the colors of `upright` as the values of a Bayer sensor.

    Args:
        upright: The photograph, stored turned as `orientation` says (1, 3, 6 or 8).
        preview: Stored as a JPEG, as it is; bytes are stored as they are.
        orientation: As in EXIF.
        captured: As in EXIF, ``2021:05:12 12:21:21``.
        camera: Make and model.
        size: Width and height that the header claims, if not those of `upright`.
    """
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = upright.transpose(turn[orientation]) if orientation in turn else upright
    sensor = _bayer(np.asarray(stored.convert("RGB")))
    height, width = sensor.shape
    claimed_width, claimed_height = size or (width, height)
    about: list[Entry] = [
        (271, "ascii", camera[0]),
        (272, "ascii", camera[1]),
        (274, "short", [orientation]),
        (50706, "byte", [1, 4, 0, 0]),
        (50708, "ascii", " ".join(camera)),
        (50721, "ratio", [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]),
        (50728, "ratio", [(1, 1), (1, 1), (1, 1)]),
    ]
    raw: list[Entry] = [
        (254, "long", [0]),
        (256, "long", [claimed_width]),
        (257, "long", [claimed_height]),
        (258, "short", [16]),
        (259, "short", [1]),
        (262, "short", [32803]),
        (273, "long", sensor.tobytes()),
        (277, "short", [1]),
        (278, "long", [claimed_height]),
        (279, "long", [sensor.nbytes]),
        (33421, "short", [2, 2]),
        (33422, "byte", [_RED, _GREEN, _GREEN, _BLUE]),
        (50717, "long", [65535]),
    ]
    times: list[Entry] = [(36867, "ascii", captured)] if captured else []
    if preview is None:
        return _tiff([*about, *raw], times, [])
    jpeg = preview if isinstance(preview, bytes) else encoded(preview, "JPEG", quality=95)
    width, height = upright.size
    first: list[Entry] = [
        (254, "long", [1]),
        (256, "long", [width]),
        (257, "long", [height]),
        (258, "short", [8, 8, 8]),
        (259, "short", [7]),
        (262, "short", [6]),
        (273, "long", jpeg),
        (277, "short", [3]),
        (278, "long", [height]),
        (279, "long", [len(jpeg)]),
    ]
    return _tiff([*about, *first], times, raw)


def _bayer(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the linear values of a sensor (red, green / green, blue), 16 bits each, at twice the size."""
    linear = ((pixels / 255.0) ** 2.2 * 65535).astype("<u2").repeat(2, axis=0).repeat(2, axis=1)
    sensor = linear[..., _GREEN].copy()
    sensor[::2, ::2] = linear[::2, ::2, _RED]
    sensor[1::2, 1::2] = linear[1::2, 1::2, _BLUE]
    return sensor


def _tiff(main: list[Entry], exif: list[Entry], sub: list[Entry]) -> bytes:
    """Return a TIFF of a directory, its EXIF directory and a directory below it; an entry with bytes refers to them."""
    stream = io.BytesIO()
    stream.write(struct.pack("<2sHI", b"II", 42, 0))
    below = [
        (tag, "long", [_write_directory(stream, entries)]) for tag, entries in ((34665, exif), (330, sub)) if entries
    ]
    start = _write_directory(stream, [*main, *below])
    stream.seek(4)
    stream.write(struct.pack("<I", start))
    return stream.getvalue()


def _write_directory(stream: io.BytesIO, entries: list[Entry]) -> int:
    """Write a directory after its values, and return its position."""
    records = []
    for tag, kind, value in sorted(entries, key=lambda entry: entry[0]):
        code, letter = _TYPES[kind]
        if isinstance(value, bytes):
            value = [_write(stream, value)]
        if kind == "ascii":
            data = value.encode() + b"\0"
            count = len(data)
        else:
            count = len(value)
            data = np.asarray(value).astype(f"<{letter}").tobytes()
        if len(data) > 4:
            data = struct.pack("<I", _write(stream, data))
        records.append(struct.pack("<HHI", tag, code, count) + data.ljust(4, b"\0"))
    return _write(stream, struct.pack("<H", len(records)) + b"".join(records) + bytes(4))


def _write(stream: io.BytesIO, data: bytes) -> int:
    """Write data at the next even position, and return it."""
    stream.write(bytes(stream.tell() % 2))
    position = stream.tell()
    stream.write(data)
    return position
