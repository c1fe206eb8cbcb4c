"""What may happen to training images: the transforms a recipe's ``augmentation`` and ``corruption`` are lists of.

Only descriptions live here, without torch; `augmentation` carries them out. As ``augmentation`` a transform
changes the input and its target alike; as ``corruption`` it changes the input only, and the model learns to
take it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from imgcluster.errors import UsageError

__all__ = [
    "TRANSFORMS",
    "Affine",
    "ColourJitter",
    "Crop",
    "Erase",
    "Flip",
    "GaussianNoise",
    "QuarterTurns",
    "SaltAndPepper",
    "Transform",
]


def _share(**values: float) -> None:
    for key, value in values.items():
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"{key} = {value} is not possible; it lies between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Half of the images mirrored left to right, and with `vertical` half of them top to bottom."""

    vertical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterTurns:
    """Every image turned by 0, 90, 180 or 270 degrees; for square images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """Every image rotated, moved, scaled and sheared about its centre by uniformly drawn amounts.

    `degrees` and `shear` (degrees) are the largest angles either way, `translate` the largest move as a
    share of the side, `scale` the largest change of size. What comes in from outside is black.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __post_init__(self) -> None:
        _share(translate=self.translate, scale=self.scale)
        if self.degrees < 0 or not 0 <= self.shear < 90:
            raise UsageError(
                f"degrees = {self.degrees}, shear = {self.shear} is not possible; both are at least 0, shear below 90"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A part of every image, of at least the share `area` of its pixels and of 3:4 to 4:3, brought to one size.

    `side` is that size as a share of the image's sides: below 1 training is faster, for what sees images of any
    size. Where only codes are compared, not images.
    """

    area: float = 0.2
    side: float = 1.0

    def __post_init__(self) -> None:
        _share(area=self.area, side=self.side)
        if self.area == 0 or self.side == 0:
            raise UsageError(f"area = {self.area}, side = {self.side} is not possible; both are above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourJitter:
    """Brightness, contrast, saturation and hue of every image changed by uniformly drawn amounts.

    The first three are factors within 1 ± the value, `hue` the largest turn either way as a share of the circle
    (in YIQ). A share of `probability` of the images is changed, a share of `grey` made grey. Grey images have
    brightness and contrast only.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    probability: float = 0.8
    grey: float = 0.2

    def __post_init__(self) -> None:
        _share(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            probability=self.probability,
            grey=self.grey,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SaltAndPepper:
    """A share of `amount` of the pixels made black or white, with equal probability, in all channels at once."""

    amount: float = 0.2

    def __post_init__(self) -> None:
        _share(amount=self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianNoise:
    """Normal noise of standard deviation `sd` added to the values in [0, 1], which stay within that range."""

    sd: float = 0.1

    def __post_init__(self) -> None:
        _share(sd=self.sd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """A square of `size` times the side made black somewhere in every image."""

    size: float = 0.3

    def __post_init__(self) -> None:
        _share(size=self.size)


Transform: TypeAlias = Flip | QuarterTurns | Affine | Crop | ColourJitter | SaltAndPepper | GaussianNoise | Erase

TRANSFORMS: Final[dict[str, type[Transform]]] = {
    "flip": Flip,
    "quarter-turns": QuarterTurns,
    "affine": Affine,
    "crop": Crop,
    "colour-jitter": ColourJitter,
    "salt-and-pepper": SaltAndPepper,
    "gaussian-noise": GaussianNoise,
    "erase": Erase,
}
"""The value of a transform's ``type`` in a recipe, and what it makes."""
