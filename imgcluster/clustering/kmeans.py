"""k-means, made so that another seed hardly changes the answer, and so that it needs no number of clusters."""

from __future__ import annotations

from typing import Any, Final

from imgcluster.clustering.counts import Candidate, score_counts
from imgcluster.clustering.hierarchy import find_count, layers_around
from imgcluster.clustering.margins import margins
from imgcluster.clustering.model import Answer, Settings
from imgcluster.clustering.partition import divide_thoroughly
from imgcluster.reduction import Reduced

__all__ = ["kmeans"]

# Among fewer images any number of clusters may be right.
_FEWEST_TO_JUDGE: Final = 30


def kmeans(space: Reduced, settings: Settings) -> Answer:
    """k-means (Lloyd 1982) from k-means++ starts, the one with the smallest inertia.

    Without a number of clusters the one is taken that the neighbour graph shows (`hierarchy.find_count`); beside a
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
