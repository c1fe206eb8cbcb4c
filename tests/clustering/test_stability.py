"""Stability: 1 for groups that are there, low for those that are not, None where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.clustering import Settings, cluster_vectors, stability
from imgcluster.features.reduce import reduce
from vectors import FAST_METHODS, blobs, loose_groups, one_layer, plain, scattered


@pytest.mark.parametrize("method", FAST_METHODS)
def test_separated_blobs_come_out_again(method: str) -> None:
    vectors, truth = blobs([40, 60, 50, 30])
    values = stability(vectors, one_layer(truth).layers, method, Settings(k=4) if method == "kmeans" else Settings())[0]
    assert len(values) == 4
    assert all(value is not None and value > (0.999 if method == "kmeans" else 0.6) for value in values)


def test_too_many_clusters_do_not() -> None:
    vectors, _ = blobs([60, 60, 60], spread=0.5)
    told = Settings(k=12)
    answer = cluster_vectors(plain(vectors), "kmeans", told)
    values = stability(vectors, answer.layers, "kmeans", told)[answer.chosen]
    assert sum(value is not None and value < 0.75 for value in values) >= 8


def test_one_that_is_there_beside_some_that_are_not() -> None:
    apart, _ = blobs([80], dimensions=8)
    heap = scattered(240, 8)
    vectors = np.vstack([100 + apart, heap]).astype(np.float32)
    told = Settings(k=9)
    answer = cluster_vectors(plain(vectors), "kmeans", told)
    values = stability(vectors, answer.layers, "kmeans", told)[answer.chosen]
    mine = int(answer.labels[0])
    assert values[mine] == 1
    assert np.mean([value for number, value in enumerate(values) if number != mine and value is not None]) < 0.75


def test_one_cluster_is_always_found() -> None:
    assert stability(scattered(30), one_layer([0] * 30).layers, "kmeans", Settings(k=1)) == ((1.0,),)


def test_of_noise_alone_there_is_nothing_to_say() -> None:
    assert stability(scattered(30), one_layer([-1] * 30).layers, "hdbscan", Settings()) == ((),)


def test_none_where_a_cluster_was_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from imgcluster.clustering import stability as _  # noqa: F401 - the function; its module is looked up below

    module = __import__("sys").modules["imgcluster.clustering.stability"]
    monkeypatch.setattr(module, "_SAMPLE", 10)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    monkeypatch.setattr(module, "_DRAWS", 2)
    labels = np.zeros(1000, np.int64)
    labels[500] = 1
    values = stability(scattered(1000), one_layer(labels).layers, "kmeans", Settings(k=2))[0]
    assert values[1] is None
    assert values[0] is not None


@pytest.mark.parametrize("method", FAST_METHODS)
@pytest.mark.parametrize("count", range(2, 31, 4))
def test_few_images(count: int, method: str) -> None:
    told = Settings(k=min(3, count)) if method == "kmeans" else Settings(min_cluster_size=2)
    answer = cluster_vectors(plain(scattered(count)), method, told)
    for layer, values in zip(answer.layers, stability(scattered(count), answer.layers, method, told), strict=True):
        assert len(values) == layer.count
        assert all(value is None or 0 <= value <= 1 for value in values)


def test_the_same_seed_gives_the_same() -> None:
    vectors, truth = loose_groups(5, 30, dimensions=16, spread=1.0, seed=1)
    layers = one_layer(truth).layers
    assert stability(vectors, layers, "kmeans", Settings(k=5)) == stability(vectors, layers, "kmeans", Settings(k=5))


def test_copies_are_drawn_without_a_stumble() -> None:
    vectors = scattered(6)[np.arange(60) % 6]
    answer = cluster_vectors(reduce(vectors, "graph", seed=0), "kmeans", Settings(k=6))
    assert all(value == 1 for value in stability(vectors, answer.layers, "kmeans", Settings(k=6))[answer.chosen])
