"""Autoencoders built from a recipe's blocks, with the conventions of Keras, in which the reference systems are written.

These are: TensorFlow's "same" padding (asymmetric under strides), Glorot-uniform kernels and zero biases, and batch
normalization with epsilon 1e-3 and momentum 0.99.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from imgcluster.errors import UsageError
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
from imgcluster_training.recipe.schema import ModelSettings, Recipe

__all__ = [
    "Autoencoder",
    "Decoder",
    "Encoder",
    "Outputs",
    "ParameterCounts",
    "build_model",
    "count_parameters",
    "model_for",
]

_NORM_EPSILON: Final = 1e-3
_NORM_MOMENTUM: Final = 0.01  # the weight of the new value; Keras's 0.99 is that of the old one
_LEAKY_SLOPE: Final = 0.2

_ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {"relu": nn.ReLU, "silu": nn.SiLU, "sigmoid": nn.Sigmoid}

Shape = tuple[int, ...]
"""``(channels, height, width)`` of a feature map, or ``(values,)`` of a vector."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The output of an autoencoder for a batch.

    `reconstruction` is ``float32 (n, channels, height, width)``, `code` ``float32 (n, latent)``. `mean` and
    `log_variance`, both ``(n, latent)``, are the code's distribution in a variational autoencoder, else None.
    """

    reconstruction: Tensor
    code: Tensor
    mean: Tensor | None = None
    log_variance: Tensor | None = None


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of parameters, counted as in Keras: the running statistics of batch normalization are `frozen`."""

    trainable: int
    frozen: int

    @property
    def all(self) -> int:
        return self.trainable + self.frozen


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, which adds an odd pixel at the right and the bottom."""

    def forward(self, images: Tensor) -> Tensor:
        if self.stride[0] == 1 and self.kernel_size[0] % 2 == 1:
            return F.conv2d(images, self.weight, self.bias, padding=self.kernel_size[0] // 2)
        left, right = _same_padding(images.shape[3], self.kernel_size[1], self.stride[1])
        top, bottom = _same_padding(images.shape[2], self.kernel_size[0], self.stride[0])
        return F.conv2d(F.pad(images, (left, right, top, bottom)), self.weight, self.bias, stride=self.stride)


class SameConvTranspose(nn.ConvTranspose2d):
    """The transpose of `SameConv`: its output's sides are exactly `stride` times its input's."""

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        before = (kernel - stride) // 2
        after = kernel - stride - before
        whole = F.conv_transpose2d(images, self.weight, self.bias, stride=self.stride, padding=before)
        # torch cuts `before` pixels on both sides; TensorFlow cuts an odd pixel more at the end.
        return whole if after == before else whole[:, :, : before - after, : before - after]


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


class Mean(nn.Module):
    """The mean of every channel, ``float32 (n, channels)``."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class Encoder(nn.Module):
    """Blocks and the code.

    Shape:
        - Input: ``float32 (n, channels, height, width)``.
        - Output: ``float32 (n, latent)``; for a variational encoder the mean.
    """

    def __init__(self, blocks: nn.Sequential, mean: nn.Module, log_variance: nn.Module | None) -> None:
        super().__init__()
        self.blocks = blocks
        self.mean = mean
        self.log_variance = log_variance

    def forward(self, images: Tensor) -> Tensor:
        code: Tensor = self.mean(self.blocks(images).flatten(1))
        return code

    def distribution(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return mean and log-variance of the code, both ``(n, latent)``; None for the latter if it is not drawn."""
        values = self.blocks(images).flatten(1)
        return self.mean(values), None if self.log_variance is None else self.log_variance(values)


class Decoder(nn.Module):
    """Blocks from ``float32 (n, latent)`` to an image ``float32 (n, channels, height, width)``.

    Without blocks, if the recipe has none, the output is the code.
    """

    def __init__(self, blocks: nn.Sequential, latent: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.latent = latent

    def forward(self, codes: Tensor) -> Tensor:
        images: Tensor = self.blocks(codes)
        return images


class Autoencoder(nn.Module):
    """An encoder and its decoder; maps a batch of images to `Outputs`.

    A variational autoencoder (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114) draws its codes in training
    mode and uses their mean in evaluation mode.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Outputs:
        mean, log_variance = self.encoder.distribution(images)
        if log_variance is None:
            return Outputs(self.decoder(mean), mean)
        code = mean
        if self.training:
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return Outputs(self.decoder(code), code, mean, log_variance)


def build_model(settings: ModelSettings, *, input_shape: Shape, output_shape: Shape, seed: int) -> Autoencoder:
    """Return the autoencoder that `settings` describes, with new weights.

    Args:
        settings: The recipe's ``[model]``.
        input_shape: ``(channels, height, width)`` of the inputs.
        output_shape: ``(channels, height, width)`` of the reconstructions.
        seed: Models with the same seed have the same weights.

    Raises:
        UsageError: The blocks do not fit each other, the code's size, or the images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blocks, shape = _stack(settings.encoder, input_shape, output_shape, input_shape, "encoder")
        values = math.prod(shape)
        if settings.code == "flatten" and values != settings.latent:
            raise UsageError(
                f"model.latent = {settings.latent}, but the encoder's last feature map has {values} values"
            )
        mean = nn.Identity() if settings.code == "flatten" else nn.Linear(values, settings.latent)
        log_variance = nn.Linear(values, settings.latent) if settings.code == "gaussian" else None
        # The decoder returns to the last feature map, even if a dense layer follows it.
        last_map = _last_map(settings.encoder, input_shape, output_shape)
        decoder, decoded = _stack(settings.decoder, (settings.latent,), output_shape, last_map, "decoder")
        if settings.decoder and decoded != output_shape:
            raise UsageError(
                f"model.decoder makes images of {_text(decoded)}, but the data has {_text(output_shape)} "
                "(channels×height×width); change the blocks, or use an --image-size that is a multiple of the "
                "product of all strides"
            )
        model = Autoencoder(Encoder(blocks, mean, log_variance), Decoder(decoder, settings.latent))
        model.apply(_initialize)
    return model


def model_for(recipe: Recipe, image_shape: tuple[int, int, int], *, seed: int) -> Autoencoder:
    """Return `recipe`'s autoencoder for images of ``(height, width, channels)``; see `build_model`."""
    height, width, channels = image_shape
    inputs = 1 if recipe.data.input == "grey" else channels
    outputs = 2 if recipe.data.target == "chrominance" else channels
    return build_model(
        recipe.model, input_shape=(inputs, height, width), output_shape=(outputs, height, width), seed=seed
    )


def count_parameters(module: nn.Module) -> ParameterCounts:
    """Count the parameters of `module` as in Keras."""
    trainable = sum(parameter.numel() for parameter in module.parameters())
    frozen = sum(
        2 * part.num_features for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
    )
    return ParameterCounts(trainable, frozen)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _last_map(blocks: Sequence[Block], shape: Shape, output_shape: Shape) -> Shape:
    # The layers built here advance the random numbers: without them every seed would give other weights.
    for block in blocks:
        _, after = _layers(block, shape, output_shape, shape, "encoder")
        if len(after) == 1:
            break
        shape = after
    return shape


def _stack(
    blocks: Sequence[Block], shape: Shape, output_shape: Shape, last_map: Shape, where: str
) -> tuple[nn.Sequential, Shape]:
    layers: list[nn.Module] = []
    for number, block in enumerate(blocks):
        added, shape = _layers(block, shape, output_shape, last_map, f"model.{where}[{number}]")
        layers += added
    return nn.Sequential(*layers), shape


def _layers(
    block: Block, shape: Shape, output_shape: Shape, last_map: Shape, where: str
) -> tuple[list[nn.Module], Shape]:
    """Return the layers of one block after a layer of `shape`, and their output shape."""
    if isinstance(block, Activate):
        return [] if block.activation == "none" else [_activation(block.activation)], shape
    if isinstance(block, Dense):
        dense = nn.Linear(math.prod(shape), block.units)
        flatten: list[nn.Module] = [] if len(shape) == 1 else [nn.Flatten()]
        return [*flatten, dense, *_norm_and_activation(block, block.units, flat=True)], (block.units,)
    if isinstance(block, DenseToMap):
        dense = nn.Linear(math.prod(shape), math.prod(last_map))
        after = _norm_and_activation(block, last_map[0], flat=False)
        return [dense, nn.Unflatten(1, last_map), *after], last_map
    if isinstance(block, Reshape):
        if math.prod(shape) != math.prod(last_map):
            raise UsageError(f"{where}: a vector of {_text(shape)} values cannot be reshaped to {_text(last_map)}")
        return [nn.Unflatten(1, last_map)], last_map
    if len(shape) != 3:
        raise UsageError(f"{where}: this block needs a feature map, not a vector; put dense-to-map or reshape first")
    channels, height, width = shape
    if isinstance(block, Conv | ConvTranspose):
        filters = output_shape[0] if block.filters == "image" else block.filters
        convolution: nn.Module
        if isinstance(block, Conv):
            lost = block.kernel - 1 if block.padding == "valid" else 0
            if min(height, width) <= lost:
                raise UsageError(f"{where}: a feature map of {_text(shape)} is too small for kernel {block.kernel}")
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
        raise UsageError(f"{where}: a feature map of {_text(shape)} is too small to pool by {block.size}")
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
    kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
    return kind(width, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _text(shape: Shape) -> str:
    return "×".join(map(str, shape))
