"""The map's projection: similar images side by side, the same every time, whatever the vectors are."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.report import projection
from imgcluster.report.projection import place_others, project


def groups(each: int = 40, dimensions: int = 12) -> np.ndarray:
    """Return three distant groups, `each` vectors of one after another."""
    generator = np.random.default_rng(0)
    centers = np.zeros((3, dimensions))
    centers[np.arange(3), np.arange(3)] = 5
    return (np.repeat(centers, each, axis=0) + generator.normal(0, 0.3, (3 * each, dimensions))).astype(np.float32)


@pytest.mark.parametrize(("each", "method"), [(40, "t-SNE"), (4, "PCA")])
def test_groups_are_apart_and_the_map_is_framed(each: int, method: str) -> None:
    found = project(groups(each), seed=1)
    assert found.method == method
    assert found.points.shape == (3 * each, 2)
    assert found.points.dtype == np.float32
    assert np.abs(found.points).max() == pytest.approx(1, abs=1e-5)
    centers = found.points.reshape(3, each, 2).mean(axis=1)
    nearest = ((found.points[:, None] - centers[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), each)).all()
    assert (project(groups(each), seed=1).points == found.points).all()


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((0, 4)),
        np.ones((1, 4)),
        np.eye(2),
        np.ones((300, 5)),
        np.full((20, 3), np.nan),
        np.arange(30.0).reshape(30, 1),
        np.eye(3),
        np.eye(16),
        np.repeat(np.eye(17), 20, axis=0),
    ],
    ids=["none", "one", "two", "the same", "no numbers", "one dimension", "three", "equal distances", "copies"],
)
def test_degenerate_sets_have_positions(vectors: np.ndarray) -> None:
    found = project(vectors.astype(np.float32))
    assert found.points.shape == (len(vectors), 2)
    assert np.isfinite(found.points).all()
    assert np.abs(found.points).max(initial=0) <= 1.0001


def test_of_many_a_sample_is_projected_and_the_others_placed_among_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_TSNE_UP_TO", 150)
    monkeypatch.setattr(projection, "_DIRECTIONS", 6)
    found = project(groups(100))
    assert found.method.startswith("t-SNE of 150 ")
    centers = np.median(found.points.reshape(3, 100, 2), axis=1)
    nearest = ((found.points[:, None] - centers[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), 100)).all()


def test_positions_do_not_depend_on_the_order_of_the_rows() -> None:
    vectors, shuffled = groups(), np.random.default_rng(3).permutation(120)
    usual = project(vectors, np.arange(120))
    other = project(vectors[shuffled], np.argsort(shuffled))
    assert (other.points == usual.points[shuffled]).all()


def test_new_vectors_are_placed_in_their_group_and_the_others_stay() -> None:
    vectors = groups()
    placed = np.arange(0, 120, 3)
    points = project(vectors[placed]).points
    completed = place_others(vectors, placed, points)
    assert (completed[placed] == points).all()
    centers = np.stack([points[placed // 40 == number].mean(axis=0) for number in range(3)])
    nearest = ((completed[:, None] - centers[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), 40)).all()
    single = place_others(vectors, np.array([5]), np.zeros((1, 2), np.float32))
    assert (single == 0).all()
