"""What the training loop trains: an autoencoder, or a deep-clustering stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imgcluster_training.progress import EpochRecord

__all__ = ["Task"]


class Task(nn.Module, ABC):
    """A model to train, with its loss. Its ``state_dict`` is its complete state.

    Attributes:
        name: Shown in progress and errors; empty for the autoencoder.
        epochs: The largest number of epochs.
        steps: Batches in an epoch.
        batch_size: Images in a batch.
        learning_rate: The largest learning rate.
        schedule: How the learning rate changes over all epochs.
        result_changes_between_epochs: Whether an epoch changes the result only when it is complete.
    """

    name: str = ""
    epochs: int
    steps: int
    batch_size: int
    learning_rate: float
    schedule: Literal["constant", "one-cycle", "cosine"]
    result_changes_between_epochs: bool = False

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer of all trained parameters."""

    @abstractmethod
    def batches(self, epoch: int, first: int) -> Iterator[Any]:
        """Yield the batches of `epoch` (from 0), from step `first` on. Seeds torch before every batch."""

    @abstractmethod
    def loss(self, batch: Any, epoch: int) -> Tensor:
        """Return the loss of a batch, a scalar."""

    def start_epoch(self, epoch: int) -> bool:
        """Prepare `epoch` (from 0); return whether there is anything left to train."""
        return True

    def finish_update(self, step: int) -> None:
        """Follow update `step` of the weights (from 0, over all epochs)."""

    def finish_epoch(self, loss: float, history: Sequence[EpochRecord]) -> tuple[float, float]:
        """Follow an epoch of mean loss `loss`; return loss and mean squared error on validation images (else NaN).

        `history` holds the epochs before it.
        """
        return float("nan"), float("nan")

    def divergence_error(self, problem: str) -> str:
        """Return `problem` with the advice that helps against it."""
        key = "its learning_rate" if self.name else "training.learning_rate"
        where = f" in stage {self.name}" if self.name else ""
        rate = self.learning_rate
        return f"{problem}{where}: the training diverged; set {key} below {rate:g} (try {rate / 3:.1g})"
