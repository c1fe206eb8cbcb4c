"""The nearest images of every image, also in large collections."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.reduce import searchable
from imgcluster.types import VectorRows, Vectors

__all__ = ["nearest_images"]


def nearest_images(vectors: Vectors | VectorRows, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return distances ``float64 (n, k)``, ascending, and indices ``int64 (n, k)`` of the nearest other images.

    Args:
        vectors: ``float32 (n, d)``.
        count: The number of neighbors k; fewer if there are not as many other images.
    """
    total = len(vectors)
    count = min(count, total - 1)
    if count < 1:
        return np.empty((total, 0)), np.empty((total, 0), np.int64)
    return nearest_neighbors(searchable(vectors, total), count)
