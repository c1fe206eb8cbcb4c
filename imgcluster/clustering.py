"""Clustering methods: each one function from vectors to labels and confidence, and one line in a table.

Labels are ``int64 (n,)``: clusters from 0 on, the largest first; −1 is noise, an image of no cluster. Confidence
is ``float32 (n,)`` in [0, 1], 0 for noise. All methods measure Euclidean distance; on vectors of length 1 it
orders as the cosine does.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import ClusteringError, UsageError
from imgcluster.reduction import Vectors

__all__ = [
    "METHODS",
    "Clustering",
    "Settings",
    "assign_noise",
    "choose_method",
    "cluster_degenerate",
    "cluster_vectors",
]

Labels = npt.NDArray[np.int64]
Confidence = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a method may be told: the number of clusters (k-means), the smallest cluster (the others), a seed."""

    k: int | None = None
    min_cluster_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UsageError(f"--k {self.k} is not possible; at least 1 is needed")
        if self.min_cluster_size is not None and self.min_cluster_size < 2:
            raise UsageError(f"--min-cluster-size {self.min_cluster_size} is not possible; at least 2 is needed")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is not possible; it lies between 0 and {2**32 - 1}")

    def check_for(self, method: str) -> None:
        """Refuse what `method` would ignore.

        Raises:
            UsageError: k-means was told the smallest cluster.
        """
        if method == "kmeans" and self.min_cluster_size is not None:
            raise UsageError(
                "--min-cluster-size is for hdbscan and evoc; k-means has no smallest cluster: leave it out"
            )


@dataclass(frozen=True, slots=True)
class Clustering:
    """`labels` and `confidence` as this module describes them, and the values that the method settled on."""

    labels: Labels
    confidence: Confidence
    parameters: dict[str, Any]

    @property
    def count(self) -> int:
        """How many clusters there are, noise not counted."""
        return int(self.labels.max(initial=-1)) + 1


def choose_method(method: str, k: int | None) -> str:
    """Return the method that ``auto`` stands for, and refuse options that do not go together.

    Raises:
        UsageError: The method is unknown, or k is missing or too much.
    """
    if method == "auto":
        return "hdbscan" if k is None else "kmeans"
    if method not in METHODS:
        raise UsageError(f"method {method!r} is unknown; choose one of auto, {', '.join(METHODS)}")
    if method == "kmeans" and k is None:
        raise UsageError("k-means needs the number of clusters: add --k N, or leave out --method")
    if method != "kmeans" and k is not None:
        raise UsageError(f"{method} finds the number of clusters itself: leave out --k, or use --method kmeans")
    if method == "evoc" and importlib.util.find_spec("evoc") is None:
        raise UsageError("--method evoc needs another package: pip install 'imgcluster[evoc]'")
    return method


def cluster_degenerate(vectors: Vectors, settings: Settings) -> Clustering | None:
    """Answer where no method is needed: all ``float32 (n, d)`` vectors are the same. None for all others.

    To be asked before vectors are reduced: that makes equal ones differ by rounding errors.

    Raises:
        ClusteringError: There are too few, or too few different, vectors for what was asked.
    """
    count = len(vectors)
    if count < 2:
        raise ClusteringError(f"{count} {'image' if count == 1 else 'images'} cannot be clustered; embed more first")
    distinct = _count_distinct(vectors, (settings.k or 1) + 1)
    if distinct == 1 and settings.k in (None, 1):
        return Clustering(np.zeros(count, np.int64), np.ones(count, np.float32), {"identical": True})
    if settings.k is not None and distinct < settings.k:
        what = f"there are only {count} images" if count < settings.k else f"only {distinct} different ones are there"
        raise ClusteringError(
            f"{count} images cannot make {settings.k} clusters: {what}; ask for --k {distinct} or fewer, or embed more"
        )
    return None


def cluster_vectors(vectors: Vectors, method: str, settings: Settings) -> Clustering:
    """Cluster ``float32 (n, d)`` vectors by a method of `METHODS`.

    Raises:
        ClusteringError: There are too few, or too few different, vectors for what was asked.
    """
    degenerate = cluster_degenerate(vectors, settings)
    if degenerate is not None:
        return degenerate
    labels, confidence, parameters = METHODS[method](vectors, settings)
    return Clustering(*_by_size(labels, confidence), parameters)


