"""Decoding: from the bytes of one file to upright sRGB or gray pixels of an encoder's input size.

Whatever a file contains, the result is `Decoded` or an `UnreadableImage` with the reason. `find` finds files, and
`formats` detects which of them are images.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import AvifImagePlugin, Image, features

from imgcluster.errors import one_line
from imgcluster.fileio.regular import open_regular
from imgcluster.images.convert import flatten, to_srgb
from imgcluster.images.exif import ORIENTATION, Header, exif_of
from imgcluster.images.formats import HEAD_BYTES, PILLOW_FORMATS, RAW, sniff
from imgcluster.images.jxl import is_jxl, jxl_size
from imgcluster.images.limits import decoding_bytes, slow_to_read
from imgcluster.images.optional_decoders import OPTIONAL_DECODERS, can_decode, missing_decoder
from imgcluster.images.pixel_limit import refuse_too_large
from imgcluster.images.png_texts import without_large_texts
from imgcluster.images.quality import contrast, sharpness
from imgcluster.images.raw import read_raw, read_raw_header
from imgcluster.images.reasons import DATA, HEADER, NeedsMemory, UnreadableImage, reason_of
from imgcluster.images.resize import prepare
from imgcluster.images.thumbnail import THUMBNAIL_SIDE, can_be_thumbnail, make_thumbnail, square
from imgcluster.images.types import NO_EXIF, Exif, InputSpec
from imgcluster.optional import import_optional
from imgcluster.types import Pixels

__all__ = [
    "Decoded",
    "Header",
    "NeedsMemory",
    "UnreadableImage",
    "decode",
    "decode_picture",
    "quiet_decoders",
    "read_header",
    "use_one_thread",
]

_LOG = logging.getLogger(__name__)

# A JPEG is decoded at the smallest of its reduced sizes that is still this many times larger than the target, so that
# the result hardly differs from that of a full decode (benchmarks/decode.py measures the difference and the time).
_DRAFT_MARGIN: Final = 2.0

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Bytes per pixel of a JPEG XL: the decoder's result, its copy, and the image, at four channels each.
_JXL_BYTES: Final = 12

# Brightness, color and contrast are sampled on this grid.
_GRID: Final = (32, 32)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded image.

    Attributes:
        pixels: ``uint8 (height, width, channels)``, for the encoder.
        width: Width of the upright original, in pixels.
        height: Height of the upright original, in pixels.
        brightness: Mean of the gray values, in [0, 1].
        color: Mean difference between the largest and the smallest of red, green and blue, in [0, 1]; 0 is gray.
        contrast: See `quality.contrast`.
        sharpness: See `quality.sharpness`.
        exif: Capture time, camera and orientation.
        thumbnail: See `thumbnail`; empty if it was not requested.
    """

    pixels: Pixels
    width: int
    height: int
    brightness: float
    color: float
    contrast: float
    sharpness: float
    exif: Exif = NO_EXIF
    thumbnail: bytes = b""


def read_header(path: Path, *, memory: int | None = None) -> Header | None:
    """Return the header of an image file; None if it cannot be read.

    Raises:
        NeedsMemory: That would take more than `memory` bytes.
    """

    def allow(need: int) -> None:
        if memory is not None and need > memory:
            raise NeedsMemory(need)

    try:
        with open_regular(path) as stream:
            kind = sniff(stream.read(HEAD_BYTES), path.suffix.lower()).format
            whole = kind in (RAW, "JXL")
            if whole:
                allow(os.fstat(stream.fileno()).st_size)
        with _explained(kind):
            if kind == RAW:
                return read_raw_header(path.read_bytes())
            with _open(path.read_bytes() if whole else path, allow) as image:
                (width, height), exif = image.size, exif_of(image)
    except NeedsMemory:
        raise
    except (OSError, UnreadableImage) as error:
        _LOG.debug("no header of %s: %s", path, error)
        return None
    return Header(height, width, exif) if exif.orientation >= 5 else Header(width, height, exif)


