"""Resizing a decoded image to an encoder's input; training and inference share this code.

`decode` reads files. Normalization (scale, mean, standard deviation) is part of the encoder's graph.
"""

from __future__ import annotations

from typing import Final

from PIL import Image

from imgcluster.images.types import InputSpec

__all__ = ["prepare"]

# The middle of the value range, so that a border has little effect on an encoder's first layer.
_PAD_GRAY: Final = 127
# Of an image that is resized to more pixels than this, only the part that is kept is computed.
_MOST_PIXELS: Final = 1 << 24


def prepare(picture: Image.Image, spec: InputSpec) -> Image.Image:
    """Resize an upright `picture` (mode ``L``, ``RGB`` or ``CMYK``) as `spec` says; its mode does not change.

    An image that already has the input's size is returned unchanged by ``stretch``, ``pad``, and ``crop`` with a
    `crop_fraction` of 1.
    """
    size = (spec.width, spec.height)
    resample = Image.Resampling[spec.filter.upper()]
    if spec.resize_edge:
        return _resize_then_crop(picture, spec, resample)
    if spec.resize == "pad":
        scale = min(spec.width / picture.width, spec.height / picture.height)
        inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        gray = (0, 0, 0, 255 - _PAD_GRAY) if picture.mode == "CMYK" else (_PAD_GRAY,) * len(picture.getbands())
        canvas = Image.new(picture.mode, size, gray)
        offset = ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2)
        canvas.paste(picture.resize(inner, resample), offset)
        return canvas
    box = spec.source_box(*picture.size)
    if picture.size == size and box == (0.0, 0.0, float(spec.width), float(spec.height)):
        return picture
    return picture.resize(size, resample, box=box)


def _resize_then_crop(picture: Image.Image, spec: InputSpec, resample: Image.Resampling) -> Image.Image:
    """Resize to `resize_edge`, then crop the center, both rounded as transformers does."""
    width = height = spec.resize_edge
    if spec.resize == "crop":
        short = min(picture.size)
        width, height = (int(spec.resize_edge * side / short) for side in picture.size)
    left, upper = (width - spec.width) // 2, (height - spec.height) // 2
    if width * height > _MOST_PIXELS:
        # For others it would differ from transformers in the last digit.
        across, down = picture.width / width, picture.height / height
        box = (left * across, upper * down, (left + spec.width) * across, (upper + spec.height) * down)
        return picture.resize((spec.width, spec.height), resample, box=box)
    resized = picture if picture.size == (width, height) else picture.resize((width, height), resample)
    return resized.crop((left, upper, left + spec.width, upper + spec.height))
