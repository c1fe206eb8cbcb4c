"""What is relied on of hdbscan's private functions."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.clustering.density import single_linkage_tree
from imgcluster.clustering.hdbscan_internals import plot_data, select_clusters
from imgcluster.clustering.settings import SELECTIONS

# Three groups on a line, two of them near each other, and a point far from all.
POSITIONS = np.array([0, 0.1, 0.2, 0.3, 1, 1.1, 1.2, 1.3, 9, 9.1, 9.2, 9.3, 50])
VECTORS = np.stack([POSITIONS, np.zeros_like(POSITIONS)], axis=1).astype(np.float32)


def test_a_row_of_the_hierarchy_joins_two_clusters_and_names_their_distance_and_size() -> None:
    hierarchy = single_linkage_tree(VECTORS, 1)
    assert hierarchy.shape == (12, 4)
    assert (np.diff(hierarchy[:, 2]) >= 0).all()
    assert hierarchy[-1, 2] == pytest.approx(40.7)
    assert hierarchy[-1, 3] == 13
    assert sorted(hierarchy[:, :2].ravel()) == list(range(24))


@pytest.mark.parametrize("selection", SELECTIONS)
def test_clusters_of_a_tree(selection: str) -> None:
    clusters = select_clusters(single_linkage_tree(VECTORS, 1), 3, selection, 0.0)
    groups = [set(clusters.labels[first : first + 4]) for first in (0, 4, 8)]
    assert sorted(groups, key=min) == [{0}, {1}, {2}]
    assert clusters.labels[-1] == -1
    assert clusters.labels.dtype == np.int64
    assert clusters.probabilities[-1] == 0
    assert clusters.probabilities[:-1].min() > 0
    assert clusters.probabilities.max() == 1


def test_clusters_nearer_than_epsilon_are_one() -> None:
    clusters = select_clusters(single_linkage_tree(VECTORS, 1), 3, "leaf", 2.0)
    assert len(set(clusters.labels[:8])) == 1
    assert clusters.labels.max() == 1


def test_the_condensed_tree_has_its_clusters_as_nodes() -> None:
    clusters = select_clusters(single_linkage_tree(VECTORS, 1), 3, "leaf", 0.0)
    assert set(clusters.condensed.dtype.names) >= {"parent", "child", "lambda_val", "child_size"}
    data = plot_data(clusters)
    # The root, its two halves, and the two groups of the first.
    assert set(data["cluster_bounds"]) >= set(clusters.nodes)
    assert len(set(clusters.nodes)) == 3
    assert len(data["bar_tops"]) == len(data["bar_bottoms"]) == len(data["bar_centers"]) == len(data["bar_widths"])
    assert {"line_xs", "line_ys"} <= set(data)


@pytest.mark.parametrize(("selection", "epsilon"), [("eom", 0.0), ("leaf", 2.0)])
def test_the_node_of_a_cluster_contains_all_its_points_where_it_splits_at_once(selection: str, epsilon: float) -> None:
    # The first eight points are one cluster, of which none is left when it splits into two halves.
    positions = np.array([0, 1, 2, 3, 4.2, 5.2, 6.2, 7.2, 100, 101, 102, 103])
    vectors = np.stack([positions, np.zeros_like(positions)], axis=1).astype(np.float32)
    clusters = select_clusters(single_linkage_tree(vectors, 1), 4, selection, epsilon)
    sizes = dict(zip(clusters.condensed["child"].tolist(), clusters.condensed["child_size"].tolist(), strict=True))
    assert [sizes[node] for node in clusters.nodes] == np.bincount(clusters.labels).tolist() == [8, 4]


def test_equal_points_are_one_cluster_or_none() -> None:
    clusters = select_clusters(single_linkage_tree(np.zeros((9, 2), np.float32), 1), 3, "eom", 0.0)
    assert clusters.labels.max() <= 0
