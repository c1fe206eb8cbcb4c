"""What an image file says about the photograph: capture time, camera and orientation, from EXIF."""

from __future__ import annotations

import io
import logging
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from PIL import Image

from imgcluster.images.types import NO_EXIF, Exif

__all__ = ["ORIENTATION", "Header", "exif_of", "exif_of_tiff"]

_LOG = logging.getLogger(__name__)

_EXIF_FOLDER: Final = 0x8769
_MAKE, _MODEL, _CHANGED = 0x010F, 0x0110, 0x0132
ORIENTATION: Final = 0x0112
"""The tag of the orientation, 1 to 8."""

_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}
# When the photograph was taken and when it was digitized, each with the tag of its offset from UTC.
_TIMES: Final = ((0x9003, 0x9011), (0x9004, 0x9012))
_OFFSET: Final = re.compile(r"[+-][0-9]{2}:[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says before it is decoded: width and height of the upright image in pixels, and EXIF."""

    width: int
    height: int
    exif: Exif


def exif_of(image: Image.Image) -> Exif:
    """Return what EXIF says; call it before `image` is loaded, because Pillow turns some formats upright then."""
    return _read(image.getexif)


def exif_of_tiff(data: bytes) -> Exif:
    """Return what EXIF says in a file that is built like a TIFF file, whatever its third and fourth byte are."""

    def read() -> Image.Exif:
        tags = Image.Exif()
        tags.endian = _BYTE_ORDERS[data[:2]]
        # With the position given, Pillow does not read the signature, which differs between manufacturers.
        tags.load_from_fp(io.BytesIO(data), struct.unpack(f"{tags.endian}I", data[4:8])[0])
        return tags

    return _read(read) if data[:2] in _BYTE_ORDERS else NO_EXIF


def _read(read_tags: Callable[[], Image.Exif]) -> Exif:
    try:
        tags = read_tags()
        if not tags:
            return NO_EXIF
        details = tags.get_ifd(_EXIF_FOLDER)
        orientation: Any = tags.get(ORIENTATION)
        return Exif(
            captured=_captured(details, tags.get(_CHANGED)),
            camera=_camera(_text(tags.get(_MAKE)), _text(tags.get(_MODEL))),
            orientation=int(orientation) if orientation in range(1, 9) else 0,
        )
    # Damaged metadata, which makes Pillow raise anything, is no reason to skip the image.
    except Exception as error:
        _LOG.debug("EXIF ignored: %s", error)
        return NO_EXIF


def _captured(details: Any, changed: Any) -> str:
    times = [(details.get(time), details.get(offset)) for time, offset in _TIMES]
    for time, offset in (*times, (changed, None)):
        try:
            moment = datetime.strptime(_text(time)[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - local time
        except ValueError:
            continue
        zone = _text(offset)
        return moment.isoformat() + (zone if _OFFSET.fullmatch(zone) else "")
    return ""


def _camera(make: str, model: str) -> str:
    """Return make and model; most models repeat the make."""
    brand = make.split(" ")[0].casefold()
    return model if brand and model.casefold().startswith(brand) else f"{make} {model}".strip()


def _text(value: Any) -> str:
    """Return a text tag without the padding of some cameras and without control characters."""
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value or "")
    printed = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printed.encode("utf-8", "ignore").decode().split())
