"""The training loop: one model, one split, followed until its epochs are done.

It knows nothing of data sets, files of results or clustering. A training is a function of its recipe, its
data and its seed: killed and resumed it ends with the same weights, bit for bit on the CPU with as many threads
as before (GPUs, and other numbers of threads, add up in another order).
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from imgcluster_training.data.augmentation import apply_transforms
from imgcluster_training.data.batches import Batches, Split, to_input, to_target, to_tensor
from imgcluster_training.data.datasets import Images
from imgcluster_training.devices import mixed_precision
from imgcluster_training.errors import TrainingError
from imgcluster_training.fit.checkpoints import load_checkpoint, save_checkpoint, settings_of
from imgcluster_training.fit.losses import LOSSES, Objective
from imgcluster_training.fit.schedules import learning_rate
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.progress import EpochRecord, FitResult, Progress
from imgcluster_training.recipe.schema import Recipe, TrainingSettings

__all__ = ["fit", "validation_batches"]

# A kill costs at most this much work; a checkpoint costs milliseconds.
_CHECKPOINT_SECONDS: Final = 60.0
# An epoch this many times worse than the best one before it is on its way to infinity.
_DIVERGED: Final = 10.0
# Pixels per batch without gradients: what large images take stays within a few hundred megabytes.
_VALIDATION_PIXELS: Final = 2**19
_VALIDATION_BATCH: Final = 500
# The validation images are corrupted in the same way at every epoch, or the epochs could not be compared.
_VALIDATION_SEED: Final = 20_240_229


def fit(
    model: Autoencoder,
    split: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    objective: Objective | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> FitResult:
    """Train `model` on `split` as `recipe` says; it ends with the weights of the best validation epoch.

    Args:
        model: Changed in place; on `device` afterwards.
        split: Trains on its `train`, chooses by its `validation`; without validation images the last epoch
            stays.
        recipe: Everything else.
        seed: Of the order of images and of every drawn number.
        device: Where to compute.
        objective: Replaces the recipe's loss, for stages that follow another aim on the same loop.
        checkpoint: A file that the state is written to every minute and after every epoch.
        resume: Go on from `checkpoint` where it exists.
        on_progress: Called after every batch.

    Raises:
        TrainingError: The loss diverged, every output is the same, or the checkpoint is another training's.
    """
    run = _Run(model, split, recipe, seed, device, objective or LOSSES[recipe.training.loss], checkpoint, on_progress)
    if resume and checkpoint is not None and checkpoint.exists():
        run.restore(load_checkpoint(checkpoint, run.fingerprint))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(run.history) < recipe.training.epochs:
            run.epoch()
    model.load_state_dict(run.best)
    model.eval()
    return FitResult(history=tuple(run.history), best_epoch=run.best_epoch, seconds=run.seconds)


class _Run:
    """The state of one training between two batches: all of it goes into a checkpoint."""

    def __init__(
        self,
        model: Autoencoder,
        split: Split,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        objective: Objective,
        checkpoint: Path | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        # Faster than channels first on CPUs (benchmarks/training.py) and on GPUs with tensor cores.
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Compilation pays on GPUs; on CPUs it would cost a compiler and minutes at every start.
        self.called = torch.compile(self.model) if device.type == "cuda" else self.model
        self.split = split
        self.recipe = recipe
        self.device = device
        self.objective = objective
        self.checkpoint = checkpoint
        self.on_progress = on_progress
        self.batches = Batches(split.train, recipe, seed=seed, device=device)
        self.optimizer = _optimizer(self.model, recipe.training)
        self.fingerprint = _fingerprint(recipe, seed, split)

        self.history: list[EpochRecord] = []
        self.step = 0
        self.loss_sum = 0.0
        self.epoch_seconds = 0.0
        # What is validated and kept: the model itself, or the running average of its weights.
        self.kept = copy.deepcopy(self.model) if recipe.training.average else self.model
        self.best: dict[str, Tensor] = copy.deepcopy(self.model.state_dict())
        self.best_epoch = 0

    @property
    def seconds(self) -> float:
        """Training time so far, over all sittings."""
        return sum(record.seconds for record in self.history) + self.epoch_seconds

    def epoch(self) -> None:
        """Carry one epoch to its end, from wherever it stands, and record it."""
        settings, number = self.recipe.training, len(self.history)
        begun, saved = time.perf_counter() - self.epoch_seconds, time.perf_counter()
        rate = settings.learning_rate
        self.model.train()
        for inputs, target in self.batches.epoch(number, self.step):
            rate = learning_rate(
                settings, number * self.batches.steps + self.step, settings.epochs * self.batches.steps
            )
            loss = self._update(inputs, target, rate)
            if not math.isfinite(loss):
                raise TrainingError(self._advice(f"the loss became {loss} in epoch {number + 1}"))
            self.loss_sum += loss
            self.step += 1
            self.epoch_seconds = time.perf_counter() - begun
            if self.on_progress is not None:
                self.on_progress(self._progress())
            if self.step < self.batches.steps and time.perf_counter() - saved > _CHECKPOINT_SECONDS:
                self.save()
                saved = time.perf_counter()
        self._close_epoch(number, rate)
        self.epoch_seconds = 0.0
        self.save()

    def _update(self, inputs: Tensor, target: Tensor, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with mixed_precision(self.device):
            loss = self.objective(self.called(inputs), target)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.kept is not self.model:
            self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        for kept, new in zip(self.kept.state_dict().values(), self.model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - self.recipe.training.average)

    def _close_epoch(self, number: int, rate: float) -> None:
        mean = self.loss_sum / self.batches.steps
        validation_loss, validation_mse = self._validate()
        best = min((record.loss for record in self.history), default=math.inf)
        if mean > _DIVERGED * best > 0:
            raise TrainingError(self._advice(f"the loss rose from {best:.4g} to {mean:.4g} in epoch {number + 1}"))
        chosen = [record.validation_loss for record in self.history]
        if not len(self.split.validation) or not chosen or validation_loss < min(chosen):
            self.best, self.best_epoch = copy.deepcopy(self.kept.state_dict()), number + 1
        self.history.append(
            EpochRecord(
                epoch=number + 1,
                loss=mean,
                validation_loss=validation_loss,
                validation_mse=validation_mse,
                learning_rate=rate,
                seconds=self.epoch_seconds,
            )
        )
        self.step, self.loss_sum = 0, 0.0

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Return loss and mean squared error on the validation images; NaN without any."""
        if not len(self.split.validation):
            return math.nan, math.nan
        self.kept.eval()
        loss = error = spread = 0.0
        for inputs, target in validation_batches(self.split.validation, self.recipe, self.device):
            outputs = self.kept(inputs)
            loss += self.objective(outputs, target).item() * len(target)
            error += (outputs.reconstruction - target).square().mean().item() * len(target)
            spread = max(spread, (outputs.reconstruction - outputs.reconstruction[:1]).abs().max().item())
        if spread == 0.0 and len(self.split.validation) > 1:
            raise TrainingError(
                "every image is reconstructed the same: the last activation died; "
                "train with another --seed, or a lower training.learning_rate"
            )
        return loss / len(self.split.validation), error / len(self.split.validation)

    def _progress(self) -> Progress:
        done, steps, epochs = len(self.history), self.batches.steps, self.recipe.training.epochs
        per_step = self.epoch_seconds / self.step
        return Progress(
            epoch=done + 1,
            epochs=epochs,
            step=self.step,
            steps=steps,
            loss=self.loss_sum / self.step,
            validation_loss=self.history[-1].validation_loss if self.history else math.nan,
            images_per_second=self.recipe.training.batch_size / per_step,
            seconds_left=per_step * (steps * (epochs - done) - self.step),
        )

    def _advice(self, what: str) -> str:
        rate = self.recipe.training.learning_rate
        return f"{what}: the training diverged; set training.learning_rate below {rate:g} (try {rate / 3:.1g})"

    def save(self) -> None:
        """Write the checkpoint, where one is wanted."""
        if self.checkpoint is None:
            return
        averaged = {} if self.kept is self.model else {"kept": self.kept.state_dict()}
        save_checkpoint(
            self.checkpoint,
            {
                **averaged,
                "fingerprint": self.fingerprint,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "best_epoch": self.best_epoch,
                "history": [dataclasses.asdict(record) for record in self.history],
                "step": self.step,
                "loss_sum": self.loss_sum,
                "epoch_seconds": self.epoch_seconds,
            },
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that `save` wrote."""
        self.model.load_state_dict(state["model"])
        if self.kept is not self.model:
            self.kept.load_state_dict(state["kept"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = {key: value.to(self.device) for key, value in state["best"].items()}
        self.best_epoch = state["best_epoch"]
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.step, self.loss_sum = state["step"], state["loss_sum"]
        self.epoch_seconds = state["epoch_seconds"]


def validation_batches(images: Images, recipe: Recipe, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of `images` in order, corrupted as in training, the same at every call."""
    height, width, _ = images.shape
    size = min(_VALIDATION_BATCH, max(1, _VALIDATION_PIXELS // (height * width)))
    for start in range(0, len(images), size):
        pixels = images.take(np.arange(start, min(start + size, len(images))))
        clean = to_tensor(pixels, device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(_VALIDATION_SEED + start)
            inputs = apply_transforms(to_input(clean, recipe.data), recipe.corruption)
        yield inputs, to_target(clean, recipe.data)


def _optimizer(model: Autoencoder, settings: TrainingSettings) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    # Keras's epsilon; torch's own is 1e-8.
    return kind(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        eps=1e-7,
        foreach=True,
    )


def _fingerprint(recipe: Recipe, seed: int, split: Split) -> dict[str, str]:
    """Return, as texts, everything that must be the same for a training to be continued."""
    described = settings_of(recipe)
    training = settings_of(described.pop("training"))
    # With a constant rate more epochs are the same training, only longer.
    if recipe.training.schedule == "constant":
        del training["epochs"]
    training = {key: value for key, value in training.items() if key != "average" or value}
    for key in ("name", "title", "cluster", "export"):
        del described[key]
    parts = {f"training.{key}": str(value) for key, value in training.items()}
    parts |= {key: str(value) for key, value in described.items()}
    sizes = f"{len(split.train)} to train on, {len(split.validation)} to validate"
    return parts | {"seed": str(seed), "images": sizes}
