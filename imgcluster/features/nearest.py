"""The nearest images of every image, also in large collections."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.reduce import principal_components
from imgcluster.types import Vectors

__all__ = ["nearest_images"]

# Where comparing all pairs takes more multiplications than this, they are compared in 100 principal components.
_PAIR_BUDGET: Final = 2e11
_PAIR_DIMENSIONS: Final = 100
_SAMPLE: Final = 20_000


def nearest_images(vectors: Vectors, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return distances ``float64 (n, k)``, ascending, and indices ``int64 (n, k)`` of the nearest other images.

    Args:
        vectors: ``float32 (n, d)``.
        count: The number of neighbors k; fewer if there are not as many other images.
    """
    total, dimensions = vectors.shape
    count = min(count, total - 1)
    if count < 1:
        return np.empty((total, 0)), np.empty((total, 0), np.int64)
    if total * total * dimensions > _PAIR_BUDGET and dimensions > _PAIR_DIMENSIONS:
        sample = vectors[np.linspace(0, total - 1, min(total, _SAMPLE)).astype(np.int64)]
        vectors = principal_components(sample, vectors, _PAIR_DIMENSIONS, seed=0)
    return nearest_neighbors(vectors, count)
