"""How a training reports its progress and its history. No torch here, so that importing this module is fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["EpochRecord", "FitResult", "OnProgress", "TrainingProgress", "ignore_progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch: mean loss over its batches, and on the validation images after it (NaN without any)."""

    epoch: int
    loss: float
    validation_loss: float
    validation_mse: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """The state of a training after a batch: `step` of `steps` in `epoch` of `epochs` (both from 1).

    `stage` names the deep-clustering stage; it is empty while the autoencoder is trained. `fold` of `folds` counts
    from 1 in a cross-validation; both are 0 outside of one.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation_loss: float
    images_per_second: float
    seconds_left: float
    fold: int = 0
    folds: int = 0
    stage: str = ""


OnProgress = Callable[[TrainingProgress], None]
"""Called after every batch."""


def ignore_progress(progress: TrainingProgress) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """The training of an autoencoder, which has the weights of the best epoch afterwards.

    `seconds` is the training time, including that of interrupted runs.
    """

    history: tuple[EpochRecord, ...] = ()
    best_epoch: int = 0
    seconds: float = 0.0
