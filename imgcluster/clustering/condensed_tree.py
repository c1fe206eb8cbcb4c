"""HDBSCAN's condensed tree of a clustering that was made before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.hdbscan_internals import plot_data, select_clusters

__all__ = ["condensed_tree"]


def condensed_tree(
    hierarchy: npt.NDArray[np.float64], parameters: Mapping[str, Any], labels: npt.NDArray[np.int64]
) -> tuple[dict[str, Any], dict[int, int]] | None:
    """Return what hdbscan's ``get_plot_data`` gives of the tree, and the clusters that its nodes became.

    None where there is no tree: too few vectors, or all of them the same.

    Args:
        hierarchy: ``float64 (n − 1, 4)``, the single linkage tree of the clustered vectors.
        parameters: What the method settled on, as ``metrics.json`` has it.
        labels: ``int64 (n,)``, the clusters that came of it; −1 is noise. A node is called after the cluster of most
            of its members, so that plans and `--assign-noise` may have changed some.
    """
    smallest = int(parameters.get("min_cluster_size") or 0)
    if smallest < 2 or len(labels) <= smallest:
        return None
    selection, epsilon = str(parameters.get("selection", "eom")), float(parameters.get("epsilon") or 0)
    clusters = select_clusters(hierarchy, smallest, selection, epsilon)
    if not clusters.nodes:
        return None
    plot = plot_data(clusters)
    if not all(np.isfinite(np.asarray(plot[name], dtype=float)).all() for name in ("bar_tops", "bar_bottoms")):
        return None
    chosen = {}
    for number, node in enumerate(clusters.nodes):
        counts = Counter(int(label) for label in labels[clusters.labels == number] if label >= 0)
        if counts and node in plot["cluster_bounds"]:
            chosen[node] = min(counts, key=lambda label: (-counts[label], label))
    return plot, chosen
