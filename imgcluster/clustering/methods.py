"""The clustering methods by name: each is a function and a row in a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from imgcluster.clustering.candidates import score_candidates
from imgcluster.clustering.density import evoc, hdbscan
from imgcluster.clustering.kmeans import fit_kmeans_with_restarts
from imgcluster.clustering.layers import coarser_and_finer
from imgcluster.clustering.margins import margins
from imgcluster.clustering.merge_tree import graph_of
from imgcluster.clustering.num_clusters import MIN_DISTINCT, estimate_num_clusters
from imgcluster.clustering.numbering import number_by_size
from imgcluster.clustering.settings import METHOD_OPTIONS, Settings
from imgcluster.clustering.types import Candidate, Clustering, FitNotes, Layer, MethodResult
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.blocks import blocks
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.reduce import Reduced
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.types import VectorRows, Vectors
from imgcluster.wording import counted

__all__ = [
    "METHODS",
    "Method",
    "choose_method",
    "cluster_degenerate",
    "cluster_vectors",
    "kmeans",
]

# Among fewer images any number of clusters may be right.
_MIN_TO_COMPARE: Final = 30
# The highest number that connected components raise the default range to; more would take minutes.
_MAX_COMPONENTS: Final = 100


def kmeans(reduced: Reduced, settings: Settings) -> MethodResult:
    """k-means (Lloyd 1982) from k-means++ starts, of which the one with the smallest inertia is taken.

    Without a number of clusters it is estimated from the graph (`num_clusters.estimate_num_clusters`). Where a smaller
    number than the requested one is clearly better, the result names it. Finer and coarser layers are made
    by splitting and merging the clusters along the same graph. Confidence is 1 − (distance to the own centroid /
    distance to the next).
    """
    reduced = dataclasses.replace(reduced, graph=graph_of(reduced))
    k = settings.k
    parameters: dict[str, Any] = {}
    candidates: tuple[Candidate, ...] = ()
    if k is None:
        k_range = _range_for(reduced, settings)
        estimate = estimate_num_clusters(reduced, k_range, seed=settings.seed)
        k = estimate.k
        parameters = {"found": True, "k_range": list(k_range), "persistence": round(estimate.persistence, 2)}
        if settings.score_k:
            candidates = score_candidates(reduced.vectors, estimate, seed=settings.seed)
    labels, inertia, starts = fit_kmeans_with_restarts(reduced.vectors, k, seed=settings.seed, starts=settings.n_init)
    layers = coarser_and_finer(reduced, labels, seed=settings.seed)
    enough = settings.k is not None and len(labels) >= _MIN_TO_COMPARE
    parameters = {"k": k, "starts": starts, "inertia": inertia, **parameters}
    results = [(layer, margins(reduced.vectors, layer)[0]) for layer in layers.labels]
    return MethodResult(results, layers.given, parameters, candidates, layers.fewer if enough else None)


def _range_for(reduced: Reduced, settings: Settings) -> tuple[int, int]:
    """Return the range to search: that of the settings, but the default one reaches up to the connected components."""
    low, high = settings.k_range
    components = graph_of(reduced).components
    return low, high if settings.score_k else max(high, min(components, _MAX_COMPONENTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A clustering method.

    Attributes:
        function: Clusters reduced vectors.
        title: Its name in texts.
        takes_k: Whether it takes the number of clusters, and estimates it without one; all others find it themselves.
        takes: Which of `settings.METHOD_OPTIONS` it takes.
        reduction: The reduction that ``auto`` stands for.
        package: The optional package that it needs.
    """

    function: Callable[[Reduced, Settings], MethodResult]
    title: str
    takes_k: bool = False
    takes: tuple[str, ...] = ()
    reduction: str = "graph"
    package: str = ""


METHODS: Final = {
    "kmeans": Method(function=kmeans, title="k-means", takes_k=True, takes=("n_init",)),
    "hdbscan": Method(
        function=hdbscan,
        title="HDBSCAN",
        takes=("min_cluster_size", "min_samples", "cluster_selection_method", "cluster_selection_epsilon"),
    ),
    # EVoC builds a graph of its own.
    "evoc": Method(function=evoc, title="EVoC", takes=("min_cluster_size",), reduction="none", package="evoc"),
}
_AUTO: Final = "kmeans"


