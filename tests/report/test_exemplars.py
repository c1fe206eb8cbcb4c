"""Representatives are the medoid and members unlike each other; neighbours are clusters with near centres."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.report.exemplars import nearest_clusters, representatives


def test_the_medoid_first_then_the_most_diverse_of_the_sure_half() -> None:
    vectors = np.array([[0], [1], [2], [3], [4], [50], [60], [70]], np.float32)
    confidence = np.array([0.9, 0.9, 1.0, 0.9, 0.9, 0.1, 0.1, 0.1])
    medoids = np.arange(8) == 2
    labels = np.zeros(8, np.int64)
    chosen = representatives(vectors, labels, confidence, medoids, count=3)
    assert chosen[0][0] == 2
    assert set(chosen[0][1:]) <= {0, 1, 3, 4}
    assert chosen == representatives(vectors, labels, confidence, medoids, count=3)


def test_small_clusters_are_shown_whole_and_noise_comes_last() -> None:
    labels = np.array([-1, 1, 0, 0, 1, -1])
    vectors = np.arange(6, dtype=np.float32).reshape(6, 1)
    chosen = representatives(vectors, labels, np.full(6, np.nan), labels == 9)
    assert list(chosen) == [0, 1, -1]
    assert {number: sorted(inside) for number, inside in chosen.items()} == {0: [2, 3], 1: [1, 4], -1: [0, 5]}


def test_of_very_many_clusters_few_vectors_are_read() -> None:
    class Rows:
        """Vectors in files, of which it is counted how many are read."""

        read = 0

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            self.read += len(rows)
            return np.stack([rows, rows % 7], axis=1).astype(np.float32)

    vectors, labels = Rows(), np.arange(600_000) % 1000
    chosen = representatives(vectors, labels, np.ones(600_000), np.arange(600_000) < 1000)  # type: ignore[arg-type]
    assert {len(shown) for shown in chosen.values()} == {12}
    assert all(shown[0] == number for number, shown in chosen.items())
    # Not half of all images.
    assert vectors.read <= 1 << 18


def test_images_that_are_all_the_same_are_chosen_once_each() -> None:
    chosen = representatives(np.ones((30, 4), np.float32), np.zeros(30, np.int64), np.ones(30), np.arange(30) == 7)
    assert chosen[0][0] == 7
    assert len(set(chosen[0])) == 12


def test_copies_are_shown_once() -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(8, 1)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    copies = np.array([0, 1, 0, 1, 4, 4, 4, 7])
    medoids = np.isin(np.arange(8), [2, 5])
    confidence = np.array([0.9, 0.1, 1.0, 0.8, 0.9, 1.0, 0.8, 0.7])
    chosen = representatives(vectors, labels, confidence, medoids, copies=copies)
    assert chosen == {0: [2, 3], 1: [5, 7]}


def test_images_that_are_set_aside_represent_no_cluster_that_has_others() -> None:
    points = np.array([[1, 0], [0, 1], [1, 1], [5, 5]], np.float32)
    labels, medoids = np.array([0, 0, 0, 1]), np.array([True, False, False, True])
    found = representatives(points, labels, np.ones(4), medoids, set_aside=np.array([True, False, True, True]))
    assert found == {0: [1], 1: [3]}


def test_of_very_many_members_an_even_sample_is_looked_at() -> None:
    vectors = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    chosen = representatives(vectors, np.zeros(5000, np.int64), np.linspace(1, 0, 5000), np.arange(5000) == 4999)
    assert chosen[0][0] == 4999
    assert len(set(chosen[0])) == 12
    assert max(chosen[0][1:]) < 2500


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_nearest_clusters_in_order(metric: str) -> None:
    angles = np.radians([0, 1, 20, 21, 90, 91])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = np.array([0, 0, 1, 1, 5, 5])
    found = nearest_clusters(vectors, metric, labels)  # type: ignore[arg-type]
    assert {number: [other for other, _ in near] for number, near in found.items()} == {0: [1, 5], 1: [0, 5], 5: [1, 0]}
    assert found[0][0][1] == pytest.approx(found[1][0][1])
    assert 0 < found[0][0][1] < found[0][1][1]


def test_one_cluster_and_noise_have_no_neighbours() -> None:
    assert nearest_clusters(np.ones((3, 2), np.float32), "cosine", np.array([0, 0, -1])) == {0: []}
    assert nearest_clusters(np.ones((2, 2), np.float32), "cosine", np.array([-1, -1])) == {}
