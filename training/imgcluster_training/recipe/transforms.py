"""The transforms of training images: the entries of a recipe's ``augmentation`` and ``corruption``.

`data.augmentation` applies them. As ``augmentation`` a transform changes the input and its target; as ``corruption``
it changes the input only, and the model learns to undo it.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat

from imgcluster_training.recipe.section import Fraction, Section, Tables

__all__ = [
    "Affine",
    "ColorJitter",
    "Crop",
    "Erase",
    "Flip",
    "GaussianNoise",
    "QuarterTurns",
    "SaltAndPepper",
    "Transform",
    "Transforms",
]

_PositiveFraction = Annotated[float, Field(gt=0, le=1)]


class Flip(Section):
    """Mirrors half of the images left to right, and with `vertical` half of them top to bottom."""

    type: Literal["flip"] = "flip"
    vertical: bool = False


class QuarterTurns(Section):
    """Rotates every image by 0, 90, 180 or 270 degrees; for square images."""

    type: Literal["quarter-turns"] = "quarter-turns"


class Affine(Section):
    """Rotates, moves, scales and shears every image about its center by uniformly drawn amounts.

    `degrees` and `shear` (degrees) are the largest angles in either direction, `translate` the largest move as a
    fraction of the side, `scale` the largest change of size. Pixels from outside the image are black.
    """

    type: Literal["affine"] = "affine"
    degrees: NonNegativeFloat = 0.0
    translate: Fraction = 0.0
    scale: Fraction = 0.0
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0


class Crop(Section):
    """Cuts out a random part of every image and resizes it.

    The part holds at least the fraction `area` of the pixels and has an aspect ratio from 3:4 to 4:3. `side` is the
    size of the result as a fraction of the image's sides: below 1, training is faster. Only for stages that compare
    codes, not images.
    """

    type: Literal["crop"] = "crop"
    area: _PositiveFraction = 0.2
    side: _PositiveFraction = 1.0


class ColorJitter(Section):
    """Changes brightness, contrast, saturation and hue by uniformly drawn amounts.

    The first three are factors within 1 ± the value; `hue` is the largest turn as a fraction of the circle (in YIQ).
    A fraction `probability` of the images is changed, a fraction `gray` made gray. Gray images change in brightness
    and contrast only.
    """

    type: Literal["colour-jitter"] = "colour-jitter"
    brightness: Fraction = 0.4
    contrast: Fraction = 0.4
    saturation: Fraction = 0.4
    hue: Fraction = 0.1
    probability: Fraction = 0.8
    gray: Fraction = Field(0.2, validation_alias="grey")


class SaltAndPepper(Section):
    """Makes a fraction `amount` of the pixels black or white, with equal probability, in all channels at once."""

    type: Literal["salt-and-pepper"] = "salt-and-pepper"
    amount: Fraction = 0.2


class GaussianNoise(Section):
    """Adds normal noise of standard deviation `sd` to the values, which are then clipped to [0, 1]."""

    type: Literal["gaussian-noise"] = "gaussian-noise"
    sd: Fraction = 0.1


class Erase(Section):
    """Makes a square of `size` times the side black, at a random position in every image."""

    type: Literal["erase"] = "erase"
    size: Fraction = 0.3


Transform: TypeAlias = Flip | QuarterTurns | Affine | Crop | ColorJitter | SaltAndPepper | GaussianNoise | Erase
Transforms: TypeAlias = Tables[Transform]
