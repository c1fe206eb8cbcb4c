"""What a clustering method returns, and the clustering that is made of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError
from imgcluster.types import Labels

__all__ = [
    "Candidate",
    "Clustering",
    "ClusteringResult",
    "Confidence",
    "FitNotes",
    "Layer",
    "MethodResult",
    "check_level",
]

Confidence = npt.NDArray[np.float32]
"""``float32 (n,)`` in [0, 1]."""


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


@dataclass(frozen=True, slots=True)
class Layer:
    """A clustering at one level of granularity.

    Attributes:
        labels: The cluster of each image, ``int64 (n,)``; −1 is noise.
        confidence: ``float32 (n,)`` in [0, 1].
        runner_up: The second most likely cluster of each image (for noise, the most likely one), ``int64 (n,)``; −1
            for none.
    """

    labels: Labels
    confidence: Confidence
    runner_up: Labels

    @property
    def count(self) -> int:
        """The number of clusters without noise."""
        return int(self.labels.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FitNotes:
    """What a reader should know of how the clusters were found.

    Attributes:
        identical: All images have the same embedding, so they are one cluster.
        too_few: There are too few images to estimate the number of clusters, so they are one.
        better_k: A smaller number of clusters than the requested one that is clearly better, if there is one.
        sample: The size of the random sample that the clusters were fitted on; 0 if they were fitted on all images.
        assigned_noise: The number of images of no cluster that were assigned to that of their neighbors.
    """

    identical: bool = False
    too_few: bool = False
    better_k: int | None = None
    sample: int = 0
    assigned_noise: int = 0

    def by_json_name(self) -> dict[str, Any]:
        """Return those that apply, by their names in `metrics.json`."""
        values = {
            "identical": self.identical,
            "too_few": self.too_few,
            "shown": self.better_k,
            "sample": self.sample,
            "assigned_noise": self.assigned_noise,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Clustering:
    """The layers of a clustering, the finest first.

    Attributes:
        layers: At least one.
        chosen: The index of the layer that is the result.
        parameters: The values that the method used.
        candidates: The scored numbers of clusters, if requested.
        notes: How the clusters were found.
    """

    layers: tuple[Layer, ...]
    chosen: int
    parameters: dict[str, Any]
    candidates: tuple[Candidate, ...] = ()
    notes: FitNotes = FitNotes()

    @property
    def labels(self) -> Labels:
        return self.layers[self.chosen].labels

    @property
    def confidence(self) -> Confidence:
        return self.layers[self.chosen].confidence

    @property
    def runner_up(self) -> Labels:
        return self.layers[self.chosen].runner_up

    @property
    def count(self) -> int:
        """The number of clusters without noise."""
        return self.layers[self.chosen].count

    def at(self, level: str | None) -> Clustering:
        """Return the clustering with another layer chosen: ``fine``, ``medium``, ``coarse``, or a layer's number.

        Raises:
            UsageError: There is no such layer.
        """
        if level in (None, "medium"):
            return self
        check_level(level)
        named = {"fine": 0, "coarse": len(self.layers) - 1}
        number = named[str(level)] if level in named else int(str(level))
        if number >= len(self.layers):
            allowed = ", ".join(f"{index} ({layer.count} clusters)" for index, layer in enumerate(self.layers))
            raise UsageError(
                f"--level {level} does not exist; allowed are fine, medium, coarse, or a layer's number: {allowed}"
            )
        return dataclasses.replace(self, chosen=number)


def check_level(level: str | None) -> None:
    """Check the syntax of a level.

    Raises:
        UsageError: It is neither ``fine``, ``medium``, ``coarse`` nor a number.
    """
    if level not in (None, "fine", "medium", "coarse") and not str(level).isdecimal():
        raise UsageError(f"--level {level!r} is not allowed; allowed are fine, medium, coarse, or a layer's number")


@dataclass(frozen=True, slots=True)
class Candidate:
    """The scores of one number of clusters.

    `silhouette` is the mean in [−1, 1], `stability` in [−0.5, 1], `persistence` at least 1; `chosen` marks the result.
    """

    k: int
    silhouette: float
    stability: float
    persistence: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class ClusteringResult:
    """A fitted clustering, a note on the dimensionality reduction, and the stability of each layer's clusters."""

    clustering: Clustering
    note: str
    stability: tuple[tuple[float | None, ...], ...]
