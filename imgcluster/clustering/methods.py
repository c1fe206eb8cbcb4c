"""The methods by name: each one function from vectors to an answer, and one line in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from imgcluster.clustering.density import evoc, hdbscan
from imgcluster.clustering.hierarchy import FEWEST_TO_COUNT
from imgcluster.clustering.kmeans import kmeans
from imgcluster.clustering.margins import margins
from imgcluster.clustering.model import Answer, Clustering, Layer, Settings
from imgcluster.clustering.numbering import by_size
from imgcluster.distinct import count_distinct
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.reduction import Reduced, Vectors

__all__ = ["METHODS", "choose_method", "cluster_degenerate", "cluster_vectors"]

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
    if method == "evoc":
        # Imported now, so that a missing or broken package shows before the images are embedded.
        try:
            import_optional("evoc")
        except UnavailablePackage as error:
            raise UsageError(f"--method evoc is not possible: {error}") from None
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
