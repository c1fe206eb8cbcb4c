"""Clustering: degenerate inputs end in plain words, labels are numbered by size, one seed gives one answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgcluster
from imgcluster.clustering import (
    METHODS,
    Clustering,
    Settings,
    assign_noise,
    choose_method,
    cluster_degenerate,
    cluster_vectors,
)
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.reduction import Vectors, choose_reduction, normalise, reduce

FAST_METHODS = ["kmeans", "hdbscan"]


def blobs(sizes: list[int], *, dimensions: int = 8, spread: float = 0.1, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    """Return points around centres that are 10 apart or more, and the number of each point's centre."""
    generator = np.random.default_rng(seed)
    centres = 10.0 * np.eye(len(sizes), dimensions)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    points = centres[truth] + spread * generator.normal(size=(len(truth), dimensions))
    return points.astype(np.float32), truth


def loose_groups(count: int, each: int, *, dimensions: int, spread: float, seed: int) -> tuple[Vectors, np.ndarray]:
    """Return vectors of length 1 around `count` random directions; noise of length `spread` is added to each."""
    generator = np.random.default_rng(seed)
    centres = normalise(generator.normal(size=(count, dimensions)).astype(np.float32))
    truth = np.repeat(np.arange(count), each)
    noise = generator.normal(size=(len(truth), dimensions)) * spread / np.sqrt(dimensions)
    return normalise((centres[truth] + noise).astype(np.float32)), truth


def settings_for(method: str, *, k: int = 3, min_cluster_size: int | None = None, seed: int = 0) -> Settings:
    if method == "kmeans":
        return Settings(k=k, seed=seed)
    return Settings(min_cluster_size=min_cluster_size, seed=seed)


def as_in_the_pipeline(vectors: Vectors, method: str, told: Settings) -> Clustering:
    same = cluster_degenerate(vectors, told)
    if same is not None:
        return same
    reduced = reduce(vectors, choose_reduction("auto", method), seed=told.seed)
    return cluster_vectors(reduced.vectors, method, told)


