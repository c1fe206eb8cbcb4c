"""What is measured of a finished clustering without labels: medoids, distances, silhouettes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.normalize import normalise
from imgcluster.types import ClusterFacts, Measures, Metric, Vectors

__all__ = [
    "measure",
    "silhouettes",
]

# The nearest to this many members is hardly another than the nearest to all.
_MEDOID_SAMPLE: Final = 1024
# The pairwise distances of so many images take about a second.
_SILHOUETTE_SAMPLE: Final = 5000
_CHUNK: Final = 2048
_TIE: Final = 1e-9


def measure(vectors: Vectors, labels: npt.NDArray[np.int64], metric: Metric, *, seed: int = 0) -> Measures:
    """Measure a clustering in the space of the embeddings, before any reduction.

    The medoid is the member with the smallest mean distance to the other members (to 1,024 of them, drawn at
    random, in clusters larger than that). Silhouettes (Rousseeuw 1987) are computed on at most 5,000 images.

    Args:
        vectors: ``float32 (n, d)`` embeddings.
        labels: ``int64 (n,)``; −1 is noise.
        metric: ``cosine`` for the distance 1 − cos in [0, 2], ``euclidean`` for the plain one.
        seed: For the samples.
    """
    generator = np.random.default_rng(seed)
    points = normalise(vectors) if metric == "cosine" else vectors
    count = int(labels.max(initial=-1)) + 1
    members = [np.flatnonzero(labels == cluster) for cluster in range(count)]
    medoids = [int(inside[_medoid(points[inside], metric, generator)]) for inside in members]
    distances = _to_medoids(points, labels, np.array(medoids, dtype=np.int64), metric)
    silhouettes, sampled = _silhouettes(points, labels, metric, generator)
    facts = tuple(
        ClusterFacts(
            cluster=cluster,
            size=len(inside),
            share=len(inside) / len(labels),
            medoid=medoids[cluster],
            mean_distance=float(distances[inside].mean()),
            silhouette=_mean(silhouettes[inside]),
        )
        for cluster, inside in enumerate(members)
    )
    return Measures(distances, facts, _mean(silhouettes), sampled)


def silhouettes(
    vectors: Vectors, labels: npt.NDArray[np.int64], metric: Metric, *, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the silhouette of each image, ``float64 (n,)`` in [−1, 1]; NaN for noise, where it is not defined, and for
    all but 5,000 images of larger sets. Arguments are those of `measure`."""
    points = normalise(vectors) if metric == "cosine" else vectors
    return _silhouettes(points, labels, metric, np.random.default_rng(seed))[0]


def _medoid(points: Vectors, metric: Metric, generator: np.random.Generator) -> int:
    count = len(points)
    others = points
    if count > _MEDOID_SAMPLE:
        others = points[np.sort(generator.choice(count, _MEDOID_SAMPLE, replace=False))]
    sums = np.concatenate(
        [_pairwise(points[i : i + _CHUNK], others, metric).sum(axis=1) for i in range(0, count, _CHUNK)]
    )
    # Members that are the same picture tie but for rounding errors, and the first of them wins on every machine.
    return int((sums <= sums.min() + _TIE * sums.max()).argmax())


def _to_medoids(
    points: Vectors, labels: npt.NDArray[np.int64], medoids: npt.NDArray[np.int64], metric: Metric
) -> npt.NDArray[np.float32]:
    result = np.full(len(points), np.nan, dtype=np.float32)
    if not len(medoids):
        return result
    for start in range(0, len(points), _CHUNK):
        part = slice(start, start + _CHUNK)
        all_distances = _pairwise(points[part], points[medoids], metric)
        own = labels[part]
        nearest = all_distances.min(axis=1)
        result[part] = np.where(own >= 0, all_distances[np.arange(len(own)), own], nearest)
    # Exactly: rounding errors would give a medoid a distance to itself.
    result[medoids] = 0.0
    return result


def _silhouettes(
    points: Vectors, labels: npt.NDArray[np.int64], metric: Metric, generator: np.random.Generator
) -> tuple[npt.NDArray[np.float64], int]:
    """Return silhouettes ``float64 (n,)``, NaN where none was computed, and how many were."""
    result = np.full(len(points), np.nan)
    inside = np.flatnonzero(labels >= 0)
    if len(inside) > _SILHOUETTE_SAMPLE:
        inside = np.sort(generator.choice(inside, _SILHOUETTE_SAMPLE, replace=False))
    clusters = len(np.unique(labels[inside]))
    # Not defined for a single cluster, nor where every image is a cluster of its own.
    if not 2 <= clusters < len(inside):
        return result, 0
    from sklearn.metrics import silhouette_samples

    result[inside] = silhouette_samples(points[inside].astype(np.float64), labels[inside], metric=metric)
    return result, len(inside)


def _pairwise(first: Vectors, second: Vectors, metric: Metric) -> npt.NDArray[np.float64]:
    """Return the distances ``float64 (len(first), len(second))``."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    if metric == "cosine":
        return np.asarray(np.clip(1.0 - a @ b.T, 0.0, 2.0))
    squares = (a * a).sum(axis=1)[:, None] - 2.0 * (a @ b.T) + (b * b).sum(axis=1)[None, :]
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
