"""Giving noise, the images of no cluster, to the clusters of their neighbours."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from imgcluster.clustering.numbering import by_size
from imgcluster.features.neighbors import nearest
from imgcluster.types import Clustering, Labels, Layer, Vectors

__all__ = ["assign_noise"]

_VOTERS: Final = 15


def assign_noise(vectors: Vectors, clustering: Clustering) -> Clustering:
    """Give every noise image, in all layers, to the cluster that most of its 15 nearest clustered images belong to.

    Its confidence is the share of the 15 that agree, halved: less than that of any image that the method itself
    was sure of. Nothing changes where there is no cluster, or no noise.
    """
    layers: list[Layer] = []
    # The coarsest first: in a finer layer an image stays inside its coarser cluster.
    for layer in reversed(clustering.layers):
        layers.insert(0, _without_noise(vectors, layer, layers[0].labels if layers else None))
    assigned = int((clustering.labels < 0).sum() - (layers[clustering.chosen].labels < 0).sum())
    if not assigned:
        return dataclasses.replace(clustering, layers=tuple(layers))
    parameters = {**clustering.parameters, "assigned_noise": assigned}
    return dataclasses.replace(clustering, layers=tuple(layers), parameters=parameters)


def _without_noise(vectors: Vectors, layer: Layer, around: Labels | None) -> Layer:
    """Return the layer without noise; where `around`, the next coarser one, is given, only members of the same coarse
    cluster vote."""
    noise = layer.labels < 0
    if not noise.any() or noise.all():
        return layer
    labels, confidence, runner_up = layer.labels.copy(), layer.confidence.copy(), layer.runner_up.copy()
    parents = np.zeros(len(labels), dtype=np.int64) if around is None else around
    for parent in np.unique(parents[noise]):
        inside = parents == parent
        voting, asking = np.flatnonzero(inside & ~noise), np.flatnonzero(inside & noise)
        if not len(voting):
            # A coarse cluster of noise alone, to the finer layer, is a fine cluster, too.
            labels[asking] = labels.max() + 1
            continue
        members, voters = layer.labels[voting], min(_VOTERS, len(voting))
        _, neighbours = nearest(vectors[voting], voters, of=vectors[asking])
        votes = np.zeros((len(asking), layer.count))
        np.add.at(votes, (np.arange(len(asking))[:, None], members[neighbours]), 1.0)
        labels[asking] = votes.argmax(axis=1)
        confidence[asking] = votes.max(axis=1) / voters / 2
        runner_up[asking] = _second(votes, runner_up[asking])
    return by_size(Layer(labels, confidence, runner_up))


def _second(votes: np.ndarray[tuple[int, int], np.dtype[np.float64]], nearest_cluster: Labels) -> Labels:
    """Return the cluster with the second most votes; without a vote the one with the nearest centre, if another."""
    first = votes.argmax(axis=1)
    rest = votes.copy()
    rest[np.arange(len(rest)), first] = -1
    second = rest.argmax(axis=1)
    unvoted = rest.max(axis=1) <= 0
    fallback = np.where(nearest_cluster == first, -1, nearest_cluster)
    return np.asarray(np.where(unvoted, fallback, second), dtype=np.int64)
