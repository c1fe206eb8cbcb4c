"""Decoding: from the bytes of one file to upright sRGB or gray pixels of an encoder's input size.

Whatever a file contains, the result is `Decoded` or an `UnreadableImage` with the reason. `find` finds files, and
`formats` detects which of them are images.
"""

from __future__ import annotations

import functools
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError, features

from imgcluster.errors import one_line
from imgcluster.images.exif import exif_of
from imgcluster.images.formats import PILLOW_FORMATS
from imgcluster.images.quality import contrast, sharpness
from imgcluster.images.resize import prepare
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.types import NO_EXIF, Exif, InputSpec, Pixels

__all__ = [
    "Decoded",
    "Header",
    "UnreadableImage",
    "decode",
    "decode_picture",
    "heif_available",
    "quiet_decoders",
    "read_header",
]

_LOG = logging.getLogger(__name__)

# A JPEG is decoded at the smallest of its reduced sizes that is still this many times larger than the target, so that
# the result hardly differs from that of a full decode (benchmarks/decode.py measures the difference and the time).
_DRAFT_MARGIN: Final = 2.0

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Brightness, color and contrast are sampled on this grid.
_GRID: Final = (32, 32)


class UnreadableImage(Exception):  # noqa: N818 - a result about a file more than an error of the program
    """An image file that cannot be decoded; the message is the reason."""


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
    """

    pixels: Pixels
    width: int
    height: int
    brightness: float
    color: float
    contrast: float
    sharpness: float
    exif: Exif = NO_EXIF


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says before it is decoded: width and height of the upright image in pixels, and EXIF."""

    width: int
    height: int
    exif: Exif


def read_header(path: Path) -> Header | None:
    """Return the header of an image file; None if it cannot be read."""
    try:
        with _explained(None), Image.open(path, formats=_formats()) as image:
            (width, height), exif = image.size, exif_of(image)
    except UnreadableImage as error:
        _LOG.debug("no header of %s: %s", path, error)
        return None
    return Header(height, width, exif) if exif.orientation >= 5 else Header(width, height, exif)


def decode(data: bytes, spec: InputSpec, *, kind: str | None = None) -> Decoded:
    """Decode an image file's bytes to the pixels described by `spec`.

    The first frame or page is used; EXIF orientation is applied; transparency is composited on white; 16-bit
    values are scaled to 8 bits; an embedded color profile is converted to sRGB (a broken one is ignored).

    Args:
        data: The file's bytes.
        spec: The size, channels and resize rule of the result.
        kind: The format that `formats.sniff` detected; only used to explain a missing decoder.

    Raises:
        UnreadableImage: The bytes are damaged, truncated, too large, or in a format without a decoder here.
    """
    with _explained(kind), Image.open(io.BytesIO(data), formats=_formats()) as image:
        return _decoded(image, spec)


def decode_picture(picture: Image.Image, spec: InputSpec) -> Decoded:
    """Convert a Pillow image of any mode and size to the pixels described by `spec`, as `decode` does for a file.

    Raises:
        UnreadableImage: Its data cannot be loaded.
    """
    with _explained(None):
        # A copy, because loading a JPEG at a reduced size would change the caller's image.
        return _decoded(picture.copy(), spec)


