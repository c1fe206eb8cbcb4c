"""Value types that several packages share, so that these need not import each other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError

__all__ = [
    "FILTERS",
    "POOLINGS",
    "RESIZE_RULES",
    "Candidate",
    "ClusterFacts",
    "Clustering",
    "ClusteringResult",
    "Confidence",
    "InputSpec",
    "Labels",
    "Layer",
    "Measures",
    "Metric",
    "Pixels",
    "Pooling",
    "ResizeRule",
    "Values",
    "Vectors",
    "check_level",
]

Pixels = npt.NDArray[np.uint8]
"""Images as ``uint8``; shape ``(height, width, channels)`` for one, ``(n, height, width, channels)`` for many."""

ResizeRule = Literal["crop", "stretch", "pad"]
RESIZE_RULES: Final[tuple[str, ...]] = get_args(ResizeRule)

Pooling = Literal["cls", "mean"]
POOLINGS: Final[tuple[str, ...]] = get_args(Pooling)

FILTERS: Final = ("nearest", "bilinear", "bicubic", "lanczos")

Values = npt.NDArray[np.float32]
"""Images as ``float32 (n, height, width, channels)`` in [0, 1]."""

Metric = Literal["cosine", "euclidean"]

Vectors = npt.NDArray[np.float32]
"""``float32 (n, dimensions)``."""

Labels = npt.NDArray[np.int64]
Confidence = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The picture an encoder wants.

    `width` and `height` are in pixels; `channels` is 1 (grey) or 3 (RGB). `resize` says how a picture of another
    shape gets there: ``crop`` takes the largest centred rectangle of the right aspect ratio, shrunk to
    `crop_fraction` of its sides; ``stretch`` ignores the aspect ratio; ``pad`` keeps the whole picture on grey.
    """

    width: int
    height: int
    channels: int
    resize: ResizeRule = "crop"
    filter: str = "bicubic"
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"an input of {self.width}×{self.height} px is not possible; both must be at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"an input of {self.channels} channels is not supported; 1 (grey) or 3 (RGB) are")
        if self.resize not in RESIZE_RULES:
            raise UsageError(f"resize rule {self.resize!r} is unknown; choose one of {', '.join(RESIZE_RULES)}")
        if self.filter not in FILTERS:
            raise UsageError(f"resize filter {self.filter!r} is unknown; choose one of {', '.join(FILTERS)}")
        if not 0.0 < self.crop_fraction <= 1.0:
            raise UsageError(f"crop fraction {self.crop_fraction} is not allowed; it lies in (0, 1]")

    @property
    def mode(self) -> str:
        """The Pillow mode of a picture with these channels."""
        return "L" if self.channels == 1 else "RGB"

    def source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part (left, upper, right, lower) of a `width`×`height` picture that the encoder sees."""
        if self.resize != "crop":
            return (0.0, 0.0, float(width), float(height))
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        box_width, box_height = self.width * scale, self.height * scale
        left, upper = (width - box_width) / 2, (height - box_height) / 2
        return (max(0.0, left), max(0.0, upper), min(left + box_width, width), min(upper + box_height, height))


@dataclass(frozen=True, slots=True)
class Layer:
    """One clustering of the images, coarser or finer than other layers.

    Attributes:
        labels: ``int64 (n,)``, as the package describes them.
        confidence: ``float32 (n,)`` in [0, 1].
        runner_up: The second-best cluster of each image, ``int64 (n,)``; for noise the best one; −1 for none.
    """

    labels: Labels
    confidence: Confidence
    runner_up: Labels

    @property
    def count(self) -> int:
        """How many clusters there are, noise not counted."""
        return int(self.labels.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Clustering:
    """All layers, the finest first, the number of the chosen one, the values that the method chose, and the scored
    numbers of clusters, where that was requested."""

    layers: tuple[Layer, ...]
    chosen: int
    parameters: dict[str, Any]
    candidates: tuple[Candidate, ...] = ()

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
        """How many clusters there are, noise not counted."""
        return self.layers[self.chosen].count

    def at(self, level: str | None) -> Clustering:
        """Return the same with another layer chosen: ``fine``, ``medium``, ``coarse``, or a layer's number.

        Raises:
            UsageError: There is no such layer.
        """
        if level in (None, "medium"):
            return self
        check_level(level)
        named = {"fine": 0, "coarse": len(self.layers) - 1}
        number = named[str(level)] if level in named else int(str(level))
        if number >= len(self.layers):
            there = ", ".join(f"{index} ({layer.count} clusters)" for index, layer in enumerate(self.layers))
            raise UsageError(f"--level {level} is not there; choose fine, medium, coarse, or a layer's number: {there}")
        return dataclasses.replace(self, chosen=number)


def check_level(level: str | None) -> None:
    """Refuse, before anything is computed, what is no layer of any clustering.

    Raises:
        UsageError: It is neither a layer's name nor a number.
    """
    if level not in (None, "fine", "medium", "coarse") and not str(level).isdecimal():
        raise UsageError(f"--level {level!r} is not understood; choose fine, medium, coarse, or a layer's number")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of clusters: its mean silhouette in [−1, 1], its stability in [−0.5, 1], its persistence (1 and
    more), and whether it was chosen; see `score_candidates`."""

    k: int
    silhouette: float
    stability: float
    persistence: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class ClusteringResult:
    """A clustering with all its layers, a note on how its vectors were reduced, and the stability of the clusters of
    each layer."""

    clustering: Clustering
    note: str
    stability: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """One cluster: its number, size, share of all images, its medoid's index, the mean distance of its members to
    the medoid, and its silhouette in [−1, 1] (None where it is not defined)."""

    cluster: int
    size: int
    share: float
    medoid: int
    mean_distance: float
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """`distances` ``float32 (n,)`` to the own cluster's medoid (noise: to the nearest medoid; NaN without any),
    the facts of each cluster, and the mean silhouette over `silhouette_sample` images that are no noise."""

    distances: npt.NDArray[np.float32]
    clusters: tuple[ClusterFacts, ...]
    silhouette: float | None
    silhouette_sample: int
