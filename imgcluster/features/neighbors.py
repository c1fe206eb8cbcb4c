"""The nearest neighbors of vectors, and the graphs of them.

Neighbours are what an encoder gets right even where its distances say little: in many dimensions all distances are
alike, and the nearest images still are the similar ones.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.threads import one_thread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "MOST_PIECES",
    "count_pieces",
    "joined",
    "nearest",
    "neighbour_graph",
    "shown_graph",
    "walk_graph",
]

_Floats = npt.NDArray[np.float64]
_Vectors = npt.NDArray[np.float32]

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py).
_NEIGHBOURS: Final = (5, 30)

# A graph in more pieces than this says nothing about how the pieces lie to each other; more neighbours may join them.
MOST_PIECES: Final = 10
_MORE_NEIGHBOURS: Final = 60

# The graph that shows how many clusters there are is of so many: a vector has no more than 30 neighbours there, so
# among more vectors it is made of ever smaller neighbourhoods, and what it shows would depend on how many there are.
# Up to four such samples even out what each of them happens to hold.
_SHOWN: Final = 5000
_SAMPLES: Final = 4

# Trees find neighbours fast in few dimensions only.
_TREE_DIMENSIONS: Final = 20
_ROWS_AT_ONCE: Final = 4096
_BANDWIDTH_ROUNDS: Final = 40


def nearest(vectors: _Vectors, count: int, *, of: _Vectors | None = None) -> tuple[_Floats, npt.NDArray[np.int64]]:
    """Return the `count` nearest vectors of every vector, or of every one of `of`, by Euclidean distance.

    Args:
        vectors: ``float32 (n, d)``, among which to look.
        count: Below n, or up to n with `of`.
        of: ``float32 (m, d)``; without it each vector's neighbours are looked for, itself left out.

    Returns:
        Distances ``float64 (m, count)``, ascending, and indices ``int64 (m, count)``. They are exact, and the
        same on every run, however many processors there are.
    """
    from sklearn.neighbors import NearestNeighbors

    algorithm = "kd_tree" if vectors.shape[1] <= _TREE_DIMENSIONS else "brute"
    wanted = vectors if of is None else of
    search = NearestNeighbors(n_neighbors=count + (of is None), algorithm=algorithm).fit(vectors)

    def part(start: int) -> tuple[Any, Any]:
        # OpenMP's limit holds for the thread that sets it. Inside, several threads would share out the work by
        # their number, and equal distances would come in another order on another machine.
        with one_thread("openmp"):
            found: tuple[Any, Any] = search.kneighbors(wanted[start : start + _ROWS_AT_ONCE])
            return found

    with one_thread(), ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(part, range(0, len(wanted), _ROWS_AT_ONCE)))
    distances = np.concatenate([found[0] for found in parts]).astype(np.float64)
    indices = np.concatenate([found[1] for found in parts]).astype(np.int64)
    if of is not None:
        return distances, indices
    # Among equal vectors the first found need not be the vector itself.
    own = indices == np.arange(len(wanted))[:, None]
    own[~own.any(axis=1), -1] = True
    return distances[~own].reshape(len(wanted), count), indices[~own].reshape(len(wanted), count)


def neighbour_graph(vectors: _Vectors, neighbours: int | None = None) -> csr_matrix:
    """Return the weights ``float64 (n, n)``, sparse and symmetric, between ``float32 (n, d)`` vectors.

    Weights are UMAP's (McInnes et al. 2018, https://arxiv.org/abs/1802.03426): 1 to the nearest neighbour, and
    falling off so that every vector has as many neighbours "in effect", however dense its surroundings are.

    Args:
        vectors: At least three, different from each other.
        neighbours: Of each vector; √n without it, but from 5 to 30: what the graph as a whole shows, such as how many
            clusters there are, wants more of them than `walk_graph` has.
    """
    from scipy.sparse import csr_matrix

    count = len(vectors)
    wanted = neighbours or int(np.clip(round(np.sqrt(count)), *_NEIGHBOURS))
    distances, indices = nearest(vectors, min(wanted, count - 1))
    excess = distances - distances[:, :1]
    weights = np.exp(-excess / _bandwidths(excess)[:, None])
    rows = np.repeat(np.arange(count), indices.shape[1])
    directed = csr_matrix((weights.ravel(), (rows, indices.ravel())), shape=(count, count))
    return csr_matrix(directed + directed.T - directed.multiply(directed.T))


def walk_graph(vectors: _Vectors) -> csr_matrix:
    """Return the `neighbour_graph` for `diffusion_map`: of √n/2 neighbours, but from 5 to 30.

    A walk of several steps comes far by itself, and in a small set an edge too many leads it across a border.
    """
    return neighbour_graph(vectors, int(np.clip(round(np.sqrt(len(vectors)) / 2), *_NEIGHBOURS)))


def shown_graph(vectors: _Vectors) -> tuple[csr_matrix, npt.NDArray[np.int64]]:
    """Return the `neighbour_graph` that shows how many clusters there are, and which vectors it is of.

    Above 5,000 vectors it is of so many, or of up to four times so many in as many parts that nothing connects: sums of
    weights between clusters, and what chance would give them, are then sums over the parts. The same vectors give the
    same graph.

    Returns:
        Weights ``float64 (m, m)``, sparse and symmetric, and the indices ``int64 (m,)`` of the vectors in rows and
        columns; all of them up to 5,000.
    """
    from scipy.sparse import block_diag, csr_matrix

    samples = [np.arange(len(vectors))]
    if len(vectors) > _SHOWN:
        count = min(len(vectors) // _SHOWN, _SAMPLES)
        rows = np.linspace(0, len(vectors) - 1, count * _SHOWN).astype(np.int64)
        samples = [rows[number::count] for number in range(count)]
    graphs = [joined(neighbour_graph(vectors[sample]), vectors[sample]) for sample in samples]
    return csr_matrix(block_diag(graphs)), np.concatenate(samples)


def joined(graph: csr_matrix, vectors: _Vectors) -> csr_matrix:
    """Return the graph of `vectors`, or where it falls into many pieces one of more neighbours."""
    if count_pieces(graph) > MOST_PIECES and len(vectors) > _MORE_NEIGHBOURS:
        return neighbour_graph(vectors, _MORE_NEIGHBOURS)
    return graph


def count_pieces(graph: csr_matrix) -> int:
    """Return the number of parts that no weight connects."""
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(graph, directed=False, return_labels=False))


def _bandwidths(excess: _Floats) -> _Floats:
    """Return for each row the width at which its weights add up to the logarithm of their number, by bisection."""
    target = np.log2(max(excess.shape[1], 2))
    low, high = np.zeros(len(excess)), np.full(len(excess), np.inf)
    width = np.maximum(excess.mean(axis=1), np.finfo(np.float64).tiny)
    for _ in range(_BANDWIDTH_ROUNDS):
        wide = np.exp(-excess / width[:, None]).sum(axis=1) > target
        high, low = np.where(wide, width, high), np.where(wide, low, width)
        width = np.where(np.isinf(high), width * 2, (low + high) / 2)
    # As UMAP does: where all neighbours are equally near, the width would become 0.
    return np.asarray(np.maximum(width, 1e-3 * np.maximum(excess.mean(), np.finfo(np.float64).tiny)))