def _decoded(image: Image.Image, spec: InputSpec) -> Decoded:
    exif = exif_of(image)
    left, upper, right, lower = spec.source_box(*image.size)
    # The longer side of the target, because the image may still be turned by 90 degrees.
    picture, width, height = _upright(image, max(spec.width, spec.height) / min(right - left, lower - upper))
    pixels = _pixels(picture, spec, image.info.get("icc_profile"))
    return Decoded(pixels, width, height, *_statistics(picture), exif)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the allowed decoders that are available."""
    Image.init()
    heif_available()
    return tuple(name for name in PILLOW_FORMATS if name in Image.OPEN)


@contextmanager
def _explained(kind: str | None) -> Iterator[None]:
    """Turn whatever a decoder raises into `UnreadableImage` with the reason."""
    if not heif_available() and kind == "HEIF":
        raise UnreadableImage("HEIC files need an additional decoder: pip install 'imgcluster[heif]'")
    if kind == "AVIF" and not features.check("avif"):
        raise UnreadableImage("this build of Pillow cannot read AVIF: pip install --upgrade pillow")
    try:
        yield
    except UnidentifiedImageError:
        raise UnreadableImage("damaged: the header cannot be read") from None
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"too large to decode safely: {_bomb(error)}") from None
    except MemoryError:
        raise UnreadableImage("too large for this machine's memory") from None
    # On damaged or hostile bytes decoders raise anything (struct.error, KeyError, SyntaxError, …).
    except Exception as error:
        raise UnreadableImage(f"damaged or truncated: {one_line(error)}") from None


@functools.cache
def heif_available() -> bool:
    """Return whether HEIC files can be read; registers the decoder with Pillow at the first call."""
    try:
        import_optional("pillow_heif").register_heif_opener()
    except UnavailablePackage as error:
        _LOG.debug("%s", error)
        return False
    return True


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress decoders' warnings about unusual files (corrupt EXIF, large images).

    One context must cover the work of all threads, because warning filters are shared by the process.
    """
    with warnings.catch_warnings():
        for module in (r"PIL\.", r"pillow_heif\."):
            warnings.filterwarnings("ignore", module=module)
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _upright(image: Image.Image, scale: float) -> tuple[Image.Image, int, int]:
    """Load an image, turn it upright, and convert it to mode ``L``, ``RGB`` or ``CMYK``; also return its original size.

    A JPEG that will be shrunk to `scale` or less may be loaded at a half, quarter or eighth of its size.
    """
    width, height = image.size
    if image.format in ("JPEG", "MPO") and scale * _DRAFT_MARGIN < 1.0:
        margin = scale * _DRAFT_MARGIN
        image.draft(None, (int(width * margin) + 1, int(height * margin) + 1))
    image.load()
    orientation = _orientation(image)
    picture = _flatten(image)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return (picture, height, width) if orientation >= 5 else (picture, width, height)


def _pixels(picture: Image.Image, spec: InputSpec, profile: bytes | None) -> Pixels:
    picture = _to_srgb(prepare(picture, spec), profile)
    if picture.mode != spec.mode:
        picture = picture.convert(spec.mode)
    return np.asarray(picture, dtype=np.uint8).reshape(spec.height, spec.width, spec.channels)


def _statistics(picture: Image.Image) -> tuple[float, float, float, float]:
    """Return brightness, color, contrast and sharpness.

    All but the last are from points on a grid; averaging whole images takes as long as decoding.
    """
    sample = picture.resize(_GRID, Image.Resampling.NEAREST)
    gray = np.asarray(sample.convert("L"), dtype=np.float32)
    colors = np.asarray(sample.convert("RGB"), dtype=np.float32)
    color = float((colors.max(axis=2) - colors.min(axis=2)).mean()) / 255
    return float(gray.mean()) / 255, color, contrast(colors), sharpness(picture)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, of a loaded image; Pillow turns TIFF and AVIF files itself."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    # Damaged metadata is no reason to skip the image.
    except Exception as error:
        _LOG.debug("EXIF ignored: %s", error)
        return 1
    return value if value in _UPRIGHT else 1


def _flatten(image: Image.Image) -> Image.Image:
    """Return the image in mode ``L``, ``RGB`` or ``CMYK``: 8 bits, no palette, no transparency."""
    mode = image.mode
    if mode in ("L", "RGB", "CMYK") and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_to_eight_bits(np.asarray(image), mode))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("L" if mode == "1" else "RGB")


def _to_eight_bits(values: npt.NDArray[Any], mode: str) -> Pixels:
    """Scale 16-bit values from their full range, 32-bit and floating-point values from the range in the image."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    elif mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    # A constant image outside the usual ranges has an empty range.
    return np.rint((numbers - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is None:
        return picture
    transform = _srgb_transform(profile, picture.mode)
    if transform is None:
        return picture
    try:
        return ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, ValueError) as error:
        _LOG.debug("color profile ignored: %s", error)
        return picture


@functools.lru_cache(maxsize=64)
def _srgb_transform(profile: bytes, mode: str) -> Any | None:
    """Return the transform from this ICC `profile` to sRGB for images in `mode`; None if none is needed."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).casefold():
            return None
        return ImageCms.buildTransform(source, _srgb_profile(), mode, "RGB")
    # A damaged profile, or one for another mode, is ignored: that is better than skipping the file.
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _LOG.debug("color profile ignored: %s", error)
        return None


@functools.cache
def _srgb_profile() -> Any:
    return ImageCms.createProfile("sRGB")


def _bomb(error: BaseException) -> str:
    """Return Pillow's message about a too large image with the sizes in megapixels."""
    numbers = [int(number) for number in re.findall(r"\d{7,}", str(error))]
    if len(numbers) != 2:
        return one_line(error)
    return f"{numbers[0] / 1e6:,.0f} megapixels, the limit is {numbers[1] / 1e6:,.0f}"
