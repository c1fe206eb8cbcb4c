"""Confidence and runner-up: how clearly an image belongs to its cluster, and which cluster is next."""

from __future__ import annotations

import numpy as np

from imgcluster.clustering.types import Confidence
from imgcluster.features.blocks import blocks
from imgcluster.features.centroids import centroids
from imgcluster.types import Labels, Vectors

__all__ = ["margins"]


def margins(vectors: Vectors, labels: Labels) -> tuple[Confidence, Labels]:
    """Compare each image's distance to the centroid of its own cluster with that to the nearest other one.

    Args:
        vectors: ``float32 (n, d)``.
        labels: ``int64 (n,)``; −1 is noise.

    Returns:
        Confidence ``float32 (n,)``: 1 − (own / other), 0 on the border of two clusters and for noise, 1 where there is
        no other cluster. And the runner-up ``int64 (n,)``: the nearest other cluster, for noise the nearest of all, −1
        where there is none.
    """
    count = int(labels.max(initial=-1)) + 1
    confidence = np.zeros(len(labels), dtype=np.float32)
    runner_up = np.full(len(labels), -1, dtype=np.int64)
    if count == 0:
        return confidence, runner_up
    centers = centroids(vectors, labels, count)
    lengths = (centers * centers).sum(axis=1)
    for part, block in blocks(vectors, count):
        points = block.astype(np.float64)
        squares = (points * points).sum(axis=1)[:, None] - 2 * (points @ centers.T) + lengths[None, :]
        distances = np.sqrt(np.maximum(squares, 0.0))
        own, rows = labels[part], np.arange(len(points))
        clustered = own >= 0
        own_distance = np.where(clustered, distances[rows, own], 0.0)
        distances[rows[clustered], own[clustered]] = np.inf
        other = distances.argmin(axis=1)
        other_distance = distances[rows, other]
        exists = np.isfinite(other_distance)
        runner_up[part] = np.where(exists, other, -1)
        ratio = np.divide(own_distance, other_distance, out=np.ones_like(own_distance), where=other_distance > 0)
        confidence[part] = np.where(clustered, np.clip(1 - np.where(exists, ratio, 0.0), 0, 1), 0.0)
    return confidence, runner_up
