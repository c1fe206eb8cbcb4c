"""Estimating the number of clusters from the nearest-neighbor graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from imgcluster.clustering.kmeans import fit_kmeans_on_sample
from imgcluster.clustering.merge_tree import (
    CELL_SAMPLE,
    CELLS,
    CLEAR,
    IMAGES_PER_CELL,
    graph_of,
    merge_cells,
    persistence,
    weights_between,
)
from imgcluster.features.reduce import Reduced

__all__ = ["MIN_DISTINCT", "ClusterCount", "estimate_num_clusters"]

MIN_DISTINCT: Final = 4
"""The number of distinct vectors below which no number of clusters is better than another."""

# The mean over many divisions into cells: with five, 4 of 17 sets had another number with another seed, with twenty 1
# (benchmarks/graph_defaults.py).
_DIVISIONS: Final = 20
_CELL_STARTS: Final = 2


@dataclass(frozen=True, slots=True)
class ClusterCount:
    """The estimated number of clusters.

    Attributes:
        k: The number.
        persistence: The factor by which the resolution grows while that number lasts, from 1 to 5.
        factors: That factor for every number in the range.
    """

    k: int
    persistence: float
    factors: dict[int, float]

    @property
    def clear(self) -> bool:
        """Whether the number stands out, and is not only the one at which modularity is largest."""
        return self.persistence >= CLEAR


def estimate_num_clusters(reduced: Reduced, k_range: tuple[int, int], *, seed: int) -> ClusterCount:
    """Estimate the number of clusters within `k_range` from the cluster-count graph.

    The number that lasts longest is taken if it is clear, otherwise the number at which modularity is largest, as for
    photographs of all kinds of things.

    Args:
        reduced: At least `MIN_DISTINCT` distinct vectors.
        k_range: The lowest and the highest number; the highest is lowered to what the number of images allows.
        seed: For the cells.
    """
    graph = graph_of(reduced)
    vectors = reduced.vectors[graph.rows]
    low, high = k_range
    cells = max(min(max(CELLS, 2 * high), len(vectors) // IMAGES_PER_CELL), min(len(vectors) - 1, low + 1), 3)
    high = max(min(high, cells - 1), low)
    logs = np.zeros(high + 2)
    for division in range(_DIVISIONS):
        labels = fit_kmeans_on_sample(vectors, cells, seed=seed + division, starts=_CELL_STARTS, sample=CELL_SAMPLE)
        # Where many vectors are equal some cells are empty; an empty one would count as a separate cluster.
        filled, labels = np.unique(labels, return_inverse=True)
        bounds = merge_cells(weights_between(graph.weights, labels.astype(np.int64), len(filled))).bounds()
        # One cluster is never split below a resolution, nor are cells.
        logs += [np.log(max(bounds.get(k, 0.0 if k < 2 else np.inf), 1e-9)) for k in range(high + 2)]
    resolutions = np.exp(logs / _DIVISIONS)
    factors = {k: persistence(resolutions[k], resolutions[k + 1]) for k in range(low, high + 1)}
    longest = max(factors, key=lambda k: factors[k])
    estimate = ClusterCount(longest, factors[longest], factors)
    if estimate.clear:
        return estimate
    modular = next((k for k in range(low, high) if resolutions[k + 1] > 1), high)
    return ClusterCount(modular, factors[modular], factors)