def assign_noise(vectors: Vectors, clustering: Clustering) -> Clustering:
    """Give every noise image to the cluster that most of its 15 nearest clustered images belong to.

    Its confidence is the share of the 15 that agree, halved: less than that of any image that the method itself
    was sure of. Nothing changes where there is no cluster, or no noise.
    """
    noise = clustering.labels < 0
    if not noise.any() or noise.all():
        return clustering
    from sklearn.neighbors import NearestNeighbors

    members = clustering.labels[~noise]
    search = NearestNeighbors(n_neighbors=min(_VOTERS, len(members))).fit(vectors[~noise])
    nearest = search.kneighbors(vectors[noise], return_distance=False)
    votes = np.zeros((len(nearest), clustering.count))
    np.add.at(votes, (np.arange(len(nearest))[:, None], members[nearest]), 1.0)
    labels, confidence = clustering.labels.copy(), clustering.confidence.copy()
    labels[noise] = votes.argmax(axis=1)
    confidence[noise] = votes.max(axis=1) / nearest.shape[1] / 2
    return Clustering(*_by_size(labels, confidence), {**clustering.parameters, "assigned_noise": int(noise.sum())})


_Answer = tuple[Labels, Confidence, dict[str, Any]]

_VOTERS: Final = 15

# Chosen on features of CIFAR-10 (benchmarks/hdbscan_defaults.py).
_CLEARLY_WORSE: Final = 0.9
_SILHOUETTE_SAMPLE: Final = 5000

# So many multiplications' worth of starts: about two seconds on two cores, and at least eight starts. k-means on
# photographs ends elsewhere at every start; the best of 60 is nearly the same for every seed.
_START_BUDGET: Final = 7e8
_STARTS: Final = (8, 64)
# Above this every thread's copy of the vectors costs more than a second core gains.
_PARALLEL_BYTES: Final = 1 << 29


