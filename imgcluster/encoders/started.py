"""Embeddings that are being computed while the next images are prepared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Final

import numpy as np

from imgcluster.encoders.devices import too_slow
from imgcluster.types import Vectors

__all__ = ["Started"]

_WAIT_SECONDS: Final = 0.2


class Started:
    """Embeddings that are being computed, in parts that run at the same time.

    Args:
        parts: The values of each output, of each part.
        empty: The result if there are no parts.
        limit: How many seconds may pass without a part being completed, while one waits for the result.
        stop: Called if more pass.
    """

    def __init__(
        self,
        parts: Sequence[Future[list[Vectors]]],
        empty: list[Vectors] | None = None,
        *,
        limit: float = math.inf,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._empty = empty
        self._limit = limit
        self._stop = stop

    def done(self) -> bool:
        """Return whether the embeddings are there."""
        return all(part.done() for part in self._parts)

    def result(self, seconds: float | None = None) -> list[Vectors]:
        """Wait for the values of each output, ``float32 (n, values)``; after an interruption one can wait again.

        Raises:
            EncoderError: The encoder fails, is too slow, or there is no memory even for one image.
            TimeoutError: They are not there after `seconds`.
        """
        end = math.inf if seconds is None else time.monotonic() + seconds
        left, last = len(self._parts), time.monotonic()
        # On Windows only a wait with a limit can be interrupted.
        while missing := wait(self._parts, max(0.0, min(_WAIT_SECONDS, end - time.monotonic()))).not_done:
            if time.monotonic() >= end:
                raise TimeoutError
            if len(missing) < left:
                left, last = len(missing), time.monotonic()
            if time.monotonic() - last > self._limit:
                self._stop()
                raise too_slow(self._limit)
        if self._empty is not None:
            return self._empty
        return [np.concatenate(values) for values in zip(*(part.result() for part in self._parts), strict=True)]

    def result_or_cancel(self) -> list[Vectors]:
        """Wait as `result` does; an interruption cancels what has not begun."""
        try:
            return self.result()
        finally:
            for part in self._parts:
                part.cancel()
