"""Learning-rate schedules: functions of the step, without state."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["learning_rate"]

# One-cycle: the fraction of the steps that climb, and the divisors of the first and the last rate.
_WARM_UP: Final = 0.3
_START_DIVISOR: Final = 25.0
_END_DIVISOR: Final = 1e4


def learning_rate(schedule: str, peak: float, step: int, steps: int) -> float:
    """Return the learning rate of update `step` (from 0) of `steps`.

    Args:
        schedule: ``constant``; ``cosine`` from `peak` to 0; or ``one-cycle`` (Smith & Topin 2017,
            https://arxiv.org/abs/1708.07120, with cosine flanks): from 1/25 of `peak` up in 30 % of the steps, and
            down to 1/250,000.
        peak: The largest rate.
        step: From 0.
        steps: The number of updates of the whole training.
    """
    if schedule == "constant":
        return peak
    if schedule == "cosine":
        return _cosine(peak, 0.0, step / steps)
    summit = max(1.0, _WARM_UP * steps - 1)
    if step <= summit:
        return _cosine(peak / _START_DIVISOR, peak, step / summit)
    bottom = peak / _START_DIVISOR / _END_DIVISOR
    return _cosine(peak, bottom, (step - summit) / max(1.0, steps - 1 - summit))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, fraction))) / 2
