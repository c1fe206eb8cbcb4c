"""The loop of one stage: epochs of batches, a checkpoint every minute, an end where nothing is left to do.

It knows nothing of what the stage is after.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from imgcluster_training.data.datasets import Indices
from imgcluster_training.deep_clustering.stage import StageModule
from imgcluster_training.devices import mixed_precision
from imgcluster_training.errors import TrainingError
from imgcluster_training.fit.checkpoints import save_checkpoint
from imgcluster_training.fit.schedules import one_cycle
from imgcluster_training.progress import EpochRecord, Progress

__all__ = ["StageRun"]

_CHECKPOINT_SECONDS: Final = 60.0
# Numbers that keep the streams of one seed apart, and apart from those of `batches`.
_ORDER, _DRAW = 16, 17


class StageRun:
    """The state of one stage between two batches: all of it goes into a checkpoint.

    Args:
        stage: What to carry out; on its device already.
        name: What it is called in progress and advice.
        fingerprint: What must be the same for a checkpoint to be continued.
        checkpoint: A file that the state is written to every minute and after every epoch; None for none.
        on_progress: Called after every batch.
    """

    def __init__(
        self,
        stage: StageModule,
        name: str,
        fingerprint: dict[str, str],
        checkpoint: Path | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.stage = stage
        self.name = name
        self.fingerprint = fingerprint
        self.checkpoint = checkpoint
        self.on_progress = on_progress
        self.optimizer = stage.optimizer()
        count = len(stage.material.images)
        self.batch_size = min(stage.batch_size, count)
        self.steps = stage.updates or max(1, count // self.batch_size)

        self.history: list[EpochRecord] = []
        self.step = 0
        self.loss_sum = 0.0
        self.epoch_seconds = 0.0
        self.done = False

    def follow(self) -> None:
        """Carry the stage to its end from wherever it stands.

        Raises:
            TrainingError: The loss is no number.
        """
        while not self.done and len(self.history) < self.stage.epochs:
            self._epoch()
        self.stage.eval()

    def _epoch(self) -> None:
        number, begun, saved = len(self.history), time.perf_counter() - self.epoch_seconds, time.perf_counter()
        if self.step == 0:
            self.done = not self.stage.prepare(number)
            if self.done:
                self.save()
                return
        self.stage.train()
        rate = self.stage.peak_rate
        for chosen in self._batches(number, self.step):
            rate = self._rate(number)
            self.loss_sum += self._update(chosen, number, rate)
            self.step += 1
            self.epoch_seconds = time.perf_counter() - begun
            if self.on_progress is not None:
                self.on_progress(self._progress())
            if self.step < self.steps and time.perf_counter() - saved > _CHECKPOINT_SECONDS:
                self.save()
                saved = time.perf_counter()
        self.history.append(
            EpochRecord(
                epoch=number + 1,
                loss=self.loss_sum / self.steps,
                validation_loss=math.nan,
                validation_mse=math.nan,
                learning_rate=rate,
                seconds=self.epoch_seconds,
            )
        )
        self.step, self.loss_sum, self.epoch_seconds = 0, 0.0, 0.0
        self.save()

    def _batches(self, epoch: int, first: int) -> Iterator[Indices]:
        """Yield the numbers of the images of each batch of `epoch`, and seed torch for what is drawn for it."""
        count, size, seed = len(self.stage.material.images), self.batch_size, self.stage.material.seed
        random = _generator(seed, _ORDER, epoch)
        passes = -(-self.steps * size // count)
        order = np.concatenate([random.permutation(count) for _ in range(passes)])
        for step in range(first, self.steps):
            torch.manual_seed(int(_generator(seed, _DRAW, epoch, step).integers(2**62)))
            yield order[step * size : (step + 1) * size]

    def _rate(self, epoch: int) -> float:
        peak = self.stage.peak_rate
        if self.stage.constant_rate:
            return peak
        return one_cycle(peak, epoch * self.steps + self.step, self.stage.epochs * self.steps)

    def _update(self, chosen: Indices, epoch: int, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with mixed_precision(self.stage.material.device):
            loss = self.stage.loss(chosen, epoch)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss of stage {self.name} became {value} in epoch {epoch + 1}: the training diverged; "
                f"set its learning_rate below {self.stage.peak_rate:g} (try {self.stage.peak_rate / 3:.1g})"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value

    def _progress(self) -> Progress:
        done, epochs, per_step = len(self.history), self.stage.epochs, self.epoch_seconds / self.step
        return Progress(
            stage=self.name,
            epoch=done + 1,
            epochs=epochs,
            step=self.step,
            steps=self.steps,
            loss=self.loss_sum / self.step,
            validation_loss=math.nan,
            images_per_second=self.batch_size / per_step,
            seconds_left=per_step * (self.steps * (epochs - done) - self.step),
        )

    def save(self) -> None:
        """Write the checkpoint, where one is wanted."""
        if self.checkpoint is None:
            return
        save_checkpoint(
            self.checkpoint,
            {
                "fingerprint": self.fingerprint,
                "stage": self.stage.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": [dataclasses.asdict(record) for record in self.history],
                "step": self.step,
                "loss_sum": self.loss_sum,
                "epoch_seconds": self.epoch_seconds,
                "done": self.done,
            },
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that `save` wrote."""
        self.stage.load_state_dict(state["stage"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.step, self.loss_sum = state["step"], state["loss_sum"]
        self.epoch_seconds, self.done = state["epoch_seconds"], state["done"]


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))
