"""How a long computation reports its progress, without knowing who displays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["OnProgress", "Progress", "ignore_progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` items of `stage`; `total` is None while it is unknown."""

    stage: str
    done: int
    total: int | None = None


OnProgress = Callable[[Progress], None]
"""What the commands call with each step; the command line draws a bar or prints a line from it."""


def ignore_progress(progress: Progress) -> None:
    """Do nothing."""