def decode(
    data: bytes, spec: InputSpec, *, kind: str | None = None, memory: int | None = None, thumbnail: bool = False
) -> Decoded:
    """Decode an image file's bytes to the pixels described by `spec`.

    The first frame or page is used; EXIF orientation is applied; transparency is composited on white; 16-bit
    values are scaled to 8 bits; an embedded color profile is converted to sRGB (a broken one is ignored).

    Args:
        data: The file's bytes.
        spec: The size, channels and resize rule of the result.
        kind: The format that `formats.sniff` detected, without which camera raw files cannot be told from TIFF.
        memory: The bytes that decoding may take, including `data`; no limit by default.
        thumbnail: Whether to make a thumbnail, too.

    Raises:
        UnreadableImage: The bytes are damaged, truncated, too large, made to take very long, or in a format without a
            decoder here; `NeedsMemory` if decoding would take more than `memory`.
    """
    reason = None if kind == RAW else slow_to_read(data)
    if reason is not None:
        raise UnreadableImage(f"not read because it would take very long: {reason}")
    left = None if memory is None else memory - len(data)

    def allow(need: int) -> None:
        if left is not None and need > left:
            raise NeedsMemory(need)

    with _explained(kind):
        if kind == RAW:
            picture, header = read_raw(data, max(spec.width, spec.height, spec.resize_edge), allow)
            decoded = _decoded(picture, spec, memory, data, thumbnail=thumbnail)
            return replace(decoded, width=header.width, height=header.height, exif=header.exif)
        data, profile = without_large_texts(data)
        with _explained(kind, HEADER):
            image = _open(data, allow)
        with image:
            if profile:
                image.info["icc_profile"] = profile
            return _decoded(image, spec, memory, data, thumbnail=thumbnail)


def decode_picture(picture: Image.Image, spec: InputSpec) -> Decoded:
    """Convert a Pillow image of any mode and size to the pixels described by `spec`, as `decode` does for a file.

    Raises:
        UnreadableImage: Its data cannot be loaded.
    """
    with _explained(None):
        # A copy, because loading a JPEG at a reduced size would change the caller's image.
        return _decoded(picture.copy(), spec)


def _decoded(
    image: Image.Image,
    spec: InputSpec,
    memory: int | None = None,
    data: bytes = b"",
    *,
    thumbnail: bool = False,
) -> Decoded:
    size = image.size
    _draft(image, spec)
    if memory is not None:
        need = len(data) + decoding_bytes(image, size)
        if need > memory:
            raise NeedsMemory(need)
    exif = exif_of(image)
    picture, width, height = _upright(image, size)
    profile = image.info.get("icc_profile")
    pixels = _pixels(picture, spec, profile)
    small = b""
    if thumbnail:
        # Only a picture that needed no conversion is still the image that was opened.
        own = picture is image and can_be_thumbnail(image, data)
        small = data if own else make_thumbnail(to_srgb(square(picture), profile))
    return Decoded(pixels, width, height, *_statistics(picture), exif, small)


