"""Embeddings that are being computed while the next images are prepared."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Final

import numpy as np

from imgcluster.types import Vectors

__all__ = ["Started"]

_WAIT_SECONDS: Final = 0.2


class Started:
    """Embeddings that are being computed, in parts that run at the same time."""

    def __init__(self, parts: Sequence[Future[Vectors]], empty: Vectors | None = None) -> None:
        self._parts = parts
        self._empty = empty

    def done(self) -> bool:
        """Return whether the embeddings are there."""
        return all(part.done() for part in self._parts)

    def result(self, seconds: float | None = None) -> Vectors:
        """Wait for the embeddings, ``float32 (n, embedding_size)``; after an interruption one can wait again.

        Raises:
            EncoderError: The encoder fails, or there is no memory even for one image.
            TimeoutError: They are not there after `seconds`.
        """
        end = math.inf if seconds is None else time.monotonic() + seconds
        # On Windows only a wait with a limit can be interrupted.
        while wait(self._parts, max(0.0, min(_WAIT_SECONDS, end - time.monotonic()))).not_done:
            if time.monotonic() >= end:
                raise TimeoutError
        return np.concatenate([part.result() for part in self._parts]) if self._empty is None else self._empty

    def result_or_cancel(self) -> Vectors:
        """Wait as `result` does; an interruption cancels what has not begun."""
        try:
            return self.result()
        finally:
            for part in self._parts:
                part.cancel()
