"""HDBSCAN and EVoC: dense regions are clusters, the rest is noise, and there is more than noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from imgcluster.clustering import Settings, cluster_vectors
from imgcluster.errors import ClusteringError
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import reduce
from vectors import assert_well_formed, blobs, lies_within, loose_groups, plain


class TestHdbscan:
    def test_fewer_images_than_the_smallest_cluster_are_noise(self) -> None:
        answer = cluster_vectors(plain(np.eye(3, dtype=np.float32)), "hdbscan", Settings())
        assert answer.count == 0
        assert answer.labels.tolist() == [-1, -1, -1]
        assert answer.confidence.tolist() == [0, 0, 0]
        assert answer.parameters["min_cluster_size"] == 4

    def test_a_smallest_cluster_larger_than_the_set_gives_noise_only(self) -> None:
        points, _ = blobs([20, 20])
        answer = cluster_vectors(plain(points), "hdbscan", Settings(min_cluster_size=41))
        assert answer.labels.tolist() == [-1] * 40

    @pytest.mark.parametrize("sizes", [[20, 50, 35], [100] * 5, [8] * 6])
    def test_hdbscan_never_mixes_separated_blobs(self, sizes: list[int]) -> None:
        points, truth = blobs(sizes)
        answer = cluster_vectors(plain(points), "hdbscan", Settings())
        assert_well_formed(answer, len(truth))
        for cluster in range(answer.count):
            assert len(set(truth[answer.labels == cluster].tolist())) == 1
        for blob in range(len(sizes)):
            assert (answer.labels[truth == blob] >= 0).any(), "every blob has a cluster"

    @pytest.mark.parametrize("seed", range(5))
    def test_sixty_images_in_six_loose_groups_give_clusters_and_not_only_noise(self, seed: int) -> None:
        vectors, truth = loose_groups(6, 10, dimensions=1280, spread=1.0, seed=seed)
        answer = cluster_vectors(reduce(vectors, "graph", seed=seed), "hdbscan", Settings(seed=seed))
        assert_well_formed(answer, 60)
        found = answer.labels >= 0
        assert 4 <= answer.count <= 10
        assert found.mean() > 0.5
        for cluster in range(answer.count):
            groups = truth[answer.labels == cluster]
            assert np.mean(groups == np.bincount(groups).argmax()) >= 0.9

    def test_hdbscan_leaves_an_outlier_out(self) -> None:
        points, _ = blobs([15, 15])
        answer = cluster_vectors(plain(np.vstack([points, np.full((1, 16), 500, np.float32)])), "hdbscan", Settings())
        assert answer.labels[-1] == -1
        assert answer.confidence[-1] == 0

    @pytest.mark.parametrize(("count", "smallest"), [(16, 4), (100, 5), (400, 10), (2500, 25)])
    def test_the_smallest_cluster_grows_with_the_number_of_images(self, count: int, smallest: int) -> None:
        points = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
        assert cluster_vectors(plain(points), "hdbscan", Settings()).parameters["min_cluster_size"] == smallest

    def test_leaves_and_excess_of_mass_are_both_layers(self) -> None:
        # A pair of groups within one of three: the leaves part it, excess of mass does not.
        places = np.array([[0, 0], [30, 0], [0, 30], [1.2, 0]])[np.arange(320) % 4]
        points = (places + 0.25 * np.random.default_rng(0).normal(size=(320, 2))).astype(np.float32)
        answer = cluster_vectors(plain(points), "hdbscan", Settings(min_cluster_size=25))
        assert_well_formed(answer, 320)
        assert len(answer.layers) == 2
        assert answer.parameters["selection"] == ("leaf", "eom")[answer.chosen]
        inside = answer.layers[0].labels >= 0
        assert lies_within(answer.layers[0].labels[inside], answer.layers[1].labels[inside])

    def test_the_selection_can_be_chosen(self) -> None:
        places = np.array([[0, 0], [30, 0], [0, 30], [1.2, 0]])[np.arange(320) % 4]
        points = (places + 0.25 * np.random.default_rng(0).normal(size=(320, 2))).astype(np.float32)
        counts = {}
        for selection in ("eom", "leaf"):
            told = Settings(min_cluster_size=25, cluster_selection_method=selection)
            answer = cluster_vectors(plain(points), "hdbscan", told)
            assert answer.parameters["selection"] == selection
            counts[selection] = answer.count
        assert counts["leaf"] > counts["eom"]

    def test_groups_within_the_epsilon_are_one_cluster(self) -> None:
        points, _ = blobs([30, 30, 30])
        points[:30] = points[30:60] + 1
        told = Settings(min_cluster_size=10)
        assert cluster_vectors(plain(points), "hdbscan", told).count == 3
        near = dataclasses.replace(told, cluster_selection_epsilon=6.0)
        assert cluster_vectors(plain(points), "hdbscan", near).count == 2

    def test_more_samples_leave_more_noise(self) -> None:
        points, _ = loose_groups(4, 30, dimensions=4, spread=0.5, seed=0)
        few, many = (
            cluster_vectors(plain(points), "hdbscan", Settings(min_samples=samples, cluster_selection_method="leaf"))
            for samples in (1, 15)
        )
        assert (few.parameters["min_samples"], many.parameters["min_samples"]) == (1, 15)
        assert (few.labels != many.labels).any()

    def test_where_both_agree_there_is_one_layer(self) -> None:
        points, _ = blobs([30, 30, 30])
        answer = cluster_vectors(plain(points), "hdbscan", Settings(min_cluster_size=20))
        assert (len(answer.layers), answer.count) == (1, 3)


@pytest.mark.slow
class TestEvoc:
    @pytest.fixture(autouse=True)
    def _needs_evoc(self) -> None:
        pytest.importorskip("evoc", exc_type=ImportError)

    def test_separated_groups_are_found_alike_in_two_runs(self) -> None:
        vectors, truth = loose_groups(4, 60, dimensions=64, spread=0.4, seed=2)
        first, second = (cluster_vectors(plain(vectors), "evoc", Settings(seed=4)) for _ in range(2))
        assert_well_formed(first, 240)
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.confidence, second.confidence)
        assert first.count >= 2
        for cluster in range(first.count):
            groups = truth[first.labels == cluster]
            assert np.mean(groups == np.bincount(groups).argmax()) >= 0.9

    @pytest.mark.parametrize("count", [2, 3, 7, 12, 15])
    def test_too_few_images_say_what_to_do(self, count: int) -> None:
        points = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
        with pytest.raises(ClusteringError, match=f"{count} images are too few for EVoC; use --method hdbscan"):
            cluster_vectors(plain(points), "evoc", Settings())

    @pytest.mark.parametrize("count", [16, 17, 20, 30, 60])
    def test_small_sets_give_clusters_or_noise(self, count: int) -> None:
        vectors = l2_normalize(np.random.default_rng(count).normal(size=(count, 16)).astype(np.float32))
        assert_well_formed(cluster_vectors(plain(vectors), "evoc", Settings()), count)

    def test_duplicates(self) -> None:
        truth = np.repeat(np.arange(4), 20)
        vectors, _ = loose_groups(4, 1, dimensions=32, spread=0, seed=1)
        assert_well_formed(cluster_vectors(plain(vectors[truth]), "evoc", Settings()), 80)
