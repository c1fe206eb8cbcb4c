"""Neighbors, first clusters and their number are those of `imgcluster`, and errors say what is possible."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.deep_clustering.initial_clusters import (  # noqa: E402
    cluster_centers,
    count_clusters,
    graph_clusters,
    kmeans,
    nearest_neighbors,
    neighbor_count,
)
from imgcluster_training.errors import TrainingError  # noqa: E402


@pytest.fixture
def rings():
    """Two concentric rings, which k-means cannot separate: 400 points and their ring."""
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2
    angle = random.uniform(0, 2 * np.pi, 400)
    radius = np.where(labels == 0, 1.0, 3.0) + random.normal(0, 0.05, 400)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(points.astype(np.float32)), labels


def agreement(found, labels):
    fraction = float(np.mean(np.asarray(found) == labels))
    return max(fraction, 1 - fraction)


def test_the_nearest_neighbors_are_the_nearest_by_cosine():
    codes = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    unit = (codes / codes.norm(dim=1, keepdim=True)).numpy()
    for number, found in enumerate(nearest_neighbors(codes, 4).tolist()):
        order = sorted((other for other in range(40) if other != number), key=lambda other: -unit[number] @ unit[other])
        assert found == order[:4]


def test_few_images_have_few_neighbors():
    assert [neighbor_count(images, 10) for images in (2, 9, 40, 1000)] == [1, 2, 10, 10]


def test_clusters_that_are_not_convex_are_found_on_the_graph(rings):
    codes, labels = rings
    found = graph_clusters(codes, 2, "euclidean", seed=0)
    assert agreement(found, labels) > 0.8
    assert agreement(kmeans(codes.numpy(), 2, seed=0), labels) < 0.7
    assert torch.equal(found, graph_clusters(codes, 2, "euclidean", seed=0))


@pytest.mark.slow
def test_clusters_and_their_number_do_not_depend_on_the_order_of_the_data():
    random = np.random.default_rng(0)
    codes = torch.from_numpy(random.normal(0, 1, (600, 6)).astype(np.float32))
    order = torch.from_numpy(random.permutation(600))
    found = graph_clusters(codes, 7, "euclidean", seed=0)
    assert torch.equal(graph_clusters(codes[order], 7, "euclidean", seed=0), found[order])
    assert count_clusters(codes[order], "cosine", seed=0) == count_clusters(codes, "cosine", seed=0)


def test_copies_of_an_image_are_not_a_cluster():
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    codes = torch.from_numpy((np.eye(3)[labels] * 5 + random.normal(0, 0.5, (300, 3))).astype(np.float32))
    codes = torch.cat([codes, *(codes[number : number + 1].repeat(11, 1) for number in range(4))])
    found = graph_clusters(codes, 3, "euclidean", seed=0)[:300].numpy()
    assert [len(np.unique(found[labels == label])) for label in range(3)] == [1, 1, 1]


def test_cluster_centers_are_means_and_zero_for_an_empty_cluster():
    codes, labels = torch.tensor([[1.0, 3.0], [3.0, 5.0], [7.0, 7.0]]), torch.tensor([0, 0, 2])
    assert cluster_centers(codes, labels, 3).tolist() == [[2.0, 4.0], [0.0, 0.0], [7.0, 7.0]]


def test_kmeans_finds_as_many_clusters_as_are_different():
    codes = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert len(np.unique(kmeans(codes, 3, seed=0))) == 3
    assert len(np.unique(kmeans(codes, 4, seed=0))) == 3
    assert kmeans(codes, 1, seed=0).tolist() == [0] * 12


def test_more_clusters_than_different_codes_are_an_error():
    codes = torch.from_numpy(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0))
    with pytest.raises(TrainingError, match="12 images.* 3 different.* 4 clusters.*--refine 3"):
        graph_clusters(codes, 4, "euclidean", seed=0)


@pytest.mark.parametrize("count", [4, 7])
def test_the_number_of_clusters_is_estimated_without_labels(count):
    random = np.random.default_rng(0)
    centers = np.eye(8, dtype=np.float32)[:count] * 5
    codes = centers[np.arange(300) % count] + random.normal(0, 0.3, (300, 8)).astype(np.float32)
    assert count_clusters(torch.from_numpy(codes), "euclidean", seed=0) == count


@pytest.mark.parametrize("count", [4, 11])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_few_images_have_few_clusters(count, metric):
    codes = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    assert 2 <= count_clusters(codes, metric, seed=0) < count


def test_codes_that_are_alike_or_not_finite_are_an_error():
    with pytest.raises(TrainingError, match="48 images.* 1 different.*--refine K"):
        count_clusters(torch.ones(48, 3), "cosine", seed=0)
    broken = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    broken[7, 1] = torch.nan
    for metric in ("cosine", "euclidean"):
        with pytest.raises(TrainingError, match="diverged"):
            count_clusters(broken, metric, seed=0)
