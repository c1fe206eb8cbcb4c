"""Normalizing embeddings, so that Euclidean distances between them say how unlike two images are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from imgcluster.features.threads import one_thread
from imgcluster.types import Metric, Vectors

__all__ = [
    "comparable",
    "normalise",
]

_ROUNDING: Final = 1e-6
_ROWS_AT_ONCE: Final = 8192


def normalise(vectors: Vectors) -> Vectors:
    """Return vectors of length 1; those of length 0 stay."""
    result = np.empty(vectors.shape, dtype=np.float32)
    for part in _parts(vectors):
        lengths = np.linalg.norm(vectors[part], axis=1, keepdims=True)
        result[part] = vectors[part] / np.where(lengths > 0, lengths, 1)
    return result


def comparable(vectors: Vectors, metric: Metric) -> Vectors:
    """Return vectors whose Euclidean distances say how unlike two images are.

    Under the metric ``euclidean`` they stay. Under ``cosine`` a network's features are meant, of which a few are large
    in every image. They are brought to length 1 or, where none is negative, their square roots are taken (power
    normalisation, Perronnin et al. 2010, https://doi.org/10.1007/978-3-642-15561-1_11); then the mean of all images is
    taken off, and all are brought to length 1. Chosen on CIFAR-10 (benchmarks/graph_defaults.py), the square roots on
    the averaged head of the network that `photos` is made of.
    """
    if metric == "euclidean" or not len(vectors):
        return vectors
    # Of images that are all the same nothing would be left.
    if not np.ptp(vectors, axis=0).any():
        return normalise(vectors)
    spread = np.sqrt(vectors) if vectors.min() >= 0 else normalise(vectors)
    with one_thread():
        mean = spread.mean(axis=0, dtype=np.float64).astype(np.float32)
    for part in _parts(spread):
        centred = spread[part] - mean
        # What is left of vectors of one direction is rounding errors, which are not to be brought to length 1.
        left = np.linalg.norm(centred, axis=1) > _ROUNDING * np.linalg.norm(spread[part], axis=1)
        spread[part] = normalise(np.where(left[:, None], centred, np.float32(0)))
    return spread


def _parts(vectors: Vectors) -> Iterator[slice]:
    """Yield rows to work on at a time: of millions of vectors no second copy fits into memory beside the result."""
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(vectors), _ROWS_AT_ONCE))
