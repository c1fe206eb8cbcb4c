"""Robust z-scores, and how far vectors are from others and from their cluster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.features.outlyingness import cluster_outlyingness, neighbor_outlyingness, robust_z_scores
from vectors import peak_bytes


def test_robust_z_scores_of_a_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    np.testing.assert_allclose(robust_z_scores(values), (values - 5) / 2, atol=0.2)


def test_outliers_do_not_change_the_scores_of_others() -> None:
    values = np.random.default_rng(0).normal(0, 1, 1000)
    changed = values.copy()
    changed[:50] = 1e6
    np.testing.assert_allclose(robust_z_scores(changed)[50:], robust_z_scores(values)[50:], atol=0.3)


@given(st.lists(st.integers(-100, 100), max_size=30))
def test_robust_z_scores_keep_the_order(values: list[int]) -> None:
    scores = robust_z_scores(np.array(values, np.float64))
    assert np.isfinite(scores).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(scores[order]) >= 0).all()
    assert len(set(values)) == len(set(scores.tolist()))


def test_most_values_are_equal() -> None:
    assert robust_z_scores(np.array([1.0] * 9 + [2.0])).tolist()[-1] > 2.5
    assert robust_z_scores(np.ones(4)).tolist() == [0, 0, 0, 0]


def test_nine_images_that_belong_together_are_far() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (200, 5)).astype(np.float32)
    vectors[:9] += 20
    scores = neighbor_outlyingness(vectors)
    assert scores.shape == (200,)
    assert scores[:9].min() > scores[9:].max()


@pytest.mark.parametrize("count", [0, 1])
def test_without_neighbors_nothing_is_known(count: int) -> None:
    assert np.isnan(neighbor_outlyingness(np.ones((count, 3), np.float32))).all()


def test_scores_within_clusters() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (40, 4)).astype(np.float32)
    labels = np.repeat([0, 1, 2, -1], [20, 12, 4, 4])
    vectors[3] += 9
    scores = cluster_outlyingness(vectors, labels)
    assert scores[:20].argmax() == 3
    assert np.isfinite(scores[:32]).all()
    assert np.isnan(scores[32:]).all()


def test_a_large_cluster_is_not_copied() -> None:
    vectors = np.random.default_rng(0).standard_normal((20_000, 256)).astype(np.float32)
    # In double precision 41 MB, and so are the differences to the center.
    assert peak_bytes(lambda: cluster_outlyingness(vectors, np.zeros(20_000, np.int64))) < 60_000_000


@pytest.mark.slow
def test_vectors_that_are_all_different_are_not_copied() -> None:
    vectors = np.random.default_rng(0).standard_normal((5000, 512)).astype(np.float32)
    assert peak_bytes(lambda: neighbor_outlyingness(vectors)) < vectors.nbytes
