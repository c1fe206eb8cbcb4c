"""What all deep-clustering stages share: the model and images they work on, and their batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from imgcluster_training.data.augmentation import apply_transforms
from imgcluster_training.data.batches import shuffled_indices, to_input, to_tensor
from imgcluster_training.data.images import Images, Indices
from imgcluster_training.devices import mixed_precision
from imgcluster_training.fit.task import Task
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.models.encode import encode
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.recipe.stages import Dec, Idec, Stage
from imgcluster_training.recipe.transforms import Transform

__all__ = ["StageContext", "StageTask"]

# Other random numbers than those of the autoencoder's batches, which share the seed.
_STREAMS: Final = (16, 17)


@dataclass(frozen=True, slots=True)
class StageContext:
    """What every stage works on.

    Attributes:
        model: The autoencoder whose encoder is trained; without a decoder where the recipe has none.
        images: The training images.
        recipe: How images become inputs, and the loss that IDEC adds.
        clusters: The number of clusters; None while it is not known.
        seed: For all random numbers.
        device: Where to compute; the model is there already.
    """

    model: Autoencoder
    images: Images
    recipe: Recipe
    clusters: int | None
    seed: int
    device: torch.device

    def pixels(self, chosen: Indices) -> Tensor:
        """Return the images with these indices as ``float32 (n, channels, height, width)`` in [0, 1]."""
        return to_tensor(self.images.take(chosen), self.device)

    def views(self, pixels: Tensor, transforms: Sequence[Transform]) -> Tensor:
        """Return `pixels` as inputs of the model, after `transforms`."""
        changed = apply_transforms(pixels, transforms)
        return to_input(changed, self.recipe.data).contiguous(memory_format=torch.channels_last)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the codes of a batch of inputs for training, ``float32 (n, latent)``."""
        with mixed_precision(self.device):
            codes: Tensor = self.model.encoder(inputs)
        return codes.float()

    def codes(self) -> Tensor:
        """Return the codes of all images, ``float32 (n, latent)``."""
        return encode(self.model, self.images, self.recipe, self.device)


class StageTask(Task):
    """A stage as a task of the training loop; its batches are indices of images, ``int64 (batch_size,)``."""

    def __init__(self, context: StageContext, settings: Stage) -> None:
        super().__init__()
        self.context = context
        self.name, self.epochs, self.learning_rate = settings.type, settings.total_epochs, settings.learning_rate
        count = len(context.images)
        self.batch_size = min(settings.batch_size, count)
        if isinstance(settings, Dec | Idec):
            self.schedule, self.steps = "constant", settings.updates
        else:
            self.schedule, self.steps = "one-cycle", max(1, count // self.batch_size)

    def batches(self, epoch: int, first: int) -> Iterator[Indices]:
        return shuffled_indices(
            len(self.context.images),
            self.batch_size,
            self.steps,
            seed=self.context.seed,
            epoch=epoch,
            first=first,
            streams=_STREAMS,
            repeat=True,
        )
