"""Centroids and silhouettes: geometry of vectors that have labels."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks
from imgcluster.types import Labels, Metric, VectorRows, Vectors

__all__ = [
    "centroids",
    "evenly_spaced",
    "far_origin",
    "nearest_centroid",
    "relative",
    "rows_by_label",
    "silhouettes",
]

_Floats = npt.NDArray[np.float64]
_Float = TypeVar("_Float", np.float32, np.float64)

# The pairwise distances of this many images take about a second.
_SILHOUETTE_SAMPLE: Final = 5000
_ROUNDING: Final = 1e-12
# Up to this many times the distance of the centers, single precision is enough.
_FAR: Final = 10.0


def centroids(vectors: Vectors | VectorRows | _Floats, labels: Labels, count: int) -> _Floats:
    """Return the mean of the members of each cluster, ``float64 (count, d)``; zeros for a cluster without members.

    Args:
        vectors: ``float32 (n, d)``.
        labels: ``int64 (n,)`` below `count`; −1 (noise) is left out.
        count: The number of clusters.
    """
    from scipy.sparse import csr_matrix

    sums = np.zeros((count, vectors.shape[1]))
    for block_rows, block in blocks(vectors):
        part = labels[block_rows]
        rows = np.flatnonzero(part >= 0)
        members = csr_matrix((np.ones(len(rows)), (part[rows], rows)), shape=(count, len(part)))
        sums += members @ block.astype(np.float64)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    return sums / np.maximum(sizes, 1)[:, None]


def rows_by_label(labels: Labels, count: int) -> list[npt.NDArray[np.int64]]:
    """Return the rows with each label from 0 to `count` − 1, each ``int64``, ascending; negative labels are left out.

    It sorts once, where comparing all labels with each number takes minutes for millions of images.
    """
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels[labels >= 0], minlength=count))
    return np.split(order[np.count_nonzero(labels < 0) :], ends[:-1])[:count]


def nearest_centroid(vectors: Vectors, centers: npt.NDArray[np.floating]) -> Labels:
    """Return for each of ``float32 (n, d)`` vectors the number of the nearest of ``(k, d)`` centers, ``int64 (n,)``."""
    origin = far_origin(centers)
    points = relative(centers, origin).astype(np.float32)
    lengths = (points * points).sum(axis=1)
    result = np.empty(len(vectors), dtype=np.int64)
    for rows, block in blocks(vectors, len(points)):
        result[rows] = (lengths - 2 * (relative(block, origin) @ points.T)).argmin(axis=1)
    return result


def far_origin(centers: npt.NDArray[np.floating]) -> Vectors | None:
    """Return the mean of ``(k, d)`` centers, ``float32 (d,)``, if they are far from 0 for their distances, else None.

    There the distances between vectors, as differences of squared lengths, would be less than their rounding errors.
    """
    origin = centers.mean(axis=0)
    is_near = np.linalg.norm(origin) < _FAR * np.linalg.norm(centers - origin, axis=1).max()
    return None if is_near else origin.astype(np.float32)


def relative(vectors: npt.NDArray[_Float], origin: Vectors | None) -> npt.NDArray[_Float]:
    """Return vectors relative to the origin that `far_origin` returned."""
    return vectors if origin is None else vectors - origin


def silhouettes(
    vectors: Vectors | VectorRows,
    labels: Labels,
    metric: Metric = "euclidean",
    *,
    order: npt.NDArray[np.int64] | None = None,
) -> _Floats:
    """Return the silhouette of each vector (Rousseeuw 1987), ``float64 (n,)`` in [−1, 1].

    It is NaN for noise and where silhouettes are not defined: for one cluster, and where every vector is a cluster of
    its own. Of more than 5,000 clustered vectors only that many, at equal distances in `order`, have one, and distances
    to the others are ignored.

    Args:
        vectors: ``float32 (n, d)``; for the cosine they need not have length 1.
        labels: ``int64 (n,)``; −1 is noise.
        metric: The distance.
        order: ``int64 (n,)``, the rows in the order to sample from; by default as they are.
    """
    result = np.full(len(vectors), np.nan)
    rows = np.flatnonzero(labels >= 0) if order is None else order[labels[order] >= 0]
    if len(rows) > _SILHOUETTE_SAMPLE:
        rows = rows[evenly_spaced(len(rows), _SILHOUETTE_SAMPLE)]
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return result
    points = vectors[rows].astype(np.float64)
    if metric == "cosine":
        result[rows] = _cosine_silhouettes(points, labels[rows])
        return result
    from sklearn.metrics import silhouette_samples

    result[rows] = silhouette_samples(points, labels[rows], metric=metric)
    return result


def _cosine_silhouettes(points: _Floats, labels: Labels) -> _Floats:
    """Return silhouettes without all pairs: the sum of 1 − cos to many vectors takes one product with their sum."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    points = points / np.where(lengths > 0, lengths, 1)
    own, sizes = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    sums = centroids(points, own, len(sizes)) * sizes[:, None]
    distances = sizes - points @ sums.T
    rows = np.arange(len(points))
    # A vector is at distance 0 from itself, which one of length 0 is not by its product.
    within = (distances[rows, own] - (lengths[:, 0] == 0)) / np.maximum(sizes[own] - 1, 1)
    distances[rows, own] = np.inf
    between = (distances / sizes).min(axis=1)
    # What rounding leaves of the distances between equal vectors.
    within, between = (np.where(values > _ROUNDING, values, 0) for values in (within, between))
    larger = np.maximum(within, between)
    return np.where((sizes[own] > 1) & (larger > 0), (between - within) / np.where(larger > 0, larger, 1), 0)


def evenly_spaced(count: int, size: int) -> npt.NDArray[np.int64]:
    """Return `size` of `count` row numbers at equal distances, ``int64 (size,)``, ascending.

    They are a random sample where rows are in content order.
    """
    return np.linspace(0, count - 1, size).astype(np.int64)
