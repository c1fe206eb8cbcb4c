"""The number of clusters that a nearest-neighbor graph shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from imgcluster.clustering.kmeans import divide_by_sample
from imgcluster.clustering.merge_tree import CELL_SAMPLE, CELLS, IMAGES_PER_CELL, graph_of, merge_cells, weights_between
from imgcluster.features.reduce import Reduced

__all__ = [
    "FEWEST_TO_COUNT",
    "Found",
    "find_count",
]

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py): a number of clusters is
# taken for the data's own if it lasts while the resolution grows by 2.4 times, between 0.2 and modularity's own, 1;
# where none does, as among photographs of everything, modularity's own number is taken.
_LOWEST: Final = 0.2
_CLEAR: Final = 2.4

FEWEST_TO_COUNT: Final = 4
"""Different vectors: among three no number of clusters is better than another."""

# Small cells, each surely of one cluster; the tree starts from them. Many divisions, so that chance evens out: from
# five, 4 of 17 sets had another number with another seed, from twenty 1 (benchmarks/graph_defaults.py).
_DIVISIONS: Final = 20
_CELL_STARTS: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """The number of clusters that was found, `persistence`: the factor by which the resolution changes while it lasts
    (1 and more), and that factor of every number in the range."""

    k: int
    persistence: float
    factors: dict[int, float]

    @property
    def clear(self) -> bool:
        """Whether the number is the images' own, and not only the one where chance would join nothing more."""
        return self.persistence >= _CLEAR


def find_count(space: Reduced, k_range: tuple[int, int], *, seed: int) -> Found:
    """Find the number of clusters between the two ends of `k_range` that the neighbour graph shows.

    Args:
        space: At least `FEWEST_TO_COUNT` different vectors.
        k_range: Lowest and highest number; the highest is lowered to what the images allow.
        seed: For the cells.
    """
    graph, rows = graph_of(space)
    vectors = space.vectors[rows]
    low, high = k_range
    cells = max(min(max(CELLS, 2 * high), len(vectors) // IMAGES_PER_CELL), min(len(vectors) - 1, low + 1), 3)
    high = max(min(high, cells - 1), low)
    logs = np.zeros(high + 2)
    for division in range(_DIVISIONS):
        labels = divide_by_sample(vectors, cells, seed=seed + division, starts=_CELL_STARTS, sample=CELL_SAMPLE)
        # Where groups are single points to the walks, fewer cells than asked for have anything in them; an empty one
        # would count as a cluster far from all others.
        filled, labels = np.unique(labels, return_inverse=True)
        bounds = merge_cells(weights_between(graph, labels.astype(np.int64), len(filled))).bounds()
        # From below 2 clusters on there is one, which nothing parts; nor are cells parted.
        logs += [np.log(max(bounds.get(k, 0.0 if k < 2 else np.inf), 1e-9)) for k in range(high + 2)]
    resolutions = np.exp(logs / _DIVISIONS)
    # k clusters last from the resolution that parts two of them to the one that parts one of them into two.
    factors = {
        k: float(np.clip(resolutions[k + 1], _LOWEST, 1) / np.clip(resolutions[k], _LOWEST, 1))
        for k in range(low, high + 1)
    }
    clearest = max(factors, key=lambda k: factors[k])
    found = Found(clearest, factors[clearest], factors)
    if found.clear:
        return found
    whole = next((k for k in range(low, high) if resolutions[k + 1] > 1), high)
    return Found(whole, factors[whole], factors)
