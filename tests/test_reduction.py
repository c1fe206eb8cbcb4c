"""Reduction: normalising, choosing, and PCA and UMAP on inputs down to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.errors import ClusteringError, UsageError
from imgcluster.reduction import REDUCTIONS, choose_reduction, normalise, reduce


def noise(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


class TestNormalise:
    def test_vectors_have_length_one_and_keep_their_direction(self) -> None:
        vectors = noise(50, 7) * 1000
        unit = normalise(vectors)
        assert unit.dtype == np.float32
        assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
        assert np.sum(unit * vectors, axis=1) == pytest.approx(np.linalg.norm(vectors, axis=1), rel=1e-5)

    def test_a_known_one(self) -> None:
        assert normalise(np.array([[3, 4]], np.float32))[0].tolist() == pytest.approx([0.6, 0.8])

    def test_zero_vectors_stay(self) -> None:
        assert normalise(np.zeros((3, 4), np.float32)).tolist() == [[0.0] * 4] * 3

    def test_no_vectors(self) -> None:
        assert normalise(np.zeros((0, 4), np.float32)).shape == (0, 4)

    def test_the_input_is_not_changed(self) -> None:
        vectors = noise(5, 3)
        before = vectors.copy()
        normalise(vectors)
        assert np.array_equal(vectors, before)


class TestChooseReduction:
    def test_auto_is_pca_before_hdbscan_only(self) -> None:
        assert choose_reduction("auto", "hdbscan") == "pca"
        assert choose_reduction("auto", "kmeans") == "none"
        assert choose_reduction("auto", "evoc") == "none"

    @pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
    @pytest.mark.parametrize("reduction", ["none", "pca"])
    def test_what_is_named_stays(self, reduction: str, method: str) -> None:
        assert choose_reduction(reduction, method) == reduction

    def test_an_unknown_one_is_wrong_usage(self) -> None:
        with pytest.raises(UsageError, match="reduction 'tsne' is unknown; choose one of auto, none, pca, umap"):
            choose_reduction("tsne", "kmeans")
        assert REDUCTIONS == ("auto", "none", "pca", "umap")

    def test_a_missing_package_is_named_with_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(UsageError, match=r"pip install 'imgcluster\[umap\]'"):
            choose_reduction("umap", "hdbscan")


class TestReduce:
    def test_none_leaves_the_vectors(self) -> None:
        vectors = noise(30, 40)
        answer = reduce(vectors, "none", seed=0)
        assert answer.vectors is vectors
        assert answer.how == "none"

    @pytest.mark.parametrize(("count", "dimensions"), [(60, 1280), (300, 400)])
    def test_pca_gives_ten_dimensions(self, count: int, dimensions: int) -> None:
        answer = reduce(noise(count, dimensions), "pca", seed=0)
        assert answer.vectors.shape == (count, 10)
        assert answer.vectors.dtype == np.float32
        assert answer.how == "PCA to 10 dimensions"

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
        assert answer.how == "none"

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


class TestUmap:
    @pytest.mark.slow
    def test_groups_stay_apart_alike_in_two_runs(self) -> None:
        pytest.importorskip("umap", exc_type=ImportError)
        vectors = noise(80, 40, seed=1) * 0.1
        vectors[:40, 0] += 10
        first, second = (reduce(vectors, "umap", seed=3) for _ in range(2))
        assert first.how == "UMAP to 10 dimensions"
        assert first.vectors.shape == (80, 10)
        assert np.array_equal(first.vectors, second.vectors)

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [2, 3, 12])
    def test_too_few_images_say_what_to_do(self, count: int) -> None:
        pytest.importorskip("umap", exc_type=ImportError)
        with pytest.raises(ClusteringError, match=f"{count} images are too few for UMAP; use --reduce pca"):
            reduce(noise(count, 40), "umap", seed=0)