def _kmeans(vectors: Vectors, settings: Settings) -> _Answer:
    """k-means (Lloyd 1982) from k-means++ starts, the one with the smallest inertia.

    Confidence is 1 − (distance to the own centre / distance to the next): 0 on the border of two clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    assert settings.k is not None
    k, (count, dimensions) = settings.k, vectors.shape
    starts = int(np.clip(_START_BUDGET / (count * (k * dimensions + 500)), *_STARTS)) if k > 1 else 1
    seeds = np.random.SeedSequence(settings.seed).generate_state(starts)

    def start(seed: int) -> Any:
        # OpenMP's limit holds for the thread that sets it, BLAS's for all: hence here, and below.
        with threadpool_limits(limits=1, user_api="openmp"):
            return KMeans(k, n_init=1, random_state=int(seed)).fit(vectors)

    # Several threads inside one start add up in an order that changes from run to run, and so do the results;
    # several starts side by side do not touch each other.
    workers = 2 if vectors.nbytes < _PARALLEL_BYTES else 1
    with threadpool_limits(limits=1), ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = list(pool.map(start, seeds))
        best = min(models, key=lambda model: model.inertia_)
        distances = best.transform(vectors)
    return (
        best.labels_.astype(np.int64),
        _margin(distances),
        {"k": k, "starts": starts, "inertia": float(best.inertia_)},
    )


def _hdbscan(vectors: Vectors, settings: Settings) -> _Answer:
    """HDBSCAN (Campello, Moulavi & Sander 2013; McInnes et al. 2017) with defaults that suit few images and many.

    The smallest cluster grows with the square root of the number of images. Of the two ways to take clusters from
    the tree, its leaves find the groups in photographs, where "excess of mass" sees one huge cluster; but groups that
    are well apart they tear up. So the leaves are taken unless their silhouettes are clearly worse. Confidence is the
    membership probability: how deep in its cluster's density an image lies.
    """
    import hdbscan

    count = len(vectors)
    smallest = settings.min_cluster_size or max(4, round(np.sqrt(count) / 2))
    parameters: dict[str, Any] = {"min_cluster_size": smallest, "min_samples": 1}
    if count < smallest:
        return np.full(count, -1, np.int64), np.zeros(count, np.float32), parameters
    points = vectors.astype(np.float64)
    found: dict[str, Any] = {}
    for selection in ("leaf", "eom"):
        with warnings.catch_warnings():
            # hdbscan's own code trips over deprecations of what it is built on.
            warnings.simplefilter("ignore")
            found[selection] = hdbscan.HDBSCAN(
                min_cluster_size=smallest,
                # Neighbours smooth the density: in sets of a few dozen images even three smooth the clusters away.
                min_samples=1,
                cluster_selection_method=selection,
                core_dist_n_jobs=1,
            ).fit(points)
    quality = {selection: _mean_silhouette(points, model.labels_) for selection, model in found.items()}
    selection = "leaf" if quality["leaf"] >= _CLEARLY_WORSE * quality["eom"] else "eom"
    model = found[selection]
    parameters["selection"] = selection
    return model.labels_.astype(np.int64), np.clip(model.probabilities_, 0, 1).astype(np.float32), parameters


def _mean_silhouette(points: npt.NDArray[np.float64], labels: npt.NDArray[Any]) -> float:
    """Return the mean silhouette, noise counting as 0; 0 where it is not defined. Of 5,000 images, drawn evenly."""
    if len(points) > _SILHOUETTE_SAMPLE:
        sample = np.linspace(0, len(points) - 1, _SILHOUETTE_SAMPLE).astype(np.int64)
        points, labels = points[sample], labels[sample]
    inside = labels >= 0
    if not 2 <= len(np.unique(labels[inside])) < inside.sum():
        return 0.0
    from sklearn.metrics import silhouette_samples

    return float(silhouette_samples(points[inside], labels[inside]).sum() / len(points))


def _evoc(vectors: Vectors, settings: Settings) -> _Answer:
    """EVoC (Tutte Institute), the coarsest of its layers; confidence is its membership strength."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import evoc
    smallest = settings.min_cluster_size or max(4, round(np.sqrt(len(vectors)) / 2))
    if len(vectors) < 2 * smallest:
        raise ClusteringError(f"{len(vectors)} images are too few for EVoC; use --method hdbscan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = evoc.EVoC(base_min_cluster_size=smallest, random_state=settings.seed)
        model.fit(np.ascontiguousarray(vectors))
    # Layers come finest first; the coarsest that still tells clusters apart.
    layers = list(zip(model.cluster_layers_, model.membership_strength_layers_, strict=True))
    labels, strengths = layers[-1]
    labels = np.asarray(labels, dtype=np.int64)
    confidence = np.where(labels < 0, 0, np.clip(strengths, 0, 1)).astype(np.float32)
    return labels, confidence, {"min_cluster_size": smallest, "layers": len(layers)}


METHODS: Final[dict[str, Callable[[Vectors, Settings], _Answer]]] = {
    "kmeans": _kmeans,
    "hdbscan": _hdbscan,
    "evoc": _evoc,
}


def _margin(distances: npt.NDArray[Any]) -> Confidence:
    if distances.shape[1] == 1:
        return np.ones(len(distances), np.float32)
    nearest = np.partition(distances, 1, axis=1)[:, :2]
    own, other = nearest[:, 0], nearest[:, 1]
    return (1 - np.divide(own, other, out=np.ones_like(own), where=other > 0)).astype(np.float32)


def _by_size(labels: Labels, confidence: Confidence) -> tuple[Labels, Confidence]:
    """Number the clusters by size, the largest first; equal ones by their first image."""
    names, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    numbers = np.full(int(names.max(initial=-1)) + 2, -1, dtype=np.int64)
    numbers[names[order]] = np.arange(len(names))
    return numbers[labels], confidence


def _count_distinct(vectors: Vectors, enough: int) -> int:
    """Count different vectors, but stop where there are `enough`."""
    seen: set[bytes] = set()
    for vector in vectors:
        seen.add((vector + 0.0).tobytes())  # −0 is 0
        if len(seen) >= enough:
            break
    return len(seen)
