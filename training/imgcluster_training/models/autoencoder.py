"""Autoencoders built from a recipe's blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imgcluster.errors import UsageError
from imgcluster_training.models.layers import Shape, initialize, layers_of, stack, text_of
from imgcluster_training.recipe.blocks import Block
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

    def float(self) -> Outputs:
        """Return the same in float32, after a computation in mixed precision."""
        mean, log_variance = (None if part is None else part.float() for part in (self.mean, self.log_variance))
        return Outputs(self.reconstruction.float(), self.code.float(), mean, log_variance)


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of parameters, counted as in Keras: the running statistics of batch normalization are `frozen`."""

    trainable: int
    frozen: int

    @property
    def all(self) -> int:
        return self.trainable + self.frozen


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
        blocks, shape = stack(settings.encoder, input_shape, output_shape, input_shape, "encoder")
        values = math.prod(shape)
        if settings.code == "flatten" and values != settings.latent:
            raise UsageError(
                f"model.latent = {settings.latent}, but the encoder's last feature map has {values} values"
            )
        mean = nn.Identity() if settings.code == "flatten" else nn.Linear(values, settings.latent)
        log_variance = nn.Linear(values, settings.latent) if settings.code == "gaussian" else None
        # The decoder returns to the last feature map, even if a dense layer follows it.
        last_map = _last_map(settings.encoder, input_shape, output_shape)
        decoder, decoded = stack(settings.decoder, (settings.latent,), output_shape, last_map, "decoder")
        if settings.decoder and decoded != output_shape:
            raise UsageError(
                f"model.decoder makes images of {text_of(decoded)}, but the data has {text_of(output_shape)} "
                "(channels×height×width); change the blocks or, for a folder of images, use an --image-size that is a "
                "multiple of the product of all strides and sizes of pools"
            )
        model = Autoencoder(Encoder(blocks, mean, log_variance), Decoder(decoder, settings.latent))
        if next(model.parameters(), None) is None:
            raise UsageError("the model has nothing to train; add a block with weights, such as conv or dense")
        model.apply(initialize)
    return model


def model_for(recipe: Recipe, image_shape: tuple[int, int, int], *, seed: int) -> Autoencoder:
    """Return `recipe`'s autoencoder for images of ``(height, width, channels)``; see `build_model`."""
    height, width, channels = image_shape
    if recipe.data.target == "chrominance" and channels != 3:
        raise UsageError("data.target = 'chrominance' needs color images, but these are gray; leave it out")
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


def _last_map(blocks: Sequence[Block], shape: Shape, output_shape: Shape) -> Shape:
    # The layers built here advance the random numbers: without them every seed would give other weights.
    for block in blocks:
        _, after = layers_of(block, shape, output_shape, shape, "encoder")
        if len(after) == 1:
            break
        shape = after
    return shape