def _open(source: bytes | Path, allow: Callable[[int], None] = lambda need: None) -> Image.Image:
    """Open an image; `allow` is called with the bytes that a decoder needs which decodes all pixels at once."""
    if isinstance(source, Path):
        return Image.open(source, formats=_formats())
    if not is_jxl(source):
        return Image.open(io.BytesIO(source), formats=_formats())
    width, height = jxl_size(source)
    refuse_too_large(width, height)
    allow(width * height * _JXL_BYTES)
    image = Image.open(io.BytesIO(source), formats=_formats())
    # The decoder has turned the image already, except where the file is a repacked JPEG.
    if not getattr(image, "jpeg", False):
        image.getexif()[ORIENTATION] = 1
    return image


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the allowed decoders that are available."""
    Image.init()
    for kind in OPTIONAL_DECODERS:
        can_decode(kind)
    return tuple(name for name in PILLOW_FORMATS if name in Image.OPEN)


@contextmanager
def _explained(kind: str | None, stage: str = DATA) -> Iterator[None]:
    """Turn whatever a decoder raises into `UnreadableImage` with the reason; `stage` is as for `reason_of`."""
    if (missing := missing_decoder(kind)) is not None:
        raise UnreadableImage(missing.problem)
    if kind == "AVIF" and not features.check("avif"):
        raise UnreadableImage("this build of Pillow cannot read AVIF: pip install --upgrade pillow")
    try:
        yield
    except UnreadableImage:
        raise
    # On damaged or hostile bytes decoders raise anything (struct.error, KeyError, SyntaxError, …).
    except Exception as error:
        raise UnreadableImage(reason_of(error, stage), one_line(error)) from None


def use_one_thread() -> None:
    """Decode each image in one thread, for a process beside which others decode."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if can_decode("HEIF"):
        import_optional("pillow_heif").options.DECODE_THREADS = 1


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress decoders' warnings about unusual files (corrupt EXIF, large images).

    One context must cover the work of all threads, because warning filters are shared by the process.
    """
    with warnings.catch_warnings():
        for module in (r"PIL\.", r"pillow_heif\.", r"pillow_jxl\."):
            warnings.filterwarnings("ignore", module=module)
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _draft(image: Image.Image, spec: InputSpec) -> None:
    """Prepare an image for loading: a JPEG that will be shrunk is loaded at a half, quarter or eighth of its size."""
    width, height = image.size
    left, upper, right, lower = spec.source_box(width, height)
    # The longer side of the target, because the image may still be turned by 90 degrees; enough for a thumbnail.
    target = max(_DRAFT_MARGIN * max(spec.width, spec.height), THUMBNAIL_SIDE)
    margin = target / min(right - left, lower - upper)
    if image.format in ("JPEG", "MPO") and margin < 1.0:
        image.draft(None, (int(width * margin) + 1, int(height * margin) + 1))


def _upright(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, int, int]:
    """Load an image, turn it upright, and convert it to mode ``L``, ``RGB`` or ``CMYK``.

    Also return its width and height when upright, from its stored `size`.
    """
    width, height = size
    image.load()
    orientation = _orientation(image)
    picture = flatten(image)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return (picture, height, width) if orientation >= 5 else (picture, width, height)


def _pixels(picture: Image.Image, spec: InputSpec, profile: bytes | None) -> Pixels:
    picture = to_srgb(prepare(picture, spec), profile)
    if picture.mode != spec.mode:
        picture = picture.convert(spec.mode)
    return np.asarray(picture, dtype=np.uint8).reshape(spec.height, spec.width, spec.channels)


def _statistics(picture: Image.Image) -> tuple[float, float, float, float]:
    """Return brightness, color, contrast and sharpness.

    All but the last are from points on a grid; averaging whole images takes as long as decoding.
    """
    sample = picture.resize(_GRID, Image.Resampling.NEAREST)
    points = _GRID[0] * _GRID[1]
    if sample.mode == "L":
        gray = np.asarray(sample)
        return int(gray.sum()) / points / 255, 0.0, contrast(gray[:, :, np.newaxis]), sharpness(picture)
    colors = np.asarray(sample.convert("RGB"))
    red, green, blue = np.moveaxis(colors, 2, 0)
    largest, smallest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    # Sums of integers are exact and take a fraction of the time of NumPy's means along an axis.
    brightness = int(np.asarray(sample.convert("L")).sum()) / points / 255
    color = int((largest - smallest).sum()) / points / 255
    return brightness, color, contrast(colors), sharpness(picture)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, of a loaded image; Pillow turns TIFF and AVIF files itself."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    # Damaged metadata is no reason to skip the image.
    except Exception as error:
        _LOG.debug("EXIF ignored: %s", error)
        return 1
    return value if value in _UPRIGHT else 1
