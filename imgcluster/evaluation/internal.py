"""Internal measures of a clustering, without labels: medoids, distances, silhouettes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.evaluation.types import ClusterFacts, Measures
from imgcluster.features.blocks import blocks
from imgcluster.features.centroids import centroids, evenly_spaced, rows_by_label, silhouettes
from imgcluster.types import Labels, Metric, VectorRows, Vectors

__all__ = ["measure"]

_Rows = npt.NDArray[np.int64]

# The member nearest to this many others is hardly farther from all than the medoid.
_MEDOID_SAMPLE: Final = 1024
_TIE: Final = 1e-9


def measure(
    points: Vectors | VectorRows,
    labels: Labels,
    metric: Metric,
    *,
    order: _Rows | None = None,
    set_aside: npt.NDArray[np.bool_] | None = None,
) -> Measures:
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
        set_aside: ``bool (n,)``, members that are no medoids, unless a cluster has no others; by default none.
    """
    order = np.arange(len(labels)) if order is None else order
    present = np.unique(labels[labels >= 0])
    own = np.where(labels >= 0, np.searchsorted(present, labels), -1)
    members = [order[rows] for rows in rows_by_label(own[order], len(present))]
    sums = _sums_of_distances(points, own, members, metric)
    candidates = members
    if set_aside is not None:
        candidates = [inside[~set_aside[inside]] if not set_aside[inside].all() else inside for inside in members]
    # Duplicates tie except for rounding errors; the first of them is taken on every machine.
    medoids = [int(inside[_first_smallest(sums[inside], metric)]) for inside in candidates]
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


def _first_smallest(sums: npt.NDArray[np.float64], metric: Metric) -> int:
    scale = len(sums) if metric == "cosine" else sums.max()
    return int((sums <= sums.min() + _TIE * scale).argmax())


def _sums_of_distances(
    points: Vectors | VectorRows, labels: Labels, members: Sequence[Labels], metric: Metric
) -> npt.NDArray[np.float64]:
    """Return the sum of each point's distances to the other members of its cluster, or to a sample of all members."""
    sizes = np.bincount(labels[labels >= 0], minlength=len(members))
    if metric == "cosine":
        # The sum of 1 − cos to all members takes one product with their sum.
        totals = centroids(points, labels, len(members)) * sizes[:, None]
    else:
        totals = np.empty((0, 0))
        chosen = [inside[evenly_spaced(len(inside), min(len(inside), _MEDOID_SAMPLE))] for inside in members]
        # Taken at once: vectors in files are read once, not for each cluster.
        taken = points[np.concatenate([np.empty(0, np.int64), *chosen])]
        samples = np.split(taken, np.cumsum([len(rows) for rows in chosen])[:-1])
    result = np.full(len(labels), np.nan)
    for rows, block in blocks(points):
        own, sums = labels[rows], np.full(len(block), np.nan)
        if metric == "cosine":
            inside = own >= 0
            vectors, clusters = block[inside].astype(np.float64), own[inside]
            # To itself, rounding errors and vectors of length 0 would give a distance.
            sums[inside] = sizes[clusters] - 1 - np.einsum("ij,ij->i", vectors, totals[clusters] - vectors)
        else:
            for cluster in np.unique(own[own >= 0]).tolist():
                inside = own == cluster
                sums[inside] = _pairwise(block[inside], samples[cluster], metric).sum(axis=1)
        result[rows] = sums
    return result


def _to_medoids(
    points: Vectors | VectorRows, labels: Labels, medoids: _Rows, metric: Metric
) -> npt.NDArray[np.float32]:
    """Return the distance of each vector to the medoid of its cluster; of noise to the nearest medoid."""
    result = np.full(len(points), np.nan, dtype=np.float32)
    if not len(medoids):
        return result
    targets = points[medoids]
    for rows, block in blocks(points):
        own, noise = labels[rows], labels[rows] < 0
        distances = _paired(block, targets[own], metric)
        if noise.any():
            distances[noise] = _pairwise(block[noise], targets, metric).min(axis=1)
        result[rows] = distances
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


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