def choose_method(method: str, k: int | str | None = None, **given: Any) -> str:
    """Return the method that ``auto`` stands for, and refuse options that exclude each other.

    `given` are `settings.METHOD_OPTIONS`, None where they are not given.

    Raises:
        UsageError: The method is unknown, does not take one of the options, or needs a package that is not installed.
    """
    name = _AUTO if method == "auto" else method
    if name not in METHODS:
        raise UsageError(f"method {name!r} is unknown; choose one of auto, {', '.join(METHODS)}")
    chosen = METHODS[name]
    if k is not None and not chosen.takes_k:
        allowed = " or ".join(other for other, row in METHODS.items() if row.takes_k)
        raise UsageError(f"{name} finds the number of clusters itself: leave out --k, or use --method {allowed}")
    for option in METHOD_OPTIONS:
        if given.get(option) is not None and option not in chosen.takes:
            others = [other for other, row in METHODS.items() if option in row.takes]
            raise UsageError(
                f"--{option.replace('_', '-')} is for {' and '.join(others)}; {chosen.title} does not take it: leave "
                f"it out, or add --method {others[0]}"
            )
    if chosen.package:
        # Imported now, so that a missing or broken package shows before the images are embedded.
        try:
            import_optional(chosen.package)
        except UnavailablePackage as error:
            raise UsageError(f"--method {name} is not possible: {error}") from None
    return name


def cluster_degenerate(vectors: Vectors | VectorRows, settings: Settings) -> Clustering | None:
    """Return the clustering if all ``float32 (n, d)`` vectors are the same and no method is needed, otherwise None.

    Call it before vectors are reduced: the rounding errors of a reduction make equal vectors differ.

    Raises:
        ClusteringError: There are too few, or too few distinct, vectors for the settings, or some values are not
            finite.
    """
    count = len(vectors)
    broken = sum(int((~np.isfinite(block).all(axis=1)).sum()) for _, block in blocks(vectors))
    if broken:
        raise ClusteringError(
            f"{broken} of {count} vectors have values that are NaN or infinite: the encoder does not work on these "
            "images; embed them with another --encoder and --fresh"
        )
    if count < 2:
        raise ClusteringError(f"{counted(count, 'image')} cannot be clustered; embed more first")
    distinct = count_distinct(vectors, max(settings.k or 1, MIN_DISTINCT) + 1)
    if distinct == 1 and settings.k in (None, 1):
        return _one_cluster(count, FitNotes(identical=True))
    if settings.k is not None and distinct < settings.k:
        what = f"there are only {count} images" if distinct == count else f"only {distinct} of them are distinct"
        raise ClusteringError(
            f"{count} images cannot make {settings.k} clusters: {what}; use --k {distinct} or fewer, or embed more"
        )
    return None


def cluster_vectors(reduced: Reduced, method: str, settings: Settings) -> Clustering:
    """Cluster by a method of `METHODS`.

    Raises:
        ClusteringError: There are too few, or too few distinct, vectors for the settings.
    """
    degenerate = cluster_degenerate(reduced.vectors, settings)
    if degenerate is not None:
        return degenerate
    needed = max(MIN_DISTINCT, settings.k_range[0] + 1)
    distinct = count_distinct(reduced.vectors, needed)
    if METHODS[method].takes_k and settings.k is None and distinct < needed:
        return _one_cluster(len(reduced.vectors), FitNotes(too_few=True))
    result = METHODS[method].function(reduced, settings)
    layers = []
    for labels, confidence in result.layers:
        _, runner_up = margins(reduced.vectors, labels)
        layers.append(number_by_size(Layer(labels, confidence, runner_up)))
    return Clustering(
        tuple(layers), result.chosen, result.parameters, result.candidates, FitNotes(better_k=result.better_k)
    )


def _one_cluster(count: int, notes: FitNotes) -> Clustering:
    layer = Layer(np.zeros(count, np.int64), np.ones(count, np.float32), np.full(count, -1, np.int64))
    return Clustering((layer,), 0, {}, notes=notes)
