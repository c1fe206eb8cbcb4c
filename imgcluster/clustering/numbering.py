"""The numbers that clusters go by."""

from __future__ import annotations

import numpy as np

from imgcluster.types import Layer

__all__ = ["by_size"]


def by_size(layer: Layer) -> Layer:
    """Number the clusters by size, the largest first; equal ones by their first image."""
    labels = layer.labels
    names, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    # The last place is for −1, which is where Python's counting from the end finds it.
    numbers = np.full(int(names.max(initial=-1)) + 2, -1, dtype=np.int64)
    numbers[names[order]] = np.arange(len(names))
    return Layer(numbers[labels], layer.confidence, numbers[layer.runner_up])
