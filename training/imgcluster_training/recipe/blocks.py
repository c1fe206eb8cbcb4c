"""The blocks that a recipe's encoder and decoder are lists of: what each is called and which options it takes.

Only descriptions live here, without torch; `models` turns them into layers. Names and meanings are Keras's
where Keras has the block, because the reference systems are written in them: "same" padding everywhere, and
activation before normalisation unless a block says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from imgcluster.errors import UsageError

__all__ = [
    "BLOCKS",
    "Activate",
    "Activation",
    "AveragePool",
    "Block",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DenseToMap",
    "GlobalAverage",
    "Interpolation",
    "MaxPool",
    "Norm",
    "Reshape",
    "Residual",
    "UpSample",
]

Activation = Literal["none", "relu", "leaky-relu", "silu", "sigmoid"]
Norm = Literal["none", "after-activation", "before-activation"]
Interpolation = Literal["nearest", "bilinear"]


def _at_least_one(**values: int | str) -> None:
    for key, value in values.items():
        if isinstance(value, int) and value < 1:
            raise UsageError(f"{key} = {value} is not possible; it must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """A convolution with "same" padding: the output's sides are the input's divided by `stride`, rounded up.

    `filters` is the number of output channels, or ``"image"`` for as many as the image to be made has.
    """

    filters: int | Literal["image"]
    kernel: int = 3
    stride: int = 1
    activation: Activation = "none"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        _at_least_one(filters=self.filters, kernel=self.kernel, stride=self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvTranspose:
    """A transposed convolution with "same" padding: the output's sides are the input's times `stride`."""

    filters: int | Literal["image"]
    kernel: int = 3
    stride: int = 1
    activation: Activation = "none"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        _at_least_one(filters=self.filters, kernel=self.kernel, stride=self.stride)
        if self.kernel < self.stride:
            raise UsageError(f"kernel = {self.kernel} leaves holes at stride {self.stride}; make it as large")


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Two 3×3 convolutions, each normalised, beside a shortcut, and ReLU after their sum.

    He et al. 2016 (https://arxiv.org/abs/1512.03385); where the shape changes the shortcut is a mean over
    `stride`×`stride` and a 1×1 convolution (its variant D: https://arxiv.org/abs/1812.01187).
    """

    filters: int
    stride: int = 1

    def __post_init__(self) -> None:
        _at_least_one(filters=self.filters, stride=self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """An activation of its own, for where it does not follow a convolution or a dense layer at once."""

    activation: Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAverage:
    """The mean of every channel: a vector whatever the image's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool:
    """The maximum of every `size`×`size` square; what does not fill a square is dropped."""

    size: int = 2

    def __post_init__(self) -> None:
        _at_least_one(size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool:
    """The mean of every `size`×`size` square; what does not fill a square is dropped."""

    size: int = 2

    def __post_init__(self) -> None:
        _at_least_one(size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSample:
    """Sides made `size` times as long: every value repeated, or values in between from the nearest four."""

    size: int = 2
    interpolation: Interpolation = "nearest"

    def __post_init__(self) -> None:
        _at_least_one(size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer to `units` values; a feature map is flattened first."""

    units: int
    activation: Activation = "none"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        _at_least_one(units=self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseToMap:
    """A fully connected layer to as many values as the encoder's last feature map has, brought to its shape."""

    activation: Activation = "none"
    norm: Norm = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The vector brought to the shape of the encoder's last feature map, value for value."""


Block: TypeAlias = (
    Conv
    | ConvTranspose
    | Residual
    | Activate
    | MaxPool
    | AveragePool
    | GlobalAverage
    | UpSample
    | Dense
    | DenseToMap
    | Reshape
)

BLOCKS: Final[dict[str, type[Block]]] = {
    "conv": Conv,
    "conv-transpose": ConvTranspose,
    "residual": Residual,
    "activation": Activate,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "global-average": GlobalAverage,
    "up-sample": UpSample,
    "dense": Dense,
    "dense-to-map": DenseToMap,
    "reshape": Reshape,
}
"""The value of a block's ``type`` in a recipe, and what it makes."""
