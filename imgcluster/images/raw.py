"""Camera raw files: the preview that the camera stored in the file, else the values of the sensor at half size.

rawpy (LibRaw) finds both and knows the formats of the manufacturers; the pixels are processed further like those of
any other image.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from PIL import Image, UnidentifiedImageError

from imgcluster.images.exif import ORIENTATION, Header, exif_of, exif_of_tiff
from imgcluster.images.pixel_limit import refuse_too_large
from imgcluster.optional import import_optional

__all__ = ["read_raw", "read_raw_header"]

# The EXIF orientation of each of LibRaw's values of `flip`.
_ORIENTATIONS: Final = (1, 2, 4, 3, 5, 8, 6, 7)
# 16 bits as stored, the same at half size in four channels, and the result and its copy at half size in three.
_BYTES_PER_VALUE: Final = 6
# Where the EXIF of a CR3 file is: in a box of this name near the start.
_CR3_BOX: Final = b"CMT1"
_CR3_BYTES: Final = 1 << 17


def read_raw(
    data: bytes, shortest: int, allow: Callable[[int], None] = lambda need: None
) -> tuple[Image.Image, Header]:
    """Return the picture in a camera raw file, as stored, and what the file says about it.

    The orientation in the picture's EXIF turns it upright; the size in the header is that of the photograph, which
    can be larger.

    Args:
        data: The file's bytes.
        shortest: The sensor's values are used if the shorter side of the preview has fewer pixels.
        allow: Called with the bytes that the sensor's values need before they are decoded; it can raise an exception.

    Raises:
        UnavailablePackage: rawpy is not installed.
        ValueError: The bytes are damaged, truncated, or in a format that LibRaw does not know.
        PIL.Image.DecompressionBombError: The photograph has too many pixels.
    """
    with _opened(data) as raw:
        preview = _preview(raw)
        header = _header(data, raw.sizes, preview)
        if preview is not None and min(preview.size) >= shortest:
            picture = preview
        else:
            allow(raw.sizes.raw_width * raw.sizes.raw_height * _BYTES_PER_VALUE + len(data))
            picture = _demosaiced(raw, preview)
        # Some cameras store a preview that is upright already.
        turned = header.exif.orientation >= 5
        upright = turned and (picture.width > picture.height) != (raw.sizes.width > raw.sizes.height)
        picture.getexif()[ORIENTATION] = 1 if upright else header.exif.orientation
        return picture, header


def read_raw_header(data: bytes) -> Header:
    """Return what a camera raw file says about the photograph; raises as `read_raw` does."""
    with _opened(data) as raw:
        return _header(data, raw.sizes, _preview(raw))


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    rawpy = import_optional("rawpy")
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            refuse_too_large(raw.sizes.raw_width, raw.sizes.raw_height)
            yield raw
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error


def _header(data: bytes, sizes: Any, preview: Image.Image | None) -> Header:
    exif = exif_of_tiff(data[:_CR3_BYTES].partition(_CR3_BOX)[2] if data[4:8] == b"ftyp" else data)
    if not exif.captured and preview is not None:
        exif = exif_of(preview)
        # LibRaw adds EXIF to a preview that has none, with the start of 1970 (in local time) for an unknown time.
        if exif.captured < "1971":
            exif = replace(exif, captured="")
    orientation = _ORIENTATIONS[sizes.flip & 7]
    width, height = (sizes.width, sizes.height) if orientation < 5 else (sizes.height, sizes.width)
    return Header(width, height, replace(exif, orientation=orientation))


def _preview(raw: Any) -> Image.Image | None:
    """Return the largest preview, which is not loaded yet; None if there is none that can be read."""
    rawpy = import_optional("rawpy")
    try:
        preview = raw.extract_thumb()
        if preview.format == rawpy.ThumbFormat.JPEG:
            return Image.open(io.BytesIO(preview.data), formats=("JPEG",))
    except (rawpy.LibRawError, UnidentifiedImageError):
        return None
    return Image.fromarray(preview.data)


def _demosaiced(raw: Any, preview: Image.Image | None) -> Image.Image:
    """Return the sensor's values with the camera's white balance, at half size and not turned.

    If they cannot be decoded, the preview is returned, however small it is.

    Raises:
        ValueError: The end of the file is missing, and there is no preview.
    """
    try:
        pixels = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
        # LibRaw fills what a truncated file lacks with zeros; a sensor's values are never all zero.
        if not raw.raw_image_visible[-1].any():
            raise ValueError("the last row of pixels is missing")
    except (import_optional("rawpy").LibRawError, ValueError):
        if preview is None:
            raise
        return preview
    return Image.fromarray(pixels)
