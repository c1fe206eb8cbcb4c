"""Splitting one cluster: the parts found, their order, and vectors that do not differ."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.clustering.split import split_vectors


def groups(*sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of length 1 around different axes, and the axis of each."""
    axes = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(8, dtype=np.float32)[axes]
    vectors += np.random.default_rng(0).normal(0, 0.05, vectors.shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), axes


def test_groups_become_parts_the_largest_first() -> None:
    vectors, axes = groups(5, 20, 11)
    labels = split_vectors(vectors, 3, seed=0)
    assert labels.dtype == np.int64
    assert [int(labels[axes == axis][0]) for axis in range(3)] == [2, 0, 1]
    assert np.bincount(labels).tolist() == [20, 11, 5]


def test_the_same_seed_gives_the_same_parts() -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    assert (split_vectors(vectors, 4, seed=3) == split_vectors(vectors, 4, seed=3)).all()


@pytest.mark.parametrize(("distinct", "parts"), [(1, 2), (2, 3), (3, 3)])
def test_equal_vectors_are_in_one_part(distinct: int, parts: int) -> None:
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:distinct], 3, axis=0)
    labels = split_vectors(vectors, parts, seed=0)
    assert len(np.unique(labels)) == distinct
    assert (labels.reshape(distinct, 3) == labels[::3, None]).all()
