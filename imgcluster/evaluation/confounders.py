"""Whether clusters follow something else than what the images show; plain numbers, no words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["agreement", "explained"]

# Of fewer images anything seems to explain anything.
_FEWEST: Final = 30


def explained(labels: npt.NDArray[np.int64], values: npt.NDArray[np.floating]) -> float:
    """Return the share of the variance of `values` that the clusters explain, in [0, 1].

    The correlation ratio η², less what chance would explain with so many clusters (ε²; Kelley 1935). 0 where
    nothing can be said: fewer than 30 images, one cluster, or equal values.

    Args:
        labels: ``int64 (n,)``; −1 is noise, which is left out.
        values: ``float (n,)``; NaN is left out.
    """
    known = (labels >= 0) & np.isfinite(values)
    groups, numbers = np.unique(labels[known], return_inverse=True)
    told = values[known].astype(np.float64)
    count = len(told)
    if count < _FEWEST or len(groups) < 2 or np.ptp(told) == 0 or count <= len(groups):
        return 0.0
    means = np.bincount(numbers, told) / np.bincount(numbers)
    within = float(((told - means[numbers]) ** 2).sum()) / (count - len(groups))
    total = float(((told - told.mean()) ** 2).sum()) / (count - 1)
    return max(0.0, 1.0 - within / total)


def agreement(labels: npt.NDArray[np.int64], groups: Sequence[str]) -> float:
    """Return how far clusters repeat groups, in [0, 1]: the adjusted mutual information (Vinh et al. 2010).

    0 where nothing can be said: fewer than 30 images, one cluster or group, or groups of one or two images each.
    Noise is left out.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    inside = labels >= 0
    names = [group for group, kept in zip(groups, inside.tolist(), strict=True) if kept]
    different = len(set(names))
    if len(names) < _FEWEST or not 2 <= different <= len(names) / 3 or len(np.unique(labels[inside])) < 2:
        return 0.0
    return max(0.0, float(adjusted_mutual_info_score(names, labels[inside])))
