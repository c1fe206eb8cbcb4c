"""Nearest neighbors of vectors, and the weighted graphs built from them.

In many dimensions all distances are similar, so the distances of an encoder say little; the nearest images are still
the similar ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.cells import SHARE, Cells
from imgcluster.features.centroids import centroids, evenly_spaced, rows_by_label
from imgcluster.features.threads import one_thread
from imgcluster.fileio.in_threads import in_order
from imgcluster.types import Labels, Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "CountGraph",
    "NeighborSearch",
    "cluster_count_graph",
    "component_labels",
    "connect_components",
    "diffusion_graph",
    "diffusion_neighbors",
    "graph_neighbors",
    "nearest_neighbors",
    "neighbor_graph",
    "weighted_graph",
]

_Floats = npt.NDArray[np.float64]
_Indices = npt.NDArray[np.int64]

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py).
_NEIGHBORS: Final = (5, 30)

# A vector has at most 30 neighbors, so in a larger graph neighborhoods shrink, and the number of clusters would depend
# on the number of images. The mean over up to four samples of this size reduces the effect of chance.
_SAMPLE_SIZE: Final = 5000
_SAMPLES: Final = 4

# Only the order of merges may depend on the edges between components, not whether cells are merged.
_LINK_WEIGHT: Final = 1e-3

# k-d trees are fast in few dimensions only.
_TREE_DIMENSIONS: Final = 20
_CHUNK_ROWS: Final = 512
# The exact search takes a second or two; among few vectors, cells save little.
_EXACT_BUDGET: Final = 5e10
_EXACT_AMONG: Final = 10_000
_BANDWIDTH_ROUNDS: Final = 40


@dataclass(frozen=True, slots=True)
class CountGraph:
    """The graph from which the number of clusters is estimated.

    Attributes:
        weights: ``float64 (m, m)``, sparse and symmetric.
        rows: ``int64 (m,)``, the index of the vector that each row and column stands for.
        components: The number of connected components before they were connected, in the sample with the most.
    """

    weights: csr_matrix
    rows: _Indices
    components: int


def nearest_neighbors(vectors: Vectors, count: int, *, queries: Vectors | None = None) -> tuple[_Floats, _Indices]:
    """Return the `count` nearest vectors of every vector, or of every query, by Euclidean distance.

    The result is the same on every run, whatever the number of processors. On vectors of length 1 the order is that of
    the cosine. The search is exact unless comparing all pairs takes more than 5·10¹⁰ multiplications in more than 20
    dimensions, among more than 10,000 vectors; then each vector is compared with those in the nearest cells
    (`cells.Cells`).

    Args:
        vectors: ``float32 (n, d)``, the vectors to search.
        count: The number of neighbors: less than n, or at most n with `queries`.
        queries: ``float32 (m, d)``; by default the vectors themselves, each of which is then not its own neighbor.

    Returns:
        Distances ``float64 (m, count)``, ascending, and indices ``int64 (m, count)``.
    """
    if queries is not None:
        return NeighborSearch(vectors, len(queries)).find(queries, count)
    distances, indices = NeighborSearch(vectors, len(vectors)).find(vectors, count + 1)
    # Among equal vectors the first result need not be the vector itself.
    own = indices == np.arange(len(vectors))[:, None]
    own[~own.any(axis=1), -1] = True
    return distances[~own].reshape(len(vectors), count), indices[~own].reshape(len(vectors), count)


class NeighborSearch:
    """A search among vectors, for targets that come in parts; see `nearest_neighbors`.

    Args:
        vectors: ``float32 (n, d)``, the vectors to search.
        targets: The number of all targets.
        share: The share of the vectors that each target is compared with, where the search is not exact.
    """

    def __init__(self, vectors: Vectors, targets: int, share: float = SHARE) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._vectors = vectors
        self._share = share
        low = vectors.shape[1] <= _TREE_DIMENSIONS
        exact = low or len(vectors) <= _EXACT_AMONG or len(vectors) * targets * vectors.shape[1] <= _EXACT_BUDGET
        self._cells = None if exact else Cells(vectors)
        self._index = NearestNeighbors(algorithm="kd_tree" if low else "brute").fit(vectors) if exact else None

    def find(self, targets: Vectors, count: int) -> tuple[_Floats, _Indices]:
        """Return distances and indices of the `count` vectors nearest to each target, ``(m, count)``."""
        from sklearn.neighbors import NearestNeighbors

        distances = np.empty((len(targets), count))
        indices = np.empty((len(targets), count), dtype=np.int64)

        def search(part: tuple[Any, Any]) -> None:
            rows, candidates = part
            # OpenMP's limit applies to the thread that sets it. Several threads would split the work by their number,
            # and equal distances would come in another order on another machine.
            with one_thread("openmp"):
                index = self._index or NearestNeighbors(algorithm="brute").fit(self._vectors[candidates])
                distances[rows], nearest = index.kneighbors(targets[rows], count)
                indices[rows] = nearest if candidates is None else candidates[nearest]

        parts: Iterable[tuple[Any, Any]] = (
            (slice(start, start + _CHUNK_ROWS), None) for start in range(0, len(targets), _CHUNK_ROWS)
        )
        if self._cells is not None:
            parts = self._cells.pairs(targets, count, self._share)
        with one_thread():
            # The candidates of all cells together are fifty times as many as the vectors.
            for _ in in_order(search, parts, 2):
                pass
        return distances, indices


def graph_neighbors(count: int) -> int:
    """Return the number of neighbors in the cluster-count graph of `count` vectors: √n, from 5 to 30."""
    return min(int(np.clip(round(np.sqrt(count)), *_NEIGHBORS)), count - 1)


def diffusion_neighbors(count: int) -> int:
    """Return the number of neighbors in the graph of the diffusion map of `count` vectors: √n/2, from 5 to 30.

    Fewer than in the cluster-count graph: a random walk of several steps reaches far by itself, and in a small set one
    edge too many leads it into another cluster.
    """
    return min(int(np.clip(round(np.sqrt(count) / 2), *_NEIGHBORS)), count - 1)


def weighted_graph(distances: _Floats, indices: _Indices) -> csr_matrix:
    """Return the graph of a neighbor search as weights ``float64 (n, n)``, sparse and symmetric, in (0, 1].

    The weights are those of UMAP (McInnes et al. 2018, https://arxiv.org/abs/1802.03426): 1 for the nearest neighbor,
    falling off such that the weights of every vector have the same sum, whatever the density around it.

    Args:
        distances: ``float64 (n, neighbors)``, ascending, as returned by `nearest_neighbors`.
        indices: ``int64 (n, neighbors)``.
    """
    from scipy.sparse import csr_matrix

    count, neighbors = indices.shape
    excess = distances - distances[:, :1]
    excess /= -_bandwidths(excess)[:, None]
    starts = np.arange(0, count * neighbors + 1, neighbors)
    directed = csr_matrix((np.exp(excess, out=excess).ravel(), indices.ravel(), starts), shape=(count, count))
    directed.sort_indices()
    reverse = directed.T.tocsr()
    return csr_matrix(directed + reverse - directed.multiply(reverse))


def neighbor_graph(vectors: Vectors, neighbors: int | None = None) -> csr_matrix:
    """Return the `weighted_graph` of ``float32 (n, d)`` vectors, at least three and all different.

    Args:
        vectors: The vectors.
        neighbors: The number of neighbors of each; by default that of `graph_neighbors`.
    """
    count = neighbors or graph_neighbors(len(vectors))
    return weighted_graph(*nearest_neighbors(vectors, min(count, len(vectors) - 1)))


def diffusion_graph(vectors: Vectors) -> csr_matrix:
    """Return the connected graph for the diffusion map of ``float32 (n, d)`` vectors, at least three, all different."""
    return connect_components(neighbor_graph(vectors, diffusion_neighbors(len(vectors))), vectors)


def cluster_count_graph(vectors: Vectors, neighbors: tuple[_Floats, _Indices] | None = None) -> CountGraph:
    """Return the graph from which the number of clusters is estimated.

    Up to 5,000 vectors it is the `neighbor_graph` of all of them. Of more vectors, up to four samples of 5,000, evenly
    spaced over the rows, are made into graphs side by side without edges between them; sums of weights between clusters
    are then sums over the samples. The components of each graph are connected.

    Args:
        vectors: ``float32 (n, d)``.
        neighbors: The result of `nearest_neighbors` on all vectors with at least `graph_neighbors` neighbors, to save
            the search up to 5,000 vectors.
    """
    from scipy.sparse import block_diag, csr_matrix

    samples = [np.arange(len(vectors))]
    if len(vectors) > _SAMPLE_SIZE:
        count = min(len(vectors) // _SAMPLE_SIZE, _SAMPLES)
        rows = evenly_spaced(len(vectors), count * _SAMPLE_SIZE)
        samples = [rows[number::count] for number in range(count)]
        neighbors = None
    graphs, components = [], 1
    for sample in samples:
        part = vectors[sample] if len(sample) < len(vectors) else vectors
        count = graph_neighbors(len(part))
        distances, indices = neighbors or nearest_neighbors(part, count)
        graph = weighted_graph(distances[:, :count], indices[:, :count])
        components = max(components, int(component_labels(graph).max()) + 1)
        graphs.append(connect_components(graph, part, _LINK_WEIGHT))
    return CountGraph(csr_matrix(block_diag(graphs)), np.concatenate(samples), components)


def component_labels(graph: csr_matrix) -> Labels:
    """Return the connected component of every row of the graph, ``int64 (n,)`` from 0 on."""
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def connect_components(graph: csr_matrix, vectors: Vectors, weight: float = 1.0) -> csr_matrix:
    """Return the graph with as many edges added as connect its components, one fewer than there are.

    As in Borůvka's algorithm each component is joined to the one with the nearest centroid, in rounds, until one is
    left. The edge joins the members that lie nearest to the other's centroid. So large components stay apart in a
    diffusion map, and small ones, such as a few near-duplicates, lie beside what they resemble most.

    Args:
        graph: Weights ``float64 (n, n)``, sparse and symmetric.
        vectors: ``float32 (n, d)``, one for each row.
        weight: That of the edges of the first round, by default that of a nearest neighbor. It is a tenth in each
            following round, which joins larger and more distant groups.
    """
    from scipy.sparse import csr_matrix

    labels = component_labels(graph)
    while (count := int(labels.max()) + 1) > 1:
        centers = centroids(vectors, labels, count)
        _, nearest = nearest_neighbors(centers.astype(np.float32), 1)
        members = rows_by_label(labels, count)
        pairs = {tuple(sorted((number, int(other)))) for number, other in enumerate(nearest[:, 0])}
        ends = np.array(
            [
                [_closest(vectors, members[first], centers[second]), _closest(vectors, members[second], centers[first])]
                for first, second in sorted(pairs)
            ]
        )
        links = csr_matrix((np.full(len(ends), weight), (ends[:, 0], ends[:, 1])), shape=graph.shape)
        graph = csr_matrix(graph + links + links.T)
        labels, weight = component_labels(graph), weight / 10
    return graph


def _closest(vectors: Vectors, rows: _Indices, point: _Floats) -> int:
    return int(rows[((vectors[rows] - point) ** 2).sum(axis=1).argmin()])


def _bandwidths(excess: _Floats) -> _Floats:
    """Return for each row the width with which its weights sum to the logarithm of their number, by bisection."""
    target = np.log2(max(excess.shape[1], 2))
    low, high = np.zeros(len(excess)), np.full(len(excess), np.inf)
    width = np.maximum(excess.mean(axis=1), np.finfo(np.float64).tiny)
    weights = np.empty_like(excess)
    for _ in range(_BANDWIDTH_ROUNDS):
        np.divide(excess, -width[:, None], out=weights)
        too_wide = np.exp(weights, out=weights).sum(axis=1) > target
        high, low = np.where(too_wide, width, high), np.where(too_wide, low, width)
        width = np.where(np.isinf(high), width * 2, (low + high) / 2)
    # As in UMAP: where all neighbors are at the same distance, the width would become 0.
    return np.asarray(np.maximum(width, 1e-3 * np.maximum(excess.mean(), np.finfo(np.float64).tiny)))
