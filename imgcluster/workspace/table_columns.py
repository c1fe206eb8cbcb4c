"""The columns of the workspace's CSV files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from imgcluster.clustering.types import Candidate
from imgcluster.fileio.schema import quoted

__all__ = [
    "ASSIGNMENTS",
    "CANDIDATES",
    "CHANGES",
    "CLUSTERS",
    "DUPLICATES",
    "OUTLIERS",
    "PHOTOGRAPH",
    "SKIPPED",
    "ClusterRow",
    "DuplicateRow",
    "OutlierRow",
    "parse_integer",
    "parse_number",
    "row_of",
]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One row of ``clusters.csv``.

    Attributes:
        cluster: The cluster's number.
        size: The number of its images.
        share: Their fraction of all images, in [0, 1].
        medoid: The path of the most typical image.
        mean_distance: The mean distance of the members to the medoid.
        silhouette: The mean in [−1, 1]; None if undefined.
        stability: The bootstrap Jaccard stability in [0, 1]; None if undefined.
        mean_confidence: The mean confidence of the members, in [0, 1].
        suggested_name: A word for what most of its images show; "" for none.
        name: The name given by the user; "" for none.
    """

    cluster: int
    size: int
    share: float
    medoid: str
    mean_distance: float
    silhouette: float | None
    stability: float | None
    mean_confidence: float
    suggested_name: str
    name: str


@dataclass(frozen=True, slots=True)
class DuplicateRow:
    """One row of ``duplicates.csv``.

    Attributes:
        group: The group's number, from 1.
        path: The image.
        kind: ``best``, or ``exact`` or ``near`` for a copy of the group's best image.
        best: The path of the best image.
        score: How much of their structure agrees, in [0, 1]; 1 for exact copies.
        width: In pixels.
        height: In pixels.
        bytes: The size of the file.
    """

    group: int
    path: str
    kind: str
    best: str
    score: float
    width: int
    height: int
    bytes: int

    @property
    def fields(self) -> tuple[Any, ...]:
        """The values of the columns."""
        return tuple(map(_cell, dataclasses.astuple(self)))


@dataclass(frozen=True, slots=True)
class OutlierRow:
    """One row of ``outliers.csv``, which has all images.

    Attributes:
        rank: From 1.
        path: The image.
        reasons: ``far``, ``atypical`` and problems of quality; none for most images.
        score: The larger of the next two scores; NaN if there are none.
        neighbor_score: The robust z-score of the distance to the tenth neighbor; NaN for a single image.
        cluster_score: That of the distance to the center of the cluster; NaN in no cluster or a small one.
        cluster: −1 for none; None without a clustering.
        brightness: In [0, 1]; NaN if it was not measured, as in the next columns.
        contrast: In [0, 0.5].
        sharpness: In [0, 1]; NaN also for a picture without edges.
        width: In pixels.
        height: In pixels.
    """

    rank: int
    path: str
    reasons: tuple[str, ...]
    score: float
    neighbor_score: float
    cluster_score: float
    cluster: int | None
    brightness: float
    contrast: float
    sharpness: float
    width: int
    height: int

    @property
    def fields(self) -> tuple[Any, ...]:
        """The values of the columns; the reasons are separated by spaces."""
        return tuple(map(_cell, dataclasses.astuple(self)))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return " ".join(value) if isinstance(value, tuple) else value


SKIPPED: Final = ("path", "reason")
# Followed by one column for each layer, of which `layer_0` is the finest, and by those of `PHOTOGRAPH`.
ASSIGNMENTS: Final = ("path", "cluster", "confidence", "distance", "is_medoid", "runner_up")
PHOTOGRAPH: Final = ("captured", "camera", "orientation")
CLUSTERS: Final = tuple(field.name for field in dataclasses.fields(ClusterRow))
DUPLICATES: Final = tuple(field.name for field in dataclasses.fields(DuplicateRow))
OUTLIERS: Final = tuple(field.name for field in dataclasses.fields(OutlierRow))
# `came_from` and `went_to` are texts such as "3:45 7:2": clusters and numbers of images, the most first.
CHANGES: Final = (
    *("cluster", "name", "change", "size_before", "size", "stayed", "new_images", "removed_images"),
    *("came_from", "went_to"),
)
CANDIDATES: Final = tuple(field.name for field in dataclasses.fields(Candidate))


def parse_integer(text: str, *, least: int = 0) -> int:
    """Return the integer in a field.

    Raises:
        ValueError: It is none, less than `least`, or has more than 31 bits.
    """
    if not (text.removeprefix("-").isdecimal() and len(text) <= _DIGITS and least <= int(text) < 1 << 31):
        raise ValueError(f"{quoted(text)} is not an integer of at least {least}")
    return int(text)


def parse_number(text: str) -> float:
    """Return the number in a field.

    Raises:
        ValueError: It is not a finite number.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{quoted(text)} is not a number")
    return number


_DIGITS: Final = 11
_PARSERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    str: str,
    int: parse_integer,
    float: lambda text: parse_number(text or "0"),
    float | None: lambda text: parse_number(text) if text else None,
}


def row_of(values: Mapping[str, str]) -> ClusterRow:
    """Parse a row of ``clusters.csv``; older versions wrote fewer columns."""
    types = get_type_hints(ClusterRow)
    return ClusterRow(**{name: _PARSERS[types[name]](values.get(name, "")) for name in CLUSTERS})
