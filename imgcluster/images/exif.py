"""What an image file says about the photograph: capture time, camera and orientation, from EXIF."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any, Final

from PIL import Image

from imgcluster.types import NO_EXIF, Exif

__all__ = ["exif_of"]

_LOG = logging.getLogger(__name__)

_EXIF_FOLDER: Final = 0x8769
_MAKE, _MODEL, _ORIENTATION, _CHANGED = 0x010F, 0x0110, 0x0112, 0x0132
# When the photograph was taken and when it was digitized, each with the tag of its offset from UTC.
_TIMES: Final = ((0x9003, 0x9011), (0x9004, 0x9012))
_OFFSET: Final = re.compile(r"[+-][0-9]{2}:[0-9]{2}")


def exif_of(image: Image.Image) -> Exif:
    """Return what EXIF says; call it before `image` is loaded, because Pillow turns some formats upright then."""
    try:
        tags = image.getexif()
        if not tags:
            return NO_EXIF
        details = tags.get_ifd(_EXIF_FOLDER)
        orientation: Any = tags.get(_ORIENTATION)
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
