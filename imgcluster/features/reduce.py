"""Reducing normalized embeddings to the few dimensions they are clustered in."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.duplicate_vectors import find_copies
from imgcluster.features.neighbors import MOST_PIECES, count_pieces, joined, nearest, shown_graph, walk_graph
from imgcluster.features.normalize import normalise
from imgcluster.features.threads import one_thread
from imgcluster.types import Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "REDUCTIONS",
    "Reduced",
    "choose_reduction",
    "reduce",
]

Reduction = Literal["auto", "none", "pca", "umap", "graph"]
REDUCTIONS: Final[tuple[str, ...]] = get_args(Reduction)

# What PCA and UMAP reduce to. Density needs few dimensions: in ten, HDBSCAN finds several clusters in photographs of
# 60 up to 3,000; in more, one huge cluster or noise only (benchmarks/hdbscan_defaults.py, on CIFAR-10).
_DIMENSIONS: Final = 10

_UMAP_NEIGHBOURS: Final = 15
_EXACT_UP_TO: Final = 256

# Fewer images than this have hardly any neighbourhoods.
_SMALLEST_GRAPH: Final = 16
# Neighbours are looked for among so many images; the others are placed by theirs among them.
_GRAPH_SAMPLE: Final = 100_000
_PLACED_BY: Final = 5
# Comparing all pairs takes longer than this many multiplications are worth: then in 100 principal directions, which
# hardly change the clusters (benchmarks/graph_defaults.py).
_PAIR_BUDGET: Final = 2e11
_PAIR_DIMENSIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Reduced:
    """Vectors to cluster.

    Attributes:
        vectors: ``float32 (n, dimensions)``.
        how: How they were reduced, in words; ``none`` where they were not.
        graph: The `shown_graph` of them, where the reduction makes one.
        rows: Indices of the vectors that the graph's rows stand for, ``int64``.
    """

    vectors: Vectors
    how: str
    graph: csr_matrix | None = None
    rows: npt.NDArray[np.int64] | None = None


def choose_reduction(reduction: str, method: str) -> str:
    """Return the reduction that ``auto`` stands for before a clustering method, and refuse what cannot be done.

    Raises:
        UsageError: The reduction is unknown, or needs a package that is not installed.
    """
    if reduction not in REDUCTIONS:
        raise UsageError(f"reduction {reduction!r} is unknown; choose one of {', '.join(REDUCTIONS)}")
    if reduction == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("--reduce umap needs another package: pip install 'imgcluster[umap]'")
    if reduction == "auto":
        # EVoC builds a graph of its own.
        return "none" if method == "evoc" else "graph"
    return reduction


def reduce(vectors: Vectors, method: str, *, seed: int) -> Reduced:
    """Reduce ``float32 (n, d)`` vectors; ``none`` leaves them as they are.

    ``graph`` maps them by random walks on their neighbour graph (see `diffusion.diffusion_map`); where there are too
    few different vectors for that, or the graph falls into many pieces, they stay as they are, and `how` says so.
    ``pca`` projects on the ten directions of largest variance. ``umap`` (McInnes et al. 2018,
    https://arxiv.org/abs/1802.03426) keeps neighbours together in ten dimensions and needs the extra of that name.

    Raises:
        ClusteringError: There are too few vectors for UMAP.
    """
    count, dimensions = vectors.shape
    if method == "none" or count < 2:
        return Reduced(vectors, "none")
    if method == "graph":
        return _graph(vectors, seed)
    target = min(_DIMENSIONS, dimensions, count - 1)
    if target >= dimensions:
        return Reduced(vectors, "none")
    if method == "umap":
        return Reduced(_umap(vectors, target, seed), f"UMAP to {target} dimensions")
    # Equal images are projected once: row by row, rounding errors would make them different ones.
    first, copies = find_copies(vectors)
    if len(first) == 1:
        return Reduced(vectors, "none")
    return Reduced(_project(vectors, vectors[first], target, seed)[copies], f"PCA to {target} dimensions")


def _graph(vectors: Vectors, seed: int) -> Reduced:
    # Copies of one picture would be each other's only neighbours.
    first, copies = find_copies(vectors)
    different = vectors[first] if len(first) < len(vectors) else vectors
    if len(different) < _SMALLEST_GRAPH:
        return Reduced(vectors, "none")
    sample = np.arange(len(different))
    if len(different) > _GRAPH_SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(len(different), _GRAPH_SAMPLE, replace=False))
    space = different
    if len(sample) * len(different) * different.shape[1] > _PAIR_BUDGET and different.shape[1] > _PAIR_DIMENSIONS:
        space = _project(different[sample], different, _PAIR_DIMENSIONS, seed)
    among = space[sample] if len(sample) < len(space) else space
    graph = joined(walk_graph(among), among)
    if count_pieces(graph) > MOST_PIECES:
        return Reduced(vectors, "none: the neighbour graph falls into many pieces")
    mapped = diffusion_map(graph)
    how = f"random walks on the neighbour graph to {mapped.shape[1]} dimensions"
    if len(sample) < len(different):
        mapped = _place_among(mapped, among, space)
        how += f", from {len(sample):,} images"
    graph, rows = shown_graph(among)
    return Reduced(mapped[copies], how, graph, first[sample[rows]])


def _place_among(mapped: Vectors, sample: Vectors, vectors: Vectors) -> Vectors:
    """Return where `vectors` lie, each in the middle of its nearest in `sample`, which lie at `mapped`."""
    distances, indices = nearest(sample, _PLACED_BY, of=vectors)
    weights = 1 / np.maximum(distances, 1e-6 * max(float(distances.mean()), 1e-12))
    placed = np.zeros((len(vectors), mapped.shape[1]))
    for column in range(_PLACED_BY):
        placed += weights[:, column, None] * mapped[indices[:, column]]
    return normalise(placed.astype(np.float32))


def _project(vectors: Vectors, wanted: Vectors, target: int, seed: int) -> Vectors:
    """Return `wanted` in the principal directions of `vectors`."""
    from sklearn.decomposition import PCA

    # Exact where that is quick; else randomised (Halko et al. 2011), whose first directions are as good.
    solver = "full" if min(vectors.shape) <= _EXACT_UP_TO else "randomized"
    pca = PCA(target, svd_solver=solver, iterated_power=7, random_state=seed)
    # Sums depend on how many threads add them up, and HDBSCAN's ties on the last digit.
    with one_thread():
        return np.asarray(pca.fit(vectors).transform(wanted), dtype=np.float32)


def _umap(vectors: Vectors, target: int, seed: int) -> Vectors:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap
    neighbours = min(_UMAP_NEIGHBOURS, len(vectors) - 1)
    if len(vectors) <= target + 2 or neighbours < 2:
        raise ClusteringError(f"{len(vectors)} images are too few for UMAP; use --reduce pca")
    # A seed makes UMAP use one thread, and says so in a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(
            n_neighbors=neighbours, n_components=target, min_dist=0.0, metric="euclidean", random_state=seed, n_jobs=1
        )
        return np.asarray(model.fit_transform(vectors), dtype=np.float32)
