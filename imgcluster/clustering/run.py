"""From embeddings to a clustering with all its layers: normalized, reduced, clustered, with stability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.methods import cluster_degenerate, cluster_vectors
from imgcluster.clustering.noise import assign_noise
from imgcluster.clustering.settings import Settings
from imgcluster.clustering.stability import stability
from imgcluster.clustering.types import Clustering, ClusteringResult, Layer
from imgcluster.features.blocks import reordered
from imgcluster.features.duplicate_vectors import content_order
from imgcluster.features.normalize import normalize_rows
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.types import MapParts, Metric, VectorRows, Vectors

__all__ = ["ReductionCache", "cluster_embeddings"]

ReductionCache = Callable[[Callable[[], Reduced]], Reduced]
"""Returns the cached reduction, or computes it with the function that it is called with, and caches it."""

_Stability = tuple[tuple[float | None, ...], ...]


def cluster_embeddings(
    embeddings: Vectors | VectorRows,
    metric: Metric,
    *,
    method: str,
    reduction: str,
    settings: Settings,
    assign: bool,
    order: npt.NDArray[np.int64] | None = None,
    reduction_cache: ReductionCache | None = None,
    map_parts: MapParts = map,
) -> ClusteringResult:
    """Cluster ``float32 (n, d)`` embeddings.

    They are clustered in the order of their content, so the result for an image does not depend on its position, and
    thereby not on file names.

    Args:
        embeddings: As the encoder returned them, in memory or in files.
        metric: The encoder's.
        method: A method of `clustering.METHODS`.
        reduction: One of `features.reduce.REDUCTIONS`, but not ``auto``.
        settings: Those of the method.
        assign: Whether noise is assigned to the clusters of its neighbors.
        order: ``int64 (n,)``, the rows in the order of their content; by default that of the embeddings themselves.
        reduction_cache: Keeps the reduction for other methods and settings.
        map_parts: As for `reduce`.

    Raises:
        ClusteringError: The images cannot be clustered with these settings.
    """
    order = content_order(embeddings) if order is None else order
    degenerate = cluster_degenerate(embeddings, settings)
    if degenerate is not None:
        return ClusteringResult(degenerate, "none", tuple((1.0,) for _ in degenerate.layers))

    def compute() -> Reduced:
        normalized = normalize_rows(reordered(embeddings, order), metric)
        return reduce(normalized, reduction, seed=settings.seed, map_parts=map_parts)

    reduced = compute() if reduction_cache is None else reduction_cache(compute)
    clustering = cluster_vectors(reduced, method, settings)
    if reduced.sample:
        notes = dataclasses.replace(clustering.notes, sample=reduced.sample)
        clustering = dataclasses.replace(clustering, notes=notes)
    # Before noise is assigned: images of no group have no stability.
    values = _stability(reduced, clustering, method, settings)
    if assign:
        assigned = assign_noise(reduced.vectors, clustering)
        clustering, values = assigned, _renumbered(clustering, assigned, values)
    return ClusteringResult(_reordered(clustering, order), reduced.note, values)


def _stability(reduced: Reduced, clustering: Clustering, method: str, settings: Settings) -> _Stability:
    if clustering.notes.identical:
        return tuple((1.0,) for _ in clustering.layers)
    return tuple(
        tuple(None if value is None else round(value, 4) for value in values)
        for values in stability(reduced.vectors, clustering.layers, method, settings)
    )


def _reordered(clustering: Clustering, order: npt.NDArray[np.int64]) -> Clustering:
    """Return the clustering of rows ``order[i]`` as one of rows ``i``."""
    back = np.argsort(order)
    layers = (Layer(each.labels[back], each.confidence[back], each.runner_up[back]) for each in clustering.layers)
    return dataclasses.replace(clustering, layers=tuple(layers))


def _renumbered(before: Clustering, after: Clustering, values: _Stability) -> _Stability:
    """Return the stability by the numbers that the clusters have after noise was assigned."""
    result = []
    for old, new, stable in zip(before.layers, after.layers, values, strict=True):
        renumbered: list[float | None] = [None] * new.count
        numbers, first = np.unique(old.labels, return_index=True)
        for number, target in zip(numbers.tolist(), new.labels[first].tolist(), strict=True):
            if number >= 0:
                renumbered[target] = stable[number]
        result.append(tuple(renumbered))
    return tuple(result)
