"""Assigning new images to existing clusters, by their nearest neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.centroids import evenly_spaced
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.reduce import searchable
from imgcluster.types import Labels, Layer, Vectors

__all__ = ["assign_new", "similar_unsorted"]

_Rows = npt.NDArray[np.int64]

_VOTERS: Final = 10
# How fast votes fall off with the squared distance, relative to that of the nearest neighbor.
_DECAY: Final = 3.0

# An image is unlike all clusters if many of its nearest neighbors are new, too (benchmarks/assign.py).
_NEIGHBORS: Final = 20
_NEW_SHARE: Final = 0.3
_CHANCE: Final = 0.05
_SAMPLE: Final = 1000


def assign_new(
    vectors: Vectors,
    labels: Labels,
    new: npt.NDArray[np.bool_],
    stability: Sequence[float | None],
    *,
    order: _Rows | None = None,
    seed: int = 0,
) -> Layer:
    """Return cluster, confidence and runner-up of new images.

    The ten nearest of the other images vote, nearer ones with a larger weight. The confidence is the share of the votes
    times the stability of the cluster. An image stays outside of all clusters (−1) if the votes say so, or if it is
    unlike all of them: if clearly more of its twenty nearest neighbors are new images than of those of earlier images.
    A new kind of image is found in this way if there are several of it; distances alone distinguish hardly between a
    new kind and an unusual image of a known kind.

    Args:
        vectors: ``float32 (n, d)``, normalized features of all images.
        labels: ``int64 (n,)``, the clusters; −1 for none. Those of new images are not read.
        new: ``bool (n,)``, which images are new.
        stability: The stability of each cluster in [0, 1], by its number; None if unknown.
        order: ``int64 (n,)``, an order of the rows that does not depend on file names, from which samples are taken.
        seed: For principal components.

    Returns:
        A layer of the new images alone, in the order of their rows.
    """
    rows, known = np.flatnonzero(new), np.flatnonzero(~new)
    outside = Layer(np.full(len(rows), -1), np.zeros(len(rows), np.float32), np.full(len(rows), -1))
    if not len(rows) or not (labels[known] >= 0).any():
        return outside
    order = np.arange(len(vectors)) if order is None else order
    sample = order[~new[order]]
    sample = sample[evenly_spaced(len(sample), min(len(sample), _SAMPLE))]
    vectors = searchable(vectors, len(rows) + len(sample), order, seed=seed)
    votes = _votes(vectors[known], labels[known], vectors[rows])
    best = votes.argsort(axis=1, kind="stable")[:, ::-1]
    winners = best[:, 0] - 1  # the first column is that of −1
    seconds = best[:, 1] - 1
    trust = np.array([1.0 if value is None else value for value in (*stability, 0.0)])  # the last entry is that of −1
    confidence = np.take_along_axis(votes, best[:, :1], axis=1)[:, 0] * trust[winners]
    second_votes = np.take_along_axis(votes, best[:, 1:2], axis=1)[:, 0]
    unlike = _unlike_all(vectors, new, rows, sample)
    winners, seconds = np.where(unlike, -1, winners), np.where(unlike, winners, np.where(second_votes > 0, seconds, -1))
    return Layer(winners, np.where(winners < 0, 0, confidence).astype(np.float32), seconds)


def similar_unsorted(vectors: Vectors, labels: Labels, *, order: _Rows | None = None, seed: int = 0) -> _Rows:
    """Return the images outside of all clusters that are similar to each other, as row numbers.

    These are the images with several others outside of all clusters among their twenty nearest neighbors.

    Args:
        vectors: ``float32 (n, d)``, normalized features.
        labels: ``int64 (n,)``; −1 for none.
        order: As for `assign_new`.
        seed: For principal components.
    """
    rows = np.flatnonzero(labels < 0)
    if len(rows) < 2:
        return rows[:0]
    order = np.arange(len(vectors)) if order is None else order
    vectors = searchable(vectors, len(rows), order, seed=seed)
    return np.asarray(rows[_share_among_nearest(vectors, labels < 0, rows) >= _NEW_SHARE], dtype=np.int64)


def _votes(known: Vectors, labels: Labels, queries: Vectors) -> npt.NDArray[np.float64]:
    """Return the share of the votes for −1 and each cluster, ``float64 (m, clusters + 1)``."""
    distances, nearest = nearest_neighbors(known, min(_VOTERS, len(known)), queries=queries)
    squares = np.square(distances)
    closest = np.maximum(squares[:, :1], np.finfo(np.float32).eps ** 2)
    weights = np.exp(-_DECAY * np.minimum(squares / closest - 1, 100))
    votes = np.zeros((len(queries), max(int(labels.max()) + 2, 2)))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[nearest] + 1), weights)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True), dtype=np.float64)


def _unlike_all(vectors: Vectors, new: npt.NDArray[np.bool_], rows: _Rows, sample: _Rows) -> npt.NDArray[np.bool_]:
    """Return which new images, `rows`, have clearly more new neighbors than the earlier images of `sample` have."""
    from scipy.stats import binom

    usual = float(_share_among_nearest(vectors, new, sample).mean())
    neighbors = min(_NEIGHBORS, len(vectors) - 1)
    chance = (float(binom.ppf(1 - _CHANCE, neighbors, usual)) + 0.5) / neighbors
    least = max(usual + _NEW_SHARE * (1 - usual), chance)
    return np.asarray(_share_among_nearest(vectors, new, rows) >= least)


def _share_among_nearest(vectors: Vectors, chosen: npt.NDArray[np.bool_], rows: _Rows) -> npt.NDArray[np.float64]:
    """Return the share of `chosen` images among the nearest neighbors of each of `rows`, itself excluded."""
    neighbors = min(_NEIGHBORS, len(vectors) - 1)
    _, nearest = nearest_neighbors(vectors, neighbors, rows=rows)
    return np.asarray(chosen[nearest].mean(axis=1))
