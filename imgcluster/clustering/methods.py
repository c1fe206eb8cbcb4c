"""The methods by name: each one function from vectors to an answer, and one line in a table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from imgcluster.clustering.candidates import score_counts
from imgcluster.clustering.density import evoc, hdbscan
from imgcluster.clustering.kmeans import divide_thoroughly
from imgcluster.clustering.layers import layers_around
from imgcluster.clustering.margins import margins
from imgcluster.clustering.num_clusters import FEWEST_TO_COUNT, find_count
from imgcluster.clustering.numbering import by_size
from imgcluster.clustering.settings import Settings
from imgcluster.clustering.types import Answer
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.reduce import Reduced
from imgcluster.types import Candidate, Clustering, Layer, Vectors

__all__ = [
    "METHODS",
    "choose_method",
    "cluster_degenerate",
    "cluster_vectors",
    "kmeans",
]

# Among fewer images any number of clusters may be right.
_FEWEST_TO_JUDGE: Final = 30


def kmeans(space: Reduced, settings: Settings) -> Answer:
    """k-means (Lloyd 1982) from k-means++ starts, the one with the smallest inertia.

    Without a number of clusters the one is taken that the neighbour graph shows (`num_clusters.find_count`); beside a
    given one, `parameters` say which number the graph shows where that is clear (``shown``). Finer and
    coarser layers are made by splitting and merging its clusters along the same graph. Confidence is 1 − (distance
    to the own centre / distance to the next).
    """
    vectors = space.vectors
    parameters: dict[str, Any] = {}
    k = settings.k
    candidates: tuple[Candidate, ...] = ()
    if k is None:
        found = find_count(space, settings.k_range, seed=settings.seed)
        k = found.k
        parameters = {"found": True, "k_range": list(settings.k_range), "persistence": round(found.persistence, 2)}
        if settings.score_k:
            candidates = score_counts(vectors, found, seed=settings.seed)
    elif k > 2 and len(vectors) >= _FEWEST_TO_JUDGE:
        found = find_count(space, settings.k_range, seed=settings.seed)
        if found.clear:
            parameters["shown"] = found.k
    labels, inertia, starts = divide_thoroughly(vectors, k, seed=settings.seed)
    parameters = {"k": k, "starts": starts, "inertia": inertia, **parameters}
    layers, chosen = layers_around(space, labels, seed=settings.seed)
    return Answer([(layer, margins(vectors, layer)[0]) for layer in layers], chosen, parameters, candidates)


METHODS: Final[dict[str, Callable[[Reduced, Settings], Answer]]] = {
    "kmeans": kmeans,
    "hdbscan": hdbscan,
    "evoc": evoc,
}


def choose_method(method: str, k: int | str | None) -> str:
    """Return the method that ``auto`` stands for, and refuse options that do not go together.

    Raises:
        UsageError: The method is unknown, or finds the number of clusters itself and was told one.
    """
    if method == "auto":
        return "kmeans"
    if method not in METHODS:
        raise UsageError(f"method {method!r} is unknown; choose one of auto, {', '.join(METHODS)}")
    if method != "kmeans" and k is not None:
        raise UsageError(f"{method} finds the number of clusters itself: leave out --k, or use --method kmeans")
    if method == "evoc" and importlib.util.find_spec("evoc") is None:
        raise UsageError("--method evoc needs another package: pip install 'imgcluster[evoc]'")
    return method


def cluster_degenerate(vectors: Vectors, settings: Settings) -> Clustering | None:
    """Answer where no method is needed: all ``float32 (n, d)`` vectors are the same. None for all others.

    To be asked before vectors are reduced: that makes equal ones differ by rounding errors.

    Raises:
        ClusteringError: There are too few, or too few different, vectors for what was asked, or some that are not
            numbers.
    """
    count = len(vectors)
    broken = int((~np.isfinite(vectors).all(axis=1)).sum())
    if broken:
        raise ClusteringError(
            f"{broken} of {count} vectors hold values that are no numbers (NaN or infinite): the encoder does not work "
            "on these images; embed them with another --encoder and --fresh"
        )
    if count < 2:
        raise ClusteringError(f"{count} {'image' if count == 1 else 'images'} cannot be clustered; embed more first")
    distinct = count_distinct(vectors, max(settings.k or 1, FEWEST_TO_COUNT) + 1)
    if distinct == 1 and settings.k in (None, 1):
        return _one_cluster(count, {"identical": True})
    if settings.k is not None and distinct < settings.k:
        what = f"there are only {count} images" if count < settings.k else f"only {distinct} different ones are there"
        raise ClusteringError(
            f"{count} images cannot make {settings.k} clusters: {what}; ask for --k {distinct} or fewer, or embed more"
        )
    return None


def cluster_vectors(space: Reduced, method: str, settings: Settings) -> Clustering:
    """Cluster by a method of `METHODS`.

    Raises:
        ClusteringError: There are too few, or too few different, vectors for what was asked.
    """
    degenerate = cluster_degenerate(space.vectors, settings)
    if degenerate is not None:
        return degenerate
    needed = max(FEWEST_TO_COUNT, settings.k_range[0] + 1)
    distinct = count_distinct(space.vectors, needed)
    if method == "kmeans" and settings.k is None and distinct < needed:
        return _one_cluster(len(space.vectors), {"too_few": True})
    answer = METHODS[method](space, settings)
    layers = []
    for labels, confidence in answer.layers:
        _, runner_up = margins(space.vectors, labels)
        layers.append(by_size(Layer(labels, confidence, runner_up)))
    return Clustering(tuple(layers), answer.chosen, answer.parameters, answer.candidates)


def _one_cluster(count: int, parameters: dict[str, bool]) -> Clustering:
    layer = Layer(np.zeros(count, np.int64), np.ones(count, np.float32), np.full(count, -1, np.int64))
    return Clustering((layer,), 0, dict(parameters))
