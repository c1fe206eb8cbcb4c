"""Nearest neighbors, clusters and their number among the codes, as `imgcluster cluster` finds them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imgcluster.clustering import Settings
from imgcluster.clustering.kmeans import fit_kmeans, fit_kmeans_with_restarts
from imgcluster.clustering.num_clusters import MIN_DISTINCT, estimate_num_clusters
from imgcluster.features import neighbors
from imgcluster.features.centroids import centroids
from imgcluster.features.duplicate_vectors import content_order, count_distinct
from imgcluster.features.normalize import l2_normalize, normalize_features
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.types import Metric, Vectors
from imgcluster_training.errors import TrainingError

__all__ = [
    "cluster_centers",
    "count_clusters",
    "graph_clusters",
    "kmeans",
    "nearest_neighbors",
    "neighbor_count",
    "require_distinct",
]

# As in the DEC paper; more runs hardly change the result.
_KMEANS_RUNS: Final = 20

Labels = npt.NDArray[np.int64]


def neighbor_count(images: int, requested: int) -> int:
    """Return the number of neighbors for a set of images: `requested`, but at most a quarter of the images.

    If all images were neighbors of all others, neighborhoods would say nothing.
    """
    return min(requested, max(1, images // 4))


def nearest_neighbors(codes: Tensor, count: int) -> Tensor:
    """Return the indices of the `count` other codes most similar to each of ``(n, d)`` by cosine, ``(n, count)``."""
    return torch.from_numpy(neighbors.nearest_neighbors(l2_normalize(_array(codes)), count)[1]).to(codes.device)


def kmeans(vectors: Vectors, clusters: int, *, seed: int) -> Labels:
    """Return the cluster of each of ``float32 (n, d)`` vectors by the best of 20 runs of k-means, ``int64 (n,)``.

    There are fewer than `clusters` if fewer vectors are different.
    """
    return fit_kmeans(vectors, clusters, seed=seed, starts=_KMEANS_RUNS)[0]


def graph_clusters(codes: Tensor, clusters: int, metric: Metric, *, seed: int) -> Tensor:
    """Return the cluster of each code ``(n, d)`` as `imgcluster cluster --k` finds them, ``int64 (n,)``.

    That is k-means on a diffusion map of the k-nearest-neighbor graph; these clusters need not be convex.

    Raises:
        TrainingError: The codes are not finite, or fewer than `clusters` of them are different.
    """
    reduced, order = _diffusion_space(codes, metric, seed)
    require_distinct(reduced.vectors, clusters)
    labels = fit_kmeans_with_restarts(reduced.vectors, clusters, seed=seed)[0]
    return torch.from_numpy(labels[np.argsort(order)]).to(codes.device)


def count_clusters(codes: Tensor, metric: Metric, *, seed: int) -> int:
    """Return the number of clusters that `imgcluster cluster` estimates among codes ``(n, d)``, at least 2.

    Raises:
        TrainingError: The codes are not finite, or too few of them are different.
    """
    reduced, _ = _diffusion_space(codes, metric, seed)
    distinct = count_distinct(reduced.vectors, MIN_DISTINCT)
    if distinct < MIN_DISTINCT:
        raise TrainingError(
            f"{len(codes)} images have only {distinct} different codes, too few to estimate the number of clusters; "
            "give it with --refine K, or add images"
        )
    return estimate_num_clusters(reduced, Settings.of(None, seed=seed).k_range, seed=seed).k


def cluster_centers(codes: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Return the mean of the codes ``(n, d)`` of each cluster, ``(clusters, d)``; zeros for an empty cluster."""
    return torch.from_numpy(centroids(_array(codes), labels.cpu().numpy(), clusters)).to(codes)


def require_distinct(vectors: Vectors, clusters: int) -> None:
    """Check that the vectors can form so many clusters.

    Raises:
        TrainingError: Fewer than `clusters` of them are different.
    """
    distinct = count_distinct(vectors, clusters)
    if distinct < clusters:
        raise TrainingError(
            f"{len(vectors)} images have only {distinct} different codes, too few for {clusters} clusters; "
            f"use --refine {max(1, distinct)} or fewer, or more images"
        )


def _diffusion_space(codes: Tensor, metric: Metric, seed: int) -> tuple[Reduced, npt.NDArray[np.int64]]:
    """Return the codes, reduced in content order, so that the result does not depend on that of the data; and it."""
    if not torch.isfinite(codes).all():
        raise TrainingError("the codes are not finite: the training diverged; set training.learning_rate lower")
    vectors = _array(codes)
    order = content_order(vectors)
    return reduce(normalize_features(vectors[order], metric, in_place=True), "graph", seed=seed), order


def _array(codes: Tensor) -> Vectors:
    return codes.detach().cpu().numpy().astype(np.float32)
