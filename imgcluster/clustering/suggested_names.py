"""Suggested names of clusters: the words of a vocabulary that most of a cluster's images are similar to."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks
from imgcluster.features.centroids import centroids
from imgcluster.types import Labels, VectorRows, Vectors

__all__ = ["SUPPORT", "TOP_SHARE", "distinct_names", "suggest_names"]

TOP_SHARE: Final = 0.01
"""An image supports the words that are most similar to it: this share of the vocabulary, at least one word."""

SUPPORT: Final = 0.5
"""The least share of a cluster's images that support its name."""


def suggest_names(vectors: Vectors | VectorRows, labels: Labels, words: Vectors) -> dict[int, int]:
    """Return the index of a word for each cluster that has one; no word is used twice.

    A cluster gets the word with the largest difference between the share of its own images that support the word and
    that of all other images; of several, the one most similar to its images. A word that all clusters support, such as
    "photo", therefore names none of several clusters.

    Args:
        vectors: Of the images, ``float32 (n, d)`` of length 1.
        labels: The cluster of each image, ``int64 (n,)``; −1 is noise.
        words: Of the vocabulary, ``float32 (w, d)`` of length 1; w is at least 1.
    """
    count = int(labels.max(initial=-1)) + 1
    if count == 0:
        return {}
    top = max(1, round(TOP_SHARE * len(words)))
    # The last row is noise, as index −1.
    support = np.zeros((count + 1, len(words)), dtype=np.int64)
    for rows, block in blocks(vectors, len(words)):
        best = np.argpartition(-(block @ words.T), top - 1, axis=1)[:, :top]
        np.add.at(support, (labels[rows][:, None], best), 1)
    sizes = np.bincount(labels[labels >= 0], minlength=count)[:, None]
    totals = centroids(vectors, labels, count) * sizes
    inside = support[:count] / np.maximum(sizes, 1)
    outside = (support.sum(axis=0) - support[:count]) / np.maximum(len(labels) - sizes, 1)
    # Rounded, so that the order of the images does not decide.
    similarity = np.round(totals @ words.T.astype(np.float64) / np.maximum(sizes, 1), 6)
    clusters, candidates = np.nonzero((inside >= SUPPORT) & (inside > outside))
    differences = np.round(inside - outside, 6)[clusters, candidates]
    return distinct_names(clusters, candidates, differences, similarity[clusters, candidates])


def distinct_names(clusters: Labels, words: Labels, *values: npt.NDArray[np.floating[Any]]) -> dict[int, int]:
    """Return for each cluster its best word that is no better for another cluster.

    Args:
        clusters: The clusters of pairs of a cluster and a word that can be its name.
        words: Their words.
        values: How good each pair is; further values decide between equal ones.
    """
    names: dict[int, int] = {}
    for index in np.lexsort((words, clusters, *(-value for value in reversed(values)))):
        cluster, word = int(clusters[index]), int(words[index])
        if cluster not in names and word not in names.values():
            names[cluster] = word
    return dict(sorted(names.items()))
