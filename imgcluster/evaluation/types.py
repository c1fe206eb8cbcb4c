"""The measures of a clustering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ClusterFacts", "Measures"]


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Measures of one cluster.

    `share` is the fraction of all images, `medoid` an image index, `mean_distance` that of the members to the medoid,
    `silhouette` the mean in [−1, 1] (None if undefined).
    """

    cluster: int
    size: int
    share: float
    medoid: int
    mean_distance: float
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a clustering.

    `distances` ``float32 (n,)`` are to the own cluster's medoid (noise: to the nearest medoid; NaN if there is none);
    `silhouette` is the mean over `silhouette_sample` images that are not noise (None if undefined).
    """

    distances: npt.NDArray[np.float32]
    clusters: tuple[ClusterFacts, ...]
    silhouette: float | None
    silhouette_sample: int
