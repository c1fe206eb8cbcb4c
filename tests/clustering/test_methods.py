"""The methods: degenerate inputs end in plain words, labels are numbered by size, one seed gives one answer."""

from __future__ import annotations

import sys
import time
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering import METHODS, Settings, choose_method, cluster_degenerate, cluster_vectors, stability
from imgcluster.clustering.settings import METHOD_OPTIONS
from imgcluster.clustering.types import Clustering, FitNotes
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.types import Vectors
from vectors import (
    FAST_METHODS,
    assert_well_formed,
    blobs,
    loose_groups,
    output_with_threads,
    plain,
    same_partition,
    scattered,
    settings_for,
)


def as_in_the_pipeline(vectors: Vectors, method: str, told: Settings) -> Clustering:
    same = cluster_degenerate(vectors, told)
    if same is not None:
        return same
    return cluster_vectors(reduce(vectors, METHODS[method].reduction, seed=told.seed), method, told)


class TestChooseMethod:
    @pytest.mark.parametrize("k", [4, None, "auto", "2..5"])
    def test_auto_is_kmeans(self, k: int | str | None) -> None:
        assert choose_method("auto", k) == "kmeans"

    def test_a_named_method_stays(self) -> None:
        assert choose_method("kmeans", 2) == "kmeans"
        assert choose_method("kmeans", None) == "kmeans"
        assert choose_method("hdbscan", None) == "hdbscan"

    @pytest.mark.parametrize(
        ("method", "k", "message"),
        [
            ("dbscan", None, "method 'dbscan' is unknown; choose one of auto, kmeans, hdbscan, evoc"),
            ("hdbscan", 5, "hdbscan finds the number of clusters itself: leave out --k, or use --method kmeans"),
            ("hdbscan", "auto", "hdbscan finds the number of clusters itself"),
            ("evoc", 5, "evoc finds the number of clusters itself"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, method: str, k: int | str | None, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            choose_method(method, k)

    def test_k_means_has_no_smallest_cluster(self) -> None:
        with pytest.raises(UsageError, match="--min-cluster-size is for hdbscan and evoc.*add --method hdbscan"):
            choose_method("kmeans", None, min_cluster_size=5)
        assert choose_method("hdbscan", None, min_cluster_size=5) == "hdbscan"
        assert choose_method("kmeans", 5) == "kmeans"

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("option", METHOD_OPTIONS)
    def test_an_option_of_other_methods_is_refused(self, method: str, option: str) -> None:
        if option in METHODS[method].takes:
            pytest.importorskip(METHODS[method].package or "numpy", exc_type=ImportError)
            assert choose_method(method, None, **{option: 3}) == method
            return
        with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} is for ") as raised:
            choose_method(method, None, **{option: 3})
        assert METHODS[method].title in str(raised.value)

    # Missing, or a folder left by an uninstallation, which imports as an empty module.
    @pytest.mark.parametrize("module", [None, ModuleType("evoc")])
    def test_an_unusable_package_is_named_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
    ) -> None:
        monkeypatch.setitem(sys.modules, "evoc", module)
        with pytest.raises(UsageError, match=r"pip install 'imgcluster\[evoc\]'"):
            choose_method("evoc", None)


class TestTooFew:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("count", [0, 1])
    def test_none_or_one_image(self, method: str, count: int) -> None:
        with pytest.raises(ClusteringError, match=f"^{count} images? cannot be clustered; embed more"):
            cluster_vectors(plain(np.ones((count, 4), np.float32)), method, settings_for(method, k=1))

    def test_fewer_images_than_k(self) -> None:
        points, _ = blobs([1, 1, 1])
        with pytest.raises(ClusteringError, match="3 images cannot make 5 clusters: there are only 3 images.*--k 3"):
            cluster_vectors(plain(points), "kmeans", Settings(k=5))

    def test_fewer_different_images_than_k(self) -> None:
        points = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
        with pytest.raises(ClusteringError, match="12 images cannot make 4 .*only 3 .*distinct.*--k 3"):
            cluster_vectors(plain(points), "kmeans", Settings(k=4))

    def test_identical_images_and_a_k_of_two(self) -> None:
        with pytest.raises(ClusteringError, match="6 images cannot make 2 clusters.*--k 1"):
            cluster_vectors(plain(np.ones((6, 4), np.float32)), "kmeans", Settings(k=2))

    def test_zero_and_minus_zero_do_not_differ(self) -> None:
        points = np.zeros((4, 3), np.float32)
        points[2:] = -0.0
        with pytest.raises(ClusteringError, match="4 images cannot make 2 clusters"):
            cluster_vectors(plain(points), "kmeans", Settings(k=2))


class TestDegenerate:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("value", [0.0, 0.25])
    @pytest.mark.parametrize("count", [2, 3, 40])
    def test_identical_images_are_one_sure_cluster(self, method: str, value: float, count: int) -> None:
        answer = cluster_vectors(plain(np.full((count, 5), value, np.float32)), method, settings_for(method, k=1))
        assert_well_formed(answer, count)
        assert answer.count == 1
        assert np.all(answer.labels == 0)
        assert np.all(answer.confidence == 1)
        assert answer.notes.by_json_name() == {"identical": True}

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

    @pytest.mark.parametrize(
        "reduction",
        ["none", pytest.param("graph", marks=pytest.mark.slow), pytest.param("pca", marks=pytest.mark.slow)],
    )
    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_every_number_of_images_up_to_thirty(self, method: str, reduction: str) -> None:
        for count in (2, 3, 5, 8, 15, 16, 30):
            reduced = reduce(scattered(count, seed=count), reduction, seed=0)
            assert_well_formed(cluster_vectors(reduced, method, Settings()), count)
            if method == "kmeans":
                for k in {2, count}:
                    answer = cluster_vectors(reduced, method, Settings(k=k))
                    assert_well_formed(answer, count)
                    assert answer.count == k

    @pytest.mark.parametrize("reduction", ["none", "graph", "pca"])
    @pytest.mark.parametrize("method", FAST_METHODS)
    @pytest.mark.parametrize(("different", "times"), [(2, 20), (3, 15), (4, 10), (5, 20), (16, 3), (40, 5)])
    def test_copies_go_where_their_original_goes(self, different: int, times: int, method: str, reduction: str) -> None:
        which = np.arange(different * times) % different
        answer = cluster_vectors(reduce(scattered(different)[which], reduction, seed=0), method, Settings())
        assert_well_formed(answer, different * times)
        for layer in answer.layers:
            # Density may take some copies of a picture for noise, but never parts them.
            named = [set(layer.labels[which == number].tolist()) - {-1} for number in range(different)]
            assert max(map(len, named)) <= 1
            assert method == "hdbscan" or min(map(len, named)) == 1

    @pytest.mark.parametrize("method", METHODS)
    def test_a_hundred_thousand_equal_images_are_quick(self, method: str) -> None:
        begin = time.process_time()
        answer = cluster_vectors(plain(np.ones((100_000, 16), np.float32)), method, Settings())
        assert answer.count == 1
        # A guard against comparing them all with each other, which takes minutes.
        assert time.process_time() - begin < 20

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_vectors_that_are_no_numbers_blame_the_encoder(self, value: float, method: str) -> None:
        points = scattered(30)
        points[4, 2] = points[9, 0] = value
        with pytest.raises(ClusteringError, match="2 of 30 vectors have values that are NaN or infinite.*--encoder"):
            cluster_vectors(plain(points), method, Settings())

    @pytest.mark.parametrize("different", [2, 3])
    def test_too_few_different_images_to_find_a_number_are_one_cluster(self, different: int) -> None:
        answer = cluster_vectors(plain(scattered(different)[np.arange(12) % different]), "kmeans", Settings())
        assert (answer.count, answer.notes) == (1, FitNotes(too_few=True))

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
        answer = cluster_vectors(plain(l2_normalize(points)), method, settings_for(method, k=2))
        assert_well_formed(answer, 12)
        assert same_partition(answer.labels, np.repeat([0, 1], 6))
        assert np.all(answer.confidence == 1)

    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_duplicates_share_a_cluster(self, method: str) -> None:
        truth = np.repeat(np.arange(5), 7)
        answer = cluster_vectors(plain(np.eye(5, dtype=np.float32)[truth]), method, settings_for(method, k=5))
        assert_well_formed(answer, 35)
        assert same_partition(answer.labels, truth)

    def test_one_cluster(self) -> None:
        points, _ = blobs([5, 4])
        answer = cluster_vectors(plain(points), "kmeans", Settings(k=1))
        assert answer.labels.tolist() == [0] * 9
        assert answer.confidence.tolist() == [1.0] * 9

    def test_as_many_clusters_as_images(self) -> None:
        points = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        answer = cluster_vectors(plain(points), "kmeans", Settings(k=9))
        assert_well_formed(answer, 9)
        # All of one size: numbered in the order of the images.
        assert answer.labels.tolist() == list(range(9))
        assert answer.confidence == pytest.approx(np.ones(9), abs=1e-5)

    def test_one_dimension(self) -> None:
        points = np.array([[0.0], [0.1], [5.0], [5.1], [0.2]], np.float32)
        assert cluster_vectors(plain(points), "kmeans", Settings(k=2)).labels.tolist() == [0, 0, 1, 1, 0]

    def test_the_input_is_not_changed(self) -> None:
        points, _ = blobs([8, 8, 8])
        before = points.copy()
        for method in FAST_METHODS:
            cluster_vectors(plain(points), method, settings_for(method))
        assert np.array_equal(points, before)

    @settings(max_examples=40, derandomize=True)
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
        points = l2_normalize(np.array(rows, np.float32).reshape(count, 3))
        distinct = len({tuple(point) for point in (points + 0.0).tolist()})
        impossible = count < 2 or (method == "kmeans" and (told.k or 0) > distinct)
        if impossible:
            with pytest.raises(ClusteringError, match=r"cannot be clustered|cannot make \d clusters"):
                cluster_vectors(plain(points), method, told)
            return
        answer = cluster_vectors(plain(points), method, told)
        assert_well_formed(answer, count)
        if method == "kmeans":
            assert answer.count == told.k


class TestRecovery:
    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_separated_blobs_are_found_and_numbered_by_size(self, method: str) -> None:
        points, truth = blobs([20, 50, 35])
        shuffled = np.random.default_rng(5).permutation(len(truth))
        answer = cluster_vectors(plain(points[shuffled]), method, settings_for(method))
        assert_well_formed(answer, 105)
        expected = np.array([2, 0, 1])[truth[shuffled]]
        # Density may leave some stragglers out; none may go to another blob.
        found = answer.labels >= 0
        assert answer.count == 3
        assert np.array_equal(answer.labels[found], expected[found])
        assert found.mean() > (0.99 if method == "kmeans" else 0.8)

    def test_equal_sizes_are_numbered_by_their_first_image(self) -> None:
        points, truth = blobs([6, 6, 6])
        answer = cluster_vectors(plain(points[::-1].copy()), "kmeans", Settings(k=3))
        assert answer.labels.tolist() == (2 - truth[::-1]).tolist()

    def test_kmeans_confidence_is_the_margin_to_the_next_centre(self) -> None:
        # Centres at 0.5 and 10.5: the distances of 0 are 0.5 and 10.5.
        points = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
        answer = cluster_vectors(plain(points), "kmeans", Settings(k=2))
        assert answer.confidence == pytest.approx([1 - 0.5 / 10.5, 1 - 0.5 / 9.5, 1 - 0.5 / 9.5, 1 - 0.5 / 10.5])

    def test_an_image_on_the_border_has_no_confidence(self) -> None:
        points = np.array([[-4.0], [-6.0], [-5.0], [5.0], [4.0], [6.0], [0.0]], np.float32)
        answer = cluster_vectors(plain(points), "kmeans", Settings(k=2))
        assert answer.confidence[6] < 0.5 < answer.confidence[:6].min()


class TestReproducible:
    @pytest.mark.parametrize("method", FAST_METHODS)
    def test_one_seed_gives_one_answer(self, method: str) -> None:
        points = np.random.default_rng(1).normal(size=(300, 12)).astype(np.float32)
        first, second = (cluster_vectors(plain(points), method, settings_for(method, k=7, seed=11)) for _ in range(2))
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.confidence, second.confidence)
        assert first.parameters == second.parameters

    def test_the_seed_matters_to_kmeans_on_shapeless_data(self) -> None:
        points = np.random.default_rng(1).normal(size=(400, 12)).astype(np.float32)
        answers = [
            cluster_vectors(plain(points), "kmeans", Settings(k=20, n_init=4, seed=seed)).labels for seed in range(4)
        ]
        assert any(not np.array_equal(answers[0], other) for other in answers[1:])

    def test_many_threads_do_not_change_the_answer(self) -> None:
        # On a machine of many cores scikit-learn adds up in many threads, in an order of their own each time.
        program = (
            "import numpy as np\n"
            "from imgcluster.clustering import Settings, cluster_vectors\n"
            "from imgcluster.features.reduce import Reduced\n"
            "points = Reduced(np.random.default_rng(1).normal(size=(2000, 16)).astype(np.float32), 'none')\n"
            "answers = [cluster_vectors(points, 'kmeans', Settings(k=20, n_init=4)) for _ in range(2)]\n"
            "print(len({(a.labels.tobytes(), a.confidence.tobytes(), a.parameters['inertia']) for a in answers}))\n"
        )
        assert output_with_threads(program, 8).strip() == "1"

    @pytest.mark.slow
    def test_one_thread_and_two_give_the_same_bytes(self) -> None:
        program = (
            "import hashlib, numpy as np\n"
            "from imgcluster.clustering import Settings, cluster_vectors, stability\n"
            "from imgcluster.features.normalize import normalize_features\n"
            "from imgcluster.features.reduce import reduce\n"
            "points = np.abs(np.random.default_rng(1).normal(size=(700, 64))).astype(np.float32)\n"
            "for method in ('kmeans', 'hdbscan'):\n"
            "    told = Settings(k_range=(2, 4), score_k=method == 'kmeans')\n"
            "    reduced = reduce(normalize_features(points, 'cosine'), 'graph', seed=0)\n"
            "    answer = cluster_vectors(reduced, method, told)\n"
            "    print(hashlib.sha256(reduced.vectors.tobytes()).hexdigest(), answer.candidates, answer.parameters)\n"
            "    for layer in answer.layers:\n"
            "        for values in (layer.labels, layer.confidence, layer.runner_up):\n"
            "            print(hashlib.sha256(values.tobytes()).hexdigest())\n"
            "        print(stability(reduced.vectors, (layer,), method, told))\n"
        )
        assert output_with_threads(program, 1) == output_with_threads(program, 2)


@pytest.mark.parametrize("k", ["5..8", "6..6"])
def test_a_range_that_begins_high_is_looked_through(k: str) -> None:
    generator = np.random.default_rng(0)
    centres = 20 * generator.standard_normal((6, 5))
    vectors = (np.repeat(centres, 20, axis=0) + generator.standard_normal((120, 5))).astype(np.float32)
    found = cluster_vectors(reduce(vectors, "graph", seed=0), "kmeans", Settings.of(k))
    assert found.count == 6


def test_the_highest_seed_is_one() -> None:
    vectors = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    told = Settings.of(3, seed=2**32 - 1)
    found = cluster_vectors(Reduced(vectors, "none"), "kmeans", told)
    assert len(stability(vectors, found.layers, "kmeans", told)[found.chosen]) == 3
