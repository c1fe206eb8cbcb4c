"""From embeddings to a judged clustering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering import Settings, density, kmeans
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.clustering.types import ClusteringResult, FitNotes
from imgcluster.errors import ClusteringError
from imgcluster.features import neighbors
from imgcluster.features import reduce as reduce_module
from imgcluster.types import Metric
from vectors import assert_well_formed, blobs, lies_within, same_partition, scattered


def divided(
    vectors: np.ndarray,
    *,
    metric: Metric = "cosine",
    method: str = "kmeans",
    reduction: str = "graph",
    told: Settings | None = None,
    assign: bool = False,
    order: np.ndarray | None = None,
) -> ClusteringResult:
    return cluster_embeddings(
        vectors, metric, method=method, reduction=reduction, settings=told or Settings(), assign=assign, order=order
    )


def assert_judged(kept: ClusteringResult, count: int) -> None:
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
    assert kept.note.startswith("diffusion map")


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
    assert (kept.clustering.count, kept.stability, kept.note) == (1, ((1.0,),), "none")


def test_vectors_of_one_direction_are_equal_under_the_cosine() -> None:
    kept = divided(scattered(1) * np.arange(1, 41, dtype=np.float32)[:, None])
    assert (kept.clustering.count, kept.clustering.notes) == (1, FitNotes(identical=True))


def test_a_broken_encoder_is_said_before_anything_is_computed() -> None:
    vectors = scattered(40)
    vectors[3] = np.nan
    with pytest.raises(ClusteringError, match="1 of 40 vectors have values that are NaN or infinite"):
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


def assert_same_in_another_order(vectors: np.ndarray, order: np.ndarray, **options: object) -> None:
    """Cluster the rows as they are and in another order; every image must get the same."""
    first = divided(vectors, **options)  # type: ignore[arg-type]
    second = divided(vectors[order], **options)  # type: ignore[arg-type]
    assert second.stability == first.stability
    assert second.note == first.note
    assert second.clustering.parameters == first.clustering.parameters
    assert second.clustering.candidates == first.clustering.candidates
    for old, new in zip(first.clustering.layers, second.clustering.layers, strict=True):
        assert np.array_equal(old.labels[order], new.labels)
        assert np.array_equal(old.confidence[order], new.confidence)
        assert np.array_equal(old.runner_up[order], new.runner_up)


class TestOrder:
    @settings(max_examples=6, derandomize=True)
    @given(
        count=st.integers(2, 120),
        groups=st.integers(1, 6),
        duplicates=st.integers(0, 20),
        seed=st.integers(0, 99),
        metric=st.sampled_from(["cosine", "euclidean"]),
        method=st.sampled_from(["kmeans", "hdbscan"]),
        reduction=st.sampled_from(["none", "graph", "pca"]),
        k=st.sampled_from([None, 2]),
    )
    def test_it_does_not_matter(
        self,
        count: int,
        groups: int,
        duplicates: int,
        seed: int,
        metric: Metric,
        method: str,
        reduction: str,
        k: int | None,
    ) -> None:
        generator = np.random.default_rng(seed)
        vectors = generator.normal(size=(count, 6)) + 4 * np.eye(groups, 6)[generator.integers(groups, size=count)]
        vectors = np.concatenate([vectors, vectors[generator.integers(count, size=duplicates)]]).astype(np.float32)
        assert_same_in_another_order(
            vectors,
            generator.permutation(len(vectors)),
            metric=metric,
            method=method,
            reduction=reduction,
            told=Settings(k=k if method == "kmeans" else None),
            assign=method == "hdbscan",
        )

    @pytest.mark.slow
    def test_it_does_not_matter_to_clusters_of_equal_size(self) -> None:
        vectors, truth = blobs([20] * 5, spread=0.3)
        for order in (np.arange(100)[::-1], np.random.default_rng(0).permutation(100)):
            assert_same_in_another_order(vectors, order, told=Settings(k=5))
            assert same_partition(divided(vectors[order]).clustering.labels, truth[order])

    @pytest.mark.slow
    def test_it_does_not_matter_to_samples(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # As in a large set: of the graphs, of k-means and of stability.
        monkeypatch.setattr(neighbors, "_SAMPLE_SIZE", 120)
        monkeypatch.setattr(reduce_module, "_GRAPH_SAMPLE", 250)
        monkeypatch.setattr(kmeans, "_SAMPLE", 100)
        vectors = scattered(600, 5)
        assert_same_in_another_order(vectors, np.random.default_rng(0).permutation(600))
        sorted_by_value = np.argsort(vectors[:, 0])
        assert_same_in_another_order(vectors, sorted_by_value, told=Settings(k=7))

    def test_it_does_not_matter_to_candidates(self) -> None:
        vectors, _ = blobs([15] * 3, spread=2.0)
        order = np.random.default_rng(1).permutation(45)
        assert_same_in_another_order(vectors, order, told=Settings(k_range=(2, 5), score_k=True))

    def test_a_given_order_of_content_takes_the_place_of_the_vectors_own(self) -> None:
        vectors = scattered(150)
        digests, order = np.random.default_rng(0).permutation(150), np.random.default_rng(1).permutation(150)
        first = divided(vectors, order=np.argsort(digests))
        second = divided(vectors[order], order=np.argsort(digests[order]))
        assert np.array_equal(first.clustering.labels[order], second.clustering.labels)


class TestComponents:
    @pytest.mark.parametrize(
        ("count", "each", "metric"), [(12, 70, "cosine"), pytest.param(40, 40, "euclidean", marks=pytest.mark.slow)]
    )
    def test_well_separated_blobs_are_found_whatever_their_number(self, count: int, each: int, metric: Metric) -> None:
        # More than 10 components used to leave the graph method.
        vectors, truth = blobs([each] * count, dimensions=count, spread=0.3)
        kept = divided(vectors, metric=metric)
        assert "diffusion map" in kept.note
        assert same_partition(kept.clustering.labels, truth)
        assert min(value or 0 for value in kept.stability[kept.clustering.chosen]) > 0.75

    def test_a_requested_number_of_blobs_is_found_too(self) -> None:
        vectors, truth = blobs([70] * 12, dimensions=12, spread=0.3)
        kept = divided(vectors, told=Settings(k=12))
        assert same_partition(kept.clustering.labels, truth)
        assert kept.clustering.notes.better_k is None

    def test_more_clusters_than_components_are_said_to_be_too_many(self) -> None:
        vectors, _ = blobs([70] * 12, dimensions=12, spread=0.3)
        assert divided(vectors, told=Settings(k=20)).clustering.notes.by_json_name() == {"shown": 12}

    def test_fewer_clusters_than_components_keep_each_whole(self) -> None:
        vectors, truth = blobs([70] * 12, dimensions=12, spread=0.3)
        assert lies_within(truth, divided(vectors, told=Settings(k=5)).clustering.labels)

    def test_a_range_is_not_exceeded(self) -> None:
        vectors, _ = blobs([40] * 12, dimensions=12, spread=0.3)
        assert divided(vectors, told=Settings.of("2..6")).clustering.count <= 6

    @pytest.mark.parametrize("count", [2, 3, 4, 15, 16, 17, 20])
    @pytest.mark.parametrize("k", [1, 2, None])
    def test_few_images_and_duplicates(self, count: int, k: int | None) -> None:
        kept = divided(np.repeat(scattered(count), 3, axis=0), told=Settings(k=k))
        assert_judged(kept, 3 * count)
        assert k is None or kept.clustering.count == k

    @pytest.mark.parametrize("spare", [0, 1, 2])
    def test_hardly_more_images_than_clusters(self, spare: int) -> None:
        kept = divided(scattered(20 + spare), told=Settings(k=20))
        assert_judged(kept, 20 + spare)
        assert kept.clustering.count == 20


def test_hdbscan_is_fitted_once_and_once_for_each_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    build = density.minimum_spanning_tree
    monkeypatch.setattr(
        density, "minimum_spanning_tree", lambda vectors, count: fits.append(len(vectors)) or build(vectors, count)
    )
    places = np.array([[0, 0], [30, 0], [0, 30], [1.2, 0]])[np.arange(320) % 4]
    points = (places + 0.25 * np.random.default_rng(0).normal(size=(320, 2))).astype(np.float32)
    kept = divided(points, metric="euclidean", method="hdbscan", reduction="none", told=Settings(min_cluster_size=25))
    assert len(kept.clustering.layers) == 2
    assert fits == [320] + [256] * 10
