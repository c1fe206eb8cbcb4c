"""What an encoder takes as an image, and what EXIF says of a photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from imgcluster.errors import UsageError
from imgcluster.types import FILTERS, RESIZE_RULES, ResizeRule

__all__ = ["NO_EXIF", "Exif", "InputSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The input image of an encoder, and how other images are resized to it.

    Attributes:
        width: In pixels.
        height: In pixels.
        channels: 1 (gray) or 3 (RGB).
        resize: ``crop`` takes the largest centered rectangle of the input's aspect ratio, with its sides multiplied by
            `crop_fraction`; ``stretch`` ignores the aspect ratio; ``pad`` puts the whole image on a gray background.
        filter: Resampling filter, one of `FILTERS`.
        crop_fraction: In (0, 1].
        resize_edge: If it is not 0, images are resized in two steps, as the image processors of transformers do:
            ``crop`` first resizes the shorter side, and ``stretch`` both sides, to this many pixels; then the center
            is cropped to the input.

    Raises:
        UsageError: A value is not allowed.
    """

    width: int
    height: int
    channels: int
    resize: ResizeRule = "crop"
    filter: str = "bicubic"
    crop_fraction: float = 1.0
    resize_edge: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"an input of {self.width}×{self.height} px is not allowed; both sides must be at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"{self.channels} input channels are not supported; allowed are 1 (gray) and 3 (RGB)")
        if self.resize not in RESIZE_RULES:
            raise UsageError(f"resize rule {self.resize!r} is unknown; choose one of {', '.join(RESIZE_RULES)}")
        if self.filter not in FILTERS:
            raise UsageError(f"resize filter {self.filter!r} is unknown; choose one of {', '.join(FILTERS)}")
        if not 0.0 < self.crop_fraction <= 1.0:
            raise UsageError(f"crop fraction {self.crop_fraction} is not allowed; it must be in (0, 1]")
        if self.resize_edge and (self.resize == "pad" or self.resize_edge < max(self.width, self.height)):
            raise UsageError(
                f"a resize edge of {self.resize_edge} px is not possible with {self.resize} to "
                f"{self.width}×{self.height} px; it needs crop or stretch, and at least the longer side"
            )

    @property
    def mode(self) -> str:
        """The Pillow mode of an input image."""
        return "L" if self.channels == 1 else "RGB"

    def source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the box (left, upper, right, lower) of a `width`×`height` image that becomes the input."""
        if self.resize == "stretch" and self.resize_edge:
            part_width, part_height = width * self.width / self.resize_edge, height * self.height / self.resize_edge
            left, upper = (width - part_width) / 2, (height - part_height) / 2
            return (left, upper, left + part_width, upper + part_height)
        if self.resize != "crop":
            return (0.0, 0.0, float(width), float(height))
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        if self.resize_edge:
            scale = min(width, height) / self.resize_edge
        box_width, box_height = self.width * scale, self.height * scale
        left, upper = (width - box_width) / 2, (height - box_height) / 2
        return (max(0.0, left), max(0.0, upper), min(left + box_width, width), min(upper + box_height, height))


@dataclass(frozen=True, slots=True)
class Exif:
    """What EXIF says of a photograph.

    Attributes:
        captured: When it was taken, in local time (ISO 8601, with the offset from UTC if it is known); "" if unknown.
        camera: Make and model; "" if unknown.
        orientation: 1 to 8, where 1 is upright; 0 if unknown.
    """

    captured: str = ""
    camera: str = ""
    orientation: int = 0

    @property
    def seconds(self) -> float:
        """The time on the photographer's clock as seconds, as if it were in UTC; NaN if unknown."""
        try:
            return datetime.fromisoformat(self.captured[:19]).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            return math.nan


NO_EXIF: Final = Exif()
