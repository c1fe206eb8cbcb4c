"""Representative images of each cluster, and its nearest clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.centroids import centroids, evenly_spaced, rows_by_label
from imgcluster.features.normalize import l2_normalize
from imgcluster.types import Metric, VectorRows, Vectors

__all__ = ["nearest_clusters", "representatives"]

# More candidates hardly change the choice, of a cluster and of all.
_CANDIDATES: Final = 2048
_CANDIDATES_OF_ALL: Final = 1 << 18


def representatives(
    points: Vectors | VectorRows,
    labels: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    medoids: npt.NDArray[np.bool_],
    *,
    copies: npt.NDArray[np.int64] | None = None,
    set_aside: npt.NDArray[np.bool_] | None = None,
    count: int = 12,
) -> dict[int, list[int]]:
    """Choose up to `count` diverse images of each cluster: its medoid, then members by farthest-first traversal.

    The traversal (Gonzalez 1985) uses the more confident half of the members, so that it shows the spread of the
    cluster and not its errors. Noise (−1) is last and starts with its first image.

    Args:
        points: ``float32 (n, d)`` embeddings, of length 1 for the cosine.
        labels: ``int64 (n,)``; −1 is noise.
        confidence: ``float64 (n,)``; NaN counts as 0.
        medoids: ``bool (n,)``.
        copies: A number for each image, ``int64 (n,)``, of which each cluster shows one image only.
        set_aside: ``bool (n,)``, images that are not chosen, unless a cluster has no others; by default none.
        count: The largest number of images per cluster.
    """
    chosen: dict[int, npt.NDArray[np.int64]] = {}
    numbers = _in_order(labels)
    most = max(count, min(_CANDIDATES, _CANDIDATES_OF_ALL // max(1, len(numbers))))
    # The last ones are noise, as number −1.
    rows = [*rows_by_label(labels, int(labels.max(initial=-1)) + 1), np.flatnonzero(labels < 0)]
    for number in numbers:
        inside = rows[number]
        if set_aside is not None and not set_aside[inside].all():
            inside = inside[~set_aside[inside]]
        order = np.lexsort((inside, -np.nan_to_num(confidence[inside]), ~medoids[inside]))
        candidates = inside[order]
        if copies is not None:
            candidates = candidates[np.sort(np.unique(copies[candidates], return_index=True)[1])]
        if number >= 0:
            candidates = candidates[: max(count, len(candidates) // 2)]
        if len(candidates) > most:
            candidates = candidates[evenly_spaced(len(candidates), most)]
        chosen[number] = candidates
    selected: Iterator[Vectors] = (points[candidates] for candidates in chosen.values())
    if not isinstance(points, np.ndarray):
        # One selection for all clusters, since each reads the files.
        ends = np.cumsum([len(candidates) for candidates in chosen.values()])
        selected = iter(np.split(points[np.concatenate([*chosen.values(), np.empty(0, np.int64)])], ends[:-1]))
    return {
        number: candidates[_farthest_first(vectors, count)].tolist()
        for (number, candidates), vectors in zip(chosen.items(), selected, strict=True)
    }


def nearest_clusters(
    points: Vectors | VectorRows, metric: Metric, labels: npt.NDArray[np.int64], *, count: int = 3
) -> dict[int, list[tuple[int, float]]]:
    """Return the `count` nearest clusters of each cluster, with the distance between centroids, in ascending order.

    Noise is not included. The distance is 1 − cosine or Euclidean, according to `metric`; for the cosine the points,
    ``float32 (n, d)``, have length 1.
    """
    numbers = [number for number in _in_order(labels) if number >= 0]
    centers = centroids(points, np.where(labels >= 0, np.searchsorted(numbers, labels), -1), len(numbers))
    if metric == "cosine":
        centers = l2_normalize(centers.astype(np.float32)).astype(np.float64)
    nearest = {}
    for row, number in enumerate(numbers):
        if metric == "cosine":
            distances = np.clip(1.0 - centers @ centers[row], 0.0, 2.0)
        else:
            distances = np.linalg.norm(centers - centers[row], axis=1)
        order = [other for other in np.argsort(distances, kind="stable")[: count + 1].tolist() if other != row]
        nearest[number] = [(numbers[other], float(distances[other])) for other in order[:count]]
    return nearest


def _in_order(labels: npt.NDArray[np.int64]) -> Sequence[int]:
    numbers = [int(number) for number in np.unique(labels)]
    return [number for number in numbers if number >= 0] + [number for number in numbers if number < 0]


def _farthest_first(points: Vectors, count: int) -> list[int]:
    """Return up to `count` rows: the first, then always the row farthest from the chosen ones."""
    chosen = [0]
    distances = np.full(len(points), np.inf)
    for _ in range(min(count, len(points)) - 1):
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        # No row is chosen twice, even if all rows are equal.
        distances[chosen] = -1.0
        chosen.append(int(distances.argmax()))
    return chosen
