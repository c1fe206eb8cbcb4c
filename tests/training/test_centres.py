"""Neighbours, the clusters along their graph, and k-means: exact, repeatable, and clear about what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.deep_clustering.initial_clusters import (  # noqa: E402
    count_clusters,
    diffusion_map,
    graph_clusters,
    kmeans,
    means,
    nearest,
)
from imgcluster_training.errors import TrainingError  # noqa: E402


@pytest.fixture
def rings():
    """Two rings, one within the other, that k-means must cut through: 600 points and their ring."""
    random = np.random.default_rng(0)
    labels = np.arange(600) % 2
    angle = random.uniform(0, 2 * np.pi, 600)
    radius = np.where(labels == 0, 1.0, 3.0) + random.normal(0, 0.05, 600)
    # The third value makes directions of the places, which is what neighbours are found by.
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(600, 2.0)], axis=1)
    return torch.from_numpy(points.astype(np.float32)), labels


def agreement(found, labels):
    share = float(np.mean(np.asarray(found) == labels))
    return max(share, 1 - share)


@pytest.mark.parametrize("block", [1, 7 * 40, 2**24])
def test_the_nearest_are_the_nearest_by_cosine(monkeypatch, block):
    monkeypatch.setattr("imgcluster_training.deep_clustering.initial_clusters._SIMILARITIES", block)
    codes = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    unit = (codes / codes.norm(dim=1, keepdim=True)).numpy()
    for number, found in enumerate(nearest(codes, 4).tolist()):
        order = sorted((other for other in range(40) if other != number), key=lambda other: -unit[number] @ unit[other])
        assert found == order[:4]


def test_few_images_have_fewer_neighbours():
    assert nearest(torch.randn(9, 2), 10).shape == (9, 2)
    assert nearest(torch.randn(2, 2), 10).tolist() == [[1], [0]]


@pytest.mark.parametrize("dense", [0, 1000])
def test_bent_clusters_are_found_along_the_graph(rings, monkeypatch, dense):
    monkeypatch.setattr("imgcluster_training.deep_clustering.initial_clusters._DENSE", dense)
    codes, labels = rings
    near = nearest(codes, 10)
    found = graph_clusters(near, 2, seed=0)
    assert agreement(found, labels) == 1.0
    assert agreement(kmeans(codes.numpy(), 2, seed=0).labels, labels) < 0.7
    assert torch.equal(found, graph_clusters(near, 2, seed=0))


def test_a_diffusion_map_has_no_more_dimensions_than_images():
    places = diffusion_map(np.array([[1, 2], [0, 2], [1, 0]]), 8)
    assert places.shape == (3, 3)
    assert places.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, rtol=1e-5)


def test_means_are_means_and_an_empty_cluster_has_none():
    codes, labels = torch.tensor([[1.0, 3.0], [3.0, 5.0], [7.0, 7.0]]), torch.tensor([0, 0, 2])
    assert means(codes, labels, 3).tolist() == [[2.0, 4.0], [0.0, 0.0], [7.0, 7.0]]


def test_kmeans_says_how_many_clusters_are_possible():
    codes = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    found = kmeans(codes, 3, seed=0)
    assert len(np.unique(found.labels)) == 3
    np.testing.assert_allclose(np.sort(found.centres, axis=0)[-1], 1)
    with pytest.raises(TrainingError, match=r"12 images have 3 different codes.*4 clusters; use --refine 3 or fewer"):
        kmeans(codes, 4, seed=0)
    assert kmeans(codes, 1, seed=0).centres == pytest.approx(np.full((1, 3), 1 / 3))


@pytest.mark.parametrize("count", [4, 7])
def test_the_number_of_clusters_is_found_without_labels(count):
    random = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)[:count] * 5
    codes = centres[np.arange(600) % count] + random.normal(0, 0.3, (600, 8)).astype(np.float32)
    assert count_clusters(torch.from_numpy(codes), "euclidean", seed=0) == count


@pytest.mark.parametrize("count", [4, 5, 11])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_few_images_have_few_clusters(count, metric):
    codes = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    assert 2 <= count_clusters(codes, metric, seed=0) < count


@pytest.mark.parametrize("dense", [0, 1000])
def test_copies_of_an_image_are_no_cluster_of_their_own(rings, monkeypatch, dense):
    monkeypatch.setattr("imgcluster_training.deep_clustering.initial_clusters._DENSE", dense)
    codes, labels = rings
    # Eleven copies each are nobody else's neighbours: four islands in the graph.
    codes = torch.cat([codes, *(codes[number : number + 1].repeat(11, 1) for number in range(4))])
    found = graph_clusters(nearest(codes, 10), 2, seed=0)[:600]
    assert agreement(found, labels) > 0.9


def test_nothing_is_counted_among_codes_that_are_alike_or_no_numbers():
    with pytest.raises(TrainingError, match=r"48 images have 1 different codes, too few to count.*--refine K"):
        count_clusters(torch.ones(48, 3), "cosine", seed=0)
    broken = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    broken[7, 1] = torch.nan
    for metric in ("cosine", "euclidean"):
        with pytest.raises(TrainingError, match="no numbers: the training diverged"):
            count_clusters(broken, metric, seed=0)
