"""What a clustering method returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgcluster.types import Candidate, Confidence, Labels

__all__ = [
    "Answer",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method finds, its clusters numbered as it likes: labels and confidence of each layer, the finest first."""

    layers: list[tuple[Labels, Confidence]]
    chosen: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
