"""What a clustering method returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgcluster.types import Candidate, Confidence, Labels

__all__ = ["MethodResult"]


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The result of a method, its clusters in any numbering.

    Attributes:
        layers: Labels and confidence of each layer, the finest first.
        chosen: The number of the layer that is the result.
        parameters: The values that the method chose.
        candidates: The scored numbers of clusters, where that was requested.
        better_k: As in `FitNotes`.
    """

    layers: list[tuple[Labels, Confidence]]
    chosen: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    better_k: int | None = None
