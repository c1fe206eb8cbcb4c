"""Value types that several packages share without importing each other."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError

__all__ = [
    "FILTERS",
    "METRICS",
    "NO_EXIF",
    "PLACE_MODES",
    "POOLINGS",
    "PRECISIONS",
    "RESIZE_RULES",
    "TOP_CLASSES",
    "Candidate",
    "ClassScores",
    "ClassWords",
    "ClusterFacts",
    "Clustering",
    "ClusteringResult",
    "Confidence",
    "Exif",
    "FitNotes",
    "InputSpec",
    "Labels",
    "Layer",
    "MapParts",
    "Measures",
    "Metric",
    "Pixels",
    "PlaceMode",
    "Pooling",
    "Precision",
    "ResizeRule",
    "Values",
    "VectorRows",
    "Vectors",
    "check_level",
    "check_metric",
]

Pixels = npt.NDArray[np.uint8]
"""Images as ``uint8``; shape ``(height, width, channels)`` for one, ``(n, height, width, channels)`` for many."""

ResizeRule = Literal["crop", "stretch", "pad"]
RESIZE_RULES: Final[tuple[str, ...]] = get_args(ResizeRule)

Pooling = Literal["cls", "mean"]
POOLINGS: Final[tuple[str, ...]] = get_args(Pooling)

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: Final[tuple[str, ...]] = get_args(Precision)

PlaceMode = Literal["symlink", "copy", "hardlink", "move", "manifest", "none"]
"""How files are placed; with ``manifest`` the journal says where each belongs, and no file is written."""
PLACE_MODES: Final[tuple[str, ...]] = get_args(PlaceMode)

FILTERS: Final = ("nearest", "bilinear", "bicubic", "lanczos")

Values = npt.NDArray[np.float32]
"""Images as ``float32 (n, height, width, channels)`` in [0, 1]."""

Metric = Literal["cosine", "euclidean"]
METRICS: Final[tuple[str, ...]] = get_args(Metric)

Vectors = npt.NDArray[np.float32]
"""``float32 (n, dimensions)``."""


class VectorRows(Protocol):
    """Vectors ``float32 (n, d)`` that are read from files where they are needed."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Vectors: ...

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Yield all vectors in blocks, each with the numbers of its rows."""

    def parts(self) -> Sequence[VectorRows]:
        """Return the vectors in parts, whose blocks have the numbers that their rows have among all vectors."""

    def reordered(self, order: npt.NDArray[np.int64]) -> VectorRows:
        """Return the vectors in another order."""

    def transformed(self, function: Callable[[Vectors], Vectors]) -> VectorRows:
        """Return the vectors with a function applied that treats each row on its own."""


MapParts = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to parts of the work and yields the results in their order, as `map` does; perhaps elsewhere."""

