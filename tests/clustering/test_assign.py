"""New images in existing clusters: by their neighbors, with a confidence, outside of all where they are unlike all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.assign import assign_new, similar_unsorted
from vectors import blobs


def grown(sizes: list[int], *, kind: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return blobs, their labels, and which are new: a fifth, and all of one `kind`."""
    points, truth = blobs(sizes, spread=1.0, seed=seed)
    new = (np.arange(len(truth)) % 5 == 0) | (truth == kind)
    return points, truth, new


def test_new_images_are_in_the_cluster_of_their_neighbors() -> None:
    points, truth, new = grown([50, 40, 30])
    layer = assign_new(points, truth, new, [1.0, 0.8, None])
    assert (layer.labels == truth[new]).all()
    assert layer.confidence.dtype == np.float32
    # The confidence of a unanimous vote is the stability of the cluster; 1 where that is unknown.
    assert layer.confidence[truth[new] == 1] == pytest.approx(0.8)
    assert layer.confidence[truth[new] == 2] == pytest.approx(1.0)
    assert (layer.runner_up == -1).all()


def test_a_new_kind_is_outside_and_is_found_as_a_group() -> None:
    points, truth, new = grown([50, 40, 30], kind=1)
    layer = assign_new(points, np.where(new, -1, truth), new, [1.0, None, 1.0])
    assert (layer.labels[truth[new] == 1] == -1).all()
    assert (layer.confidence[truth[new] == 1] == 0).all()
    assert (layer.runner_up[truth[new] == 1] >= 0).all()
    assert (layer.labels[truth[new] != 1] == truth[new][truth[new] != 1]).all()
    labels = np.where(new, -1, truth)
    labels[new] = layer.labels
    assert (similar_unsorted(points, labels) == np.flatnonzero(truth == 1)).all()


def test_many_new_images_of_known_kinds_are_no_new_kind() -> None:
    points, truth = blobs([60, 60], spread=1.0)
    new = np.arange(120) % 2 == 0
    layer = assign_new(points, truth, new, [1.0, 1.0])
    assert (layer.labels == truth[new]).mean() > 0.9


def test_neighbors_in_no_cluster_vote_too() -> None:
    points, truth, new = grown([50, 40])
    layer = assign_new(points, truth - 1, new, [1.0])
    assert (layer.labels == truth[new] - 1).all()


def test_a_large_collection_is_searched_in_fewer_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcluster.features.reduce._PAIR_BUDGET", 0)
    monkeypatch.setattr("imgcluster.features.reduce._PAIR_DIMENSIONS", 4)
    points, truth, new = grown([50, 40, 30])
    assert (assign_new(points, truth, new, [1.0] * 3).labels == truth[new]).all()


@pytest.mark.parametrize("known", [0, 1, 2])
def test_few_images(known: int) -> None:
    points = np.eye(4, dtype=np.float32)
    new = np.arange(4) >= known
    labels = np.where(new, -1, 0)
    layer = assign_new(points, labels, new, [1.0])
    assert layer.labels.shape == (4 - known,)
    assert set(layer.labels.tolist()) <= {-1, 0}
    assert len(assign_new(points, np.zeros(4, np.int64), np.zeros(4, bool), [1.0]).labels) == 0
    assert len(similar_unsorted(points[:1], np.array([-1]))) == 0


def test_copies() -> None:
    points = np.ones((30, 3), np.float32)
    layer = assign_new(points, np.zeros(30, np.int64), np.arange(30) > 20, [1.0])
    assert set(layer.labels.tolist()) <= {-1, 0}


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100), position=st.permutations(range(60)))
def test_positions_do_not_matter(seed: int, position: list[int]) -> None:
    points, truth, new = grown([30, 20, 10], seed=seed)
    usual = np.full(60, -2)
    usual[new] = assign_new(points, truth, new, [1.0] * 3).labels
    moved = np.array(position)
    other = np.full(60, -2)
    order = np.argsort(moved)
    other[new[moved]] = assign_new(points[moved], truth[moved], new[moved], [1.0] * 3, order=order).labels
    assert (other == usual[moved]).all()
