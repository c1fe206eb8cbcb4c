"""Batches of tensors: the order of an epoch, inputs and targets.

A batch depends on the seed, the epoch and its number only, so that an interrupted training can be resumed to exactly
the weights of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from imgcluster.types import Pixels
from imgcluster_training.data.augmentation import apply_transforms
from imgcluster_training.data.images import Images, Indices
from imgcluster_training.recipe.schema import DataSettings, Recipe

__all__ = ["Batches", "ordered_batches", "shuffled_indices", "to_input", "to_target", "to_tensor"]

# ITU-R BT.601, as in Pillow's conversion to gray and JPEG's chrominance.
_LUMA: Final = (0.299, 0.587, 0.114)
_CB: Final = (-0.168736, -0.331264, 0.5)
_CR: Final = (0.5, -0.418688, -0.081312)

# Separate the streams of random numbers that share a seed: the order of images, and what is drawn for a batch.
_STREAMS: Final = (1, 2)

# Limits the memory of large images to a few hundred megabytes.
_PIXELS_AT_ONCE: Final = 2**19
_IMAGES_AT_ONCE: Final = 500
# Validation images are corrupted in the same way at every epoch, so that epochs are comparable.
_VALIDATION_SEED: Final = 20_240_229


class Batches:
    """The batches of an autoencoder's training.

    Args:
        images: The training images.
        recipe: Batch size, augmentation, corruption, inputs and targets.
        seed: For the order of images and the transforms.
        device: Where the tensors are created.
    """

    def __init__(self, images: Images, recipe: Recipe, *, seed: int, device: torch.device) -> None:
        self._images = images
        self._recipe = recipe
        self._seed = seed
        self._device = device
        whole, remainder = divmod(len(images), recipe.training.batch_size)
        # Batch normalization cannot learn from a single image: such a remainder is left out of the epoch.
        self.steps = recipe.training.steps_per_epoch or max(1, whole + (remainder > 1))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of `epoch` (from 0), from step `first` on. Seeds torch before every batch."""
        training = self._recipe.training
        indices = shuffled_indices(
            len(self._images),
            training.batch_size,
            self.steps,
            seed=self._seed,
            epoch=epoch,
            first=first,
            streams=_STREAMS,
            repeat=bool(training.steps_per_epoch),
        )
        for chosen in indices:
            images = apply_transforms(to_tensor(self._images.take(chosen), self._device), self._recipe.augmentation)
            inputs = apply_transforms(to_input(images, self._recipe.data), self._recipe.corruption)
            yield inputs, to_target(images, self._recipe.data)


def shuffled_indices(
    count: int, size: int, steps: int, *, seed: int, epoch: int, first: int, streams: tuple[int, int], repeat: bool
) -> Iterator[Indices]:
    """Yield the indices ``int64 (≤ size,)`` of each batch of an epoch, and seed torch for what is drawn for the batch.

    Args:
        count: Number of images.
        size: Images in a batch.
        steps: Batches in the epoch.
        seed: With `epoch` and `streams` it determines order and draws.
        epoch: From 0.
        first: The first step to yield.
        streams: Numbers that separate the orders and draws of one training from those of another with the same seed.
        repeat: Go through the images as often as needed to fill all batches; else once, and the last batch is smaller.
    """
    order_stream, draw_stream = streams
    random = _generator(seed, order_stream, epoch)
    passes = -(-steps * size // count) if repeat else 1
    order = np.concatenate([random.permutation(count) for _ in range(passes)])
    for step in range(first, steps):
        torch.manual_seed(int(_generator(seed, draw_stream, epoch, step).integers(2**62)))
        yield order[step * size : (step + 1) * size]


def ordered_batches(
    images: Images, recipe: Recipe, device: torch.device, *, corrupt: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of all `images` in order; corrupted as in training, in the same way at every call."""
    height, width, _ = images.shape
    size = min(_IMAGES_AT_ONCE, max(1, _PIXELS_AT_ONCE // (height * width)))
    for start in range(0, len(images), size):
        clean = to_tensor(images.take(np.arange(start, min(start + size, len(images)))), device)
        inputs = to_input(clean, recipe.data)
        if corrupt:
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(_VALIDATION_SEED + start)
                inputs = apply_transforms(inputs, recipe.corruption)
        yield inputs, to_target(clean, recipe.data)


def to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Return ``uint8 (n, height, width, channels)`` as ``float32 (n, channels, height, width)`` in [0, 1].

    The memory order stays channels last, for which convolutions are fastest on CPUs and GPUs.
    """
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def to_input(images: Tensor, settings: DataSettings) -> Tensor:
    """Return the model's input for `images` in [0, 1]."""
    if settings.input == "grey" and images.shape[1] == 3:
        return _mix(images, _LUMA)
    return images


def to_target(images: Tensor, settings: DataSettings) -> Tensor:
    """Return the model's target for `images` in [0, 1]; chrominance is centered at 0.5."""
    if settings.target == "chrominance":
        return torch.cat([_mix(images, _CB), _mix(images, _CR)], dim=1) + 0.5
    return images


def _mix(images: Tensor, weights: tuple[float, float, float]) -> Tensor:
    mixed: Tensor = sum(weight * images[:, number : number + 1] for number, weight in enumerate(weights))  # type: ignore[assignment]
    return mixed


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))
