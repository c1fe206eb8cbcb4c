"""Reducing normalized embeddings to the few dimensions they are clustered in."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.centroids import evenly_spaced
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.neighbors import (
    CountGraph,
    cluster_count_graph,
    connect_components,
    diffusion_neighbors,
    graph_neighbors,
    nearest_neighbors,
    weighted_graph,
)
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.threads import one_thread
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.types import Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "REDUCTIONS",
    "SMALLEST_GRAPH",
    "Reduced",
    "choose_reduction",
    "interpolation",
    "principal_components",
    "reduce",
    "searchable",
]

Reduction = Literal["auto", "none", "pca", "umap", "graph"]
REDUCTIONS: Final[tuple[str, ...]] = get_args(Reduction)

# The dimensions of PCA and UMAP. Density needs few: in ten, HDBSCAN finds several clusters in 60 to 3,000 photographs;
# in more, one huge cluster or only noise (benchmarks/hdbscan_defaults.py, on CIFAR-10).
_DIMENSIONS: Final = 10

_UMAP_NEIGHBORS: Final = 15
_EXACT_UP_TO: Final = 256
_COMPONENT_SAMPLE: Final = 10_000
_CHUNK_ROWS: Final = 8192

# Fewer images hardly have neighborhoods.
SMALLEST_GRAPH: Final = 16
# The graph is built from at most this many images; the others are interpolated between their neighbors among them.
_GRAPH_SAMPLE: Final = 100_000
_INTERPOLATED_FROM: Final = 5
# Where comparing all pairs takes more multiplications than this, they are compared in 100 principal components, which
# hardly changes the clusters (benchmarks/graph_defaults.py).
_PAIR_BUDGET: Final = 2e11
_PAIR_DIMENSIONS: Final = 100
_BASIS: Final = 5000


@dataclass(frozen=True, slots=True)
class Reduced:
    """Vectors to cluster.

    Attributes:
        vectors: ``float32 (n, dimensions)``.
        note: The method of reduction, in words; ``none`` for vectors as they were.
        graph: The graph from which the number of clusters is estimated, where the reduction builds one.
    """

    vectors: Vectors
    note: str
    graph: CountGraph | None = None


def choose_reduction(reduction: str, default: str) -> str:
    """Return the reduction, with ``auto`` replaced by the clustering method's default, and refuse what cannot be done.

    Raises:
        UsageError: The reduction is unknown, or needs a package that is not installed.
    """
    if reduction not in REDUCTIONS:
        raise UsageError(f"reduction {reduction!r} is unknown; choose one of {', '.join(REDUCTIONS)}")
    if reduction == "umap":
        # Imported now, so that a missing or broken package shows before the images are embedded.
        try:
            import_optional("umap")
        except UnavailablePackage as error:
            raise UsageError(f"--reduce umap is not possible: {error}") from None
    return default if reduction == "auto" else reduction


def reduce(vectors: Vectors, method: str, *, seed: int) -> Reduced:
    """Reduce ``float32 (n, d)`` vectors.

    Vectors should come in content order (`duplicate_vectors.content_order`), since samples are taken by position.

    Args:
        vectors: ``float32 (n, d)``, normalized.
        method: ``none`` leaves them as they are. ``graph`` is the diffusion map of their nearest-neighbor graph; fewer
            than 16 distinct vectors stay as they are. ``pca`` projects on the ten directions of largest variance.
            ``umap`` (McInnes et al. 2018, https://arxiv.org/abs/1802.03426) keeps neighbors together in ten dimensions
            and needs the extra of that name.
        seed: For samples, PCA and UMAP.

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
    # Duplicates are projected once; otherwise rounding errors would make them differ.
    first, copies = find_duplicates(vectors)
    if len(first) == 1:
        return Reduced(vectors, "none")
    return Reduced(principal_components(vectors, vectors[first], target, seed)[copies], f"PCA to {target} dimensions")


def _graph(vectors: Vectors, seed: int) -> Reduced:
    # Duplicates would be each other's only neighbors.
    first, copies = find_duplicates(vectors)
    distinct = vectors[first] if len(first) < len(vectors) else vectors
    if len(distinct) < SMALLEST_GRAPH:
        return Reduced(vectors, "none")
    sample = np.arange(len(distinct))
    if len(distinct) > _GRAPH_SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(len(distinct), _GRAPH_SAMPLE, replace=False))
    projected = distinct
    if _search_is_slow(distinct, len(sample)):
        projected = principal_components(distinct[sample], distinct, _PAIR_DIMENSIONS, seed)
    sampled = projected[sample] if len(sample) < len(projected) else projected
    # One search for both graphs; the cluster-count graph of a large set is one of samples, which are searched there.
    neighbors = diffusion_neighbors(len(sampled))
    distances, indices = nearest_neighbors(sampled, graph_neighbors(len(sampled)))
    graph = weighted_graph(distances[:, :neighbors], indices[:, :neighbors])
    mapped = diffusion_map(connect_components(graph, sampled))
    note = f"diffusion map ({mapped.shape[1]} components) of the {neighbors}-nearest-neighbor graph"
    if len(sample) < len(distinct):
        mapped = l2_normalize((interpolation(sampled, projected) @ mapped).astype(np.float32))
        note += f" of {len(sample):,} images"
    count_graph = cluster_count_graph(sampled, (distances, indices))
    rows = first[sample[count_graph.rows]]
    return Reduced(mapped[copies], note, dataclasses.replace(count_graph, rows=rows))


