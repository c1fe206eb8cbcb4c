"""Numbers of clusters side by side, scored without labels, for people to choose among."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from imgcluster.clustering.kmeans import divide
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.types import Candidate, Vectors

if TYPE_CHECKING:
    from imgcluster.clustering.num_clusters import Found

__all__ = [
    "score_counts",
]

_SAMPLE: Final = 1500
_STARTS: Final = 3
_HALVES: Final = 3
_SHARE: Final = 0.8


def score_counts(vectors: Vectors, found: Found, *, seed: int) -> tuple[Candidate, ...]:
    """Score every number of clusters in the range that was looked through, on at most 1,500 images.

    The silhouette (Rousseeuw 1987) is that of k-means in the space that is clustered. Stability is the mean adjusted
    Rand index (Hubert & Arabie 1985) between the clusters of all images and of three draws of 80 % of them, each with
    another seed. Persistence is the factor by which the resolution changes while that number lasts
    (`num_clusters.find_count`).
    """
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    generator = np.random.default_rng(seed)
    if len(vectors) > _SAMPLE:
        vectors = vectors[np.sort(generator.choice(len(vectors), _SAMPLE, replace=False))]
    draws = [
        np.sort(generator.choice(len(vectors), max(2, round(_SHARE * len(vectors))), replace=False))
        for _ in range(_HALVES)
    ]
    possible = count_distinct(vectors, len(draws[0]))
    candidates = []
    for k, persistence in found.factors.items():
        if k >= possible:
            break
        labels, _ = divide(vectors, k, seed=seed, starts=_STARTS)
        agreements = []
        for number, draw in enumerate(draws, start=1):
            if count_distinct(vectors[draw], k) >= k:
                again, _ = divide(vectors[draw], k, seed=seed + number, starts=_STARTS)
                agreements.append(adjusted_rand_score(labels[draw], again))
        candidates.append(
            Candidate(
                k=k,
                silhouette=round(float(silhouette_score(vectors, labels)), 4),
                stability=round(float(np.mean(agreements)), 4) if agreements else 0.0,
                persistence=round(persistence, 2),
                chosen=k == found.k,
            )
        )
    return tuple(candidates)
