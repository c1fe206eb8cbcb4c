"""The training loop: epochs, updates, checkpoints, progress and resumption, for every `Task`.

A training depends on its task, data and seed only: interrupted and resumed it ends with the same weights, bit for bit
on the CPU with the same number of threads.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch

from imgcluster_training.errors import OtherTrainingError, TrainingError
from imgcluster_training.fit.checkpoints import load_checkpoint, save_checkpoint
from imgcluster_training.fit.schedules import learning_rate
from imgcluster_training.fit.task import Task
from imgcluster_training.progress import EpochRecord, OnProgress, TrainingProgress, ignore_progress

__all__ = ["RunSettings", "TrainingLoop"]

# Below the logger of the command line.
_LOG = logging.getLogger("imgcluster.training")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a training is run. None of this changes its result.

    Attributes:
        device: Where to compute.
        replace_others: Begin anew where a checkpoint cannot be continued, instead of refusing it.
        on_progress: Called after every batch.
        checkpoint_seconds: Time between two checkpoints within an epoch.
    """

    device: torch.device
    replace_others: bool = False
    on_progress: OnProgress = ignore_progress
    checkpoint_seconds: float = 60.0


class TrainingLoop:
    """One training and its state between two batches, all of which is stored in checkpoints.

    Args:
        task: What to train; already on its device.
        run: How to run it.
        checkpoint: The file for the state, written after every epoch and in between; None for none.
        fingerprint: What must be the same for a checkpoint to be continued.
        origin: Keys of `fingerprint` that earlier checkpoints of the same run determine. One that differs in them was
            left by an earlier run, and is replaced.
    """

    def __init__(
        self,
        task: Task,
        run: RunSettings,
        checkpoint: Path | None,
        fingerprint: dict[str, str],
        origin: frozenset[str] = frozenset(),
    ) -> None:
        self.task = task
        self.run = run
        self.checkpoint = checkpoint
        self.fingerprint = fingerprint
        self.origin = origin
        self.optimizer = task.optimizer()
        self.history: list[EpochRecord] = []
        self.step = 0
        self.loss_sum = 0.0
        self.epoch_seconds = 0.0
        self.done = False
        # When this process began to train in the current epoch, and at which step: for its speed.
        self.started, self.first_step = 0.0, 0

    def follow(self) -> tuple[EpochRecord, ...]:
        """Train to the end, from the checkpoint if there is one, and return all epochs.

        Raises:
            TrainingError: The training diverged, or the checkpoint is that of another or a longer training.
        """
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        device = self.run.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            while not self.done and len(self.history) < self.task.epochs:
                self._epoch()
        self.task.eval()
        return tuple(self.history)

    def _epoch(self) -> None:
        """Complete the current epoch, from the step it has reached."""
        task, epoch = self.task, len(self.history)
        started, saved = time.perf_counter() - self.epoch_seconds, time.perf_counter()
        if self.step == 0 and not task.start_epoch(epoch):
            self.done = True
            self._save()
            return
        task.train()
        self.started, self.first_step = time.perf_counter(), self.step
        for batch in task.batches(epoch, self.step):
            self.loss_sum += self._update(batch, epoch)
            self.step += 1
            self.epoch_seconds = time.perf_counter() - started
            self.run.on_progress(self._progress())
            if self.step < task.steps and time.perf_counter() - saved > self.run.checkpoint_seconds:
                self._save()
                saved = time.perf_counter()
        loss = self.loss_sum / task.steps
        validation_loss, validation_mse = task.finish_epoch(loss, self.history)
        self.history.append(
            EpochRecord(
                epoch=epoch + 1,
                loss=loss,
                validation_loss=validation_loss,
                validation_mse=validation_mse,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                seconds=self.epoch_seconds,
            )
        )
        self.step, self.loss_sum, self.epoch_seconds = 0, 0.0, 0.0
        self._save()

    def _update(self, batch: Any, epoch: int) -> float:
        task = self.task
        step = epoch * task.steps + self.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(task.schedule, task.learning_rate, step, task.epochs * task.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss = task.loss(batch, epoch)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(task.divergence_error(f"the loss became {value} in epoch {epoch + 1}"))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        task.finish_update(step)
        return value

    def _progress(self) -> TrainingProgress:
        done, task = len(self.history), self.task
        # Without the start of the epoch, which may first find clusters among all codes.
        seconds_per_step = (time.perf_counter() - self.started) / (self.step - self.first_step)
        return TrainingProgress(
            stage=task.name,
            epoch=done + 1,
            epochs=task.epochs,
            step=self.step,
            steps=task.steps,
            loss=self.loss_sum / self.step,
            validation_loss=self.history[-1].validation_loss if self.history else math.nan,
            images_per_second=task.batch_size / seconds_per_step,
            seconds_left=seconds_per_step * (task.steps * (task.epochs - done) - self.step),
        )

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state = {
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [dataclasses.asdict(record) for record in self.history],
            "step": self.step,
            "loss_sum": self.loss_sum,
            "epoch_seconds": self.epoch_seconds,
            "done": self.done,
        }
        save_checkpoint(self.checkpoint, state, self.fingerprint)

    def _resume(self, checkpoint: Path) -> None:
        try:
            self._restore(load_checkpoint(checkpoint, self.fingerprint), checkpoint)
        except TrainingError as error:
            left_by_earlier = isinstance(error, OtherTrainingError) and self.origin & error.settings
            if not (self.run.replace_others or left_by_earlier):
                raise
            _LOG.warning("%s cannot be continued, and is replaced", checkpoint)

    def _restore(self, state: dict[str, Any], path: Path) -> None:
        # The batches of an incomplete epoch may have changed the result already.
        incomplete = state["step"] > 0 and not self.task.result_changes_between_epochs
        epoch = len(state["history"]) + incomplete
        if epoch > self.task.epochs:
            raise OtherTrainingError(
                f"the checkpoint {path} has reached epoch {epoch}, but this training ends after {self.task.epochs}; "
                f"train for at least {epoch} epochs, or keep the checkpoint and use another --name",
                frozenset({"epochs"}),
            )
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.step, self.loss_sum = state["step"], state["loss_sum"]
        self.epoch_seconds, self.done = state["epoch_seconds"], state["done"]
