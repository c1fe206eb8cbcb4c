"""Coarser and finer layers around given clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.kmeans import fit_kmeans_on_sample
from imgcluster.clustering.merge_tree import (
    CELL_SAMPLE,
    CELLS,
    CLEAR,
    IMAGES_PER_CELL,
    MergeTree,
    graph_of,
    merge_cells,
    persistence,
    weights_between,
)
from imgcluster.features.centroids import centroids, nearest_centroid
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.reduce import Reduced
from imgcluster.types import Labels, Vectors

__all__ = ["Layers", "coarser_and_finer"]

# With more cells, finding the pair to merge takes longer than everything else.
_MAX_CELLS: Final = 2000

# The mean number of images in each cluster of the finest layer.
_FINE_IMAGES: Final = 5


@dataclass(frozen=True, slots=True)
class Layers:
    """Nested layers of clusters.

    Attributes:
        labels: ``int64 (n,)`` of each layer, the finest first.
        given: The number of the layer that was given.
        fewer: A smaller number of clusters that is clearly better than the given one; None where there is none.
    """

    labels: list[Labels]
    given: int
    fewer: int | None = None


def coarser_and_finer(reduced: Reduced, labels: Labels, *, seed: int) -> Layers:
    """Return finer and coarser layers around given clusters.

    The finer layer splits each cluster on its own and the coarser layer merges whole clusters, so every cluster lies in
    one of the next layer. They have the number of clusters that lasts longest, of two to five times and of a third to
    nearly as many as given. A layer is left out where there are too few images or clusters for it, and both are for
    more than 2,000 clusters.

    Args:
        reduced: The vectors, and their graph where there is one.
        labels: ``int64 (n,)``, without noise.
        seed: For the cells.
    """
    k = int(labels.max()) + 1
    if k > _MAX_CELLS:
        return Layers([labels], 0)
    graph = graph_of(reduced)
    vectors = reduced.vectors[graph.rows]
    # Small clusters may have no image in the graph.
    present, inside = np.unique(labels[graph.rows], return_inverse=True)
    inside = inside.astype(np.int64)
    target = min(max(CELLS, 8 * k), _MAX_CELLS, len(vectors) // IMAGES_PER_CELL)
    if target <= k:
        cells = inside
    else:
        split = fit_kmeans_on_sample(vectors, target, seed=seed, starts=1, sample=max(CELL_SAMPLE, 20 * target))
        # Cells that lie across the border of two clusters are split by it.
        cells = np.unique(inside * target + split, return_inverse=True)[1].astype(np.int64)
    count = int(cells.max()) + 1
    owner = np.zeros(count, dtype=np.int64)
    owner[cells] = inside
    tree = merge_cells(weights_between(graph.weights, cells, count), owner)
    layers, given = [labels], 0
    clusters = len(present)
    coarser = _longest(tree, range(max(2, -(-clusters // 3)), clusters))
    if coarser is not None:
        by_cluster = np.full(k, -1, dtype=np.int64)
        by_cluster[present[owner]] = tree.cut(coarser)
        layers.append(_complete(reduced.vectors, labels, by_cluster)[labels])
    finer = _longest(tree, range(2 * clusters, min(5 * clusters, count - 1, len(vectors) // _FINE_IMAGES) + 1))
    if finer is not None:
        layers.insert(0, _to_all(reduced.vectors, labels, graph.rows, tree.cut(finer)[cells]))
        given = 1
    return Layers(layers, given, _clearly_fewer(tree, clusters))


def _longest(tree: MergeTree, counts: range) -> int | None:
    """Return the number of clusters that lasts longest."""
    bounds = tree.bounds()
    factors = {k: bounds.get(k + 1, np.inf) / max(bounds[k], 1e-9) for k in counts if k in bounds and k + 1 in bounds}
    return max(factors, key=lambda k: factors[k], default=None)


def _clearly_fewer(tree: MergeTree, clusters: int) -> int | None:
    """Return the number of clusters that lasts longest if it is clear and below `clusters`."""
    bounds = tree.bounds()
    factors = {k: persistence(bounds[k], bounds.get(k + 1, np.inf)) for k in range(2, clusters + 1) if k in bounds}
    longest = max(factors, key=lambda k: factors[k], default=clusters)
    return longest if longest < clusters and factors[longest] >= CLEAR else None


def _complete(vectors: Vectors, labels: Labels, groups: Labels) -> Labels:
    """Return the group of every cluster; one without a group (−1) gets that of the cluster with the nearest centroid.

    A cluster has no group where none of its images is in the graph.
    """
    centers = centroids(vectors, labels, len(groups)).astype(np.float32)
    known = np.flatnonzero(groups >= 0)
    nearest = known[nearest_centroid(centers, centers[known])]
    return np.where(groups >= 0, groups, groups[nearest])


def _to_all(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64], fine: Labels) -> Labels:
    """Return the fine cluster of every image: that of the nearest image in the graph that is in the same cluster."""
    result = np.full(len(vectors), -1, dtype=np.int64)
    result[rows] = fine
    for cluster in np.unique(labels[result < 0]):
        missing = np.flatnonzero((labels == cluster) & (result < 0))
        known = rows[labels[rows] == cluster]
        if not len(known):
            result[missing] = result.max() + 1
            continue
        _, nearest = nearest_neighbors(vectors[known], 1, queries=vectors[missing])
        result[missing] = result[known[nearest[:, 0]]]
    return result
