"""Reduction: normalising, choosing, and walks on the graph, PCA and UMAP on inputs down to nothing."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from imgcluster.clustering import METHODS
from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.errors import ClusteringError, UsageError
from imgcluster.features import blocks
from imgcluster.features import neighbors as neighbors_module
from imgcluster.features import reduce as reduce_module
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.neighbors import (
    cluster_count_graph,
    component_labels,
    diffusion_neighbors,
    neighbor_graph,
)
from imgcluster.features.normalize import l2_normalize, normalize_features, row_normalization
from imgcluster.features.reduce import REDUCTIONS, choose_reduction, reduce
from vectors import blobs, peak_bytes, same_partition, scattered


def noise(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


class TestL2Normalize:
    def test_vectors_have_length_one_and_keep_their_direction(self) -> None:
        vectors = noise(50, 7) * 1000
        unit = l2_normalize(vectors)
        assert unit.dtype == np.float32
        assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
        assert np.sum(unit * vectors, axis=1) == pytest.approx(np.linalg.norm(vectors, axis=1), rel=1e-5)

    def test_a_known_one(self) -> None:
        assert l2_normalize(np.array([[3, 4]], np.float32))[0].tolist() == pytest.approx([0.6, 0.8])

    def test_zero_vectors_stay(self) -> None:
        assert l2_normalize(np.zeros((3, 4), np.float32)).tolist() == [[0.0] * 4] * 3

    def test_no_vectors(self) -> None:
        assert l2_normalize(np.zeros((0, 4), np.float32)).shape == (0, 4)

    def test_the_input_is_not_changed(self) -> None:
        vectors = noise(5, 3)
        before = vectors.copy()
        l2_normalize(vectors)
        assert np.array_equal(vectors, before)


class TestNormalizeFeatures:
    def test_euclidean_vectors_stay(self) -> None:
        vectors = noise(20, 5)
        assert normalize_features(vectors, "euclidean") is vectors

    def test_of_features_without_negative_ones_the_roots_are_centred(self) -> None:
        vectors = np.abs(noise(30, 6))
        centred = np.sqrt(vectors.astype(np.float64))
        centred -= centred.mean(axis=0)
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        answer = normalize_features(vectors, "cosine")
        assert answer.dtype == np.float32
        assert answer == pytest.approx(expected, abs=1e-5)

    def test_of_others_the_directions_are_centred(self) -> None:
        vectors = noise(30, 6)
        centred = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float64)
        centred -= centred.mean(axis=0)
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        assert normalize_features(vectors, "cosine") == pytest.approx(expected, abs=1e-5)
        # Their lengths say nothing under the cosine.
        longer = vectors * np.arange(1, 31, dtype=np.float32)[:, None]
        assert normalize_features(longer, "cosine") == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("count", [1, 2, 40])
    def test_equal_vectors_stay_equal_and_are_not_lost(self, count: int, sign: int) -> None:
        answer = normalize_features(np.tile(sign * np.abs(noise(1, 7)), (count, 1)), "cosine")
        assert len(np.unique(answer, axis=0)) == 1
        assert np.linalg.norm(answer, axis=1) == pytest.approx(np.ones(count), abs=1e-6)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_copies_stay_copies(self, sign: int) -> None:
        vectors = noise(7, 33) if sign < 0 else np.abs(noise(7, 33))
        answer = normalize_features(vectors[np.arange(70) % 7], "cosine")
        assert len(np.unique(answer, axis=0)) == 7

    def test_vectors_of_one_direction_are_no_rounding_errors(self) -> None:
        # Under the cosine these are all alike; what is left of them, less their mean, is not to be blown up.
        vectors = noise(1, 16) * np.arange(1, 41, dtype=np.float32)[:, None]
        assert np.abs(normalize_features(vectors, "cosine")).max() <= 1e-5

    @pytest.mark.parametrize("sign", [1, -1])
    def test_in_parts_it_is_the_same_and_what_is_given_stays(self, sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors = noise(40, 6) if sign < 0 else np.abs(noise(40, 6))
        given = vectors.copy()
        whole = normalize_features(vectors, "cosine")
        monkeypatch.setattr(blocks, "_ROWS", 7)
        assert np.array_equal(normalize_features(vectors, "cosine"), whole)
        assert np.array_equal(l2_normalize(vectors[::2]), l2_normalize(vectors)[::2])
        assert np.array_equal(vectors, given)

    def test_many_rows_need_memory_for_the_result_alone(self) -> None:
        vectors = noise(40_000, 128)
        normalize = row_normalization(vectors, "cosine")
        # There was memory for the scaled and the centered vectors, too.
        assert peak_bytes(lambda: normalize(vectors)) < 1.9 * vectors.nbytes

    def test_zero_vectors_give_numbers(self) -> None:
        for vectors in (np.zeros((5, 4), np.float32), np.vstack([np.zeros((3, 4), np.float32), noise(3, 4)])):
            answer = normalize_features(vectors, "cosine")
            assert np.all(np.isfinite(answer))
            assert len(np.unique(answer[:3], axis=0)) == 1

    def test_no_vectors(self) -> None:
        assert normalize_features(np.empty((0, 4), np.float32), "cosine").shape == (0, 4)

    def test_the_input_is_not_changed(self) -> None:
        vectors = np.abs(noise(9, 4))
        before = vectors.copy()
        normalize_features(vectors, "cosine")
        assert np.array_equal(vectors, before)


class TestChooseReduction:
    def test_auto_is_the_graph_but_before_evoc_which_builds_its_own(self) -> None:
        defaults = {name: choose_reduction("auto", method.reduction) for name, method in METHODS.items()}
        assert defaults == {"hdbscan": "graph", "kmeans": "graph", "evoc": "none"}

    @pytest.mark.parametrize("default", ["none", "graph"])
    @pytest.mark.parametrize("reduction", ["none", "graph", "pca"])
    def test_what_is_named_stays(self, reduction: str, default: str) -> None:
        assert choose_reduction(reduction, default) == reduction

    def test_an_unknown_one_is_wrong_usage(self) -> None:
        with pytest.raises(UsageError, match="reduction 'tsne' is unknown; choose one of auto, none, pca, umap, graph"):
            choose_reduction("tsne", "graph")
        assert REDUCTIONS == ("auto", "none", "pca", "umap", "graph")

    # Missing, or a folder left by an uninstallation, which imports as an empty module.
    @pytest.mark.parametrize("module", [None, ModuleType("umap")])
    def test_an_unusable_package_is_named_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
    ) -> None:
        monkeypatch.setitem(sys.modules, "umap", module)
        with pytest.raises(UsageError, match=r"pip install 'imgcluster\[umap\]'"):
            choose_reduction("umap", "graph")


class TestReduce:
    def test_none_leaves_the_vectors(self) -> None:
        vectors = noise(30, 40)
        answer = reduce(vectors, "none", seed=0)
        assert answer.vectors is vectors
        assert answer.note == "none"

    @pytest.mark.parametrize(("count", "dimensions"), [(60, 1280), (300, 400)])
    def test_pca_gives_ten_dimensions(self, count: int, dimensions: int) -> None:
        answer = reduce(noise(count, dimensions), "pca", seed=0)
        assert answer.vectors.shape == (count, 10)
        assert answer.vectors.dtype == np.float32
        assert answer.note == "PCA to 10 dimensions"

    def test_pca_keeps_distances_of_data_that_have_only_few_dimensions(self) -> None:
        flat = noise(80, 3)
        turned = flat @ np.linalg.qr(noise(40, 40).astype(np.float64))[0][:3].astype(np.float32)
        reduced = reduce(turned, "pca", seed=0).vectors
        before = np.linalg.norm(flat[:, None] - flat[None], axis=2)
        after = np.linalg.norm(reduced[:, None] - reduced[None], axis=2)
        assert after == pytest.approx(before, abs=1e-4)

    @pytest.mark.parametrize(("count", "dimensions"), [(60, 1280), (300, 400)])
    def test_one_seed_gives_one_answer(self, count: int, dimensions: int) -> None:
        vectors = noise(count, dimensions)
        first, second = (reduce(vectors, "pca", seed=7).vectors for _ in range(2))
        assert np.array_equal(first, second)

    @pytest.mark.parametrize("dimensions", [1, 2, 10])
    def test_few_dimensions_are_left_as_they_are(self, dimensions: int) -> None:
        vectors = noise(50, dimensions)
        answer = reduce(vectors, "pca", seed=0)
        assert answer.vectors is vectors
        assert answer.note == "none"

    @pytest.mark.parametrize(("count", "target"), [(2, 1), (3, 2), (6, 5)])
    def test_few_images_give_as_many_dimensions_as_they_span(self, count: int, target: int) -> None:
        answer = reduce(noise(count, 1280), "pca", seed=0)
        assert answer.vectors.shape == (count, target)

    @pytest.mark.parametrize("count", [0, 1])
    def test_no_or_one_image(self, count: int) -> None:
        vectors = noise(count, 20)
        assert reduce(vectors, "pca", seed=0).vectors is vectors

    @pytest.mark.parametrize("value", [0.0, 0.1])
    @pytest.mark.parametrize("count", [2, 20, 300])
    def test_identical_images_stay_identical(self, count: int, value: float) -> None:
        vectors = np.tile(noise(1, 400) * value, (count, 1))
        reduced = reduce(vectors, "pca", seed=0).vectors
        assert np.all(np.isfinite(reduced))
        assert len(np.unique(reduced, axis=0)) == 1

    @pytest.mark.parametrize(("different", "times"), [(6, 10), (150, 2)])
    def test_copies_of_one_image_stay_copies(self, different: int, times: int) -> None:
        which = np.arange(different * times) % different
        reduced = reduce(noise(different, 400)[which], "pca", seed=0).vectors
        assert np.array_equal(reduced, reduced[:different][which])


class TestGraph:
    def test_groups_are_separated_and_the_graph_is_returned(self) -> None:
        vectors, truth = blobs([30, 40, 50], spread=0.5)
        reduced = reduce(vectors, "graph", seed=0)
        assert "diffusion map" in reduced.note
        assert "5-nearest-neighbor" in reduced.note
        assert reduced.vectors.dtype == np.float32
        assert reduced.graph is not None
        assert reduced.graph.weights.shape == (120, 120)
        assert reduced.graph.rows.tolist() == list(range(120))
        assert same_partition(fit_kmeans(reduced.vectors, 3, seed=0, starts=8)[0], truth)

    def test_both_graphs_are_made_from_one_search(self) -> None:
        vectors = scattered(900, 4)
        reduced = reduce(vectors, "graph", seed=0)
        assert reduced.graph is not None
        assert (reduced.graph.weights != cluster_count_graph(vectors).weights).nnz == 0
        assert np.array_equal(reduced.vectors, diffusion_map(neighbor_graph(vectors, diffusion_neighbors(900))))

    @pytest.mark.parametrize(("different", "times"), [(20, 2), (40, 9), (500, 2)])
    def test_duplicates_stay_duplicates(self, different: int, times: int) -> None:
        which = np.arange(different * times) % different
        reduced = reduce(scattered(different)[which], "graph", seed=0)
        assert np.array_equal(reduced.vectors, reduced.vectors[:different][which])
        assert np.array_equal(reduced.vectors[:different], reduce(scattered(different), "graph", seed=0).vectors)
        assert reduced.graph is not None
        assert reduced.graph.rows.tolist() == list(range(different))

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 15])
    @pytest.mark.parametrize("times", [1, 10])
    def test_few_distinct_images_stay_as_they_are(self, count: int, times: int) -> None:
        vectors = np.repeat(scattered(count), times, axis=0)
        reduced = reduce(vectors, "graph", seed=0)
        assert reduced.vectors is vectors
        assert (reduced.note, reduced.graph) == ("none", None)

    def test_sixteen_are_enough(self) -> None:
        assert reduce(scattered(16), "graph", seed=0).graph is not None

    def test_zero_and_minus_zero_are_equal(self) -> None:
        vectors = np.zeros((40, 3), np.float32)
        vectors[20:] = -0.0
        assert reduce(vectors, "graph", seed=0).vectors is vectors

    @pytest.mark.parametrize(("count", "each"), [(11, 70), (12, 40), (30, 70), (40, 70), (100, 40)])
    def test_any_number_of_components_is_mapped(self, count: int, each: int) -> None:
        vectors, truth = blobs([each] * count, dimensions=count, spread=0.1)
        assert int(component_labels(neighbor_graph(vectors)).max()) + 1 >= count
        reduced = reduce(vectors, "graph", seed=0)
        assert "diffusion map" in reduced.note
        assert reduced.vectors.shape[1] <= 30
        assert reduced.graph is not None
        assert reduced.graph.components >= count
        centers = np.stack([reduced.vectors[truth == number].mean(axis=0) for number in range(count)])
        nearest = np.linalg.norm(reduced.vectors[:, None] - centers[None], axis=2).argmin(axis=1)
        assert np.mean(nearest == truth) > 0.98

    def test_a_few_near_duplicates_lie_beside_what_they_resemble(self) -> None:
        # As many as have all their neighbors among themselves are a component; alone it would resemble nothing.
        cloud = np.concatenate([scattered(300, 4), scattered(300, 4) + 8]).astype(np.float32)
        burst = cloud[:1] + 1e-4 * scattered(15, 4)
        vectors = np.concatenate([cloud, burst.astype(np.float32)])
        mapped = reduce(vectors, "graph", seed=0).vectors
        burst_center, near, far = (mapped[part].mean(axis=0) for part in (slice(600, 615), slice(300), slice(300, 600)))
        assert np.linalg.norm(burst_center - near) < 0.9 * np.linalg.norm(burst_center - far)

    def test_above_the_limit_the_others_are_interpolated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, truth = blobs([100, 150, 200], spread=0.5)
        monkeypatch.setattr(reduce_module, "_GRAPH_SAMPLE", 120)
        reduced = reduce(vectors, "graph", seed=3)
        assert "120 images" in reduced.note
        assert reduced.vectors.shape[0] == 450
        assert reduced.graph is not None
        assert reduced.graph.weights.shape == (120, 120)
        assert len(set(reduced.graph.rows.tolist())) == 120
        assert np.linalg.norm(reduced.vectors, axis=1) == pytest.approx(np.ones(450), abs=1e-5)
        assert same_partition(fit_kmeans(reduced.vectors, 3, seed=0, starts=8)[0], truth)
        again = reduce(vectors, "graph", seed=3)
        assert again.vectors.tobytes() == reduced.vectors.tobytes()
        assert reduce(vectors, "graph", seed=4).vectors.tobytes() != reduced.vectors.tobytes()

    def test_the_cluster_count_graph_is_the_same_for_every_seed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(neighbors_module, "_SAMPLE_SIZE", 300)
        first, second = (reduce(scattered(900, 4), "graph", seed=seed).graph for seed in (0, 1))
        assert first is not None
        assert second is not None
        assert first.weights.shape == (900, 900)
        assert np.array_equal(first.rows, second.rows)
        assert (first.weights != second.weights).nnz == 0

    def test_a_sample_and_duplicates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, _ = blobs([60, 60], spread=0.5)
        monkeypatch.setattr(reduce_module, "_GRAPH_SAMPLE", 50)
        reduced = reduce(np.repeat(vectors, 2, axis=0), "graph", seed=0)
        assert np.array_equal(reduced.vectors[::2], reduced.vectors[1::2])
        assert reduced.graph is not None
        assert np.all(reduced.graph.rows % 2 == 0), "the first of the duplicates stands for both"

    def test_many_dimensions_of_many_images_are_reduced_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, truth = blobs([60, 60, 60], dimensions=150, spread=0.5)
        monkeypatch.setattr(reduce_module, "_PAIR_BUDGET", 1000)
        reduced = reduce(vectors, "graph", seed=0)
        assert same_partition(fit_kmeans(reduced.vectors, 3, seed=0, starts=8)[0], truth)

    @pytest.mark.parametrize("count", [100, 500])
    def test_twice_the_same_bytes(self, count: int) -> None:
        first, second = (reduce(scattered(count), "graph", seed=5).vectors for _ in range(2))
        assert first.tobytes() == second.tobytes()


class TestUmap:
    @pytest.mark.slow
    def test_groups_stay_apart_alike_in_two_runs(self) -> None:
        pytest.importorskip("umap", exc_type=ImportError)
        vectors = noise(80, 40, seed=1) * 0.1
        vectors[:40, 0] += 10
        first, second = (reduce(vectors, "umap", seed=3) for _ in range(2))
        assert first.note == "UMAP to 10 dimensions"
        assert first.vectors.shape == (80, 10)
        assert np.array_equal(first.vectors, second.vectors)

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [2, 3, 12])
    def test_too_few_images_say_what_to_do(self, count: int) -> None:
        pytest.importorskip("umap", exc_type=ImportError)
        with pytest.raises(ClusteringError, match=f"{count} images are too few for UMAP; use --reduce pca"):
            reduce(noise(count, 40), "umap", seed=0)
