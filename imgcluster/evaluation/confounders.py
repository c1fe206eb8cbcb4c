"""Confounders: whether clusters follow properties of the files instead of what the images show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.types import Labels

__all__ = ["explained_variance", "mutual_information"]

# Of fewer images anything seems to explain anything.
_FEWEST: Final = 30


def explained_variance(labels: Labels, values: npt.NDArray[np.floating], sources: Sequence[str] | None = None) -> float:
    """Return the share of the variance of `values` within sources that clusters explain, in [0, 1].

    The correlation ratio η², reduced by what chance would explain with as many clusters (ε²; Kelley 1935). With sources
    only images of the same source are compared: where photographs and scans are mixed, clusters that separate the two
    differ in size, but this need not be the reason for the clusters.

    Args:
        labels: ``int64 (n,)``; −1 is noise, which is left out.
        values: ``float (n,)``; NaN is left out.
        sources: The source of each image; by default all have the same.

    Returns:
        The share; 0 where nothing can be said: for fewer than 30 images, for one cluster or one image in each, or where
        all values of each source are equal.
    """
    known = (labels >= 0) & np.isfinite(values)
    numbers = np.unique(labels[known], return_inverse=True)[1]
    origin = np.zeros(len(numbers), np.int64) if sources is None else _numbered(sources)[known]
    count = len(numbers)
    if count < _FEWEST or numbers.max() == 0:
        return 0.0
    both = origin * (int(numbers.max()) + 1) + numbers
    within, total = (_variance_within(values[known].astype(np.float64), groups) for groups in (both, origin))
    return max(0.0, 1.0 - within / total) if total > 0 and np.isfinite(within) else 0.0


def mutual_information(labels: Labels, groups: Sequence[str]) -> float:
    """Return the adjusted mutual information (Vinh et al. 2010) of clusters and groups, in [0, 1].

    Noise is left out. It is 0 where nothing can be said: for fewer than 30 images, for one cluster or group, or where
    groups have fewer than three images in the mean.

    Args:
        labels: ``int64 (n,)``; −1 is noise.
        groups: The group of each image.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    clustered = labels >= 0
    clusters, numbers = labels[clustered], _numbered(groups)[clustered]
    different = len(np.unique(numbers))
    if len(numbers) < _FEWEST or not 2 <= different <= len(numbers) / 3 or len(np.unique(clusters)) < 2:
        return 0.0
    return max(0.0, float(adjusted_mutual_info_score(numbers, clusters)))


def _numbered(names: Sequence[str]) -> Labels:
    """Return a number for each name, ``int64 (n,)``: an array of the names would take hundreds of bytes for each."""
    numbers: dict[str, int] = {}
    return np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int64, len(names))


def _variance_within(values: npt.NDArray[np.float64], groups: npt.NDArray[np.integer]) -> float:
    """Return the unbiased variance within groups; infinity where each value is a group of its own."""
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    free = len(values) - len(sizes)
    means = np.bincount(numbers, values) / sizes
    squares = float(((values - means[numbers]) ** 2).sum())
    highest, lowest = np.full(len(sizes), -np.inf), np.full(len(sizes), np.inf)
    np.maximum.at(highest, numbers, values)
    np.minimum.at(lowest, numbers, values)
    if free < 1:
        return float("inf")
    return squares / free if (highest > lowest).any() else 0.0
