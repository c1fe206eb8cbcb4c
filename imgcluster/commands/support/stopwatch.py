"""Wall-clock time of each stage."""

from __future__ import annotations

import time

__all__ = ["Stopwatch"]


class Stopwatch:
    """Measures consecutive stages.

    Attributes:
        stages: Seconds of each finished stage, rounded to milliseconds.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._started = self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """End `stage`, which began at the previous lap."""
        now = time.monotonic()
        self.stages[stage] = round(now - self._last, 3)
        self._last = now

    @property
    def seconds(self) -> float:
        """Seconds since the start, rounded to milliseconds."""
        return round(time.monotonic() - self._started, 3)
