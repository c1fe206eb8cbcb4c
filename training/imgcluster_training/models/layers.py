"""The layers of a recipe's blocks, with the conventions of Keras, in which the reference systems are written.

These are: TensorFlow's "same" padding (asymmetric under strides), Glorot-uniform kernels and zero biases, and batch
normalization with epsilon 1e-3 and momentum 0.99.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from imgcluster.errors import UsageError
from imgcluster_training.errors import TrainingError
from imgcluster_training.models.running_average import weight_of_new
from imgcluster_training.models.small_maps import conv_to_small_map, is_faster
from imgcluster_training.recipe.blocks import (
    Activate,
    Block,
    Conv,
    ConvTranspose,
    Dense,
    DenseToMap,
    GlobalAverage,
    MaxPool,
    Reshape,
    Residual,
    UpSample,
)

__all__ = [
    "Norm1d",
    "Norm2d",
    "ResidualUnit",
    "SameConv",
    "SameConvTranspose",
    "Shape",
    "initialize",
    "is_warming_up",
    "layers_of",
    "stack",
    "text_of",
]

_NORM_EPSILON: Final = 1e-3
_NORM_MOMENTUM: Final = 0.01  # the weight of the new value; Keras's 0.99 is that of the old one
_LEAKY_SLOPE: Final = 0.2

Shape = tuple[int, ...]
"""``(channels, height, width)`` of a feature map, or ``(values,)`` of a vector."""


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, which adds an odd pixel at the right and the bottom."""

    def forward(self, images: Tensor) -> Tensor:
        kernel, stride, padding = self.kernel_size[0], self.stride[0], 0
        if stride == 1 and kernel % 2 == 1:
            padding = kernel // 2
        else:
            left, right = _same_padding(images.shape[3], kernel, stride)
            top, bottom = _same_padding(images.shape[2], kernel, stride)
            images = F.pad(images, (left, right, top, bottom))
        if is_faster(images, kernel, stride, padding):
            maps = conv_to_small_map(images, self.weight, stride, padding)
            return maps if self.bias is None else maps + self.bias.to(maps.dtype)[:, None, None]
        return F.conv2d(images, self.weight, self.bias, stride, padding)


class SameConvTranspose(nn.ConvTranspose2d):
    """The transpose of `SameConv`: its output's sides are exactly `stride` times its input's."""

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        before = (kernel - stride) // 2
        after = kernel - stride - before
        # The bias comes afterwards: with it, torch needs up to five times as long on a CPU in bfloat16
        # (benchmarks/transposed_convolution.py).
        whole = F.conv_transpose2d(images, self.weight, stride=self.stride, padding=before)
        if after > before:
            # torch cuts `before` pixels on both sides; TensorFlow cuts an odd pixel more at the end.
            whole = whole[:, :, : before - after, : before - after]
        return whole if self.bias is None else whole + self.bias.to(whole.dtype)[:, None, None]


class ResidualUnit(nn.Module):
    """The block `Residual`; sides are divided by `stride` and rounded up, as in `SameConv`."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            SameConv(channels, filters, 3, stride, bias=False),
            _norm(filters, flat=False),
            nn.ReLU(),
            SameConv(filters, filters, 3, bias=False),
            _norm(filters, flat=False),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if channels != filters:
            self.shortcut.append(SameConv(channels, filters, 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.branch(images) + self.shortcut(images))


class Sigmoid(nn.Module):
    """The sigmoid in float32 also where a model computes in bfloat16, in which 0.998 and more would be 1."""

    def forward(self, values: Tensor) -> Tensor:
        return values.float().sigmoid()


class Mean(nn.Module):
    """The mean of every channel, ``float32 (n, channels)``."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class _Norm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization whose running statistics forget their start, mean 0 and variance 1.

    Raises:
        TrainingError: A batch to train on has only one value of each channel.
    """

    warming_up = True

    def forward(self, values: Tensor) -> Tensor:
        if self.training and values.numel() == values.shape[1]:
            raise TrainingError(
                "a normalization needs more than one image in a batch; add images, set batch_size to at least 2, or "
                "leave out its norm"
            )
        if not (self.training and self.warming_up):
            return super().forward(values)
        assert self.num_batches_tracked is not None
        self.momentum = weight_of_new(_NORM_MOMENTUM, int(self.num_batches_tracked))
        self.warming_up = self.momentum > _NORM_MOMENTUM
        result = super().forward(values)
        # An exported graph contains it.
        self.momentum = _NORM_MOMENTUM
        return result


class Norm1d(_Norm, nn.BatchNorm1d):
    """Normalization of vectors."""


class Norm2d(_Norm, nn.BatchNorm2d):
    """Normalization of feature maps."""


def is_warming_up(module: nn.Module) -> bool:
    """Return whether the momentum of a normalization in `module` still changes from batch to batch."""
    return any(part.warming_up for part in module.modules() if isinstance(part, _Norm))


_ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {"relu": nn.ReLU, "silu": nn.SiLU, "sigmoid": Sigmoid}


def initialize(module: nn.Module) -> None:
    """Give a layer new weights; other modules stay as they are."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def stack(
    blocks: Sequence[Block], shape: Shape, output_shape: Shape, last_map: Shape, where: str
) -> tuple[nn.Sequential, Shape]:
    """Return the layers of all blocks, and their output shape; the arguments are those of `layers_of`."""
    layers: list[nn.Module] = []
    for number, block in enumerate(blocks):
        added, shape = layers_of(block, shape, output_shape, last_map, f"model.{where}[{number}]")
        layers += added
    return nn.Sequential(*layers), shape


