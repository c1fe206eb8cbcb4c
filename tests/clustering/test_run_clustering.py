"""From embeddings to a judged clustering."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.clustering import Settings
from imgcluster.clustering.run import divide_images
from imgcluster.errors import ClusteringError
from imgcluster.types import Kept, Metric
from vectors import assert_well_formed, blobs, same_partition, scattered


def divided(
    vectors: np.ndarray,
    *,
    metric: Metric = "cosine",
    method: str = "kmeans",
    reduction: str = "graph",
    told: Settings | None = None,
    assign: bool = False,
) -> Kept:
    return divide_images(
        vectors, metric, method=method, reduction=reduction, settings=told or Settings(), assign=assign
    )


def assert_judged(kept: Kept, count: int) -> None:
    assert_well_formed(kept.clustering, count)
    assert len(kept.stability) == len(kept.clustering.layers)
    for layer, values in zip(kept.clustering.layers, kept.stability, strict=True):
        assert len(values) == layer.count
        assert all(value is None or 0 <= value <= 1 for value in values)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_blobs_without_any_option(metric: Metric) -> None:
    vectors, truth = blobs([30, 40, 50, 60], spread=0.5)
    kept = divided(vectors, metric=metric)
    assert_judged(kept, 180)
    assert same_partition(kept.clustering.labels, truth)
    assert kept.stability[kept.clustering.chosen] == (1.0,) * 4
    assert kept.how.startswith("random walks on the neighbour graph")


@pytest.mark.parametrize("reduction", ["none", "graph", "pca"])
@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("count", [2, 3, 5, 16, 30])
def test_few_images(count: int, metric: Metric, method: str, reduction: str) -> None:
    for vectors in (scattered(count), np.abs(scattered(count)), scattered(count)[np.arange(count) % 2]):
        kept = divided(vectors, metric=metric, method=method, reduction=reduction, assign=method == "hdbscan")
        assert_judged(kept, count)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_images_are_one_sure_cluster(metric: Metric) -> None:
    kept = divided(np.full((50, 6), 0.3, np.float32), metric=metric)
    assert (kept.clustering.count, kept.stability, kept.how) == (1, ((1.0,),), "none")


def test_vectors_of_one_direction_are_equal_under_the_cosine() -> None:
    kept = divided(scattered(1) * np.arange(1, 41, dtype=np.float32)[:, None])
    assert (kept.clustering.count, kept.clustering.parameters) == (1, {"identical": True})


def test_a_broken_encoder_is_said_before_anything_is_computed() -> None:
    vectors = scattered(40)
    vectors[3] = np.nan
    with pytest.raises(ClusteringError, match="1 of 40 vectors hold values that are no numbers"):
        divided(vectors)


def test_assigned_noise_takes_the_stability_of_its_cluster_along() -> None:
    # The smaller blob has more noise around it, so that it ends as the larger cluster.
    points, _ = blobs([40, 30], dimensions=4, spread=0.1)
    ring = np.random.default_rng(1).normal(size=(25, 4))
    around = points[60:61] + 3 * ring / np.linalg.norm(ring, axis=1, keepdims=True)
    vectors = np.vstack([points, around]).astype(np.float32)
    told = Settings(min_cluster_size=12)
    options = {"metric": "euclidean", "method": "hdbscan", "reduction": "none", "told": told}
    before, after = (divided(vectors, assign=assign, **options) for assign in (False, True))  # type: ignore[arg-type]
    assert (before.clustering.labels < 0).any()
    assert not (after.clustering.labels < 0).any()
    assert_judged(after, 95)
    for image in (0, 50):
        old, new = before.clustering.labels[image], after.clustering.labels[image]
        if old >= 0:
            assert before.stability[before.clustering.chosen][old] == after.stability[after.clustering.chosen][new]


def test_of_nothing_but_noise_nothing_is_given_away() -> None:
    kept = divided(np.eye(3, 8, dtype=np.float32), method="hdbscan", reduction="none", assign=True)
    assert kept.clustering.count == 0
    assert kept.stability == ((),)
