"""How many clusters a neighbour graph shows, and coarser and finer ones around given clusters.

Both follow from one tree. Of all pairs of clusters the pair is merged next whose weights to each other exceed most
what chance would give them: the ratio is the *resolution* up to which modularity prefers the pair as one cluster
(Reichardt & Bornholdt 2006, https://arxiv.org/abs/cond-mat/0603718; the tree is that of Bonald et al. 2018,
https://arxiv.org/abs/1806.01664, over groups instead of single nodes). It falls from merge to merge: 1 is what
chance gives, and clusters that are well apart are merged far below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.model import Labels
from imgcluster.clustering.partition import divide_by_sample
from imgcluster.graph import nearest, shown_graph
from imgcluster.reduction import Reduced, Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["FEWEST_TO_COUNT", "Found", "find_count", "layers_around"]

_Floats = npt.NDArray[np.float64]

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py): a number of clusters is
# taken for the data's own if it lasts while the resolution grows by 2.4 times, between 0.2 and modularity's own, 1;
# where none does, as among photographs of everything, modularity's own number is taken.
_LOWEST: Final = 0.2
_CLEAR: Final = 2.4

FEWEST_TO_COUNT: Final = 4
"""Different vectors: among three no number of clusters is better than another."""

# Small cells, each surely of one cluster; the tree starts from them. Many divisions, so that chance evens out: from
# five, 4 of 17 sets had another number with another seed, from twenty 1 (benchmarks/graph_defaults.py).
_CELLS: Final = 60
_DIVISIONS: Final = 20
_IMAGES_PER_CELL: Final = 4
_CELL_STARTS: Final = 2
_CELL_SAMPLE: Final = 10_000
# Among more cells, finding the pair to merge takes longer than all the rest.
_MOST_CELLS: Final = 2000

# Images in each cluster of the finest layer, in the mean.
_FINE_IMAGES: Final = 5


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


@dataclass(frozen=True, slots=True)
class _Tree:
    """`steps` are pairs of cells' numbers in the order of merging, the second of which is gone afterwards;
    `resolutions` ``float64``, one for each step."""

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
        """Return for each number of clusters the resolution below which two of them are one."""
        lasting = np.minimum.accumulate(self.resolutions)
        return {self.cells - step: float(lasting[step]) for step in range(len(self.steps))}


def find_count(space: Reduced, k_range: tuple[int, int], *, seed: int) -> Found:
    """Find the number of clusters between the two ends of `k_range` that the neighbour graph shows.

    Args:
        space: At least `FEWEST_TO_COUNT` different vectors.
        k_range: Lowest and highest number; the highest is lowered to what the images allow.
        seed: For the cells.
    """
    graph, rows = _graph_of(space)
    vectors = space.vectors[rows]
    low, high = k_range
    cells = max(min(max(_CELLS, 2 * high), len(vectors) // _IMAGES_PER_CELL), min(len(vectors) - 1, low + 1), 3)
    high = max(min(high, cells - 1), low)
    logs = np.zeros(high + 2)
    for division in range(_DIVISIONS):
        labels = divide_by_sample(vectors, cells, seed=seed + division, starts=_CELL_STARTS, sample=_CELL_SAMPLE)
        # Where groups are single points to the walks, fewer cells than asked for have anything in them; an empty one
        # would count as a cluster far from all others.
        filled, labels = np.unique(labels, return_inverse=True)
        bounds = _merge(_between(graph, labels.astype(np.int64), len(filled))).bounds()
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


def layers_around(space: Reduced, labels: Labels, *, seed: int) -> tuple[list[Labels], int]:
    """Return finer and coarser layers around given clusters, the finest first, and the number of the given one.

    The finer ones part each cluster for itself, the coarser ones put whole clusters together, so every cluster lies in
    one of the next layer. Of the two to five times as many, and of a third to nearly as many clusters, the number
    is taken that lasts longest. A layer is left out where there are too few images, or clusters, for it; both are
    for more than 2,000 clusters.

    Args:
        space: The vectors, and their graph where there is one.
        labels: ``int64 (n,)``, all of them 0 and more.
        seed: For the cells.
    """
    k = int(labels.max()) + 1
    if k > _MOST_CELLS:
        return [labels], 0
    graph, rows = _graph_of(space)
    vectors = space.vectors[rows]
    # Small clusters may have no image in the graph.
    present, inside = np.unique(labels[rows], return_inverse=True)
    inside = inside.astype(np.int64)
    wanted = min(max(_CELLS, 8 * k), _MOST_CELLS, len(vectors) // _IMAGES_PER_CELL)
    if wanted <= k:
        cells = inside
    else:
        finest = divide_by_sample(vectors, wanted, seed=seed, starts=1, sample=max(_CELL_SAMPLE, 20 * wanted))
        # Cells that lie across a border are parted by it.
        cells = np.unique(inside * wanted + finest, return_inverse=True)[1].astype(np.int64)
    count = int(cells.max()) + 1
    owner = np.zeros(count, dtype=np.int64)
    owner[cells] = inside
    tree = _merge(_between(graph, cells, count), owner)
    layers, chosen = [labels], 0
    there = len(present)
    coarser = _clearest(tree, range(max(2, -(-there // 3)), there))
    if coarser is not None:
        by_cluster = np.full(k, -1, dtype=np.int64)
        by_cluster[present[owner]] = tree.cut(coarser)
        layers.append(_with_the_nearest(space.vectors, labels, by_cluster)[labels])
    finer = _clearest(tree, range(2 * there, min(5 * there, count - 1, len(vectors) // _FINE_IMAGES) + 1))
    if finer is not None:
        spread = tree.cut(finer)[cells]
        layers.insert(0, _to_all(space.vectors, labels, rows, spread))
        chosen = 1
    return layers, chosen


def _clearest(tree: _Tree, counts: range) -> int | None:
    bounds = tree.bounds()
    factors = {k: bounds.get(k + 1, np.inf) / max(bounds[k], 1e-9) for k in counts if k in bounds and k + 1 in bounds}
    return max(factors, key=lambda k: factors[k], default=None)


def _with_the_nearest(vectors: Vectors, labels: Labels, groups: Labels) -> Labels:
    """Return the group of every cluster: of one that has none (−1), that of the cluster with the nearest centre."""
    groups = groups.copy()
    has_one = groups >= 0
    for cluster in np.flatnonzero(~has_one):
        centre = vectors[labels == cluster].mean(axis=0)
        centres = np.stack([vectors[labels == other].mean(axis=0) for other in np.flatnonzero(has_one)])
        nearest_one = np.flatnonzero(has_one)[((centres - centre) ** 2).sum(axis=1).argmin()]
        groups[cluster] = groups[nearest_one]
    return groups


def _to_all(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64], fine: Labels) -> Labels:
    """Return the fine cluster of every image: that of its nearest image in the graph that is of the same cluster."""
    result = np.full(len(vectors), -1, dtype=np.int64)
    result[rows] = fine
    for cluster in np.unique(labels[result < 0]):
        missing = np.flatnonzero((labels == cluster) & (result < 0))
        known = rows[labels[rows] == cluster]
        if not len(known):
            result[missing] = result.max() + 1
            continue
        _, found = nearest(vectors[known], 1, of=vectors[missing])
        result[missing] = result[known[found[:, 0]]]
    return result


def _graph_of(space: Reduced) -> tuple[csr_matrix, npt.NDArray[np.int64]]:
    """Return the graph, and the indices of the images that it is about."""
    if space.graph is not None and space.rows is not None:
        return space.graph, space.rows
    return shown_graph(space.vectors)


def _between(graph: csr_matrix, cells: Labels, count: int) -> _Floats:
    """Return the sums of weights ``float64 (count, count)`` inside and between cells."""
    from scipy.sparse import csr_matrix as sparse

    member = sparse((np.ones(len(cells)), (np.arange(len(cells)), cells)), shape=(len(cells), count))
    return np.asarray((member.T @ graph @ member).toarray())


def _merge(weights: _Floats, owner: Labels | None = None) -> _Tree:
    """Merge cells until one is left; those of one `owner` first."""
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
    return _Tree(count, steps, np.array(resolutions))


class _Ratios:
    """How far the weights between clusters exceed what chance would give them; the largest of each row is kept, so
    that a merge need not look through all pairs again."""

    def __init__(self, weights: _Floats) -> None:
        self._weights = weights.copy()
        self._total, self._degrees = float(weights.sum()), weights.sum(axis=1)
        self._alive = np.ones(len(weights), dtype=bool)

    def allow(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Look only among the pairs of clusters that are `allowed`, ``bool (cells, cells)``."""
        self._allowed = allowed & ~np.eye(len(allowed), dtype=bool)
        self._ratios = np.array([self._row(number) for number in range(len(allowed))])
        self._best = self._ratios.argmax(axis=1)

    def largest(self) -> tuple[int, int, float] | None:
        """Return the pair to merge, the smaller number first, and its ratio; None where none is allowed."""
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
        # Elsewhere only the merged cluster can be nearer than before; of equal ones the first, as ever.
        rows = np.arange(len(self._best))
        old, new = self._ratios[rows, self._best], self._ratios[:, kept]
        nearer = (new > old) | ((new == old) & (kept < self._best))
        self._best[nearer] = kept

    def _row(self, number: int) -> _Floats:
        chance = np.maximum(self._degrees[number] * self._degrees, np.finfo(np.float64).tiny)
        ratios = self._weights[number] * self._total / chance
        return np.asarray(np.where(self._alive & self._allowed[number] & self._alive[number], ratios, -1.0))
