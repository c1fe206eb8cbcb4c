"""Giving noise away: to the neighbours' cluster, with a confidence below that of the method's own, in every layer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering import assign_noise
from imgcluster.clustering.types import Clustering
from vectors import assert_well_formed, one_layer, peak_bytes, scattered


def test_noise_goes_to_the_cluster_of_its_neighbours() -> None:
    points = np.repeat(np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [8.0], [1.0]], np.float32), 10, axis=0)
    labels = np.repeat([0, 0, 0, 1, 1, 1, -1, -1], 10)
    confidence = np.repeat([1, 1, 1, 0.9, 0.9, 0.9, 0, 0], 10)
    answer = assign_noise(points, one_layer(labels, confidence))
    assert_well_formed(answer, 80)
    assert not (answer.labels < 0).any()
    assert np.unique(answer.labels[60:70]).tolist() == np.unique(answer.labels[30:60]).tolist()
    assert np.unique(answer.labels[70:]).tolist() == np.unique(answer.labels[:30]).tolist()
    # All 15 neighbours agree: one half, which is the most that assigned noise can have.
    assert answer.confidence[60:].tolist() == [0.5] * 20
    assert answer.notes.assigned_noise == 20
    assert answer.confidence[:30].tolist() == [1.0] * 30


def test_clusters_are_numbered_again_by_size() -> None:
    points = np.repeat(np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [8.0], [8.5]], np.float32), 20, axis=0)
    labels = np.repeat([0, 0, 0, 1, 1, -1, -1], 20)
    before = dataclasses.replace(one_layer(labels), parameters={"min_cluster_size": 4})
    answer = assign_noise(points, before)
    assert_well_formed(answer, 140)
    assert np.all(answer.labels[:60] == 1)
    assert np.all(answer.labels[60:] == 0)
    assert answer.parameters | answer.notes.by_json_name() == {"min_cluster_size": 4, "assigned_noise": 40}
    assert np.array_equal(before.labels, labels), "the clustering that was given is not changed"


@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, 0, 1]])
def test_nothing_changes_without_clusters_or_without_noise(labels: list[int]) -> None:
    before = one_layer(labels)
    assert assign_noise(np.eye(3, dtype=np.float32), before) == before


def test_fewer_clustered_images_than_voters() -> None:
    points = np.array([[0.0], [1.0], [2.0], [0.4]], np.float32)
    answer = assign_noise(points, one_layer([0, 0, 1, -1]))
    assert answer.labels.tolist() == [0, 0, 1, 0]
    # Two of the three neighbours agree, the third is of the runner-up.
    assert answer.confidence[3] == pytest.approx(2 / 3 / 2)
    assert answer.runner_up[3] == 1


def test_without_a_vote_the_runner_up_is_the_cluster_with_the_nearest_centre() -> None:
    before = one_layer(np.repeat([0, 1, 2, -1], 20))
    before.layers[0].runner_up[60:70] = 1
    before.layers[0].runner_up[70:] = 0
    points = np.repeat(np.array([[0.0], [9.0], [50.0], [0.5]], np.float32), 20, axis=0)
    answer = assign_noise(points, before)
    given_to = answer.labels[60]
    assert given_to == answer.labels[0]
    assert set(answer.runner_up[60:70].tolist()) == {int(answer.labels[20])}
    assert set(answer.runner_up[70:].tolist()) == {-1}, "nobody is second to itself"


def test_every_layer_is_filled_and_the_chosen_one_is_counted() -> None:
    fine, coarse = (one_layer(np.repeat(labels, 20)).layers[0] for labels in ([0, 1, -1, -1], [0, 0, 0, -1]))
    points = np.repeat(np.array([[0.0], [1.0], [1.5], [2.0]], np.float32), 20, axis=0)
    answer = assign_noise(points, Clustering((fine, coarse), 1, {}))
    assert all((layer.labels >= 0).all() for layer in answer.layers)
    assert answer.notes.assigned_noise == 20
    assert np.all(answer.layers[0].labels[20:] == answer.layers[0].labels[20])


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.integers(-1, 3), min_size=2, max_size=40), st.integers(0, 5))
def test_any_clustering_keeps_its_members_together(labels: list[int], seed: int) -> None:
    _, numbers = np.unique([-1, *labels], return_inverse=True)
    before = one_layer(numbers[1:] - 1)
    answer = assign_noise(scattered(len(labels), 3, seed=seed), before)
    inside = before.labels >= 0
    if inside.any():
        assert not (answer.labels < 0).any()
        pairs = set(zip(before.labels[inside].tolist(), answer.labels[inside].tolist(), strict=True))
        assert len(pairs) == before.count == answer.count
        assert np.all(answer.confidence[~inside] <= 0.5)
        assert np.all(answer.confidence[~inside] > 0)
    assert np.array_equal(answer.confidence[inside], before.confidence[inside])


def test_the_votes_for_many_clusters_do_not_fill_the_memory() -> None:
    points = scattered(20_000, 2)
    labels = np.concatenate([np.arange(4000) % 2000, np.full(16_000, -1)])
    # All votes are 256 MB, and so are those without the first cluster.
    assert peak_bytes(lambda: assign_noise(points, one_layer(labels))) < 250_000_000
