"""Measures: medoids, distances and silhouettes against plain re-implementations."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.evaluation.internal import measure
from imgcluster.evaluation.types import Measures
from imgcluster.features.normalize import normalize_lengths
from imgcluster.types import Metric
from imgcluster.workspace.stored_vectors import StoredVectors

METRICS: list[Metric] = ["cosine", "euclidean"]


def measured(vectors: np.ndarray, labels: np.ndarray, metric: Metric) -> Measures:
    return measure(normalize_lengths(vectors, metric), labels, metric)


def naive_distance(a: np.ndarray, b: np.ndarray, metric: Metric) -> float:
    a, b = a.astype(float), b.astype(float)
    if metric == "euclidean":
        return math.dist(a, b)
    return 1.0 - float(a @ b) / (math.sqrt(float(a @ a)) * math.sqrt(float(b @ b)))


def naive_sums(points: np.ndarray, metric: Metric) -> list[float]:
    return [sum(naive_distance(a, b, metric) for b in points) for a in points]


def labels_of(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_in_files_are_not_read_again_for_each_cluster(metric: Metric) -> None:
    vectors = normalize_lengths(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), metric)
    reads: list[Path] = []

    def read(shard: Path) -> np.ndarray:
        reads.append(shard)
        return vectors

    stored = StoredVectors([Path("a")], [np.arange(40)], (40, 3), read)
    counts = []
    for clusters in (2, 10):
        labels = np.arange(40) % clusters
        found, expected = measure(stored, labels, metric), measure(vectors, labels, metric)
        assert [facts.medoid for facts in found.clusters] == [facts.medoid for facts in expected.clusters]
        counts.append(len(reads))
        reads.clear()
    assert counts[0] == counts[1]


coordinates = st.integers(-4, 4).map(float)
points_and_labels = st.lists(
    st.tuples(st.tuples(coordinates, coordinates, coordinates).filter(any), st.integers(-1, 2)), min_size=1, max_size=16
)


class TestMedoid:
    @settings(max_examples=120, derandomize=True)
    @given(points_and_labels, st.sampled_from(METRICS))
    def test_it_is_the_member_nearest_to_the_others(
        self, drawn: list[tuple[tuple[float, float, float], int]], metric: Metric
    ) -> None:
        vectors = np.array([point for point, _ in drawn], np.float32)
        # Numbers without gaps, as the methods give them.
        names = sorted({label for _, label in drawn if label >= 0})
        labels = np.array([names.index(label) if label >= 0 else -1 for _, label in drawn], np.int64)
        answer = measured(vectors, labels, metric)
        assert [facts.cluster for facts in answer.clusters] == list(range(len(names)))
        for facts in answer.clusters:
            inside = np.flatnonzero(labels == facts.cluster)
            assert facts.medoid in inside
            assert facts.size == len(inside)
            assert facts.share == pytest.approx(len(inside) / len(labels))
            sums = naive_sums(vectors[inside], metric)
            place = inside.tolist().index(facts.medoid)
            assert sums[place] <= min(sums) + 3e-6
            earlier = vectors[inside[:place]]
            assert not (earlier == vectors[facts.medoid]).all(axis=1).any(), "the first of equal pictures"
            to_medoid = [naive_distance(vectors[i], vectors[facts.medoid], metric) for i in inside]
            assert answer.distances[inside] == pytest.approx(to_medoid, abs=1e-5)
            assert facts.mean_distance == pytest.approx(np.mean(to_medoid), abs=1e-5)
            assert answer.distances[facts.medoid] == 0.0
        for index in np.flatnonzero(labels < 0):
            if names:
                nearest = min(
                    naive_distance(vectors[index], vectors[facts.medoid], metric) for facts in answer.clusters
                )
                assert answer.distances[index] == pytest.approx(nearest, abs=1e-5)
            else:
                assert math.isnan(answer.distances[index])

    @pytest.mark.parametrize("metric", METRICS)
    def test_a_ring_has_a_member_of_the_ring_as_its_medoid(self, metric: Metric) -> None:
        # A ring around the third axis, a little denser on one side; another cluster lies in its empty middle.
        angles = np.concatenate([np.linspace(0, 2 * np.pi, 24, endpoint=False), [0.05, -0.05, 0.1, -0.1]])
        ring = np.stack([np.cos(angles), np.sin(angles), np.full(len(angles), 2.0)], axis=1)
        middle = np.array([[0.0, 0.0, 2.0], [0.01, 0.0, 2.0], [0.0, 0.01, 2.0]])
        vectors = np.vstack([ring, middle]).astype(np.float32)
        answer = measured(vectors, labels_of(28, 3), metric)
        assert answer.clusters[0].medoid == int(np.argmin(naive_sums(vectors[:28], metric)))
        # The first of the dense side's middle, at the angle 0.
        assert answer.clusters[0].medoid == 0
        assert answer.clusters[1].medoid in (28, 29, 30)

    def test_it_is_not_set_aside_unless_all_members_are(self) -> None:
        vectors = np.array([[0, 0], [1, 0], [2.5, 0], [9, 9]], np.float32)
        aside = np.array([False, True, False, True])
        found = measure(vectors, np.array([0, 0, 0, 1]), "euclidean", set_aside=aside)
        assert [facts.medoid for facts in found.clusters] == [0, 3]
        assert found.distances.tolist() == [0, 1, 2.5, 0]

    def test_it_is_not_the_member_nearest_to_the_mean(self) -> None:
        # The mean is 3, nearest to it 4; the distances of 1 add up to 1 + 1 + 0 + 3 + 9, those of 4 to 16.
        vectors = np.array([[0.0], [0.0], [1.0], [4.0], [10.0]], np.float32)
        assert measured(vectors, labels_of(5), "euclidean").clusters[0].medoid == 2

    @pytest.mark.parametrize("factor", [2.0**-24, 2.0**-10, 2.0**20])
    def test_the_unit_of_the_embeddings_does_not_matter(self, factor: float) -> None:
        for seed in range(5):
            vectors = np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32)
            one = measured(vectors, labels_of(30), "euclidean").clusters[0].medoid
            assert measured(vectors * np.float32(factor), labels_of(30), "euclidean").clusters[0].medoid == one

    def test_of_two_members_the_first_is_the_medoid_whatever_their_lengths_are_rounded_to(self) -> None:
        pairs = normalize_lengths(np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32), "cosine")
        found = measure(pairs, np.repeat(np.arange(20), 2), "cosine")
        assert [facts.medoid for facts in found.clusters] == list(range(0, 40, 2))

    def test_a_vector_of_length_0_is_at_no_distance_from_itself(self) -> None:
        vectors = np.array([[1, 0], [-1, 0], [0, 0]], np.float32)
        assert measure(vectors, labels_of(3), "cosine").clusters[0].medoid == 2

    @pytest.mark.parametrize("metric", METRICS)
    def test_a_large_cluster_has_nearly_the_true_medoid_alike_in_two_runs(self, metric: Metric) -> None:
        vectors = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32) + np.float32(2)
        first, second = (measured(vectors, labels_of(2500), metric).clusters[0] for _ in range(2))
        assert first == second
        points = vectors.astype(float)
        if metric == "cosine":
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            sums = (1 - points @ points.T).sum(axis=1)
        else:
            sums = np.array([np.linalg.norm(points - point, axis=1).sum() for point in points])
        assert sums[first.medoid] <= 1.02 * sums.min()


class TestDistances:
    def test_known_ones(self) -> None:
        vectors = np.array([[0, 0], [3, 4], [0, 1], [100, 0], [100, 2], [100, 1], [100, 11]], np.float32)
        answer = measured(vectors, np.array([0, 0, 0, 1, 1, 1, -1]), "euclidean")
        assert [facts.medoid for facts in answer.clusters] == [2, 5]
        assert answer.distances.dtype == np.float32
        assert answer.distances.tolist() == pytest.approx([1, math.sqrt(18), 0, 1, 1, 0, 10])
        assert answer.clusters[1].mean_distance == pytest.approx(2 / 3)
        assert answer.clusters[0].share == pytest.approx(3 / 7)

    def test_cosine_does_not_look_at_lengths(self) -> None:
        vectors = np.array([[1, 0], [50, 0], [0.01, 0], [0, 2], [0, 7], [-3, 0]], np.float32)
        answer = measured(vectors, np.array([0, 0, 0, 1, 1, -1]), "cosine")
        # Opposite to the one, at a right angle to the other.
        assert answer.distances.tolist() == pytest.approx([0, 0, 0, 0, 0, 1], abs=1e-6)

    def test_noise_only(self) -> None:
        answer = measured(np.eye(3, dtype=np.float32), np.array([-1, -1, -1]), "cosine")
        assert np.isnan(answer.distances).all()
        assert answer.clusters == ()
        assert answer.silhouette is None
        assert answer.silhouette_sample == 0

    @pytest.mark.parametrize("metric", METRICS)
    def test_identical_images(self, metric: Metric) -> None:
        answer = measured(np.full((5, 3), 0.3, np.float32), labels_of(5), metric)
        assert answer.clusters[0].medoid == 0
        assert answer.distances.tolist() == pytest.approx([0] * 5, abs=1e-6)
        assert answer.clusters[0].silhouette is None

    @pytest.mark.parametrize("metric", METRICS)
    def test_zero_vectors_give_numbers(self, metric: Metric) -> None:
        vectors = np.zeros((6, 3), np.float32)
        vectors[3:, 0] = 1
        answer = measured(vectors, labels_of(3, 3), metric)
        assert np.isfinite(answer.distances).all()
        assert all(facts.silhouette is not None and math.isfinite(facts.silhouette) for facts in answer.clusters)

    def test_clusters_of_one(self) -> None:
        answer = measured(np.eye(3, dtype=np.float32), np.array([0, 1, 2]), "euclidean")
        assert [facts.medoid for facts in answer.clusters] == [0, 1, 2]
        assert answer.distances.tolist() == [0, 0, 0]
        assert answer.silhouette is None


class TestSilhouette:
    @pytest.mark.parametrize("metric", METRICS)
    def test_it_is_that_of_scikit_learn_without_the_noise(self, metric: Metric) -> None:
        from sklearn.metrics import silhouette_samples, silhouette_score

        generator = np.random.default_rng(2)
        vectors = generator.normal(size=(90, 5)).astype(np.float32)
        vectors[:40] += 2
        labels = np.repeat([0, 1, 2, -1], [40, 30, 10, 10])
        answer = measured(vectors, labels, metric)
        inside = labels >= 0
        expected = silhouette_samples(vectors[inside].astype(float), labels[inside], metric=metric)
        assert answer.silhouette == pytest.approx(
            silhouette_score(vectors[inside].astype(float), labels[inside], metric=metric), abs=1e-5
        )
        assert answer.silhouette_sample == 80
        for facts in answer.clusters:
            assert facts.silhouette == pytest.approx(expected[labels[inside] == facts.cluster].mean(), abs=1e-5)

    def test_a_known_one(self) -> None:
        # For 0: a = 1, b = 10.5; for 1: a = 1, b = 9.5; the other side likewise.
        vectors = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
        answer = measured(vectors, labels_of(2, 2), "euclidean")
        assert answer.silhouette == pytest.approx(((10.5 - 1) / 10.5 + (9.5 - 1) / 9.5) / 2)

    def test_a_cluster_of_one_counts_as_zero(self) -> None:
        vectors = np.array([[0.0], [1.0], [10.0]], np.float32)
        assert measured(vectors, np.array([0, 0, 1]), "euclidean").clusters[1].silhouette == 0.0

    def test_it_is_not_defined_for_one_cluster(self) -> None:
        answer = measured(np.eye(4, dtype=np.float32), np.array([0, 0, 0, -1]), "euclidean")
        assert answer.silhouette is None
        assert answer.clusters[0].silhouette is None

    def test_of_many_images_a_sample_is_taken_alike_in_two_runs(self) -> None:
        generator = np.random.default_rng(0)
        vectors = generator.normal(size=(5200, 2)).astype(np.float32)
        vectors[:3000] += 8
        first, second = (measured(vectors, labels_of(3000, 2200), "euclidean") for _ in range(2))
        assert first.silhouette_sample == 5000
        assert (first.silhouette, first.clusters) == (second.silhouette, second.clusters)
        assert first.silhouette is not None
        assert 0.7 < first.silhouette < 0.9
