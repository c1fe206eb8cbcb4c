"""Assigning noise, the images of no cluster, to the clusters of their neighbors."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from imgcluster.clustering.numbering import number_by_size
from imgcluster.clustering.types import Clustering, Layer
from imgcluster.features.blocks import blocks
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.types import Labels, Vectors

__all__ = ["assign_noise"]

_VOTERS: Final = 15


def assign_noise(vectors: Vectors, clustering: Clustering) -> Clustering:
    """Assign every noise image, in all layers, to the cluster of most of its 15 nearest clustered images.

    Its confidence is half the share of the 15 that agree: less than that of most images that the method clustered. The
    clustering is returned unchanged where there is no cluster or no noise.
    """
    layers: list[Layer] = []
    # The coarsest first: in a finer layer an image stays inside its coarser cluster.
    for layer in reversed(clustering.layers):
        layers.insert(0, _without_noise(vectors, layer, layers[0].labels if layers else None))
    assigned = int((clustering.labels < 0).sum() - (layers[clustering.chosen].labels < 0).sum())
    notes = dataclasses.replace(clustering.notes, assigned_noise=assigned)
    return dataclasses.replace(clustering, layers=tuple(layers), notes=notes)


def _without_noise(vectors: Vectors, layer: Layer, coarser: Labels | None) -> Layer:
    """Return the layer without noise; where the next coarser one is given, only members of the same coarse cluster
    vote."""
    noise = layer.labels < 0
    if not noise.any() or noise.all():
        return layer
    labels, confidence, runner_up = layer.labels.copy(), layer.confidence.copy(), layer.runner_up.copy()
    parents = np.zeros(len(labels), dtype=np.int64) if coarser is None else coarser
    for parent in np.unique(parents[noise]):
        inside = parents == parent
        voting, assigned = np.flatnonzero(inside & ~noise), np.flatnonzero(inside & noise)
        if not len(voting):
            # A coarse cluster that is all noise in the finer layer becomes a cluster there.
            labels[assigned] = labels.max() + 1
            continue
        members, voters = layer.labels[voting], min(_VOTERS, len(voting))
        _, neighbors = nearest_neighbors(vectors[voting], voters, queries=vectors[assigned])
        for part, nearest in blocks(neighbors, layer.count):
            votes = np.zeros((len(nearest), layer.count))
            np.add.at(votes, (np.arange(len(nearest))[:, None], members[nearest]), 1.0)
            rows = assigned[part]
            labels[rows] = votes.argmax(axis=1)
            confidence[rows] = votes.max(axis=1) / voters / 2
            runner_up[rows] = _second(votes, runner_up[rows])
    return number_by_size(Layer(labels, confidence, runner_up))


def _second(votes: np.ndarray[tuple[int, int], np.dtype[np.float64]], nearest_cluster: Labels) -> Labels:
    """Return the cluster with the second most votes; without votes that with the nearest centroid, if it is another."""
    first = votes.argmax(axis=1)
    rest = votes.copy()
    rest[np.arange(len(rest)), first] = -1
    second = rest.argmax(axis=1)
    unvoted = rest.max(axis=1) <= 0
    fallback = np.where(nearest_cluster == first, -1, nearest_cluster)
    return np.asarray(np.where(unvoted, fallback, second), dtype=np.int64)