def interpolation(sample: Vectors, vectors: Vectors) -> csr_matrix:
    """Return each of `vectors` as a weighted mean of the nearest in `sample`, ``float64 (n, sample)``, sparse."""
    from scipy.sparse import csr_matrix

    count = min(_INTERPOLATED_FROM, len(sample))
    distances, indices = nearest_neighbors(sample, count, queries=vectors)
    weights = 1 / np.maximum(distances, 1e-6 * max(float(distances.mean()), 1e-12))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(vectors)), count)
    return csr_matrix((weights.ravel(), (rows, indices.ravel())), shape=(len(vectors), len(sample)))


def searchable(vectors: Vectors, queries: int, order: npt.NDArray[np.int64], *, seed: int) -> Vectors:
    """Return vectors for an exact neighbor search of so many queries, in fewer dimensions where it would be slow.

    Args:
        vectors: ``float32 (n, d)``.
        queries: The number of queries.
        order: ``int64 (n,)``, the rows in content order, from which a sample for principal components is taken.
        seed: For principal components.
    """
    if not _search_is_slow(vectors, queries):
        return vectors
    basis = vectors[order[evenly_spaced(len(order), min(len(order), _BASIS))]]
    return principal_components(basis, vectors, _PAIR_DIMENSIONS, seed)


def _search_is_slow(vectors: Vectors, queries: int) -> bool:
    count, dimensions = vectors.shape
    return bool(queries * count * dimensions > _PAIR_BUDGET and dimensions > _PAIR_DIMENSIONS)


def principal_components(vectors: Vectors, queries: Vectors, target: int, seed: int) -> Vectors:
    """Return queries ``float32 (m, d)`` in the first principal components of `vectors`, ``float32 (m, target)``.

    Of more than 10,000 vectors the components are those of as many, evenly spaced over the rows.

    Args:
        vectors: ``float32 (n, d)``.
        queries: ``float32 (m, d)``.
        target: The number of components, at most n and d.
        seed: For the randomized solver of larger sets.
    """
    from sklearn.decomposition import PCA

    sample = vectors[evenly_spaced(len(vectors), _COMPONENT_SAMPLE)] if len(vectors) > _COMPONENT_SAMPLE else vectors
    # Exact where that is fast, otherwise randomized (Halko et al. 2011), whose leading components are as good.
    solver = "full" if min(sample.shape) <= _EXACT_UP_TO else "randomized"
    pca = PCA(target, svd_solver=solver, iterated_power=7, random_state=seed)
    result = np.empty((len(queries), target), dtype=np.float32)
    # Sums depend on the number of threads, and HDBSCAN breaks ties by the last digit.
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # vectors that are all the same have no variance to share
        pca.fit(sample)
        for start in range(0, len(queries), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            result[part] = pca.transform(queries[part])
    return result


def _umap(vectors: Vectors, target: int, seed: int) -> Vectors:
    umap = import_optional("umap")
    neighbors = min(_UMAP_NEIGHBORS, len(vectors) - 1)
    if len(vectors) <= target + 2 or neighbors < 2:
        raise ClusteringError(f"{len(vectors)} images are too few for UMAP; use --reduce pca")
    # A seed makes UMAP use one thread, and says so in a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(
            n_neighbors=neighbors, n_components=target, min_dist=0.0, metric="euclidean", random_state=seed, n_jobs=1
        )
        return np.asarray(model.fit_transform(vectors), dtype=np.float32)
