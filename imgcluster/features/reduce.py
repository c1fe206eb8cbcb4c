"""Reducing normalized embeddings to the few dimensions they are clustered in."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.blocks import in_memory, of_all
from imgcluster.features.centroids import evenly_spaced
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.neighbors import (
    CountGraph,
    NeighborSearch,
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
from imgcluster.types import MapParts, VectorRows, Vectors

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

# Fewer images hardly have neighborhoods.
SMALLEST_GRAPH: Final = 16
# The graph is built from at most this many images; the others are interpolated between their neighbors among them.
_GRAPH_SAMPLE: Final = 100_000
_INTERPOLATED_FROM: Final = 5
# Any near images will do for an interpolation.
_INTERPOLATION_SHARE: Final = 0.02
_INTERPOLATED_AT_ONCE: Final = 1 << 18
# Where comparing all pairs takes more multiplications than this, they are compared in 100 principal components, which
# hardly changes the clusters (benchmarks/graph_defaults.py).
_PAIR_BUDGET: Final = 2e11
_PAIR_DIMENSIONS: Final = 100
_BASIS: Final = 5000


_Projection = Callable[[Vectors], Vectors]


@dataclass(frozen=True, slots=True)
class Reduced:
    """Vectors to cluster.

    Attributes:
        vectors: ``float32 (n, dimensions)``.
        note: The method of reduction, in words; ``none`` for vectors as they were.
        graph: The graph from which the number of clusters is estimated, where the reduction builds one.
        sample: The number of images that the reduction was fitted on, if that were not all; otherwise 0.
    """

    vectors: Vectors
    note: str
    graph: CountGraph | None = None
    sample: int = 0


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


def reduce(vectors: Vectors | VectorRows, method: str, *, seed: int, map_parts: MapParts = map) -> Reduced:
    """Reduce ``float32 (n, d)`` vectors.

    Vectors should come in content order (`duplicate_vectors.content_order`), since samples are taken by position.

    Args:
        vectors: ``float32 (n, d)``, normalized; those in files are read in blocks.
        method: ``none`` leaves them as they are. ``graph`` is the diffusion map of their nearest-neighbor graph; fewer
            than 16 distinct vectors stay as they are. ``pca`` projects on the ten directions of largest variance.
            ``umap`` (McInnes et al. 2018, https://arxiv.org/abs/1802.03426) keeps neighbors together in ten dimensions
            and needs the extra of that name.
        seed: For samples, PCA and UMAP.
        map_parts: What is computed of every vector on its own is computed by this, part after part.

    Raises:
        ClusteringError: There are too few vectors for UMAP.
    """
    count, dimensions = vectors.shape
    if method == "none" or count < 2:
        return Reduced(in_memory(vectors), "none")
    if method == "graph":
        return _graph(vectors, seed, map_parts)
    target = min(_DIMENSIONS, dimensions, count - 1)
    if target >= dimensions:
        return Reduced(in_memory(vectors), "none")
    if method == "umap":
        return Reduced(_umap(in_memory(vectors), target, seed), f"UMAP to {target} dimensions")
    # Duplicates are the same after rounding errors only if they are projected once.
    first, copies = find_duplicates(vectors)
    if len(first) == 1:
        return Reduced(in_memory(vectors), "none")
    projected = of_all(vectors, principal_axes(vectors, target, seed), target, map_parts)
    return Reduced(projected[first[copies]], f"PCA to {target} dimensions")


def _graph(vectors: Vectors | VectorRows, seed: int, map_parts: MapParts) -> Reduced:
    # Duplicates would be each other's only neighbors.
    first, copies = find_duplicates(vectors)
    if len(first) < SMALLEST_GRAPH:
        return Reduced(in_memory(vectors), "none")
    rows = first
    if len(first) > _GRAPH_SAMPLE:
        rows = first[np.sort(np.random.default_rng(seed).choice(len(first), _GRAPH_SAMPLE, replace=False))]
    if _search_is_slow((len(first), vectors.shape[1]), len(rows)):
        axes = principal_axes(vectors, _PAIR_DIMENSIONS, seed, rows)
        projected = of_all(vectors, axes, _PAIR_DIMENSIONS, map_parts)
    else:
        projected = in_memory(vectors)
    sampled = projected[rows] if len(rows) < len(projected) else projected
    # One search for both graphs; the cluster-count graph of a large set is one of samples, which are searched there.
    neighbors = diffusion_neighbors(len(sampled))
    distances, indices = nearest_neighbors(sampled, graph_neighbors(len(sampled)))
    count_graph = cluster_count_graph(sampled, (distances, indices))
    graph = weighted_graph(distances[:, :neighbors], indices[:, :neighbors])
    del distances, indices
    graph = connect_components(graph, sampled)
    if len(rows) == len(first):
        # Not needed any more, while the eigenvectors take the most memory.
        del projected, sampled
    mapped = diffusion_map(graph)
    note = f"diffusion map ({mapped.shape[1]} components) of the {neighbors}-nearest-neighbor graph"
    graph_of_rows = dataclasses.replace(count_graph, rows=rows[count_graph.rows])
    if len(rows) == len(first):
        return Reduced(mapped[copies], note, graph_of_rows)
    search = NeighborSearch(sampled, len(projected), _INTERPOLATION_SHARE)
    result = np.empty((len(projected), mapped.shape[1]), dtype=np.float32)
    parts = [slice(start, start + _INTERPOLATED_AT_ONCE) for start in range(0, len(projected), _INTERPOLATED_AT_ONCE)]
    interpolated = map_parts(partial(_interpolated, search, mapped), (projected[part] for part in parts))
    for part, vectors_of_part in zip(parts, interpolated, strict=True):
        result[part] = vectors_of_part
    if len(first) < len(result):
        result = result[first[copies]]
    return Reduced(result, f"{note} of {len(rows):,} images", graph_of_rows, len(rows))


def _interpolated(search: NeighborSearch, mapped: Vectors, vectors: Vectors) -> Vectors:
    """Return the positions of other vectors on the diffusion map of those that are searched."""
    return l2_normalize((_weights(search, vectors, len(mapped)) @ mapped).astype(np.float32))


def interpolation(sample: Vectors, vectors: Vectors) -> csr_matrix:
    """Return each of `vectors` as a weighted mean of the nearest in `sample`, ``float64 (n, sample)``, sparse."""
    return _weights(NeighborSearch(sample, len(vectors)), vectors, len(sample))


def _weights(search: NeighborSearch, vectors: Vectors, size: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    count = min(_INTERPOLATED_FROM, size)
    distances, indices = search.find(vectors, count)
    weights = 1 / np.maximum(distances, 1e-6 * max(float(distances.mean()), 1e-12))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(vectors)), count)
    return csr_matrix((weights.ravel(), (rows, indices.ravel())), shape=(len(vectors), size))


def searchable(vectors: Vectors | VectorRows, queries: int) -> Vectors:
    """Return vectors for an exact neighbor search of so many queries, in fewer dimensions where it would be slow.

    Args:
        vectors: ``float32 (n, d)``, in content order; those in files are read in blocks where the search would be slow.
        queries: The number of queries.
    """
    if not _search_is_slow(vectors.shape, queries):
        return in_memory(vectors)
    basis = vectors[evenly_spaced(len(vectors), min(len(vectors), _BASIS))]
    return principal_components(basis, vectors, _PAIR_DIMENSIONS, seed=0)


def _search_is_slow(shape: tuple[int, ...], queries: int) -> bool:
    count, dimensions = shape
    return bool(queries * count * dimensions > _PAIR_BUDGET and dimensions > _PAIR_DIMENSIONS)


def principal_components(vectors: Vectors, queries: Vectors | VectorRows, target: int, seed: int) -> Vectors:
    """Return queries ``float32 (m, d)`` in the `principal_axes` of `vectors`, ``float32 (m, target)``."""
    return of_all(queries, principal_axes(vectors, target, seed), target)


def principal_axes(
    vectors: Vectors | VectorRows, target: int, seed: int, rows: npt.NDArray[np.int64] | None = None
) -> _Projection:
    """Return the function that projects vectors ``float32 (m, d)`` on the first principal components of `vectors`.

    Of more than 10,000 vectors the components are those of as many, evenly spaced over the rows.

    Args:
        vectors: ``float32 (n, d)``.
        target: The number of components, at most n and d.
        seed: For the randomized solver of larger sets.
        rows: ``int64``, the rows to use; by default all.
    """
    from sklearn.decomposition import PCA

    rows = np.arange(len(vectors)) if rows is None else rows
    sample = vectors[rows[evenly_spaced(len(rows), min(len(rows), _COMPONENT_SAMPLE))]]
    # Exact where that is fast, otherwise randomized (Halko et al. 2011), whose leading components are as good.
    solver = "full" if min(sample.shape) <= _EXACT_UP_TO else "randomized"
    pca = PCA(target, svd_solver=solver, iterated_power=7, random_state=seed)
    # Sums depend on the number of threads, and HDBSCAN breaks ties by the last digit.
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # vectors that are all the same have no variance to share
        pca.fit(sample)

    def project(block: Vectors) -> Vectors:
        with one_thread():
            return np.asarray(pca.transform(block), dtype=np.float32) if len(block) else block[:, :target]

    return project


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
