"""Resizing a decoded image to an encoder's input; training and inference share this code.

`images` decodes files. Normalization (scale, mean, standard deviation) is part of the encoder's graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from imgcluster.errors import UsageError

__all__ = ["FILTERS", "RESIZE_RULES", "InputSpec", "Pixels", "ResizeRule", "prepare"]

Pixels = npt.NDArray[np.uint8]
"""Images as ``uint8``; shape ``(height, width, channels)`` for one, ``(n, height, width, channels)`` for many."""

ResizeRule = Literal["crop", "stretch", "pad"]
RESIZE_RULES: Final[tuple[str, ...]] = get_args(ResizeRule)

FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# The middle of the value range, so that a border has little effect on an encoder's first layer.
_PAD_GRAY: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The input image of an encoder, and how other images are resized to it.

    Attributes:
        width: In pixels.
        height: In pixels.
        channels: 1 (gray) or 3 (RGB).
        resize: ``crop`` takes the largest centered rectangle of the input's aspect ratio, with its sides multiplied by
            `crop_fraction`; ``stretch`` ignores the aspect ratio; ``pad`` puts the whole image on a gray background.
        filter: Resampling filter, a key of `FILTERS`.
        crop_fraction: In (0, 1].

    Raises:
        UsageError: A value is not allowed.
    """

    width: int
    height: int
    channels: int
    resize: ResizeRule = "crop"
    filter: str = "bicubic"
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"an input of {self.width}×{self.height} px is not possible; both must be at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"an input of {self.channels} channels is not supported; 1 (gray) or 3 (RGB) are")
        if self.resize not in RESIZE_RULES:
            raise UsageError(f"resize rule {self.resize!r} is unknown; choose one of {', '.join(RESIZE_RULES)}")
        if self.filter not in FILTERS:
            raise UsageError(f"resize filter {self.filter!r} is unknown; choose one of {', '.join(FILTERS)}")
        if not 0.0 < self.crop_fraction <= 1.0:
            raise UsageError(f"crop fraction {self.crop_fraction} is not allowed; it lies in (0, 1]")

    @property
    def mode(self) -> str:
        """The Pillow mode of an image with these channels."""
        return "L" if self.channels == 1 else "RGB"

    def source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the box (left, upper, right, lower) of a `width`×`height` image that the encoder sees."""
        if self.resize != "crop":
            return (0.0, 0.0, float(width), float(height))
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        box_width, box_height = self.width * scale, self.height * scale
        left, upper = (width - box_width) / 2, (height - box_height) / 2
        return (max(0.0, left), max(0.0, upper), min(left + box_width, width), min(upper + box_height, height))


def prepare(picture: Image.Image, spec: InputSpec) -> Image.Image:
    """Resize an upright `picture` (mode ``L``, ``RGB`` or ``CMYK``) as `spec` says; its mode does not change.

    An image that already has the input's size is returned unchanged by ``stretch``, ``pad``, and ``crop`` with a
    `crop_fraction` of 1.
    """
    size = (spec.width, spec.height)
    resample = FILTERS[spec.filter]
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
