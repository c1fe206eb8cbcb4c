"""The number of clusters that a graph shows, and layers around given clusters: nested, and in order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.clustering.layers import Layers, coarser_and_finer
from imgcluster.clustering.num_clusters import estimate_num_clusters
from imgcluster.features import neighbors
from imgcluster.features.neighbors import CountGraph, cluster_count_graph, neighbor_graph
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import Reduced, reduce
from vectors import blobs, lies_within, plain, same_partition, scattered


def mapped(vectors: np.ndarray) -> Reduced:
    return reduce(vectors, "graph", seed=0)


def families(count: int, each: int, *, size: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` groups of `each` blobs that lie near each other, and the number of each point's blob."""
    generator = np.random.default_rng(seed)
    places = np.concatenate(
        [10.0 * np.eye(count, 12)[family] + generator.normal(size=(each, 12)) for family in range(count)]
    )
    truth = np.repeat(np.arange(count * each), size)
    return (places[truth] + 0.25 * generator.normal(size=(len(truth), 12))).astype(np.float32), truth


class TestFindCount:
    @pytest.mark.parametrize("reduced", [True, False], ids=["graph", "none"])
    @pytest.mark.parametrize(
        ("each", "seeds"), [(20, (0, 1, 2)), (40, (0,)), pytest.param(40, (1, 2), marks=pytest.mark.slow)]
    )
    @pytest.mark.parametrize("count", [2, 3, 5, 8, pytest.param(12, marks=pytest.mark.slow)])
    def test_separated_blobs_are_counted_exactly(
        self, count: int, each: int, seeds: tuple[int, ...], reduced: bool
    ) -> None:
        for seed in seeds:
            vectors, _ = blobs([each] * count, spread=0.5, seed=seed)
            found = estimate_num_clusters(mapped(vectors) if reduced else plain(vectors), (2, 30), seed=seed)
            assert found.k == count, f"seed {seed}"
            assert found.persistence == found.factors[count] > 2

    @pytest.mark.parametrize("sizes", [[8, 8, 8], [8] * 12, [10, 20, 40, 80, 160], [300, 20, 20]])
    def test_small_ones_and_those_of_unlike_size_too(self, sizes: list[int]) -> None:
        vectors, _ = blobs(sizes, spread=0.3)
        assert estimate_num_clusters(mapped(vectors), (2, 30), seed=0).k == len(sizes)

    @pytest.mark.parametrize("k_range", [(2, 4), (6, 9), (7, 7), (2, 2)])
    def test_the_range_is_honoured(self, k_range: tuple[int, int]) -> None:
        vectors, _ = blobs([30] * 5, spread=0.5)
        found = estimate_num_clusters(mapped(vectors), k_range, seed=0)
        assert sorted(found.factors) == list(range(k_range[0], k_range[1] + 1))
        assert found.k in found.factors

    @pytest.mark.slow
    def test_the_number_is_the_images_and_not_the_seeds(self) -> None:
        digits = l2_normalize(load_digits().data.astype(np.float32))
        numbers = {estimate_num_clusters(reduce(digits, "graph", seed=seed), (2, 30), seed=seed).k for seed in range(4)}
        assert numbers == {11}

    @pytest.mark.parametrize("count", range(4, 31))
    def test_few_images(self, count: int) -> None:
        found = estimate_num_clusters(mapped(scattered(count)), (2, 30), seed=0)
        assert 2 <= found.k < count
        assert list(found.factors) == list(range(2, 2 + len(found.factors)))
        assert max(found.factors) < count
        assert all(factor >= 1 for factor in found.factors.values())

    def test_one_heap_has_a_number_all_the_same_and_it_does_not_last(self) -> None:
        found = estimate_num_clusters(mapped(scattered(400)), (2, 30), seed=0)
        assert 2 <= found.k <= 30
        assert found.persistence < 2.1

    @pytest.mark.parametrize("samples", [1, 3])
    def test_graphs_of_samples_count_the_same(self, monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
        vectors, _ = blobs([60] * 5, spread=0.5)
        monkeypatch.setattr(neighbors, "_SAMPLE_SIZE", 100)
        monkeypatch.setattr(neighbors, "_SAMPLES", samples)
        assert estimate_num_clusters(plain(vectors), (2, 30), seed=0).k == 5

    def test_copies_do_not_change_the_number(self) -> None:
        vectors, _ = blobs([20] * 4, spread=0.5)
        assert estimate_num_clusters(mapped(np.repeat(vectors, 3, axis=0)), (2, 30), seed=0).k == 4

    def test_the_same_seed_gives_the_same(self) -> None:
        space = mapped(scattered(300))
        assert estimate_num_clusters(space, (2, 30), seed=4) == estimate_num_clusters(space, (2, 30), seed=4)


class TestLayersAround:
    def test_families_of_blobs_are_the_coarser_and_blobs_the_finer_layer(self) -> None:
        vectors, truth = families(4, 3)
        nested = coarser_and_finer(mapped(vectors), truth // 3, seed=0)
        layers, chosen = nested.labels, nested.given
        assert same_partition(layers[chosen], truth // 3)
        assert same_partition(layers[0], truth)
        nested = coarser_and_finer(mapped(vectors), truth, seed=0)
        layers, chosen = nested.labels, nested.given
        assert same_partition(layers[chosen + 1], truth // 3)

    @settings(max_examples=40, derandomize=True)
    @given(
        count=st.integers(2, 90),
        k=st.integers(1, 12),
        groups=st.integers(1, 6),
        seed=st.integers(0, 99),
        reduced=st.booleans(),
    )
    def test_layers_are_nested_and_ordered(self, count: int, k: int, groups: int, seed: int, reduced: bool) -> None:
        generator = np.random.default_rng(seed)
        vectors = generator.normal(size=(count, 6)) + 4 * np.eye(groups, 6)[generator.integers(groups, size=count)]
        space = mapped(vectors.astype(np.float32)) if reduced else plain(vectors.astype(np.float32))
        k = min(k, count)
        labels, _ = fit_kmeans(space.vectors, k, seed=seed, starts=1)
        k = int(labels.max()) + 1
        nested = coarser_and_finer(space, labels, seed=seed) if count > 2 else Layers([labels], 0)
        layers, chosen = nested.labels, nested.given
        assert np.array_equal(layers[chosen], labels)
        counts = [len(set(layer.tolist())) for layer in layers]
        assert counts == sorted(counts, reverse=True)
        assert len(set(counts)) == len(counts) <= 3
        for layer, number in zip(layers, counts, strict=True):
            assert sorted(set(layer.tolist())) == list(range(number))
        for fine, coarse in itertools.pairwise(layers):
            assert lies_within(fine, coarse)
        if chosen:
            assert 2 * k <= counts[0] <= 5 * k
        if chosen + 1 < len(layers):
            assert max(2, k / 3) <= counts[-1] < k

    def test_images_outside_the_graph_go_where_their_nearest_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, truth = families(3, 2, size=60)
        monkeypatch.setattr(neighbors, "_SAMPLE_SIZE", 120)
        monkeypatch.setattr(neighbors, "_SAMPLES", 1)
        nested = coarser_and_finer(plain(vectors), truth // 2, seed=0)
        layers, chosen = nested.labels, nested.given
        assert chosen == 1
        assert same_partition(layers[0], truth)

    def test_a_cluster_that_no_image_of_the_graph_is_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, truth = blobs([200, 1, 200], spread=0.5)
        monkeypatch.setattr(neighbors, "_SAMPLE_SIZE", 20)
        monkeypatch.setattr(neighbors, "_SAMPLES", 1)
        assert 200 not in cluster_count_graph(vectors).rows
        nested = coarser_and_finer(plain(vectors), truth, seed=0)
        layers, chosen = nested.labels, nested.given
        assert np.array_equal(layers[chosen], truth)
        for fine, coarse in itertools.pairwise(layers):
            assert lies_within(fine, coarse)

    def test_many_clusters_are_quick(self) -> None:
        vectors = scattered(2000)
        labels = np.arange(2000) % 500
        nested = coarser_and_finer(plain(vectors), labels, seed=0)
        layers, chosen = nested.labels, nested.given
        assert np.array_equal(layers[chosen], labels)

    def test_above_two_thousand_clusters_there_are_no_others(self) -> None:
        labels = np.arange(2500)
        nested = coarser_and_finer(plain(scattered(2500)), labels, seed=0)
        layers, chosen = nested.labels, nested.given
        assert (len(layers), chosen) == (1, 0)


def test_a_cluster_without_an_image_in_the_graph_keeps_its_place() -> None:
    generator = np.random.default_rng(0)
    groups = [generator.standard_normal((50, 2)) + np.array([20 * number, 0]) for number in range(6)]
    vectors = np.concatenate([*groups, [[120.0, 0.0]]]).astype(np.float32)
    labels = np.append(np.repeat(np.arange(6), 50), 6).astype(np.int64)
    rows = np.arange(300)
    space = Reduced(vectors, "", CountGraph(neighbor_graph(vectors[rows]), rows, 1))
    nested = coarser_and_finer(space, labels, seed=0)
    layers, chosen = nested.labels, nested.given
    assert (layers[chosen] == labels).all()
    for finer, coarser in itertools.pairwise(layers):
        for number in np.unique(finer):
            assert len(np.unique(coarser[finer == number])) == 1
    # It goes with the cluster that is nearest.
    assert layers[-1][300] == layers[-1][299]
