"""The tree that merges small cells of images into clusters; it shows the number of clusters, coarser and finer ones.

The next pair to be merged is the one whose weights to each other exceed most what chance would give: this ratio is the
*resolution* up to which modularity prefers the pair as one cluster (Reichardt & Bornholdt 2006,
https://arxiv.org/abs/cond-mat/0603718; the tree is that of Bonald et al. 2018, https://arxiv.org/abs/1806.01664, of
groups instead of single nodes). Resolutions fall from merge to merge: 1 is what chance gives, and separate clusters are
merged far below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.neighbors import CountGraph, cluster_count_graph
from imgcluster.features.reduce import Reduced
from imgcluster.types import Labels

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "CELLS",
    "CELL_SAMPLE",
    "CLEAR",
    "IMAGES_PER_CELL",
    "MergeTree",
    "graph_of",
    "merge_cells",
    "persistence",
    "weights_between",
]

_Floats = npt.NDArray[np.float64]

# Cells so small that each lies in one cluster.
CELLS: Final = 60
IMAGES_PER_CELL: Final = 4
CELL_SAMPLE: Final = 10_000

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py): a number of clusters is
# clear if it lasts while the resolution grows by a factor of 2.4 between 0.2 and 1, the resolution of modularity.
_LOWEST: Final = 0.2
CLEAR: Final = 2.4


@dataclass(frozen=True, slots=True)
class MergeTree:
    """The merges of `cells` cells into one.

    Attributes:
        cells: The number of cells.
        steps: Pairs of cell numbers in the order of merging; the second number is not used after that.
        resolutions: ``float64``, one for each step.
    """

    cells: int
    steps: list[tuple[int, int]]
    resolutions: _Floats

    def cut(self, count: int) -> Labels:
        """Return the cluster of each cell, ``int64 (cells,)``, where `count` clusters are left."""
        group = np.arange(self.cells)
        for kept, gone in self.steps[: self.cells - count]:
            group[group == gone] = kept
        return np.unique(group, return_inverse=True)[1].astype(np.int64)

    def bounds(self) -> dict[int, float]:
        """Return for each number of clusters the resolution below which two of them are merged."""
        lowest = np.minimum.accumulate(self.resolutions)
        return {self.cells - step: float(lowest[step]) for step in range(len(self.steps))}


def persistence(lower: float, upper: float) -> float:
    """Return the factor, from 1 to 5, by which the resolution grows while a number of clusters lasts.

    Args:
        lower: The resolution below which two of the clusters are merged.
        upper: The resolution above which one of them is split.
    """
    return float(np.clip(upper, _LOWEST, 1) / np.clip(lower, _LOWEST, 1))


def graph_of(reduced: Reduced) -> CountGraph:
    """Return the cluster-count graph of the reduction, or else that of the vectors."""
    return reduced.graph or cluster_count_graph(reduced.vectors)


def weights_between(graph: csr_matrix, cells: Labels, count: int) -> _Floats:
    """Return the sums of the weights within and between cells, ``float64 (count, count)``."""
    from scipy.sparse import csr_matrix as sparse

    member = sparse((np.ones(len(cells)), (np.arange(len(cells)), cells)), shape=(len(cells), count))
    return np.asarray((member.T @ graph @ member).toarray())


def merge_cells(weights: _Floats, owner: Labels | None = None) -> MergeTree:
    """Merge cells with these `weights_between` until one is left; those of the same `owner` first."""
    count = len(weights)
    ratios = _Ratios(weights)
    steps: list[tuple[int, int]] = []
    resolutions: list[float] = []
    stages = [np.ones((count, count), dtype=bool)]
    if owner is not None:
        stages.insert(0, owner[:, None] == owner[None, :])
    for allowed in stages:
        ratios.allow(allowed)
        while (pair := ratios.largest()) is not None:
            kept, gone, ratio = pair
            steps.append((kept, gone))
            resolutions.append(ratio)
            ratios.merge(kept, gone)
    return MergeTree(count, steps, np.array(resolutions))


class _Ratios:
    """The ratios of the weights between clusters to what chance would give; the largest of each row is stored, so that
    a merge need not compare all pairs again."""

    def __init__(self, weights: _Floats) -> None:
        self._weights = weights.copy()
        self._total, self._degrees = float(weights.sum()), weights.sum(axis=1)
        self._alive = np.ones(len(weights), dtype=bool)

    def allow(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Restrict the search to the `allowed` pairs of clusters, ``bool (cells, cells)``."""
        self._allowed = allowed & ~np.eye(len(allowed), dtype=bool)
        self._ratios = np.array([self._row(number) for number in range(len(allowed))])
        self._best = self._ratios.argmax(axis=1)

    def largest(self) -> tuple[int, int, float] | None:
        """Return the next pair to merge, the smaller number first, and its ratio; None where no pair is allowed."""
        values = self._ratios[np.arange(len(self._best)), self._best]
        row = int(values.argmax())
        if values[row] < 0:
            return None
        kept, gone = sorted((row, int(self._best[row])))
        return kept, gone, float(values[row])

    def merge(self, kept: int, gone: int) -> None:
        self._weights[kept] += self._weights[gone]
        self._weights[:, kept] += self._weights[:, gone]
        self._degrees[kept] += self._degrees[gone]
        self._alive[gone] = False
        self._ratios[gone] = self._ratios[:, gone] = -1.0
        self._ratios[kept] = self._ratios[:, kept] = self._row(kept)
        stale = np.flatnonzero((self._best == kept) | (self._best == gone))
        self._best[stale] = self._ratios[stale].argmax(axis=1)
        self._best[[kept, gone]] = self._ratios[[kept, gone]].argmax(axis=1)
        # In other rows only the merged cluster can have a larger ratio; of equal ones the first is taken.
        rows = np.arange(len(self._best))
        old, new = self._ratios[rows, self._best], self._ratios[:, kept]
        larger = (new > old) | ((new == old) & (kept < self._best))
        self._best[larger] = kept

    def _row(self, number: int) -> _Floats:
        chance = np.maximum(self._degrees[number] * self._degrees, np.finfo(np.float64).tiny)
        ratios = self._weights[number] * self._total / chance
        return np.asarray(np.where(self._alive & self._allowed[number] & self._alive[number], ratios, -1.0))
