"""Normalizing embeddings, so that Euclidean distances between them measure how different two images are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks, transformed
from imgcluster.types import Metric, VectorRows, Vectors

__all__ = ["l2_normalize", "normalize_features", "normalize_lengths", "normalize_rows", "row_normalization"]

_ROUNDING: Final = 1e-6


def l2_normalize(vectors: Vectors, *, in_place: bool = False) -> Vectors:
    """Return ``float32 (n, d)`` vectors scaled to length 1; vectors of length 0 stay."""
    result = vectors if in_place else np.empty(vectors.shape, dtype=np.float32)
    # In blocks: of millions of vectors a second copy does not fit into memory beside the result.
    for rows, block in blocks(vectors):
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        np.divide(block, np.where(lengths > 0, lengths, 1), out=result[rows])
    return result


def normalize_lengths(vectors: Vectors, metric: Metric, *, in_place: bool = False) -> Vectors:
    """Return ``float32 (n, d)`` vectors as the metric compares them: of length 1 for the cosine, else unchanged.

    Vectors in files are scaled when they are read.
    """
    if metric != "cosine":
        return vectors
    # What is read of files may be memory that cannot be written to.
    in_place = in_place and isinstance(vectors, np.ndarray)
    return cast(Vectors, transformed(vectors, partial(l2_normalize, in_place=in_place)))


def normalize_rows(vectors: Vectors | VectorRows, metric: Metric) -> Vectors | VectorRows:
    """Return vectors as `normalize_features` does; those in files are normalized when they are read."""
    if isinstance(vectors, np.ndarray):
        return normalize_features(vectors, metric, in_place=True)
    return vectors if metric == "euclidean" else vectors.transformed(row_normalization(vectors, metric))


def row_normalization(vectors: Vectors | VectorRows, metric: Metric) -> Callable[[Vectors], Vectors]:
    """Return the function that normalizes some rows, ``float32 (m, d)``, as `normalize_features` normalizes all."""
    if metric == "euclidean" or not len(vectors):
        return np.asarray
    first = vectors[np.zeros(1, np.int64)]
    same = positive = True
    sum_of_scaled, sum_of_roots = np.zeros((2, vectors.shape[1]))
    for _, block in blocks(vectors):
        same = same and bool((block == first).all())
        positive = positive and bool(block.min() >= 0)
        sum_of_scaled += l2_normalize(block).sum(axis=0, dtype=np.float64)
        if positive:
            sum_of_roots += np.sqrt(block).sum(axis=0, dtype=np.float64)
    # Centering would leave nothing of images that are all the same.
    if same:
        return l2_normalize
    scale, total = (np.sqrt, sum_of_roots) if positive else (l2_normalize, sum_of_scaled)
    return partial(_scaled_and_centered, scale, (total / len(vectors)).astype(np.float32))


def _scaled_and_centered(
    scale: Callable[[Vectors], Vectors], mean: npt.NDArray[np.float32], vectors: Vectors
) -> Vectors:
    result = np.empty(vectors.shape, dtype=np.float32)
    for rows, block in blocks(vectors):
        scaled = scale(block)
        centered = scaled - mean
        lengths = np.linalg.norm(centered, axis=1, keepdims=True)
        # Vectors that equal the mean up to rounding errors become 0; these are not to be scaled to length 1.
        nonzero = lengths > _ROUNDING * np.linalg.norm(scaled, axis=1, keepdims=True)
        result[rows] = centered / np.where(nonzero, lengths, np.inf)
    return result


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

    Returns:
        ``float32 (n, d)``; all zeros for a vector that is the mean of all.
    """
    if metric == "euclidean":
        return vectors
    normalize = row_normalization(vectors, metric)
    result = vectors if in_place else np.empty(vectors.shape, dtype=np.float32)
    for rows, block in blocks(vectors):
        result[rows] = normalize(block)
    return result
