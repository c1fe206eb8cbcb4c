"""Cells of vectors: groups that lie close together, so that a neighbor search compares few pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.centroids import evenly_spaced, nearest_centroid
from imgcluster.features.threads import one_thread
from imgcluster.types import Labels, Vectors

__all__ = ["pairs_of_cells"]

_Indices = npt.NDArray[np.int64]

# With these, 98 % of the 30 nearest neighbors are found among features of CIFAR-10, and 99.5 % among those of MNIST
# (benchmarks/neighbors.py).
_CELLS: Final = 512
_SHARE: Final = 0.1
_SAMPLE_PER_CELL: Final = 30
_ROUNDS: Final = 8


def pairs_of_cells(vectors: Vectors, queries: Vectors | None, count: int) -> Iterator[tuple[_Indices, _Indices]]:
    """Yield the rows of queries that lie in one cell, and the rows of the vectors to compare them with.

    These are the members of the cells nearest to that cell, a tenth of all vectors or more.

    Args:
        vectors: ``float32 (n, d)``.
        queries: ``float32 (m, d)``; None for the vectors themselves.
        count: The least number of vectors to compare with.
    """
    with one_thread():
        centers = _centers(vectors)
        cells = nearest_centroid(vectors, centers)
        query_cells = cells if queries is None else nearest_centroid(queries, centers)
        distances = (centers * centers).sum(axis=1) - 2 * centers @ centers.T
    members = _by_cell(cells)
    sizes = np.array([len(rows) for rows in members])
    least = max(_SHARE * len(vectors), count)
    for cell, rows in enumerate(_by_cell(query_cells)):
        if len(rows):
            nearest = np.argsort(distances[cell], kind="stable")
            enough = int(np.searchsorted(np.cumsum(sizes[nearest]), least)) + 1
            yield rows, np.sort(np.concatenate([members[other] for other in nearest[:enough]]))


def _centers(vectors: Vectors) -> Vectors:
    from sklearn.cluster import KMeans

    sample = vectors[evenly_spaced(len(vectors), min(len(vectors), _SAMPLE_PER_CELL * _CELLS))]
    # Far from converged, which is as good for a search.
    return np.asarray(
        KMeans(_CELLS, init="random", n_init=1, max_iter=_ROUNDS, random_state=0).fit(sample).cluster_centers_
    )


def _by_cell(cells: Labels) -> list[_Indices]:
    """Return the rows of each cell."""
    order = np.argsort(cells, kind="stable")
    return np.split(order, np.cumsum(np.bincount(cells, minlength=_CELLS))[:-1])