def same_partition(labels: np.ndarray, truth: np.ndarray) -> bool:
    pairs = set(zip(labels.tolist(), truth.tolist(), strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(truth.tolist()))


def assert_well_formed(clustering: Clustering, count: int) -> None:
    labels, confidence = clustering.labels, clustering.confidence
    assert labels.dtype == np.int64
    assert labels.shape == (count,)
    assert confidence.dtype == np.float32
    assert confidence.shape == (count,)
    assert np.all((confidence >= 0) & (confidence <= 1))
    assert np.all(confidence[labels < 0] == 0)
    assert labels.min(initial=0) >= -1
    sizes = np.bincount(labels[labels >= 0], minlength=clustering.count)
    assert np.all(sizes > 0), "every number up to the last is a cluster"
    assert np.all(np.diff(sizes) <= 0), "the largest first"


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"k": 0}, "--k 0 is not possible; at least 1"),
            ({"k": -3}, "--k -3 is not possible"),
            ({"min_cluster_size": 1}, "--min-cluster-size 1 is not possible; at least 2"),
            ({"min_cluster_size": 0}, "--min-cluster-size 0 is not possible"),
            ({"seed": -1}, "--seed -1 is not possible"),
            ({"seed": 2**32}, "--seed 4294967296 is not possible; it lies between 0 and 4294967295"),
        ],
    )
    def test_impossible_values_are_wrong_usage(self, options: dict[str, int], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            Settings(**options)

    def test_the_smallest_and_largest_values_are_taken(self) -> None:
        assert Settings(k=1, min_cluster_size=2, seed=0).k == 1
        assert Settings(seed=2**32 - 1).seed == 4294967295


class TestChooseMethod:
    def test_auto_is_kmeans_with_k_and_hdbscan_without(self) -> None:
        assert choose_method("auto", 4) == "kmeans"
        assert choose_method("auto", None) == "hdbscan"

    def test_a_named_method_stays(self) -> None:
        assert choose_method("kmeans", 2) == "kmeans"
        assert choose_method("hdbscan", None) == "hdbscan"

    @pytest.mark.parametrize(
        ("method", "k", "message"),
        [
            ("dbscan", None, "method 'dbscan' is unknown; choose one of auto, kmeans, hdbscan, evoc"),
            ("kmeans", None, "k-means needs the number of clusters: add --k N"),
            ("hdbscan", 5, "hdbscan finds the number of clusters itself: leave out --k"),
            ("evoc", 5, "evoc finds the number of clusters itself"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, method: str, k: int | None, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            choose_method(method, k)

    def test_a_missing_package_is_named_with_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(UsageError, match=r"pip install 'imgcluster\[evoc\]'"):
            choose_method("evoc", None)


class TestTooFew:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("count", [0, 1])
    def test_none_or_one_image(self, method: str, count: int) -> None:
        with pytest.raises(ClusteringError, match=f"^{count} images? cannot be clustered; embed more"):
            cluster_vectors(np.ones((count, 4), np.float32), method, settings_for(method, k=1))

    def test_fewer_images_than_k(self) -> None:
        points, _ = blobs([1, 1, 1])
        with pytest.raises(ClusteringError, match="3 images cannot make 5 clusters: there are only 3 images.*--k 3"):
            cluster_vectors(points, "kmeans", Settings(k=5))

    def test_fewer_different_images_than_k(self) -> None:
        points = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
        with pytest.raises(ClusteringError, match="12 images cannot make 4 clusters: only 3 different ones.*--k 3"):
            cluster_vectors(points, "kmeans", Settings(k=4))

    def test_identical_images_and_a_k_of_two(self) -> None:
        with pytest.raises(ClusteringError, match="6 images cannot make 2 clusters.*--k 1"):
            cluster_vectors(np.ones((6, 4), np.float32), "kmeans", Settings(k=2))

    def test_zero_and_minus_zero_do_not_differ(self) -> None:
        points = np.zeros((4, 3), np.float32)
        points[2:] = -0.0
        with pytest.raises(ClusteringError, match="4 images cannot make 2 clusters"):
            cluster_vectors(points, "kmeans", Settings(k=2))


class TestDegenerate:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("value", [0.0, 0.25])
    @pytest.mark.parametrize("count", [2, 3, 40])
    def test_identical_images_are_one_sure_cluster(self, method: str, value: float, count: int) -> None:
        answer = cluster_vectors(np.full((count, 5), value, np.float32), method, settings_for(method, k=1))
        assert_well_formed(answer, count)
        assert answer.count == 1
        assert np.all(answer.labels == 0)
        assert np.all(answer.confidence == 1)
        assert answer.parameters == {"identical": True}

    def test_identical_images_stay_identical_on_the_default_path(self) -> None:
        vectors, _ = loose_groups(1, 1, dimensions=1280, spread=0, seed=3)
        answer = as_in_the_pipeline(np.repeat(vectors, 20, axis=0), "hdbscan", Settings())
        assert answer.count == 1
        assert np.all(answer.labels == 0)

    def test_duplicates_stay_together_on_the_default_path(self) -> None:
        vectors, _ = loose_groups(6, 1, dimensions=1280, spread=0, seed=0)
        truth = np.repeat(np.arange(6), 10)
        answer = as_in_the_pipeline(vectors[truth], "hdbscan", Settings())
        assert same_partition(answer.labels, truth)

    @pytest.mark.parametrize("method", FAST_METHODS)
    @pytest.mark.parametrize("count", [2, 3, 4, 5])
    @pytest.mark.parametrize("min_cluster_size", [None, 2, 3])
    def test_a_handful_of_images(self, method: str, count: int, min_cluster_size: int | None) -> None:
        points = np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)
        answer = as_in_the_pipeline(points, method, settings_for(method, k=2, min_cluster_size=min_cluster_size))
        assert_well_formed(answer, count)

    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_zero_vectors_among_others(self, method: str) -> None:
        points = np.zeros((12, 4), np.float32)
        points[6:, 1] = 1.0
        answer = cluster_vectors(normalise(points), method, settings_for(method, k=2))
        assert_well_formed(answer, 12)
        assert same_partition(answer.labels, np.repeat([0, 1], 6))
        assert np.all(answer.confidence == 1)

    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_duplicates_share_a_cluster(self, method: str) -> None:
        truth = np.repeat(np.arange(5), 7)
        answer = cluster_vectors(np.eye(5, dtype=np.float32)[truth], method, settings_for(method, k=5))
        assert_well_formed(answer, 35)
        assert same_partition(answer.labels, truth)

    def test_fewer_images_than_the_smallest_cluster_are_noise(self) -> None:
        answer = cluster_vectors(np.eye(3, dtype=np.float32), "hdbscan", Settings())
        assert answer.count == 0
        assert answer.labels.tolist() == [-1, -1, -1]
        assert answer.confidence.tolist() == [0, 0, 0]
        assert answer.parameters["min_cluster_size"] == 4

    def test_a_smallest_cluster_larger_than_the_set_gives_noise_only(self) -> None:
        points, _ = blobs([20, 20])
        answer = cluster_vectors(points, "hdbscan", Settings(min_cluster_size=41))
        assert answer.labels.tolist() == [-1] * 40

    def test_one_cluster(self) -> None:
        points, _ = blobs([5, 4])
        answer = cluster_vectors(points, "kmeans", Settings(k=1))
        assert answer.labels.tolist() == [0] * 9
        assert answer.confidence.tolist() == [1.0] * 9

    def test_as_many_clusters_as_images(self) -> None:
        points = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        answer = cluster_vectors(points, "kmeans", Settings(k=9))
        assert_well_formed(answer, 9)
        # All of one size: numbered in the order of the images.
        assert answer.labels.tolist() == list(range(9))
        assert answer.confidence == pytest.approx(np.ones(9), abs=1e-5)

    def test_one_dimension(self) -> None:
        points = np.array([[0.0], [0.1], [5.0], [5.1], [0.2]], np.float32)
        assert cluster_vectors(points, "kmeans", Settings(k=2)).labels.tolist() == [0, 0, 1, 1, 0]

    def test_the_input_is_not_changed(self) -> None:
        points, _ = blobs([8, 8, 8])
        before = points.copy()
        for method in FAST_METHODS:
            cluster_vectors(points, method, settings_for(method))
        assert np.array_equal(points, before)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.data())
    def test_any_small_input_gives_clusters_or_a_clustering_error(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(0, 14))
        rows = data.draw(st.lists(st.tuples(*[st.integers(-1, 1)] * 3), min_size=count, max_size=count))
        method = data.draw(st.sampled_from(FAST_METHODS))
        told = settings_for(
            method,
            k=data.draw(st.integers(1, 6)),
            min_cluster_size=data.draw(st.sampled_from([None, 2, 5])),
            seed=data.draw(st.integers(0, 9)),
        )
        points = normalise(np.array(rows, np.float32).reshape(count, 3))
        distinct = len({tuple(point) for point in (points + 0.0).tolist()})
        impossible = count < 2 or (method == "kmeans" and (told.k or 0) > distinct)
        if impossible:
            with pytest.raises(ClusteringError, match=r"cannot be clustered|cannot make \d clusters"):
                cluster_vectors(points, method, told)
            return
        answer = cluster_vectors(points, method, told)
        assert_well_formed(answer, count)
        if method == "kmeans":
            assert answer.count == told.k


class TestRecovery:
    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_separated_blobs_are_found_and_numbered_by_size(self, method: str) -> None:
        points, truth = blobs([20, 50, 35])
        shuffled = np.random.default_rng(5).permutation(len(truth))
        answer = cluster_vectors(points[shuffled], method, settings_for(method))
        assert_well_formed(answer, 105)
        expected = np.array([2, 0, 1])[truth[shuffled]]
        # Density may leave some stragglers out; none may go to another blob.
        found = answer.labels >= 0
        assert answer.count == 3
        assert np.array_equal(answer.labels[found], expected[found])
        assert found.mean() > (0.99 if method == "kmeans" else 0.8)

    @pytest.mark.parametrize("sizes", [[20, 50, 35], [100] * 5, [8] * 6])
    def test_hdbscan_never_mixes_separated_blobs(self, sizes: list[int]) -> None:
        points, truth = blobs(sizes)
        answer = cluster_vectors(points, "hdbscan", Settings())
        assert_well_formed(answer, len(truth))
        for cluster in range(answer.count):
            assert len(set(truth[answer.labels == cluster].tolist())) == 1
        for blob in range(len(sizes)):
            assert (answer.labels[truth == blob] >= 0).any(), "every blob has a cluster"

    def test_equal_sizes_are_numbered_by_their_first_image(self) -> None:
        points, truth = blobs([6, 6, 6])
        answer = cluster_vectors(points[::-1].copy(), "kmeans", Settings(k=3))
        assert answer.labels.tolist() == (2 - truth[::-1]).tolist()

    @pytest.mark.parametrize("seed", range(5))
    def test_sixty_images_in_six_loose_groups_give_clusters_and_not_only_noise(self, seed: int) -> None:
        vectors, truth = loose_groups(6, 10, dimensions=1280, spread=1.0, seed=seed)
        answer = as_in_the_pipeline(vectors, "hdbscan", Settings(seed=seed))
        assert_well_formed(answer, 60)
        found = answer.labels >= 0
        assert 4 <= answer.count <= 10
        assert found.mean() > 0.5
        for cluster in range(answer.count):
            groups = truth[answer.labels == cluster]
            assert np.mean(groups == np.bincount(groups).argmax()) >= 0.9

    def test_kmeans_confidence_is_the_margin_to_the_next_centre(self) -> None:
        # Centres at 0.5 and 10.5: the distances of 0 are 0.5 and 10.5.
        points = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
        answer = cluster_vectors(points, "kmeans", Settings(k=2))
        assert answer.confidence == pytest.approx([1 - 0.5 / 10.5, 1 - 0.5 / 9.5, 1 - 0.5 / 9.5, 1 - 0.5 / 10.5])

    def test_an_image_on_the_border_has_no_confidence(self) -> None:
        points = np.array([[-4.0], [-6.0], [-5.0], [5.0], [4.0], [6.0], [0.0]], np.float32)
        answer = cluster_vectors(points, "kmeans", Settings(k=2))
        assert answer.confidence[6] < 0.5 < answer.confidence[:6].min()

    def test_hdbscan_leaves_an_outlier_out(self) -> None:
        points, _ = blobs([15, 15])
        answer = cluster_vectors(np.vstack([points, np.full((1, 8), 500, np.float32)]), "hdbscan", Settings())
        assert answer.labels[-1] == -1
        assert answer.confidence[-1] == 0

    @pytest.mark.parametrize(("count", "smallest"), [(16, 4), (100, 5), (400, 10), (2500, 25)])
    def test_the_smallest_cluster_grows_with_the_number_of_images(self, count: int, smallest: int) -> None:
        points = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
        assert cluster_vectors(points, "hdbscan", Settings()).parameters["min_cluster_size"] == smallest


class TestReproducible:
    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_one_seed_gives_one_answer(self, method: str) -> None:
        points = np.random.default_rng(1).normal(size=(300, 12)).astype(np.float32)
        first, second = (cluster_vectors(points, method, settings_for(method, k=7, seed=11)) for _ in range(2))
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.confidence, second.confidence)
        assert first.parameters == second.parameters

    def test_the_seed_matters_to_kmeans_on_shapeless_data(self) -> None:
        points = np.random.default_rng(1).normal(size=(400, 12)).astype(np.float32)
        answers = [cluster_vectors(points, "kmeans", Settings(k=20, seed=seed)).labels for seed in range(4)]
        assert any(not np.array_equal(answers[0], other) for other in answers[1:])

    def test_many_threads_do_not_change_the_answer(self) -> None:
        # On a machine of many cores scikit-learn adds up in many threads, in an order of their own each time.
        script = (
            "import numpy as np\n"
            "from imgcluster.clustering import Settings, cluster_vectors\n"
            "points = np.random.default_rng(1).normal(size=(4000, 16)).astype(np.float32)\n"
            "answers = [cluster_vectors(points, 'kmeans', Settings(k=20)) for _ in range(2)]\n"
            "print(len({(a.labels.tobytes(), a.confidence.tobytes(), a.parameters['inertia']) for a in answers}))\n"
        )
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "8",
            "PYTHONPATH": str(Path(imgcluster.__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout.strip() == "1", done.stderr


class TestAssignNoise:
    def test_noise_goes_to_the_cluster_of_its_neighbours(self) -> None:
        points = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [8.0], [1.0]], np.float32)
        labels = np.array([0, 0, 0, 1, 1, 1, -1, -1])
        confidence = np.array([1, 1, 1, 0.9, 0.9, 0.9, 0, 0], np.float32)
        answer = assign_noise(np.repeat(points, 10, axis=0), _repeated(labels, confidence, 10))
        assert_well_formed(answer, 80)
        assert not (answer.labels < 0).any()
        assert np.unique(answer.labels[60:70]).tolist() == np.unique(answer.labels[30:60]).tolist()
        assert np.unique(answer.labels[70:]).tolist() == np.unique(answer.labels[:30]).tolist()
        # All 15 neighbours agree: one half, which is the most that assigned noise can have.
        assert answer.confidence[60:].tolist() == [0.5] * 20
        assert answer.parameters["assigned_noise"] == 20
        assert answer.confidence[:30].tolist() == [1.0] * 30

    def test_clusters_are_numbered_again_by_size(self) -> None:
        points = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [8.0], [8.5]], np.float32)
        points = np.repeat(points, 20, axis=0)
        labels = np.repeat([0, 0, 0, 1, 1, -1, -1], 20)
        before = Clustering(labels, (labels >= 0).astype(np.float32), {"min_cluster_size": 4})
        answer = assign_noise(points, before)
        assert_well_formed(answer, 140)
        assert np.all(answer.labels[:60] == 1)
        assert np.all(answer.labels[60:] == 0)
        assert answer.parameters == {"min_cluster_size": 4, "assigned_noise": 40}
        assert np.array_equal(before.labels, labels), "the clustering that was given is not changed"

    @pytest.mark.parametrize("labels", [[-1, -1, -1], [0, 0, 1]])
    def test_nothing_changes_without_clusters_or_without_noise(self, labels: list[int]) -> None:
        before = Clustering(np.array(labels), np.array([0.5, 0, 0.5], np.float32), {"k": 2})
        assert assign_noise(np.eye(3, dtype=np.float32), before) is before

    def test_fewer_clustered_images_than_voters(self) -> None:
        points = np.array([[0.0], [1.0], [2.0], [0.4]], np.float32)
        answer = assign_noise(points, Clustering(np.array([0, 0, 1, -1]), np.array([1, 1, 1, 0], np.float32), {}))
        assert answer.labels.tolist() == [0, 0, 1, 0]
        # Two of the three neighbours agree.
        assert answer.confidence[3] == pytest.approx(2 / 3 / 2)


