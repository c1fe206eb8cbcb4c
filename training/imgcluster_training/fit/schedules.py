"""How the learning rate goes over a training: a function of the step, without state to lose."""

from __future__ import annotations

import math
from typing import Final

from imgcluster_training.recipe.schema import TrainingSettings

__all__ = ["learning_rate", "one_cycle"]

# The share of a one-cycle schedule that climbs, and what it starts from (Smith & Topin 2017).
_WARM_UP: Final = 0.3
_START_DIVISOR: Final = 25.0
_END_DIVISOR: Final = 1e4


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """Return the rate of update `step` (from 0) of `steps` in all."""
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "cosine":
        return _cosine(peak, 0.0, step / steps)
    return one_cycle(peak, step, steps)


def one_cycle(peak: float, step: int, steps: int) -> float:
    """Return the rate of update `step` (from 0) of `steps`: up to `peak` and down again.

    Smith & Topin 2017 (https://arxiv.org/abs/1708.07120) with cosine flanks: from a 25th of the peak up in 30 % of
    the steps, and down to a 250,000th.
    """
    summit = max(1.0, _WARM_UP * steps - 1)
    if step <= summit:
        return _cosine(peak / _START_DIVISOR, peak, step / summit)
    bottom = peak / _START_DIVISOR / _END_DIVISOR
    return _cosine(peak, bottom, (step - summit) / max(1.0, steps - 1 - summit))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2
