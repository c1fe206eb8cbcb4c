"""How far images are from all others, and from the center of their cluster, as robust z-scores.

A robust z-score is the number of standard deviations above the median, where the standard deviation is estimated from
the median absolute deviation, so that the outliers themselves do not change it (Iglewicz and Hoaglin 1993).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks, reordered
from imgcluster.features.centroids import centroids, rows_by_label
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.nearest import nearest_images
from imgcluster.types import Labels, VectorRows, Vectors

__all__ = ["cluster_outlyingness", "neighbor_outlyingness", "robust_z_scores"]

_Floats = npt.NDArray[np.float64]

# Up to nine images may belong together and are still found.
_NEIGHBOR: Final = 10
# In a smaller cluster the spread of distances is not known.
_LEAST_MEMBERS: Final = 5
# Of a normal distribution.
_PER_MEDIAN_DEVIATION: Final = 1.4826
_PER_MEAN_DEVIATION: Final = 1.2533


def robust_z_scores(values: _Floats) -> _Floats:
    """Return the robust z-scores of values ``float64 (n,)``, as many; 0 for all if they are equal, and NaN for NaN."""
    if not len(values):
        return values
    above = values - np.nanmedian(values)
    deviations = np.abs(above)
    scale = _PER_MEDIAN_DEVIATION * np.nanmedian(deviations) or _PER_MEAN_DEVIATION * np.nanmean(deviations)
    return np.asarray(above / scale if scale else above, np.float64)


def neighbor_outlyingness(vectors: Vectors | VectorRows) -> _Floats:
    """Return the robust z-score of each vector's distance to its tenth neighbor, ``float64 (n,)``.

    Equal vectors count as one, so that copies of an outlier are outliers as well. With fewer vectors the distance is
    that to the last neighbor; without neighbors the score is NaN.

    Args:
        vectors: ``float32 (n, d)``.
    """
    first, copies = find_duplicates(vectors)
    distinct = vectors if len(first) == len(vectors) else reordered(vectors, first)
    distances = nearest_images(distinct, _NEIGHBOR)[0]
    if not distances.shape[1]:
        return np.full(len(vectors), np.nan)
    return robust_z_scores(distances[:, -1])[copies]


def cluster_outlyingness(vectors: Vectors | VectorRows, labels: Labels) -> _Floats:
    """Return the robust z-score of each vector's distance to the mean of its cluster, among those of the cluster.

    Args:
        vectors: ``float32 (n, d)``.
        labels: ``int64 (n,)``; negative for none.

    Returns:
        ``float64 (n,)``; NaN for images in no cluster, or in one of fewer than 5 images.
    """
    scores = np.full(len(vectors), np.nan)
    present = np.unique(labels[labels >= 0])
    if not len(present):
        return scores
    own = np.where(labels >= 0, np.searchsorted(present, labels), -1)
    centers = centroids(vectors, own, len(present))
    distances = np.empty(len(vectors))
    for part, block in blocks(vectors):
        distances[part] = np.linalg.norm(block - centers[own[part]], axis=1)
    for rows in rows_by_label(own, len(present)):
        if len(rows) >= _LEAST_MEMBERS:
            scores[rows] = robust_z_scores(distances[rows])
    return scores