def layers_of(
    block: Block, shape: Shape, output_shape: Shape, last_map: Shape, where: str
) -> tuple[list[nn.Module], Shape]:
    """Return the layers of one block, and their output shape.

    Args:
        block: The block.
        shape: That of its input.
        output_shape: ``(channels, height, width)`` of the reconstructions.
        last_map: The feature map to which a decoder returns.
        where: The block's name in messages.

    Raises:
        UsageError: The block does not fit its input.
    """
    if isinstance(block, Activate):
        return [] if block.activation == "none" else [_activation(block.activation)], shape
    flatten: list[nn.Module] = [] if len(shape) == 1 else [nn.Flatten()]
    if isinstance(block, Dense):
        dense = nn.Linear(math.prod(shape), block.units)
        return [*flatten, dense, *_norm_and_activation(block, block.units, flat=True)], (block.units,)
    if isinstance(block, DenseToMap):
        dense = nn.Linear(math.prod(shape), math.prod(last_map))
        after = _norm_and_activation(block, last_map[0], flat=False)
        return [*flatten, dense, nn.Unflatten(1, last_map), *after], last_map
    if isinstance(block, Reshape):
        if math.prod(shape) != math.prod(last_map):
            raise UsageError(f"{where}: a vector of {text_of(shape)} values cannot be reshaped to {text_of(last_map)}")
        return [*flatten, nn.Unflatten(1, last_map)], last_map
    if len(shape) != 3:
        raise UsageError(f"{where}: this block needs a feature map, not a vector; put dense-to-map or reshape first")
    channels, height, width = shape
    if isinstance(block, Conv | ConvTranspose):
        filters = output_shape[0] if block.filters == "image" else block.filters
        convolution: nn.Module
        if isinstance(block, Conv):
            lost = block.kernel - 1 if block.padding == "valid" else 0
            if min(height, width) <= lost:
                raise UsageError(f"{where}: a feature map of {text_of(shape)} is too small for kernel {block.kernel}")
            kind = nn.Conv2d if block.padding == "valid" else SameConv
            convolution = kind(channels, filters, block.kernel, block.stride)
            sides = (-(-(height - lost) // block.stride), -(-(width - lost) // block.stride))
        else:
            convolution = SameConvTranspose(channels, filters, block.kernel, block.stride)
            sides = (height * block.stride, width * block.stride)
        return [convolution, *_norm_and_activation(block, filters, flat=False)], (filters, *sides)
    if isinstance(block, Residual):
        sides = (-(-height // block.stride), -(-width // block.stride))
        return [ResidualUnit(channels, block.filters, block.stride)], (block.filters, *sides)
    if isinstance(block, GlobalAverage):
        return [Mean()], (channels,)
    if isinstance(block, UpSample):
        return [nn.Upsample(scale_factor=block.size, mode=block.interpolation)], (
            channels,
            height * block.size,
            width * block.size,
        )
    if min(height, width) < block.size:
        raise UsageError(f"{where}: a feature map of {text_of(shape)} is too small to pool by {block.size}")
    pool = nn.MaxPool2d(block.size) if isinstance(block, MaxPool) else nn.AvgPool2d(block.size)
    return [pool], (channels, height // block.size, width // block.size)


def _norm_and_activation(
    block: Conv | ConvTranspose | Dense | DenseToMap, width: int, *, flat: bool
) -> list[nn.Module]:
    activation = [] if block.activation == "none" else [_activation(block.activation)]
    norm = [] if block.norm == "none" else [_norm(width, flat=flat)]
    return [*norm, *activation] if block.norm == "before-activation" else [*activation, *norm]


def _activation(name: str) -> nn.Module:
    return nn.LeakyReLU(_LEAKY_SLOPE) if name == "leaky-relu" else _ACTIVATIONS[name]()


def _norm(width: int, *, flat: bool) -> nn.Module:
    kind = Norm1d if flat else Norm2d
    return kind(width, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def text_of(shape: Shape) -> str:
    """Return a shape for messages, as in ``3×32×32``."""
    return "×".join(map(str, shape))
