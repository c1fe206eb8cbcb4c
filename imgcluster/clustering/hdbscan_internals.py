"""All that is used of hdbscan's private functions, which another release may change.

They are used because its public class computes the spanning tree itself, and because one tree gives several results.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.types import Confidence
from imgcluster.types import Labels

__all__ = ["TreeClusters", "linkage", "plot_data", "select_clusters"]


@dataclass(frozen=True, slots=True)
class TreeClusters:
    """The clusters that were selected from a single linkage tree.

    Attributes:
        labels: ``int64 (n,)``, −1 is noise.
        probabilities: ``float32 (n,)`` of membership, from 0 to 1.
        condensed: hdbscan's array of the condensed tree: ``parent``, ``child``, ``lambda_val`` and ``child_size``.
    """

    labels: Labels
    probabilities: Confidence
    condensed: npt.NDArray[Any]

    @property
    def nodes(self) -> list[int]:
        """The node of the condensed tree that each cluster is, by label."""
        single = self.condensed["child_size"] == 1
        points, inner = self.condensed[single], self.condensed[~single]
        above = dict(zip(inner["child"].tolist(), inner["parent"].tolist(), strict=True))
        sizes = dict(zip(inner["child"].tolist(), inner["child_size"].tolist(), strict=True))
        labels = self.labels[points["child"]]
        nodes = []
        for number in range(self.labels.max(initial=-1) + 1):
            inside = labels == number
            node = int(points["parent"][inside].min())
            # All points of a cluster may be in the nodes below its own.
            while sizes.get(node, len(labels)) < inside.sum():
                node = above[node]
            nodes.append(node)
        return nodes


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore warnings: hdbscan triggers deprecation warnings of its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def linkage(spanning_tree: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the single linkage tree, ``float64 (n − 1, 4)``, of a spanning tree whose edges are sorted by length."""
    with _without_warnings():
        from hdbscan.hdbscan_ import label

    return np.asarray(label(spanning_tree), dtype=np.float64)


def select_clusters(
    hierarchy: npt.NDArray[np.float64], min_cluster_size: int, selection: str, epsilon: float
) -> TreeClusters:
    """Select clusters from a single linkage tree, ``float64 (n − 1, 4)``, by ``eom`` or ``leaf``."""
    with _without_warnings():
        from hdbscan.hdbscan_ import _tree_to_labels

        labels, probabilities, _, condensed, _ = _tree_to_labels(
            None,
            hierarchy,
            min_cluster_size=min_cluster_size,
            cluster_selection_method=selection,
            cluster_selection_epsilon=epsilon,
        )
    return TreeClusters(labels.astype(np.int64), np.clip(probabilities, 0, 1).astype(np.float32), condensed)


def plot_data(clusters: TreeClusters) -> dict[str, Any]:
    """Return what hdbscan's ``get_plot_data`` gives of the condensed tree."""
    with _without_warnings():
        import hdbscan

        # A model makes the object of the tree, whose own arguments depend on the release.
        model = hdbscan.HDBSCAN()
        model.labels_, model._condensed_tree = clusters.labels, clusters.condensed
        return dict(model.condensed_tree_.get_plot_data())