Labels = npt.NDArray[np.int64]
Confidence = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The input image of an encoder, and how other images are resized to it.

    Attributes:
        width: In pixels.
        height: In pixels.
        channels: 1 (gray) or 3 (RGB).
        resize: ``crop`` takes the largest centered rectangle of the input's aspect ratio, with its sides multiplied by
            `crop_fraction`; ``stretch`` ignores the aspect ratio; ``pad`` puts the whole image on a gray background.
        filter: Resampling filter, one of `FILTERS`.
        crop_fraction: In (0, 1].
        resize_edge: If it is not 0, images are resized in two steps, as the image processors of transformers do:
            ``crop`` first resizes the shorter side, and ``stretch`` both sides, to this many pixels; then the center
            is cropped to the input.

    Raises:
        UsageError: A value is not allowed.
    """

    width: int
    height: int
    channels: int
    resize: ResizeRule = "crop"
    filter: str = "bicubic"
    crop_fraction: float = 1.0
    resize_edge: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"an input of {self.width}×{self.height} px is not allowed; both sides must be at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"{self.channels} input channels are not supported; allowed are 1 (gray) and 3 (RGB)")
        if self.resize not in RESIZE_RULES:
            raise UsageError(f"resize rule {self.resize!r} is unknown; choose one of {', '.join(RESIZE_RULES)}")
        if self.filter not in FILTERS:
            raise UsageError(f"resize filter {self.filter!r} is unknown; choose one of {', '.join(FILTERS)}")
        if not 0.0 < self.crop_fraction <= 1.0:
            raise UsageError(f"crop fraction {self.crop_fraction} is not allowed; it must be in (0, 1]")
        if self.resize_edge and (self.resize == "pad" or self.resize_edge < max(self.width, self.height)):
            raise UsageError(
                f"a resize edge of {self.resize_edge} px is not possible with {self.resize} to "
                f"{self.width}×{self.height} px; it needs crop or stretch, and at least the longer side"
            )

    @property
    def mode(self) -> str:
        """The Pillow mode of an input image."""
        return "L" if self.channels == 1 else "RGB"

    def source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the box (left, upper, right, lower) of a `width`×`height` image that becomes the input."""
        if self.resize == "stretch" and self.resize_edge:
            part_width, part_height = width * self.width / self.resize_edge, height * self.height / self.resize_edge
            left, upper = (width - part_width) / 2, (height - part_height) / 2
            return (left, upper, left + part_width, upper + part_height)
        if self.resize != "crop":
            return (0.0, 0.0, float(width), float(height))
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        if self.resize_edge:
            scale = min(width, height) / self.resize_edge
        box_width, box_height = self.width * scale, self.height * scale
        left, upper = (width - box_width) / 2, (height - box_height) / 2
        return (max(0.0, left), max(0.0, upper), min(left + box_width, width), min(upper + box_height, height))


@dataclass(frozen=True, slots=True)
class Exif:
    """What EXIF says of a photograph.

    Attributes:
        captured: When it was taken, in local time (ISO 8601, with the offset from UTC if it is known); "" if unknown.
        camera: Make and model; "" if unknown.
        orientation: 1 to 8, where 1 is upright; 0 if unknown.
    """

    captured: str = ""
    camera: str = ""
    orientation: int = 0

    @property
    def seconds(self) -> float:
        """The time on the photographer's clock as seconds, as if it were in UTC; NaN if unknown."""
        try:
            return datetime.fromisoformat(self.captured[:19]).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            return math.nan


NO_EXIF: Final = Exif()


TOP_CLASSES: Final = 10
"""The number of classes that are stored for each image."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The most probable classes of n images, best first, from an encoder that was trained on classes.

    Attributes:
        classes: ``int16 (n, k)``.
        probabilities: ``float32 (n, k)``; 0 for images without scores.
    """

    classes: npt.NDArray[np.int16]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClassWords:
    """Words of classes, and of categories that contain several or further classes.

    Attributes:
        words: The w words.
        covers: Whether a word applies to a class, ``bool (w, classes)``.
        specificity: ``float64 (w,)`` in [0, 1].
    """

    words: tuple[str, ...]
    covers: npt.NDArray[np.bool_]
    specificity: npt.NDArray[np.float64]


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


def check_metric(metric: str | None) -> None:
    """Check the value of ``--metric``.

    Raises:
        UsageError: It is not a metric.
    """
    if metric not in (None, *METRICS):
        raise UsageError(f"--metric {metric} is unknown; choose {' or '.join(METRICS)}")


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


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Measures of one cluster.

    `share` is the fraction of all images, `medoid` an image index, `mean_distance` that of the members to the medoid,
    `silhouette` the mean in [−1, 1] (None if undefined).
    """

    cluster: int
    size: int
    share: float
    medoid: int
    mean_distance: float
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a clustering.

    `distances` ``float32 (n,)`` are to the own cluster's medoid (noise: to the nearest medoid; NaN if there is none);
    `silhouette` is the mean over `silhouette_sample` images that are not noise (None if undefined).
    """

    distances: npt.NDArray[np.float32]
    clusters: tuple[ClusterFacts, ...]
    silhouette: float | None
    silhouette_sample: int
