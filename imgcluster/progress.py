"""How a long piece of work tells an onlooker where it stands, without knowing who looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "Report", "silent"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` items of `stage`; `total` is None while nobody knows it."""

    stage: str
    done: int
    total: int | None = None


Report = Callable[[Progress], None]
"""What the commands call with each step; the command line draws a bar from it."""


def silent(progress: Progress) -> None:
    """Look the other way."""
