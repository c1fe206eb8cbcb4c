"""k-means: as good as scikit-learn's best start, and not worse than a slow and obvious one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imgcluster.clustering.kmeans import fit_kmeans, fit_kmeans_on_sample, fit_kmeans_with_restarts
from vectors import blobs, same_partition, scattered


def inertia_of(vectors: np.ndarray, labels: np.ndarray) -> float:
    groups = (vectors[labels == number].astype(np.float64) for number in set(labels.tolist()))
    return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))


@pytest.mark.parametrize("seed", range(3))
def test_eight_points_are_divided_as_well_as_can_be(seed: int) -> None:
    vectors = scattered(8, 2, seed=seed)
    every = (np.array(labels) for labels in itertools.product(range(3), repeat=8) if len(set(labels)) == 3)
    best = min(inertia_of(vectors, labels) for labels in every)
    labels, inertia = fit_kmeans(vectors, 3, seed=0, starts=60)
    assert inertia == pytest.approx(best, rel=1e-4)
    assert inertia == pytest.approx(inertia_of(vectors, labels), rel=1e-4)


def test_blobs_are_found() -> None:
    vectors, truth = blobs([5, 30, 12, 60])
    labels, _ = fit_kmeans(vectors, 4, seed=0, starts=8)
    assert labels.dtype == np.int64
    assert same_partition(labels, truth)


def test_more_starts_are_never_worse() -> None:
    vectors = scattered(300)
    few, many = (fit_kmeans(vectors, 12, seed=5, starts=starts)[1] for starts in (1, 10))
    assert many <= few


@pytest.mark.parametrize(("k", "count"), [(1, 1), (1, 5), (5, 5)])
def test_one_cluster_and_one_for_each(k: int, count: int) -> None:
    labels, inertia = fit_kmeans(scattered(count), k, seed=0, starts=3)
    assert sorted(set(labels.tolist())) == list(range(k))
    assert k == 1 or inertia == pytest.approx(0, abs=1e-6)


def test_the_same_seed_gives_the_same_and_another_may_not() -> None:
    vectors = scattered(400, 12)
    first, again = (fit_kmeans(vectors, 20, seed=3, starts=4) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert len({fit_kmeans(vectors, 20, seed=seed, starts=1)[1] for seed in range(4)}) > 1


@pytest.mark.parametrize("scale", [1e-9, 1e-30])
@pytest.mark.parametrize("k", [2, 6, 20])
def test_points_closer_than_rounding_errors_are_divided_all_the_same(k: int, scale: float) -> None:
    vectors = (np.repeat([[1e-5], [0.0]], 10, axis=0) + scale * scattered(20)).astype(np.float32)
    labels, _ = fit_kmeans(vectors, k, seed=0, starts=3)
    assert sorted(set(labels.tolist())) == list(range(min(k, len(np.unique(vectors, axis=0)))))


def test_clusters_far_from_the_origin_are_found_among_many_vectors() -> None:
    vectors, truth = blobs([6000, 5000, 4000], dimensions=4)
    vectors = vectors.astype(np.float32) + np.float32(1e5)
    labels, inertia, _ = fit_kmeans_with_restarts(vectors, 3, seed=0, starts=4)
    assert same_partition(labels, truth)
    assert inertia == pytest.approx(inertia_of(vectors, labels), rel=1e-3)
    assert same_partition(fit_kmeans_on_sample(vectors, 3, seed=0, starts=4, sample=1000), truth)
