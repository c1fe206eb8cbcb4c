"""New images in existing clusters: by their neighbors, with a confidence, outside of all where they are unlike all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.assign import assign_new, similar_unsorted
from imgcluster.clustering.types import Layer
from imgcluster.features import neighborhood
from imgcluster.features.duplicate_vectors import content_order
from imgcluster.features.neighborhood import find_neighborhood
from vectors import blobs, loose_groups


def grown(sizes: list[int], *, kind: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return blobs, their labels, and which are new: a fifth, and all of one `kind`."""
    points, truth = blobs(sizes, spread=1.0, seed=seed)
    new = (np.arange(len(truth)) % 5 == 0) | (truth == kind)
    return points, truth, new


def assigned(points: np.ndarray, labels: np.ndarray, new: np.ndarray) -> Layer:
    labels = np.where(new, -1, labels)
    return assign_new(find_neighborhood(points, labels < 0, labels, content_order(points)), labels, new)


def similar(points: np.ndarray, labels: np.ndarray) -> list[int]:
    found = similar_unsorted(find_neighborhood(points, labels < 0, labels, content_order(points)), labels)
    return [int(row) for row in found]


def test_new_images_are_in_the_cluster_of_the_nearest_centroid() -> None:
    points, truth, new = grown([50, 40, 30])
    layer = assigned(points, truth, new)
    assert (layer.labels == truth[new]).all()
    assert layer.confidence.dtype == np.float32
    assert (layer.confidence > 0.5).all()
    assert (layer.runner_up >= 0).all()
    assert (layer.runner_up != layer.labels).all()


def test_wrong_clusters_have_a_lower_confidence_and_often_the_right_runner_up() -> None:
    points, truth = loose_groups(4, 100, dimensions=40, spread=2.2, seed=1)
    new = np.arange(400) % 5 == 0
    layer = assigned(points, truth, new)
    right = layer.labels == truth[new]
    assert 3 <= (~right).sum() < 30
    assert layer.confidence[~right].mean() < layer.confidence[right].mean() - 0.1
    assert (layer.runner_up == truth[new])[~right].mean() > 0.5


def test_numbers_of_clusters_that_are_gone_are_not_used() -> None:
    points, truth, new = grown([50, 40, 30])
    numbers = np.array([7, 2, 9])
    layer = assigned(points, numbers[truth], new)
    assert (layer.labels == numbers[truth[new]]).all()
    assert set(layer.runner_up.tolist()) <= {2, 7, 9}


def test_merged_clusters_and_corrected_images() -> None:
    points, truth = loose_groups(6, 50, dimensions=40, spread=1.0, seed=3)
    new = np.arange(300) % 5 == 0
    merged = np.where(truth == 5, 1, truth)
    corrected = merged.copy()
    corrected[np.flatnonzero(~new)[::30]] = 0
    layer = assigned(points, corrected, new)
    assert (layer.labels == merged[new]).mean() > 0.95


def test_one_cluster_has_no_runner_up() -> None:
    points, truth, new = grown([40])
    layer = assigned(points, truth, new)
    assert (layer.labels == 0).all()
    assert (layer.runner_up == -1).all()


def test_a_new_kind_is_outside_and_is_found_as_a_group() -> None:
    points, truth, new = grown([50, 40, 30], kind=1)
    layer = assigned(points, truth, new)
    assert (layer.labels[truth[new] == 1] == -1).all()
    assert (layer.confidence[truth[new] == 1] == 0).all()
    assert (layer.runner_up[truth[new] == 1] >= 0).all()
    assert (layer.labels[truth[new] != 1] == truth[new][truth[new] != 1]).all()
    labels = np.where(new, -1, truth)
    labels[new] = layer.labels
    assert similar(points, labels) == np.flatnonzero(truth == 1).tolist()


def test_four_unusual_images_are_no_new_kind() -> None:
    points, truth = blobs([50, 40, 4], spread=1.0)
    assert (assigned(points, truth, truth == 2).labels >= 0).all()


def test_many_new_images_of_known_kinds_are_no_new_kind() -> None:
    points, truth = blobs([60, 60], spread=1.0)
    new = np.arange(120) % 2 == 0
    assert (assigned(points, truth, new).labels == truth[new]).mean() > 0.9


def test_images_like_those_of_no_cluster_are_in_none() -> None:
    points, truth, new = grown([50, 40])
    assert (assigned(points, truth - 1, new).labels == truth[new] - 1).all()


@pytest.mark.parametrize("budget", [0, 10**12])
def test_a_large_collection_is_mapped_by_a_sample(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighborhood, "_SAMPLE", 60)
    monkeypatch.setattr("imgcluster.features.reduce._PAIR_BUDGET", budget)
    monkeypatch.setattr("imgcluster.features.reduce._PAIR_DIMENSIONS", 6)
    points, truth, new = grown([400, 150, 50, 90], kind=3)
    labels = truth.copy()
    # A cluster smaller than the distances of the sample.
    labels[np.flatnonzero(~new)[0]] = 4
    found = find_neighborhood(points, new, np.where(new, -1, labels), content_order(points))
    assert found.graph.shape[0] < 130
    assert 4 in labels[found.rows]
    layer = assigned(points, truth, new)
    kinds = truth[new]
    assert (layer.labels == np.where(kinds == 3, -1, kinds)).mean() > 0.97


@pytest.mark.parametrize("known", [0, 1, 2])
def test_few_images(known: int) -> None:
    points = np.eye(4, dtype=np.float32)
    new = np.arange(4) >= known
    layer = assigned(points, np.zeros(4, np.int64), new)
    assert layer.labels.shape == (4 - known,)
    assert (layer.labels == (0 if known else -1)).all()
    assert len(assigned(points, np.zeros(4, np.int64), np.zeros(4, bool)).labels) == 0
    assert similar(points[:1], np.array([-1])) == []


def test_copies() -> None:
    points = np.ones((30, 3), np.float32)
    assert set(assigned(points, np.zeros(30, np.int64), np.arange(30) > 20).labels.tolist()) <= {-1, 0}


def test_a_copy_of_each_earlier_image_joins_its_cluster() -> None:
    points, truth = blobs([30, 20], spread=1.0)
    layer = assigned(np.concatenate([points, points]), np.concatenate([truth, truth]), np.arange(100) >= 50)
    assert (layer.labels == truth).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 100), position=st.permutations(range(60)))
def test_positions_do_not_matter(seed: int, position: list[int]) -> None:
    points, truth, new = grown([30, 20, 10], seed=seed)
    moved = np.array(position)
    first = assigned(points, truth, new)
    second = assigned(points[moved], truth[moved], new[moved])
    order = np.argsort(moved[new[moved]])
    for name in ("labels", "confidence", "runner_up"):
        assert getattr(second, name)[order].tobytes() == getattr(first, name).tobytes()
