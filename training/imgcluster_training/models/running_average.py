"""Running averages that forget their start, in short trainings as well."""

from __future__ import annotations

from typing import Final

__all__ = ["weight_of_new"]

_WARM_UP: Final = 10.0


def weight_of_new(least: float, seen: int) -> float:
    """Return the weight of a new value in a running average of `seen` values, which is `least` after many of them.

    With `least` from the beginning, n values would leave the initial one with a weight of (1 − `least`)ⁿ. This is the
    warm-up of TensorFlow's ``ExponentialMovingAverage``: about the last tenth of the values counts.
    """
    return max(least, (_WARM_UP - 1) / (_WARM_UP + seen))
