"""The columns of the workspace's CSV files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from imgcluster.types import Candidate

__all__ = [
    "ASSIGNMENTS",
    "CANDIDATES",
    "CHANGES",
    "CLUSTERS",
    "PHOTOGRAPH",
    "SKIPPED",
    "ClusterRow",
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


SKIPPED: Final = ("path", "reason")
# Followed by one column for each layer, of which `layer_0` is the finest, and by those of `PHOTOGRAPH`.
ASSIGNMENTS: Final = ("path", "cluster", "confidence", "distance", "is_medoid", "runner_up")
PHOTOGRAPH: Final = ("captured", "camera", "orientation")
CLUSTERS: Final = tuple(field.name for field in dataclasses.fields(ClusterRow))
# `came_from` and `went_to` are texts such as "3:45 7:2": clusters and numbers of images, the most first.
CHANGES: Final = (
    *("cluster", "name", "change", "size_before", "size", "stayed", "new_images", "removed_images"),
    *("came_from", "went_to"),
)
CANDIDATES: Final = tuple(field.name for field in dataclasses.fields(Candidate))

_PARSERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    str: str,
    int: int,
    float: lambda text: float(text or 0),
    float | None: lambda text: float(text) if text else None,
}


def row_of(values: Mapping[str, str]) -> ClusterRow:
    """Parse a row of ``clusters.csv``; older versions wrote fewer columns."""
    types = get_type_hints(ClusterRow)
    return ClusterRow(**{name: _PARSERS[types[name]](values.get(name, "")) for name in CLUSTERS})
