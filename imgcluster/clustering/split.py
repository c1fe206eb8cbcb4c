"""Splitting one cluster into parts."""

from __future__ import annotations

import numpy as np

from imgcluster.clustering.kmeans import fit_kmeans_with_restarts
from imgcluster.clustering.numbering import number_by_size
from imgcluster.clustering.types import Layer
from imgcluster.types import Labels, Vectors

__all__ = ["split_vectors"]


def split_vectors(vectors: Vectors, parts: int, *, seed: int) -> Labels:
    """Return labels ``int64 (n,)`` of the parts of a cluster, by k-means; 0 is the largest part.

    There are fewer parts if fewer vectors are distinct.

    Args:
        vectors: ``float32 (n, d)``, at least `parts` of them, of length 1 for the cosine, in content order.
        parts: The number of parts.
        seed: Determines the labels.
    """
    labels, _, _ = fit_kmeans_with_restarts(vectors, parts, seed=seed)
    return number_by_size(Layer(labels, np.zeros(len(vectors), np.float32), labels)).labels
