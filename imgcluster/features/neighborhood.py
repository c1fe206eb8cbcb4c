"""A diffusion map of some images of a collection, and random walks on its graph, from which `assign` decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.centroids import evenly_spaced
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.neighbors import diffusion_graph
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import SMALLEST_GRAPH, interpolation, searchable
from imgcluster.types import Labels, Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Neighborhood", "find_neighborhood"]

_Rows = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

# The graph has at most this many of the requested images, and about as many others.
_SAMPLE: Final = 5000
# One step sees few images; after many, the walk has forgotten where it began (benchmarks/assign.py).
_STEPS: Final = 3


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """Images in a diffusion map.

    Attributes:
        rows: The images, ``int64 (m,)``, in content order.
        positions: Where they are in the map, ``float32 (m, d)``.
        graph: The weights between the nodes of the graph, ``float64 (nodes, nodes)``, sparse and symmetric.
        nodes: What each image consists of, ``float64 (m, nodes)``, sparse with rows of sum 1: one node, or for an image
            that is not in the graph a mean of its nearest.
        members: The mean over the images that a node stands for, ``float64 (nodes, m)``, sparse.
    """

    rows: _Rows
    positions: Vectors
    graph: csr_matrix
    nodes: csr_matrix
    members: csr_matrix

    def shares(self, chosen: _Mask) -> npt.NDArray[np.float64]:
        """Return how often a random walk of three steps from each image ends at a chosen one, ``float64 (m,)``.

        Args:
            chosen: ``bool (m,)``.
        """
        degrees = np.asarray(self.graph.sum(axis=1)).ravel()
        ends = self.members @ chosen.astype(np.float64)
        for _ in range(_STEPS):
            ends = (self.graph @ ends) / degrees
        return np.asarray(self.nodes @ ends)

    def group_sizes(self, chosen: _Mask) -> _Rows:
        """Return for each chosen image how many are in its group, ``int64 (m,)``; 0 for the others.

        A group is connected in the graph by images that are chosen, too.
        """
        from scipy.sparse.csgraph import connected_components

        sizes = np.zeros(len(chosen), dtype=np.int64)
        rows = np.flatnonzero(chosen)
        if len(rows):
            present, at = np.unique(np.asarray(self.nodes[rows].argmax(axis=1)).ravel(), return_inverse=True)
            groups = connected_components(self.graph[present][:, present], directed=False)[1][at]
            sizes[rows] = np.bincount(groups)[groups]
        return sizes


def find_neighborhood(
    vectors: Vectors,
    requested: _Mask,
    labels: Labels,
    order: _Rows,
    *,
    normalize: Callable[[Vectors], Vectors] = np.asarray,
) -> Neighborhood:
    """Return a map of all requested images among the others, or among a sample of these in a large collection.

    Args:
        vectors: ``float32 (n, d)``.
        requested: ``bool (n,)``, the images that must be on the map.
        labels: ``int64 (n,)``, from each of which the sample of other images has some.
        order: ``int64 (n,)``, the rows in the order of their content.
        normalize: Applied to the vectors of the map, which may be few of all.
    """
    others = order[~requested[order]]
    if len(others) > _SAMPLE:
        others = others[np.argsort(labels[others], kind="stable")]
        first = np.unique(labels[others], return_index=True)[1]
        others = others[np.union1d(evenly_spaced(len(others), _SAMPLE), first)]
    located = requested.copy()
    located[others] = True
    rows = order[located[order]]
    chosen = np.flatnonzero(requested[rows])
    sampled = ~requested[rows]
    sampled[chosen[evenly_spaced(len(chosen), min(len(chosen), _SAMPLE))]] = True
    return _located(normalize(vectors[rows]), rows, sampled)


def _located(vectors: Vectors, rows: _Rows, sampled: _Mask) -> Neighborhood:
    """Return a map of ``float32 (m, d)`` vectors, of which those `sampled`, ``bool (m,)``, are in the graph."""
    from scipy.sparse import csr_matrix, vstack

    inside, outside = np.flatnonzero(sampled), np.flatnonzero(~sampled)
    first, copies = find_duplicates(vectors[inside])
    vectors = searchable(vectors, len(inside))
    distinct = vectors[inside[first]]
    if len(distinct) < SMALLEST_GRAPH:
        graph, mapped = csr_matrix(np.ones((len(distinct), len(distinct)))), distinct
    else:
        graph = diffusion_graph(distinct)
        mapped = diffusion_map(graph)
    nodes = csr_matrix((np.ones(len(inside)), (np.arange(len(inside)), copies)), shape=(len(inside), len(distinct)))
    sizes = np.bincount(copies)
    members = csr_matrix((1 / sizes[copies], (copies, inside)), shape=(len(distinct), len(rows)))
    positions = mapped[copies]
    if len(outside):
        weights = interpolation(distinct, vectors[outside])
        back = np.argsort(np.concatenate([inside, outside]))
        nodes = csr_matrix(vstack([nodes, weights]))[back]
        positions = np.concatenate([positions, l2_normalize((weights @ mapped).astype(np.float32))])[back]
    return Neighborhood(rows, positions, graph, nodes, members)
