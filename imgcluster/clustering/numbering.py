"""Numbering clusters."""

from __future__ import annotations

import numpy as np

from imgcluster.clustering.types import Layer

__all__ = ["number_by_size"]


def number_by_size(layer: Layer) -> Layer:
    """Number the clusters by size, the largest first; clusters of equal size by their first image.

    With images in content order ties, too, are broken by content.
    """
    labels = layer.labels
    numbers, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    # The last entry is that of −1, noise.
    renumbered = np.full(int(numbers.max(initial=-1)) + 2, -1, dtype=np.int64)
    renumbered[numbers[order]] = np.arange(len(numbers))
    return Layer(renumbered[labels], layer.confidence, renumbered[layer.runner_up])
