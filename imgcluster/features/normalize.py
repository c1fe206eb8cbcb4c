"""Normalizing embeddings, so that Euclidean distances between them measure how different two images are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from imgcluster.features.threads import one_thread
from imgcluster.types import Metric, Vectors

__all__ = ["l2_normalize", "normalize_features", "normalize_lengths"]

_ROUNDING: Final = 1e-6
_CHUNK_ROWS: Final = 8192


def l2_normalize(vectors: Vectors, *, in_place: bool = False) -> Vectors:
    """Return ``float32 (n, d)`` vectors scaled to length 1; vectors of length 0 stay."""
    result = vectors if in_place else np.empty(vectors.shape, dtype=np.float32)
    for part in _chunks(vectors):
        lengths = np.linalg.norm(vectors[part], axis=1, keepdims=True)
        result[part] = vectors[part] / np.where(lengths > 0, lengths, 1)
    return result


def normalize_lengths(vectors: Vectors, metric: Metric, *, in_place: bool = False) -> Vectors:
    """Return ``float32 (n, d)`` vectors as the metric compares them: of length 1 for the cosine, else unchanged."""
    return l2_normalize(vectors, in_place=in_place) if metric == "cosine" else vectors


def normalize_features(vectors: Vectors, metric: Metric, *, in_place: bool = False) -> Vectors:
    """Return vectors whose Euclidean distances measure how different two images are.

    Under the metric ``euclidean`` they are returned as they are. The metric ``cosine`` is for the features of a
    network, some of which are large in every image. They are scaled to length 1 or, where none is negative, replaced by
    their square roots (power normalization, Perronnin et al. 2010, https://doi.org/10.1007/978-3-642-15561-1_11); then
    they are centered and scaled to length 1. Chosen on CIFAR-10 (benchmarks/graph_defaults.py), the square roots on the
    averaged head of the network that `photos` is made from.

    Args:
        vectors: ``float32 (n, d)``.
        metric: The encoder's.
        in_place: Whether to overwrite `vectors`, which saves the memory of a copy.
    """
    if metric == "euclidean" or not len(vectors):
        return vectors
    # Centering would leave nothing of images that are all the same.
    if not np.ptp(vectors, axis=0).any():
        return l2_normalize(vectors, in_place=in_place)
    if vectors.min() >= 0:
        result = np.sqrt(vectors, out=vectors if in_place else None)
    else:
        result = l2_normalize(vectors, in_place=in_place)
    with one_thread():
        mean = result.mean(axis=0, dtype=np.float64).astype(np.float32)
    for part in _chunks(result):
        centered = result[part] - mean
        lengths = np.linalg.norm(centered, axis=1, keepdims=True)
        # Vectors that equal the mean up to rounding errors become 0; these are not to be scaled to length 1.
        nonzero = lengths > _ROUNDING * np.linalg.norm(result[part], axis=1, keepdims=True)
        np.divide(centered, np.where(nonzero, lengths, np.inf), out=result[part])
    return result


def _chunks(vectors: Vectors) -> Iterator[slice]:
    """Yield slices of rows: of millions of vectors a second copy does not fit into memory beside the result."""
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, len(vectors), _CHUNK_ROWS))
