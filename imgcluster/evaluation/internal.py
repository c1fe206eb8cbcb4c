"""Internal measures of a clustering, without labels: medoids, distances, silhouettes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.centroids import evenly_spaced, silhouettes
from imgcluster.types import ClusterFacts, Labels, Measures, Metric, Vectors

__all__ = ["measure"]

_Rows = npt.NDArray[np.int64]

# The member nearest to this many others is hardly farther from all than the medoid.
_MEDOID_SAMPLE: Final = 1024
_CHUNK_ROWS: Final = 2048
_TIE: Final = 1e-9


def measure(points: Vectors, labels: Labels, metric: Metric, *, order: _Rows | None = None) -> Measures:
    """Measure a clustering in the space of the embeddings, before any reduction.

    The medoid is the member with the smallest mean distance to the other members; by Euclidean distance in clusters of
    more than 1,024 to a sample of that many. Silhouettes (Rousseeuw 1987) are computed on at most 5,000 images. Samples
    are evenly spaced.

    Args:
        points: ``float32 (n, d)`` embeddings, of length 1 for the cosine.
        labels: ``int64 (n,)``; −1 is noise. Numbers of clusters may be missing.
        metric: ``cosine`` for the distance 1 − cos in [0, 2], ``euclidean`` for the Euclidean distance.
        order: ``int64 (n,)``, the rows in content order, so that samples and ties do not depend on file names; by
            default as they are.
    """
    order = np.arange(len(labels)) if order is None else order
    present = np.unique(labels[labels >= 0])
    members = [order[labels[order] == cluster] for cluster in present]
    medoids = [int(inside[_medoid(points[inside], metric)]) for inside in members]
    own = np.where(labels >= 0, np.searchsorted(present, labels), -1)
    distances = _to_medoids(points, own, np.array(medoids, dtype=np.int64), metric)
    values = silhouettes(points, labels, metric, order=order)
    facts = tuple(
        ClusterFacts(
            cluster=int(cluster),
            size=len(inside),
            share=len(inside) / len(labels),
            medoid=medoid,
            mean_distance=float(distances[inside].mean()),
            silhouette=_mean(values[inside]),
        )
        for cluster, inside, medoid in zip(present, members, medoids, strict=True)
    )
    return Measures(distances, facts, _mean(values), int((~np.isnan(values)).sum()))


def _medoid(points: Vectors, metric: Metric) -> int:
    count = len(points)
    if metric == "cosine":
        # The sum of 1 − cos to all members needs only the sum of their vectors.
        total = points.sum(axis=0, dtype=np.float64)
        sums = np.concatenate([count - part.astype(np.float64) @ total for part in _chunks(points)])
        scale = float(count)
    else:
        others = points[evenly_spaced(count, _MEDOID_SAMPLE)] if count > _MEDOID_SAMPLE else points
        sums = np.concatenate([_pairwise(part, others, metric).sum(axis=1) for part in _chunks(points)])
        scale = sums.max()
    # Duplicates tie except for rounding errors; the first of them is taken on every machine.
    return int((sums <= sums.min() + _TIE * scale).argmax())


def _to_medoids(points: Vectors, labels: _Rows, medoids: _Rows, metric: Metric) -> npt.NDArray[np.float32]:
    """Return the distance of each vector to the medoid of its cluster; of noise to the nearest medoid."""
    result = np.full(len(points), np.nan, dtype=np.float32)
    if not len(medoids):
        return result
    for rows in np.split(np.arange(len(points)), range(_CHUNK_ROWS, len(points), _CHUNK_ROWS)):
        own = labels[rows]
        inside, noise = rows[own >= 0], rows[own < 0]
        result[inside] = _paired(points[inside], points[medoids[own[own >= 0]]], metric)
        if len(noise):
            result[noise] = _pairwise(points[noise], points[medoids], metric).min(axis=1)
    # Exactly 0, without rounding errors.
    result[medoids] = 0.0
    return result


def _paired(first: Vectors, second: Vectors, metric: Metric) -> npt.NDArray[np.float64]:
    """Return the distance between each two rows of the same number, ``float64 (n,)``."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    if metric == "cosine":
        return np.asarray(np.clip(1.0 - np.einsum("ij,ij->i", a, b), 0.0, 2.0))
    return np.asarray(np.linalg.norm(a - b, axis=1))


def _pairwise(first: Vectors, second: Vectors, metric: Metric) -> npt.NDArray[np.float64]:
    """Return the distances ``float64 (len(first), len(second))``."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    if metric == "cosine":
        return np.asarray(np.clip(1.0 - a @ b.T, 0.0, 2.0))
    squares = (a * a).sum(axis=1)[:, None] - 2.0 * (a @ b.T) + (b * b).sum(axis=1)[None, :]
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _chunks(points: Vectors) -> Iterator[Vectors]:
    return (points[start : start + _CHUNK_ROWS] for start in range(0, len(points), _CHUNK_ROWS))


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
