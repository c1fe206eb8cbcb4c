"""From a decoded picture to the pixels an encoder takes: the one preprocessing of training and of use.

Reading files is the business of `imgcluster.images.decode`; normalisation (mean, scale) is in the encoder's graph.
"""

from __future__ import annotations

from typing import Final

from PIL import Image

from imgcluster.types import InputSpec

__all__ = [
    "prepare",
]

# Close to the middle of every encoder's input range, so that a border means little to its first layer.
_PAD_GREY: Final = 127


def prepare(picture: Image.Image, spec: InputSpec) -> Image.Image:
    """Resize an upright `picture` (mode ``L``, ``RGB`` or ``CMYK``) by `spec`; its mode stays.

    A picture that has the encoder's size already comes back pixel for pixel under ``stretch``, ``pad`` and a
    full ``crop``.
    """
    size = (spec.width, spec.height)
    resample = Image.Resampling[spec.filter.upper()]
    if spec.resize == "pad":
        scale = min(spec.width / picture.width, spec.height / picture.height)
        inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        grey = (0, 0, 0, 255 - _PAD_GREY) if picture.mode == "CMYK" else (_PAD_GREY,) * len(picture.getbands())
        canvas = Image.new(picture.mode, size, grey)
        offset = ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2)
        canvas.paste(picture.resize(inner, resample), offset)
        return canvas
    box = spec.source_box(*picture.size)
    if picture.size == size and box == (0.0, 0.0, float(spec.width), float(spec.height)):
        return picture
    return picture.resize(size, resample, box=box)
