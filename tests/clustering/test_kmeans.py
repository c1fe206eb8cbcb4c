"""k-means: with and without a number, its layers, and what it says of itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imgcluster.clustering import Settings, cluster_vectors
from imgcluster.features.reduce import reduce
from vectors import assert_well_formed, blobs, lies_within, plain, same_partition, scattered


@pytest.mark.parametrize("count", [3, 5, 8])
def test_without_a_number_the_blobs_are_found(count: int) -> None:
    vectors, truth = blobs([25] * count, spread=0.5)
    answer = cluster_vectors(reduce(vectors, "graph", seed=0), "kmeans", Settings())
    assert same_partition(answer.labels, truth)
    assert answer.parameters["found"]
    assert (answer.parameters["k"], answer.parameters["k_range"]) == (count, [2, 30])
    assert answer.parameters["persistence"] > 2
    assert answer.candidates == ()


def test_a_number_is_taken_as_it_is() -> None:
    answer = cluster_vectors(plain(scattered(200)), "kmeans", Settings(k=7))
    assert answer.count == answer.parameters["k"] == 7
    assert "found" not in answer.parameters
    assert 8 <= answer.parameters["starts"] <= 64


def test_few_optima_need_few_starts() -> None:
    vectors, truth = blobs([25] * 5, spread=0.5)
    answer = cluster_vectors(plain(vectors), "kmeans", Settings(k=5))
    assert answer.parameters["starts"] < 64
    assert same_partition(answer.labels, truth)
    asked = cluster_vectors(plain(vectors), "kmeans", Settings(k=5, n_init=64))
    assert asked.parameters["starts"] == 64
    assert np.array_equal(asked.labels, answer.labels)


def test_a_range_bounds_the_number_and_scores_all_in_it() -> None:
    vectors, _ = blobs([25] * 6, spread=0.5)
    answer = cluster_vectors(reduce(vectors, "graph", seed=0), "kmeans", Settings(k_range=(2, 4), score_k=True))
    assert 2 <= answer.count <= 4
    assert [candidate.k for candidate in answer.candidates] == [2, 3, 4]
    assert [candidate.k for candidate in answer.candidates if candidate.chosen] == [answer.count]


@pytest.mark.parametrize("k", [None, 1, 2, 6, 20])
def test_layers_are_nested_and_each_is_well_formed(k: int | None) -> None:
    answer = cluster_vectors(reduce(scattered(400), "graph", seed=0), "kmeans", Settings(k=k))
    assert_well_formed(answer, 400)
    assert len(answer.layers) > 1
    for fine, coarse in itertools.pairwise(answer.layers):
        assert lies_within(fine.labels, coarse.labels)


def test_another_seed_divides_photographs_nearly_alike() -> None:
    from sklearn.metrics import adjusted_rand_score

    generator = np.random.default_rng(0)
    centres = generator.normal(size=(10, 32))
    vectors = (centres[np.arange(1000) % 10] + 0.7 * generator.normal(size=(1000, 32))).astype(np.float32)
    answers = [
        cluster_vectors(reduce(vectors, "graph", seed=seed), "kmeans", Settings(k=10, seed=seed)).labels
        for seed in range(3)
    ]
    assert min(adjusted_rand_score(answers[0], other) for other in answers[1:]) > 0.95
