"""What a stage is to the loop that runs it: parts that are trained, a loss of a batch, and what comes before an epoch.

All that a stage learns or remembers is a parameter or a buffer of it, so its ``state_dict`` is the whole of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from imgcluster_training.data.augmentation import apply_transforms
from imgcluster_training.data.batches import to_input, to_tensor
from imgcluster_training.data.datasets import Images, Indices
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.recipe.transforms import Transform

__all__ = ["Material", "StageModule"]

# Pixels per batch without gradients: what large images take stays within a few hundred megabytes.
_ENCODED_PIXELS = 2**19
_ENCODED_BATCH = 500


@dataclass(frozen=True, slots=True)
class Material:
    """What every stage works on.

    Attributes:
        model: The autoencoder whose encoder is trained; without a decoder where the recipe has none.
        images: What to learn from.
        recipe: How images become inputs, and the loss that IDEC keeps.
        clusters: How many there are; None where that is not known yet.
        seed: Of every drawn number.
        device: Where to compute; the model is there already.
    """

    model: Autoencoder
    images: Images
    recipe: Recipe
    clusters: int | None
    seed: int
    device: torch.device

    def pixels(self, chosen: Indices) -> Tensor:
        """Return the images of these numbers as ``float32 (n, channels, height, width)`` in [0, 1]."""
        return to_tensor(self.images.take(chosen), self.device)

    def views(self, pixels: Tensor, transforms: Sequence[Transform]) -> Tensor:
        """Return inputs made from `pixels` by `transforms`."""
        changed = apply_transforms(pixels, transforms)
        return to_input(changed, self.recipe.data).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def codes(self) -> Tensor:
        """Return the codes of all images as they are, ``float32 (n, latent)``, in evaluation mode."""
        encoder, training = self.model.encoder, self.model.encoder.training
        encoder.eval()
        height, width, _ = self.images.shape
        size = min(_ENCODED_BATCH, max(1, _ENCODED_PIXELS // (height * width)))
        parts = [
            encoder(self.views(self.pixels(np.arange(start, min(start + size, len(self.images)))), ()))
            for start in range(0, len(self.images), size)
        ]
        encoder.train(training)
        return torch.cat(parts)


class StageModule(nn.Module, ABC):
    """One stage at work. Its submodules are trained; its buffers are what it remembers.

    Attributes:
        material: What it works on.
        epochs: How many there are at most.
        updates: Batches in an epoch; 0 for one pass over the images.
        batch_size: Images in a batch.
        peak_rate: The learning rate at its highest.
        constant_rate: Whether it stays there, or goes up and down once.
    """

    material: Material
    epochs: int
    updates: int = 0
    batch_size: int
    peak_rate: float
    constant_rate: bool = False

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer of everything that is trained."""

    def prepare(self, epoch: int) -> bool:
        """Do what comes before `epoch` (from 0); say whether there is anything left to do."""
        return True

    @abstractmethod
    def loss(self, chosen: Indices, epoch: int) -> Tensor:
        """Return the loss, a scalar, of a batch: the images of the numbers `chosen` ``int64 (n,)``."""
