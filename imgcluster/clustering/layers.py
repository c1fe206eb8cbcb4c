"""Coarser and finer clusters around given ones."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.kmeans import divide_by_sample
from imgcluster.clustering.merge_tree import (
    CELL_SAMPLE,
    CELLS,
    IMAGES_PER_CELL,
    MergeTree,
    graph_of,
    merge_cells,
    weights_between,
)
from imgcluster.features.neighbors import nearest
from imgcluster.features.reduce import Reduced
from imgcluster.types import Labels, Vectors

__all__ = [
    "layers_around",
]

# Among more cells, finding the pair to merge takes longer than all the rest.
_MOST_CELLS: Final = 2000

# Images in each cluster of the finest layer, in the mean.
_FINE_IMAGES: Final = 5


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
    graph, rows = graph_of(space)
    vectors = space.vectors[rows]
    # Small clusters may have no image in the graph.
    present, inside = np.unique(labels[rows], return_inverse=True)
    inside = inside.astype(np.int64)
    wanted = min(max(CELLS, 8 * k), _MOST_CELLS, len(vectors) // IMAGES_PER_CELL)
    if wanted <= k:
        cells = inside
    else:
        finest = divide_by_sample(vectors, wanted, seed=seed, starts=1, sample=max(CELL_SAMPLE, 20 * wanted))
        # Cells that lie across a border are parted by it.
        cells = np.unique(inside * wanted + finest, return_inverse=True)[1].astype(np.int64)
    count = int(cells.max()) + 1
    owner = np.zeros(count, dtype=np.int64)
    owner[cells] = inside
    tree = merge_cells(weights_between(graph, cells, count), owner)
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


def _clearest(tree: MergeTree, counts: range) -> int | None:
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
