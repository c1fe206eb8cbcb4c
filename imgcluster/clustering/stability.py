"""The stability of clusters: whether other samples of the images have the same ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.clustering.methods import METHODS
from imgcluster.clustering.settings import Settings
from imgcluster.clustering.types import Layer
from imgcluster.errors import ClusteringError
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.reduce import Reduced
from imgcluster.types import Labels, Vectors

__all__ = ["stability"]

_DRAWS: Final = 10
_SHARE: Final = 0.8
_SAMPLE: Final = 1500
_PER_CLUSTER: Final = 10
_STARTS: Final = 3

# Above this many clusters fewer draws and starts, to save time.
_MANY: Final = 50
_DRAWS_OF_MANY: Final = 4


def stability(
    vectors: Vectors, layers: Sequence[Layer], method: str, settings: Settings
) -> tuple[tuple[float | None, ...], ...]:
    """Return for each layer the stability of its clusters, in [0, 1]; above 0.75 a cluster is stable (Hennig 2007).

    Ten times (four times for more than 50 clusters) four fifths of the images, at most 1,500 or 10 for each cluster,
    are clustered again with another seed in the same space. Stability is the mean over the draws of the largest Jaccard
    index of the cluster, as far as it was drawn, with a new one (https://doi.org/10.1016/j.csda.2006.11.025). It is
    None for a cluster that was never drawn. A method that returns several layers is fitted once for each draw.

    Args:
        vectors: ``float32 (n, d)``, in the space that was clustered and in content order.
        layers: The layers of the clustering.
        method: A method of `METHODS`.
        settings: Those of the clustering.
    """
    counts = [layer.count for layer in layers]
    draws = [_DRAWS if count <= _MANY else _DRAWS_OF_MANY for count in counts]
    total = len(vectors)
    size = min(max(2, round(_SHARE * total)), max(_SAMPLE, _PER_CLUSTER * max(counts, default=0)))
    generator = np.random.default_rng(settings.seed)
    if settings.min_cluster_size is not None:
        # Fewer images have smaller clusters.
        smallest = max(2, round(settings.min_cluster_size * size / total))
        settings = dataclasses.replace(settings, min_cluster_size=smallest)
    sums, times = [np.zeros(count) for count in counts], [np.zeros(count) for count in counts]
    for number in range(max(draws, default=0)):
        draw = np.sort(generator.choice(total, size, replace=False))
        sample = vectors[draw]
        refit = dataclasses.replace(settings, seed=(settings.seed + number + 1) % 2**32)
        shared = None if method == "kmeans" else _fit(sample, method, refit)
        for layer, count, limit, sum_, time in zip(layers, counts, draws, sums, times, strict=True):
            if number >= limit:
                continue
            old = layer.labels[draw]
            fits = _fit_kmeans(sample, count, refit) if shared is None else shared
            best = np.max([np.zeros(count), *(_jaccard(old, new, count) for new in fits)], axis=0)
            present = np.bincount(old[old >= 0], minlength=count) > 0
            sum_[present] += best[present]
            time[present] += 1
    return tuple(
        tuple(float(value / count) if count else None for value, count in zip(sum_, time, strict=True))
        for sum_, time in zip(sums, times, strict=True)
    )


def _fit_kmeans(vectors: Vectors, count: int, settings: Settings) -> list[Labels]:
    if count_distinct(vectors, count) < count:
        return []
    return [fit_kmeans(vectors, count, seed=settings.seed, starts=_STARTS if count <= _MANY else 1)[0]]


def _fit(vectors: Vectors, method: str, settings: Settings) -> list[Labels]:
    try:
        return [labels for labels, _ in METHODS[method].function(Reduced(vectors, ""), settings).layers]
    except ClusteringError:
        return []


def _jaccard(old: Labels, new: Labels, count: int) -> npt.NDArray[np.float64]:
    """Return for each of `count` old clusters the largest Jaccard index with a new one."""
    others = int(new.max(initial=-1)) + 1
    both = (old >= 0) & (new >= 0)
    # Only pairs that share images: all of them are too many for thousands of clusters.
    pairs, shared = np.unique(old[both] * others + new[both], return_counts=True)
    numbers, new_numbers = np.divmod(pairs, max(others, 1))
    sizes, new_sizes = np.bincount(old[old >= 0], minlength=count), np.bincount(new[new >= 0], minlength=others)
    best = np.zeros(count)
    np.maximum.at(best, numbers, shared / (sizes[numbers] + new_sizes[new_numbers] - shared))
    return best
