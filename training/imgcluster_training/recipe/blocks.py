"""The blocks of a recipe's encoder and decoder: their names and options.

`models.layers` turns them into layers. Names and meanings follow Keras, in which the reference systems are
written: "same" padding, and activation before normalization unless a block says otherwise.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, PositiveInt, model_validator

from imgcluster_training.recipe.section import Section, Tables

__all__ = [
    "Activate",
    "Activation",
    "AveragePool",
    "Block",
    "Blocks",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DenseToMap",
    "GlobalAverage",
    "Interpolation",
    "MaxPool",
    "Norm",
    "Padding",
    "Reshape",
    "Residual",
    "UpSample",
]

Activation = Literal["none", "relu", "leaky-relu", "silu", "sigmoid"]
Norm = Literal["none", "after-activation", "before-activation"]
Padding = Literal["same", "valid"]
Interpolation = Literal["nearest", "bilinear"]


class Conv(Section):
    """A convolution.

    `filters` is the number of output channels; ``"image"`` stands for the number of channels of the output image. With
    "same" padding the output's sides are the input's divided by `stride`, rounded up; with "valid" padding no pixels
    are added, so they are smaller by `kernel` − 1 before the division.
    """

    type: Literal["conv"] = "conv"
    filters: PositiveInt | Literal["image"]
    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    # Not dumped where it is the default: a checkpoint of an earlier version has no such key, and is continued.
    padding: Padding = Field("same", exclude_if=lambda padding: padding == "same")
    activation: Activation = "none"
    norm: Norm = "none"


class ConvTranspose(Section):
    """A transposed convolution with "same" padding: the output's sides are the input's times `stride`."""

    type: Literal["conv-transpose"] = "conv-transpose"
    filters: PositiveInt | Literal["image"]
    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    activation: Activation = "none"
    norm: Norm = "none"

    @model_validator(mode="after")
    def _check(self) -> ConvTranspose:
        if self.kernel < self.stride:
            raise ValueError(f"kernel = {self.kernel} leaves gaps at stride {self.stride}; use at least {self.stride}")
        return self


class Residual(Section):
    """Two 3×3 convolutions with normalization, added to a shortcut, then ReLU.

    He et al. 2016 (https://arxiv.org/abs/1512.03385). Where the shape changes, the shortcut is an average over
    `stride`×`stride` pixels and a 1×1 convolution (variant D, https://arxiv.org/abs/1812.01187).
    """

    type: Literal["residual"] = "residual"
    filters: PositiveInt
    stride: PositiveInt = 1


class Activate(Section):
    """A separate activation, for places that do not directly follow a convolution or dense layer."""

    type: Literal["activation"] = "activation"
    activation: Activation


class GlobalAverage(Section):
    """The mean of every channel: a vector for images of any size."""

    type: Literal["global-average"] = "global-average"


class MaxPool(Section):
    """The maximum of every `size`×`size` square; incomplete squares at the border are dropped."""

    type: Literal["max-pool"] = "max-pool"
    size: PositiveInt = 2


class AveragePool(Section):
    """The mean of every `size`×`size` square; incomplete squares at the border are dropped."""

    type: Literal["average-pool"] = "average-pool"
    size: PositiveInt = 2


class UpSample(Section):
    """An enlargement by the factor `size`."""

    type: Literal["up-sample"] = "up-sample"
    size: PositiveInt = 2
    interpolation: Interpolation = "nearest"


class Dense(Section):
    """A fully connected layer with `units` outputs; a feature map is flattened first."""

    type: Literal["dense"] = "dense"
    units: PositiveInt
    activation: Activation = "none"
    norm: Norm = "none"


class DenseToMap(Section):
    """A fully connected layer whose output has the shape of the encoder's last feature map."""

    type: Literal["dense-to-map"] = "dense-to-map"
    activation: Activation = "none"
    norm: Norm = "none"


class Reshape(Section):
    """The vector, reshaped to the encoder's last feature map."""

    type: Literal["reshape"] = "reshape"


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
Blocks: TypeAlias = Tables[Block]
