"""Scoring numbers of clusters without labels, for people to choose from."""

from __future__ import annotations

from typing import Final

import numpy as np

from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.clustering.num_clusters import ClusterCount
from imgcluster.clustering.types import Candidate
from imgcluster.features.centroids import evenly_spaced, silhouettes
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.types import Vectors

__all__ = ["score_candidates"]

_SAMPLE: Final = 1500
_STARTS: Final = 3
_DRAWS: Final = 3
_SHARE: Final = 0.8


def score_candidates(vectors: Vectors, estimate: ClusterCount, *, seed: int) -> tuple[Candidate, ...]:
    """Score every number of clusters in the range of the estimate, on at most 1,500 images, evenly spaced.

    The silhouette (Rousseeuw 1987) is that of k-means in the space that is clustered. Stability is the mean adjusted
    Rand index (Hubert & Arabie 1985) between the clusters of all images and of three draws of 80 % of them, each with
    another seed. Persistence is the factor by which the resolution grows while that number lasts
    (`num_clusters.estimate_num_clusters`).

    Args:
        vectors: ``float32 (n, d)`` in the space that is clustered, in content order.
        estimate: The estimated number and the range. Numbers that are not below those of distinct vectors and of images
            in a draw have no scores.
        seed: For draws and k-means.
    """
    from sklearn.metrics import adjusted_rand_score

    generator = np.random.default_rng(seed)
    if len(vectors) > _SAMPLE:
        vectors = vectors[evenly_spaced(len(vectors), _SAMPLE)]
    draws = [
        np.sort(generator.choice(len(vectors), max(2, round(_SHARE * len(vectors))), replace=False))
        for _ in range(_DRAWS)
    ]
    possible = count_distinct(vectors, len(draws[0]))
    candidates = []
    for k, persistence in estimate.factors.items():
        if k >= possible:
            break
        labels, _ = fit_kmeans(vectors, k, seed=seed, starts=_STARTS)
        agreements = []
        for number, draw in enumerate(draws, start=1):
            if count_distinct(vectors[draw], k) >= k:
                refit, _ = fit_kmeans(vectors[draw], k, seed=seed + number, starts=_STARTS)
                agreements.append(adjusted_rand_score(labels[draw], refit))
        candidates.append(
            Candidate(
                k=k,
                silhouette=round(float(silhouettes(vectors, labels).mean()), 4),
                stability=round(float(np.mean(agreements)), 4) if agreements else 0.0,
                persistence=round(persistence, 2),
                chosen=k == estimate.k,
            )
        )
    return tuple(candidates)
