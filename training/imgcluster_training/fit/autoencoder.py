"""The training of an autoencoder: reconstruction loss, validation, and the weights of the best epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from imgcluster_training.data.batches import Batches, ordered_batches
from imgcluster_training.data.images import images_digest
from imgcluster_training.data.splits import Split
from imgcluster_training.devices import mixed_precision
from imgcluster_training.errors import TrainingError
from imgcluster_training.fit.loop import RunSettings, TrainingLoop
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.fit.task import Task
from imgcluster_training.models.autoencoder import Autoencoder, Outputs
from imgcluster_training.models.layers import is_warming_up
from imgcluster_training.models.running_average import weight_of_new
from imgcluster_training.progress import EpochRecord, FitResult
from imgcluster_training.recipe.schema import Recipe

__all__ = ["AutoencoderTask", "fit"]

# The loss of an epoch this many times the lowest one before it means that the training diverges, unless the model is
# better on the validation images than before.
_DIVERGED: Final = 10.0
# Keras's epsilon; torch's own is 1e-8.
_ADAM_EPSILON: Final = 1e-7


def fit(
    model: Autoencoder, split: Split, recipe: Recipe, run: RunSettings, *, seed: int, checkpoint: Path | None = None
) -> FitResult:
    """Train `model` on `split` by `recipe`; it ends with the weights of the best validation epoch.

    Args:
        model: Changed in place; on the run's device afterwards.
        split: Trains on `train` and selects the epoch by `validation`; without validation images the last epoch is
            taken.
        recipe: Loss, optimizer, epochs, and the rest.
        run: Where and how to run it.
        seed: For the order of images and all random numbers.
        checkpoint: The file for checkpoints; None for none.

    Raises:
        TrainingError: The training diverged, all outputs are the same, or the checkpoint belongs to another training.
    """
    task = AutoencoderTask(model, split, recipe, seed=seed, device=run.device)
    fingerprint = {} if checkpoint is None else _fingerprint(recipe, seed, split)
    history = TrainingLoop(task, run, checkpoint, fingerprint).follow()
    model.load_state_dict(task.best.state_dict())
    model.eval()
    seconds = sum(record.seconds for record in history)
    return FitResult(history=history, best_epoch=int(task.best_epoch), seconds=seconds)


class AutoencoderTask(Task):
    """An autoencoder with a copy of its best epoch and, if the recipe asks for it, a running average of its weights."""

    result_changes_between_epochs = True
    best_epoch: Tensor

    def __init__(self, model: Autoencoder, split: Split, recipe: Recipe, *, seed: int, device: torch.device) -> None:
        super().__init__()
        settings = recipe.training
        # Faster than channels first on CPUs (benchmarks/training.py) and on GPUs with tensor cores.
        self.model: Autoencoder = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Compilation pays on GPUs; on CPUs it would need a compiler, and minutes at every start.
        call: Callable[[Tensor], Outputs] = torch.compile(model) if device.type == "cuda" else model
        # A function and not a module, or the state would hold the model twice. Uncompiled while the momentum changes,
        # which would be compiled again and again.
        self.forward_model: Callable[[Tensor], Outputs] = lambda inputs: (
            model(inputs) if is_warming_up(model) else call(inputs)
        )
        self.average = copy.deepcopy(self.model) if settings.average else None
        self.best = copy.deepcopy(self.model)
        self.register_buffer("best_epoch", torch.tensor(0))
        self.split, self.recipe, self.device = split, recipe, device
        self.training_batches = Batches(split.train, recipe, seed=seed, device=device)
        self.objective = LOSSES[settings.loss]
        self.epochs, self.steps, self.batch_size = settings.epochs, self.training_batches.steps, settings.batch_size
        self.learning_rate, self.schedule = settings.learning_rate, settings.schedule

    @property
    def validated(self) -> Autoencoder:
        """What is validated and kept: the running average of the weights, or the model itself."""
        return self.model if self.average is None else self.average

    def optimizer(self) -> torch.optim.Optimizer:
        settings = self.recipe.training
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        # A third of the time of an update of all tensors in turn; checkpoints keep what they began with.
        return kind(
            self.model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            eps=_ADAM_EPSILON,
            fused=True,
        )

    def start_epoch(self, epoch: int) -> bool:
        patience = self.recipe.training.patience
        return patience == 0 or epoch - int(self.best_epoch) < patience

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self.training_batches.epoch(epoch, first)

    def loss(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        inputs, target = batch
        with mixed_precision(self.device):
            outputs = self.forward_model(inputs)
        return self.objective(outputs.float(), target)

    @torch.no_grad()
    def finish_update(self, step: int) -> None:
        if self.average is None:
            return
        weight = weight_of_new(1 - self.recipe.training.average, step)
        for average, new in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(new, weight)

    def finish_epoch(self, loss: float, history: Sequence[EpochRecord]) -> tuple[float, float]:
        validation_loss, validation_mse = self._validate()
        epoch = len(history) + 1
        lowest = min((record.loss for record in history), default=math.inf)
        earlier = min((record.validation_loss for record in history), default=math.inf)
        improved = validation_loss < earlier
        # The loss of one batch can be huge without any harm, in a variational autoencoder by a large variance.
        if loss > _DIVERGED * lowest > 0 and not improved:
            raise TrainingError(
                self.divergence_error(f"the loss rose from {lowest:.4g} to {loss:.4g} in epoch {epoch}")
            )
        if not len(self.split.validation) or epoch == 1 or improved:
            self.best.load_state_dict(self.validated.state_dict())
            self.best_epoch.fill_(epoch)
        return validation_loss, validation_mse

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Return loss and mean squared error on the validation images; NaN without any."""
        images = self.split.validation
        if not len(images):
            return math.nan, math.nan
        model = self.validated.eval()
        loss = error = spread = input_spread = 0.0
        for inputs, target in ordered_batches(images, self.recipe, self.device):
            outputs = model(inputs)
            input_spread = max(input_spread, (inputs - inputs[:1]).abs().max().item())
            loss += self.objective(outputs, target).item() * len(target)
            error += (outputs.reconstruction - target).square().mean().item() * len(target)
            spread = max(spread, (outputs.reconstruction - outputs.reconstruction[:1]).abs().max().item())
        if spread == 0.0 and input_spread > 0.0:
            raise TrainingError(
                "all images have the same reconstruction: the last activation outputs zeros only; "
                "train with another --seed, or a lower training.learning_rate"
            )
        return loss / len(images), error / len(images)


def _fingerprint(recipe: Recipe, seed: int, split: Split) -> dict[str, str]:
    """Return everything that must be the same for a training to be continued."""
    values = recipe.model_dump(include={"data", "model", "training", "augmentation", "corruption"})
    training = values.pop("training")
    # At a constant learning rate, more epochs only make the same training longer.
    if recipe.training.schedule == "constant":
        del training["epochs"]
    digest = images_digest(split.train, split.validation)
    return {
        **{f"training.{key}": str(value) for key, value in training.items()},
        **{key: str(value) for key, value in values.items()},
        "seed": str(seed),
        "images": f"{len(split.train)} to train on and {len(split.validation)} to validate on, digest {digest}",
    }
