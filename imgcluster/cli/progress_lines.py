"""Progress as lines on standard error, for logs."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from imgcluster.progress import Progress

if TYPE_CHECKING:
    from imgcluster_training.progress import TrainingProgress

__all__ = ["STAGES", "ProgressLines", "TrainingLines", "per_second", "training_texts"]

SECONDS: Final = 30.0

STAGES: Final = {
    "find": ("Searching", "files"),
    "download": ("Downloading", "MB"),
    "embed": ("Embedding", "files"),
    "copy": ("Copying", "images"),
    "fetch": ("Downloading", "shards"),
    "download-workspace": ("Downloading the workspace", "files"),
    "upload-workspace": ("Uploading the workspace", "files"),
    "join": ("Joining", "shards"),
    "store": ("Storing", "vectors"),
    "load": ("Loading embeddings", ""),
    "cluster": ("Clustering", ""),
    "compare": ("Clustering", "methods"),
    "signatures": ("Reading", "images"),
    "neighbors": ("Finding similar images", ""),
    "pairs": ("Comparing", "pairs"),
    "sharpness": ("Comparing the sharpness", "images"),
    "texts": ("Embedding texts", "texts"),
    "measure": ("Evaluating", ""),
    "place": ("Placing", "files"),
    "layout": ("Computing the map", ""),
    "thumbnails": ("Making thumbnails", "images"),
    "figures": ("Drawing", "figures"),
    "report": ("Writing the page", ""),
    "undo": ("Undoing", "files"),
    "reconstruct": ("Reconstructing", "images"),
    "generate": ("Generating", "images"),
}
"""The title of each stage and the noun of its counts."""


def per_second(rate: float) -> str:
    """Return a rate in words; of slow stages with a decimal."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class ProgressLines:
    """Prints the current stage every 30 seconds.

    Args:
        clock: A function that returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step: Progress | None = None
        self._printed = clock()
        self._counted = 0
        self._lock = threading.Lock()

    def __call__(self, step: Progress) -> None:
        """Print `step` if the last line is 30 seconds old."""
        with self._lock:
            if self._step is None or step.stage != self._step.stage:
                self._counted = 0
            self._step = step
            self._print_if_due(step)

    def repeat(self) -> None:
        """Print the last step again if the last line is 30 seconds old: some stages have no steps for hours."""
        with self._lock:
            if self._step is not None:
                self._print_if_due(self._step)

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """Call `repeat` during the block, from a thread."""
        from imgcluster.fileio.in_threads import beside

        def run(stop: threading.Event) -> None:
            while not stop.wait(min(1.0, SECONDS)):
                self.repeat()

        with beside(run):
            yield

    def _print_if_due(self, step: Progress) -> None:
        now = self._clock()
        if now - self._printed < SECONDS:
            return
        title, noun = STAGES.get(step.stage, (step.stage, ""))
        text = title
        if step.done:
            total = f" of {step.total:,}" if step.total else ""
            rate = (step.done - self._counted) / (now - self._printed)
            text += f": {step.done:,}{total} {noun}, {per_second(rate)}"
        _print(text)
        self._printed, self._counted = now, step.done


class TrainingLines:
    """Prints the state of a training at most every 30 seconds.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._printed = clock()

    def __call__(self, step: TrainingProgress) -> None:
        """Print `step` if the last line is 30 seconds old."""
        now = self._clock()
        if now - self._printed < SECONDS:
            return
        epoch, loss, left = training_texts(step)
        stage = f"{step.stage}, " if step.stage else ""
        _print(f"{stage}{epoch}, {loss}, {left}")
        self._printed = now


def _print(text: str) -> None:
    # A log that is full, or that nobody reads any more, does not end the work.
    with suppress(OSError, ValueError):
        sys.stderr.write(f"imgcluster: {text}\n")
        sys.stderr.flush()


def training_texts(step: TrainingProgress) -> tuple[str, str, str]:
    """Return the epoch, the losses and the remaining time of a training, as texts."""
    fold = f"fold {step.fold}/{step.folds}, " if step.folds else ""
    validated = "" if math.isnan(step.validation_loss) else f", validation {step.validation_loss:.5f}"
    left = timedelta(seconds=round(step.seconds_left))
    return f"{fold}epoch {step.epoch}/{step.epochs}", f"loss {step.loss:.5f}{validated}", f"{left} left"
