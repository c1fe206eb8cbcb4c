"""Assigning images to groups that are described by texts (zero-shot classification)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from imgcluster.clustering.types import Layer
from imgcluster.features.blocks import blocks
from imgcluster.types import VectorRows, Vectors

__all__ = ["assign_to_groups"]

_SCALE: Final = 100.0
"""The factor of cosines before the softmax; CLIP was trained with it."""


def assign_to_groups(
    vectors: Vectors | VectorRows, groups: Sequence[Vectors], words: Vectors, *, threshold: float
) -> Layer:
    """Return the group of each image: that of the description most similar to it.

    An image stays outside of all groups (−1) unless this description is more similar to it than the share `threshold`
    of the words. This compares the description with what else the image may show, so that it depends neither on the
    range of the cosines of an encoder nor on the number of groups. The confidence is the softmax of 100 times the
    cosines over the groups (Radford et al. 2021, https://arxiv.org/abs/2103.00020), and 0 outside.

    Args:
        vectors: Of the images, ``float32 (n, d)`` of length 1.
        groups: Of the descriptions of each group, ``float32 (m, d)`` of length 1.
        words: Of a vocabulary, ``float32 (w, d)`` of length 1.
        threshold: In [0, 1].
    """
    count = len(vectors)
    labels = np.empty(count, dtype=np.int64)
    confidence = np.empty(count, dtype=np.float32)
    runner_up = np.full(count, -1, dtype=np.int64)
    for part, block in blocks(vectors, len(words)):
        scores = np.stack([(block @ texts.T).max(axis=1) for texts in groups], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        best = np.take_along_axis(scores, order[:, :1], axis=1)
        share = (block @ words.T < best).mean(axis=1)
        inside = share >= threshold
        labels[part] = np.where(inside, order[:, 0], -1)
        odds = np.exp(_SCALE * (scores - best))
        confidence[part] = np.where(inside, 1 / odds.sum(axis=1), 0)
        # For an image outside of all groups, the most similar one.
        second = order[:, 1] if len(groups) > 1 else np.full(len(order), -1)
        runner_up[part] = np.where(inside, second, order[:, 0])
    return Layer(labels, confidence, runner_up)
