"""Whether clusters come out again when some images are missing: the sign that they are the data's own."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.kmeans import divide
from imgcluster.clustering.methods import METHODS
from imgcluster.clustering.settings import Settings
from imgcluster.errors import ClusteringError
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.reduce import Reduced
from imgcluster.types import Labels, Layer, Vectors

__all__ = ["stability"]

_DRAWS: Final = 10
_SHARE: Final = 0.8
_SAMPLE: Final = 1500
_PER_CLUSTER: Final = 10
_STARTS: Final = 3

# Above so many clusters, fewer draws and starts: there are many clusters to look at instead.
_MANY: Final = 50
_FEWER_DRAWS: Final = 4


def stability(vectors: Vectors, layer: Layer, method: str, settings: Settings) -> list[float | None]:
    """Return for each cluster how well it is found again, in [0, 1]; above 0.75 it can be trusted (Hennig 2007).

    Ten times (four, above 50 clusters) four fifths of the images (at most 1,500, or 10 for each cluster) are clustered
    anew with another seed, in the same space. Counted is the Jaccard index of the cluster, as far as it was drawn, and
    the most similar new one (https://doi.org/10.1016/j.csda.2006.11.025); the mean over all draws. None where a
    cluster was never drawn.

    Args:
        vectors: ``float32 (n, d)``, in the space that was clustered.
        layer: What is judged.
        method: A method of `METHODS`.
        settings: Those of the clustering.
    """
    labels, count = layer.labels, layer.count
    generator = np.random.default_rng(settings.seed)
    size = min(max(2, round(_SHARE * len(labels))), max(_SAMPLE, _PER_CLUSTER * count))
    sums, drawn = np.zeros(count), np.zeros(count)
    if settings.min_cluster_size is not None:
        # Of fewer images, clusters are smaller.
        smallest = max(2, round(settings.min_cluster_size * size / len(labels)))
        settings = dataclasses.replace(settings, min_cluster_size=smallest)
    for number in range(1, (_DRAWS if count <= _MANY else _FEWER_DRAWS) + 1):
        draw = np.sort(generator.choice(len(labels), size, replace=False))
        old = labels[draw]
        best = np.zeros(count)
        again = dataclasses.replace(settings, seed=(settings.seed + number) % 2**32)
        for new in _again(vectors[draw], count, method, again):
            best = np.maximum(best, _jaccard(old, new, count))
        present = np.bincount(old[old >= 0], minlength=count) > 0
        sums[present] += best[present]
        drawn[present] += 1
    return [float(total / times) if times else None for total, times in zip(sums, drawn, strict=True)]


def _again(vectors: Vectors, count: int, method: str, settings: Settings) -> list[Labels]:
    if method == "kmeans":
        if count_distinct(vectors, count) < count:
            return []
        return [divide(vectors, count, seed=settings.seed, starts=_STARTS if count <= _MANY else 1)[0]]
    try:
        answer = METHODS[method](Reduced(vectors, ""), settings)
    except ClusteringError:
        return []
    return [labels for labels, _ in answer.layers]


def _jaccard(old: Labels, new: Labels, count: int) -> npt.NDArray[np.float64]:
    """Return for each of `count` old clusters the Jaccard index with the new one that is most similar."""
    others = int(new.max(initial=-1)) + 1
    if not others:
        return np.zeros(count)
    both = (old >= 0) & (new >= 0)
    shared = np.zeros((count, others))
    np.add.at(shared, (old[both], new[both]), 1)
    sizes, new_sizes = np.bincount(old[old >= 0], minlength=count), np.bincount(new[new >= 0], minlength=others)
    union = sizes[:, None] + new_sizes[None, :] - shared
    return np.asarray((shared / np.maximum(union, 1)).max(axis=1))
