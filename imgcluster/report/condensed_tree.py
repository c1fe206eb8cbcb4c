"""HDBSCAN's condensed tree of a clustering that was made before."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

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
    import hdbscan
    from hdbscan.hdbscan_ import _tree_to_labels

    smallest = int(parameters.get("min_cluster_size") or 0)
    if smallest < 2 or len(labels) <= smallest:
        return None
    with warnings.catch_warnings():
        # hdbscan's own code trips over deprecations of what it is built on.
        warnings.simplefilter("ignore")
        epsilon = float(parameters.get("epsilon") or 0)
        found, _, _, condensed, _ = _tree_to_labels(
            None,
            hierarchy,
            min_cluster_size=smallest,
            cluster_selection_method=str(parameters.get("selection", "eom")),
            cluster_selection_epsilon=epsilon,
        )
        # Only a model makes an object that can be drawn of this.
        model = hdbscan.HDBSCAN(
            min_cluster_size=smallest,
            cluster_selection_epsilon=epsilon,
            cluster_selection_method=str(parameters.get("selection", "eom")),
        )
        model.labels_, model._condensed_tree = found, condensed
        if found.max(initial=-1) < 0:
            return None
        tree = model.condensed_tree_
        plot = tree.get_plot_data()
        # The order in which hdbscan numbers its clusters: that of the selected nodes.
        nodes = sorted(int(node) for node in tree._select_clusters())
    if not all(np.isfinite(np.asarray(plot[name], dtype=float)).all() for name in ("bar_tops", "bar_bottoms")):
        return None
    chosen = {}
    for number, node in enumerate(nodes):
        counts = Counter(int(label) for label in labels[found == number] if label >= 0)
        if counts and node in plot["cluster_bounds"]:
            chosen[node] = min(counts, key=lambda label: (-counts[label], label))
    return plot, chosen