def _repeated(labels: np.ndarray, confidence: np.ndarray, times: int) -> Clustering:
    return Clustering(np.repeat(labels, times), np.repeat(confidence, times), {})


@pytest.mark.slow
class TestEvoc:
    @pytest.fixture(autouse=True)
    def _needs_evoc(self) -> None:
        pytest.importorskip("evoc", exc_type=ImportError)

    def test_separated_groups_are_found_alike_in_two_runs(self) -> None:
        vectors, truth = loose_groups(4, 60, dimensions=64, spread=0.4, seed=2)
        first, second = (cluster_vectors(vectors, "evoc", Settings(seed=4)) for _ in range(2))
        assert_well_formed(first, 240)
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.confidence, second.confidence)
        assert first.count >= 2
        for cluster in range(first.count):
            groups = truth[first.labels == cluster]
            assert np.mean(groups == np.bincount(groups).argmax()) >= 0.9

    @pytest.mark.parametrize("count", [2, 3, 7])
    def test_too_few_images_say_what_to_do(self, count: int) -> None:
        points = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
        with pytest.raises(ClusteringError, match=f"{count} images are too few for EVoC; use --method hdbscan"):
            cluster_vectors(points, "evoc", Settings())

    @pytest.mark.parametrize("count", [8, 12, 20, 60])
    def test_small_sets_give_clusters_or_noise(self, count: int) -> None:
        vectors = normalise(np.random.default_rng(count).normal(size=(count, 16)).astype(np.float32))
        assert_well_formed(cluster_vectors(vectors, "evoc", Settings()), count)

    def test_duplicates(self) -> None:
        truth = np.repeat(np.arange(4), 20)
        vectors, _ = loose_groups(4, 1, dimensions=32, spread=0, seed=1)
        assert_well_formed(cluster_vectors(vectors[truth], "evoc", Settings()), 80)
