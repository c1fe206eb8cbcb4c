"""What a training tells while it runs and when it is done. No torch here: who looks on need not load it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EpochRecord", "FitResult", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch: mean loss over its batches, and on the validation images afterwards (NaN without any)."""

    epoch: int
    loss: float
    validation_loss: float
    validation_mse: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a training is: `step` of `steps` in `epoch` of `epochs` (both from 1), and how it goes.

    `stage` names the stage of a refinement, and is empty while the autoencoder itself is trained. `fold` of `folds`
    counts from 1 in a cross-validation; both are 0 outside of one.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What a training came to; the model itself holds the best epoch's weights afterwards."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
