"""What is read off the codes before a stage: neighbours, clusters along their graph, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imgcluster.clustering import Settings
from imgcluster.clustering.num_clusters import FEWEST_TO_COUNT, find_count
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.normalize import comparable, normalise
from imgcluster.features.reduce import reduce
from imgcluster.types import Metric
from training.errors import TrainingError
from training.metrics import Floats

__all__ = [
    "NEIGHBOURS",
    "Centres",
    "count_clusters",
    "diffusion_map",
    "graph_clusters",
    "kmeans",
    "means",
    "nearest",
    "neighbour_count",
]

# As many as DEC's authors use; enough that another seed finds the same clusters.
_STARTS: Final = 20
# Of the diffusion map, per cluster: the first eigenvectors of some clusters come after the second of others.
_DIMENSIONS: Final = 2
# Steps of the random walk: chosen on MNIST's codes.
_DIFFUSION_TIME: Final = 20
# The weight, beside that of the neighbours, with which a walk leaps to any image at all: a few images that are nobody
# else's neighbours are no clusters of their own then (regularised spectral clustering, Zhang & Rohe 2018).
_LEAPS: Final = 0.5
# Up to so many images all eigenvectors are computed, which is exact and as fast.
_DENSE: Final = 400
# Of the graph that clusters are looked for along.
NEIGHBOURS: Final = 10
# Similarities in memory at once: 64 MB.
_SIMILARITIES: Final = 2**24


@dataclass(frozen=True, slots=True)
class Centres:
    """`centres` ``float32 (k, d)`` and each code's `labels` ``int64 (n,)``."""

    centres: Floats
    labels: npt.NDArray[np.int64]


def kmeans(codes: Floats, clusters: int, *, seed: int) -> Centres:
    """Return the best of 20 runs of k-means on ``float32 (n, d)`` codes.

    Raises:
        TrainingError: There are fewer different codes than clusters.
    """
    from sklearn.cluster import KMeans

    if clusters == 1:
        return Centres(codes.mean(axis=0, keepdims=True), np.zeros(len(codes), dtype=np.int64))
    distinct = count_distinct(codes, clusters)
    if distinct < clusters:
        raise TrainingError(
            f"{len(codes)} images have {distinct} different codes, which cannot make {clusters} clusters; "
            f"use --refine {max(1, distinct)} or fewer, or more images"
        )
    found = KMeans(clusters, n_init=_STARTS, random_state=seed).fit(codes)
    return Centres(found.cluster_centers_.astype(np.float32), found.labels_.astype(np.int64))


def neighbour_count(images: int, wanted: int) -> int:
    """Return how many neighbours `nearest` gives: `wanted`, but no more than a quarter of the images, and one."""
    return min(wanted, max(1, images // 4))


@torch.no_grad()
def nearest(codes: Tensor, count: int) -> Tensor:
    """Return the `count` nearest others of each of ``(n, d)`` codes by cosine, nearest first, ``int64 (n, count)``.

    A quarter of the images at most: where all are neighbours of all, being one says nothing. Exact, in blocks.
    """
    unit = torch.nn.functional.normalize(codes, dim=1)
    count = neighbour_count(len(unit), count)
    rows = max(1, _SIMILARITIES // len(unit))
    parts = []
    for start in range(0, len(unit), rows):
        similarity = unit[start : start + rows] @ unit.T
        similarity[torch.arange(len(similarity)), torch.arange(start, start + len(similarity))] = -torch.inf
        parts.append(similarity.topk(count, dim=1).indices)
    return torch.cat(parts)


def diffusion_map(near: npt.NDArray[np.int64], dimensions: int) -> Floats:
    """Return where a random walk among neighbours leads from each image: ``float32 (n, dimensions)``, of length 1.

    Images between which a walk of 20 steps goes often lie near each other, whatever the shape of the clusters:
    k-means finds them there. Diffusion maps (Coifman & Lafon 2006, https://doi.org/10.1016/j.acha.2006.04.006).

    Args:
        near: Every image's nearest others, ``int64 (n, neighbours)``.
        dimensions: Eigenvectors that count; n at most.
    """
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import LinearOperator, eigsh

    count, dimensions = len(near), min(dimensions, len(near))
    rows = np.repeat(np.arange(count), near.shape[1])
    graph = csr_matrix((np.ones(near.size), (rows, near.ravel())), shape=(count, count))
    graph = graph + graph.T
    root = 1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel() + _LEAPS)
    walk = diags(root) @ graph @ diags(root)
    if count <= _DENSE:
        values, vectors = np.linalg.eigh(walk.toarray() + _LEAPS / count * np.outer(root, root))
    else:
        leaping = LinearOperator(
            walk.shape, matvec=lambda place: walk @ place + _LEAPS / count * root * (root @ place), dtype=np.float64
        )
        # A fixed start makes the answer repeatable.
        start = np.random.default_rng(0).standard_normal(count)
        values, vectors = eigsh(leaping, k=min(dimensions, count - 1), which="LA", v0=start, tol=1e-4)
    order = np.argsort(-values)[:dimensions]
    places = vectors[:, order] * np.clip(values[order], 0, 1) ** _DIFFUSION_TIME
    return normalise(places.astype(np.float32))


def graph_clusters(near: Tensor, clusters: int, *, seed: int) -> Tensor:
    """Return the cluster, ``int64 (n,)``, that k-means finds each image in by the diffusion map of its neighbours.

    `near` is what `nearest` gives, ``int64 (n, neighbours)``.
    """
    places = diffusion_map(near.cpu().numpy(), _DIMENSIONS * clusters)
    return torch.from_numpy(kmeans(places, clusters, seed=seed).labels).to(near.device)


def means(codes: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Return the mean of the codes ``(n, d)`` of each cluster, ``(clusters, d)``."""
    members = torch.nn.functional.one_hot(labels, clusters).to(codes.dtype)
    return members.T @ codes / members.sum(dim=0)[:, None].clamp(min=1)


def count_clusters(codes: Tensor, metric: Metric, *, seed: int) -> int:
    """Return how many clusters `imgcluster cluster` finds by itself among ``(n, d)`` codes of `metric`: 2 and more.

    Raises:
        TrainingError: The codes are no numbers, or so few of them differ that there is nothing to count.
    """
    if not torch.isfinite(codes).all():
        raise TrainingError("the codes are no numbers: the training diverged; set training.learning_rate lower")
    settings = Settings.of(None, seed=seed)
    space = reduce(comparable(codes.cpu().numpy().astype(np.float32), metric), "graph", seed=seed)
    distinct = count_distinct(space.vectors, FEWEST_TO_COUNT)
    if distinct < FEWEST_TO_COUNT:
        raise TrainingError(
            f"{len(codes)} images have {distinct} different codes, too few to count clusters among; say how many with "
            "--refine K, or add images"
        )
    return find_count(space, settings.k_range, seed=seed).k
