"""From embeddings to a clustering with all its layers: made comparable, reduced, clustered, judged."""

from __future__ import annotations

from imgcluster.clustering import Settings, assign_noise, cluster_degenerate, cluster_vectors, stability
from imgcluster.features.normalize import comparable
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.types import Clustering, Kept, Metric, Vectors

__all__ = ["divide_images"]


def divide_images(
    embeddings: Vectors, metric: Metric, *, method: str, reduction: str, settings: Settings, assign: bool
) -> Kept:
    """Cluster ``float32 (n, d)`` embeddings.

    Args:
        embeddings: As the encoder made them.
        metric: The encoder's.
        method: A method of `clustering.METHODS`.
        reduction: One of `reduce.REDUCTIONS`, but not ``auto``.
        settings: What the method is told.
        assign: Whether noise goes to the clusters of its neighbours.

    Raises:
        ClusteringError: The images cannot be clustered as asked.
    """
    same = cluster_degenerate(embeddings, settings)
    if same is not None:
        return _judged(Reduced(embeddings, "none"), same, "", settings)
    space = reduce(comparable(embeddings, metric), reduction, seed=settings.seed)
    clustering = cluster_vectors(space, method, settings)
    # Judged before noise is given away: what was no group has nothing to come out again.
    judged = _judged(space, clustering, method, settings)
    if not assign:
        return judged
    assigned = assign_noise(space.vectors, clustering)
    return Kept(assigned, judged.how, _renumbered(clustering, assigned, judged.stability))


def _judged(space: Reduced, clustering: Clustering, method: str, settings: Settings) -> Kept:
    found = tuple(
        tuple(None if value is None else round(value, 4) for value in stability(space.vectors, layer, method, settings))
        if method
        else (1.0,)
        for layer in clustering.layers
    )
    return Kept(clustering, space.how, found)


def _renumbered(
    before: Clustering, after: Clustering, values: tuple[tuple[float | None, ...], ...]
) -> tuple[tuple[float | None, ...], ...]:
    """Return the values by the numbers that the clusters have `after` noise was given to them."""
    result = []
    for old, new, stable in zip(before.layers, after.layers, values, strict=True):
        moved: list[float | None] = [None] * new.count
        inside = old.labels >= 0
        for number, target in set(zip(old.labels[inside].tolist(), new.labels[inside].tolist(), strict=True)):
            moved[target] = stable[number]
        result.append(tuple(moved))
    return tuple(result)
