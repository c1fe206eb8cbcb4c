"""Suggested names of clusters: the classes, or categories of classes, that an encoder recognizes in their images."""

from __future__ import annotations

from typing import Final

import numpy as np

from imgcluster.clustering.suggested_names import distinct_names
from imgcluster.types import ClassScores, ClassWords, Labels

__all__ = ["CERTAINTY", "CONTRAST", "SUPPORT", "UNKNOWN", "suggest_class_names"]

SUPPORT: Final = 0.7
"""The least support of a cluster for its name."""

CERTAINTY: Final = 0.5
"""An image whose most probable classes have less probability than this in all supports all words less: of a kind that
it does not know, an encoder recognizes many similar classes with low probabilities."""

UNKNOWN: Final = 2
"""To each cluster so many images are added that support no word: few images can support a word by chance."""

CONTRAST: Final = 2.0
"""The least ratio of a word's support inside a cluster to that outside."""

_ROWS: Final = 4096


def suggest_class_names(scores: ClassScores, labels: Labels, classes: ClassWords) -> dict[int, int]:
    """Return the index of a word for each cluster that has one; no word is used twice.

    An image supports a word by the probability of the word's classes, divided by that of its most probable classes, or
    by `CERTAINTY` if that is larger. A cluster supports a word by the mean of its images and of `UNKNOWN` others, which
    support none. Of the words that it supports enough, and more than any other cluster does, it gets the one with the
    largest product of specificity and difference between the support inside and outside of the cluster.

    Args:
        scores: The classes of n images; images without scores support no word.
        labels: The cluster of each image, ``int64 (n,)``; −1 is noise.
        classes: The words.
    """
    count = int(labels.max(initial=-1)) + 1
    if count == 0:
        return {}
    # The last row is noise, as index −1.
    sums = np.zeros((count + 1, classes.covers.shape[1]))
    for start in range(0, len(labels), _ROWS):
        part = slice(start, start + _ROWS)
        numbers = scores.classes[part]
        probabilities = scores.probabilities[part].astype(np.float64)
        # The file of a stranger can hold any values.
        valid = (numbers >= 0) & (numbers < sums.shape[1]) & (probabilities >= 0) & (probabilities <= 1)
        probabilities = np.where(valid, probabilities, 0)
        shares = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), CERTAINTY)
        np.add.at(sums, (labels[part][:, None], np.where(valid, numbers, 0)), shares)
    support = sums @ classes.covers.T
    sizes = np.bincount(labels[labels >= 0], minlength=count)[:, None]
    # Rounded, so that the order of the images does not decide.
    inside = np.round(support[:count] / (sizes + UNKNOWN), 6)
    outside = np.round((support.sum(axis=0) - support[:count]) / np.maximum(len(labels) - sizes, 1), 6)
    # "Vegetable" does not tell a cluster from one whose images are vegetables more clearly.
    most = inside == inside.max(axis=0)
    clusters, candidates = np.nonzero((inside >= SUPPORT) & most & (inside >= CONTRAST * outside))
    values = np.round((inside - outside) * classes.specificity, 6)[clusters, candidates]
    return distinct_names(clusters, candidates, values)
