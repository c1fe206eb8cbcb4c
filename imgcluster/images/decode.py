"""Decoding: from the bytes of one file to upright sRGB or grey pixels of the size an encoder wants.

Whatever a file holds, the answer is `Decoded` or an `UnreadableImage` that says why in plain words; one bad file
never costs another. Finding files and telling images from other files happen before, in `find` and `formats`.
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
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError, features

from imgcluster.errors import one_line
from imgcluster.images.formats import PILLOW_FORMATS
from imgcluster.images.resize import prepare
from imgcluster.types import InputSpec, Pixels

__all__ = ["Decoded", "UnreadableImage", "decode", "heif_available", "quiet_decoders"]

_LOG = logging.getLogger(__name__)

# A JPEG is decoded at the smallest of its reduced sizes that is still this many times larger than the target:
# the last step then is a proper resampling, and the result hardly differs from that of a full decode
# (benchmarks/decode.py measures both the difference and the time).
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


_GRID: Final = (32, 32)


class UnreadableImage(Exception):  # noqa: N818 - an answer about a file more than an error of the program
    """A file that is an image by its look but cannot be decoded; the message is the reason in plain words."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded image.

    Attributes:
        pixels: ``uint8 (height, width, channels)``, for the encoder.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        brightness: Mean of the grey values, in [0, 1].
        colour: Mean difference between the largest and the smallest of red, green and blue, in [0, 1]; 0 is grey.
    """

    pixels: Pixels
    width: int
    height: int
    brightness: float
    colour: float


def decode(data: bytes, spec: InputSpec, *, kind: str | None = None) -> Decoded:
    """Decode an image file's bytes to the pixels that `spec` asks for.

    The first frame or page counts; EXIF orientation is applied; transparency is composited on white; 16-bit
    values are scaled to 8 bits; an embedded colour profile is converted to sRGB (a broken one is ignored).

    Args:
        data: The file's bytes.
        spec: The size, channels and resize rule of the result.
        kind: The format that `formats.sniff` found; only used to explain a missing decoder.

    Raises:
        UnreadableImage: The bytes are damaged, truncated, too large or in a format without decoder here.
    """
    with _explained(kind), Image.open(io.BytesIO(data), formats=_formats()) as image:
        left, upper, right, lower = spec.source_box(*image.size)
        # The picture may lie on its side: what holds for the longer side of the target is good for either way.
        picture, width, height = _upright(image, max(spec.width, spec.height) / min(right - left, lower - upper))
        pixels = _pixels(picture, spec, image.info.get("icc_profile"))
        return Decoded(pixels, width, height, *_looks(picture))


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the decoders that may be tried and are there."""
    Image.init()
    heif_available()
    return tuple(name for name in PILLOW_FORMATS if name in Image.OPEN)


@contextmanager
def _explained(kind: str | None) -> Iterator[None]:
    """Turn whatever a decoder raises into `UnreadableImage` with a reason in plain words."""
    if not heif_available() and kind == "HEIF":
        raise UnreadableImage("HEIC needs an extra decoder: pip install 'imgcluster[heif]'")
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
    # Decoders meet hostile bytes here, and raise whatever they like (struct.error, KeyError, SyntaxError, …).
    except Exception as error:
        raise UnreadableImage(f"damaged or truncated: {one_line(error)}") from None


@functools.cache
def heif_available() -> bool:
    """Say whether HEIC files can be read; registers the decoder with Pillow at the first call."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep decoders' warnings about odd files (corrupt EXIF, large pictures) from the user's screen.

    Wrap the whole work of all threads in one: the list of warning filters is shared by a process.
    """
    with warnings.catch_warnings():
        for module in (r"PIL\.", r"pillow_heif\."):
            warnings.filterwarnings("ignore", module=module)
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _upright(image: Image.Image, scale: float) -> tuple[Image.Image, int, int]:
    """Load an opened image, turned upright, in mode ``L``, ``RGB`` or ``CMYK``; with its original width and height.

    Where it will be shrunk to `scale` or less, a JPEG may come at a half, quarter or eighth of its size.
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


def _looks(picture: Image.Image) -> tuple[float, float]:
    """Return brightness and colour, from points on a grid: to average whole pictures takes as long as decoding."""
    few = picture.resize(_GRID, Image.Resampling.NEAREST)
    grey = np.asarray(few.convert("L"), dtype=np.float32)
    colours = np.asarray(few.convert("RGB"), dtype=np.float32)
    return float(grey.mean()) / 255, float((colours.max(axis=2) - colours.min(axis=2)).mean()) / 255


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, of a loaded image; TIFF and AVIF files are upright by then."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    # Damaged metadata is no reason to lose the picture.
    except Exception as error:
        _LOG.debug("EXIF ignored: %s", error)
        return 1
    return value if value in _UPRIGHT else 1


def _flatten(image: Image.Image) -> Image.Image:
    """Return the picture in mode ``L``, ``RGB`` or ``CMYK``: 8 bits, no palette, no transparency."""
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
    """Scale 16-bit values from their full range, 32-bit and floating-point ones from what the picture holds."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    elif mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    # A picture of one value outside the usual ranges has no range of its own.
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
        _LOG.debug("colour profile ignored: %s", error)
        return picture


@functools.lru_cache(maxsize=64)
def _srgb_transform(profile: bytes, mode: str) -> Any | None:
    """Return what converts `mode` pictures with this ICC `profile` to sRGB; None where nothing is to be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).casefold():
            return None
        return ImageCms.buildTransform(source, _srgb_profile(), mode, "RGB")
    # A profile that does not fit the picture, or is damaged: the pixels are still worth more than a skipped file.
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _LOG.debug("colour profile ignored: %s", error)
        return None


@functools.cache
def _srgb_profile() -> Any:
    return ImageCms.createProfile("sRGB")


def _bomb(error: BaseException) -> str:
    """Say how large, in megapixels; Pillow says it in pixels and in other words."""
    numbers = [int(number) for number in re.findall(r"\d{7,}", str(error))]
    if len(numbers) != 2:
        return one_line(error)
    return f"{numbers[0] / 1e6:,.0f} megapixels, the limit is {numbers[1] / 1e6:,.0f}"
