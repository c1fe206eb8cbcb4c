"""Suggested names of clusters: the classes, or categories of classes, that an encoder recognizes in their images."""

from __future__ import annotations

from typing import Final

import numpy as np

from imgcluster.clustering.suggested_names import distinct_names
from imgcluster.types import ClassScores, ClassWords, Labels

__all__ = ["CONTRAST", "SMALLEST", "SUPPORT", "suggest_class_names"]

SUPPORT: Final = (0.5, 0.8)
"""A word needs as much support as it is specific, within these limits: of a kind that it does not know, an encoder
often recognizes one similar class, so that a specific word needs more than a general one."""

CONTRAST: Final = 2.0
"""The least ratio of a word's support inside a cluster to that outside."""

SMALLEST: Final = 5
"""The least number of images of a cluster that gets a name: fewer can support a word by chance."""

_ROWS: Final = 4096


def suggest_class_names(scores: ClassScores, labels: Labels, classes: ClassWords) -> dict[int, int]:
    """Return the index of a word for each cluster that has one; no word is used twice.

    An image supports a word by the sum of the squared probabilities of the word's classes, divided by that of all
    classes: squares undo that training with smoothed labels makes probabilities too even. A cluster supports a word by
    the mean of its images. Of the words that it supports enough, and more than any other cluster does, it gets the one
    with the largest product of specificity and difference between the support inside and outside of the cluster.

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
        found = scores.classes[part]
        probabilities = scores.probabilities[part].astype(np.float64)
        # The file of a stranger can hold any values.
        valid = (found >= 0) & (found < sums.shape[1]) & (probabilities >= 0) & (probabilities <= 1)
        squares = np.where(valid, probabilities, 0) ** 2
        totals = squares.sum(axis=1, keepdims=True)
        np.add.at(sums, (labels[part][:, None], np.where(valid, found, 0)), squares / np.where(totals > 0, totals, 1))
    support = sums @ classes.covers.T
    sizes = np.bincount(labels[labels >= 0], minlength=count)[:, None]
    # Rounded, so that the order of the images does not decide.
    inside = np.round(support[:count] / np.maximum(sizes, 1), 6)
    outside = np.round((support.sum(axis=0) - support[:count]) / np.maximum(len(labels) - sizes, 1), 6)
    named = sizes >= SMALLEST
    enough = named & (inside >= np.clip(classes.specificity, *SUPPORT))
    # "Vegetable" does not tell a cluster from one whose images are vegetables more clearly.
    most = inside == np.max(inside, axis=0, where=named, initial=0)
    clusters, candidates = np.nonzero(enough & most & (inside >= CONTRAST * outside))
    values = np.round((inside - outside) * classes.specificity, 6)[clusters, candidates]
    return distinct_names(clusters, candidates, values)
