"""Density-based methods: dense regions are clusters, the rest is noise, and the number of clusters is estimated."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.hdbscan_internals import linkage, select_clusters
from imgcluster.clustering.settings import SELECTIONS, Settings
from imgcluster.clustering.spanning_tree import minimum_spanning_tree
from imgcluster.clustering.types import Confidence, MethodResult
from imgcluster.errors import ClusteringError
from imgcluster.features.centroids import silhouettes
from imgcluster.features.reduce import Reduced
from imgcluster.optional import import_optional
from imgcluster.types import Labels, Vectors

__all__ = ["evoc", "hdbscan", "single_linkage_tree"]

# Chosen on features of CIFAR-10 (benchmarks/hdbscan_defaults.py).
_CLEARLY_WORSE: Final = 0.9

# EVoC's neighbor search fails for fewer images.
_FEWEST_FOR_EVOC: Final = 16

# Neighbors smooth the density: in sets of a few dozen images even three smooth the clusters away.
_MIN_SAMPLES: Final = 1


def hdbscan(reduced: Reduced, settings: Settings) -> MethodResult:
    """HDBSCAN (Campello, Moulavi & Sander 2013; McInnes et al. 2017) with defaults for few images and many.

    The smallest cluster grows with the square root of the number of images. Of the two ways to select clusters from the
    tree, its leaves find the groups in photographs, where "excess of mass" finds one huge cluster; but leaves split
    groups that are well separated. So the leaves are taken unless their silhouettes are clearly worse; both are layers
    of one tree. Confidence is the membership probability: how deep in its cluster's density an image lies.
    """
    vectors = reduced.vectors
    count = len(vectors)
    smallest = _smallest_cluster(count, settings)
    samples = settings.min_samples or _MIN_SAMPLES
    epsilon = settings.cluster_selection_epsilon or 0.0
    parameters: dict[str, Any] = {"min_cluster_size": smallest, "min_samples": samples}
    if epsilon:
        parameters["epsilon"] = epsilon
    if count < smallest:
        return MethodResult([(np.full(count, -1, np.int64), np.zeros(count, np.float32))], 0, parameters)
    layers = _leaf_and_eom(vectors, smallest, samples, epsilon)
    selection = settings.cluster_selection_method or _better_selection(vectors, layers)
    parameters["selection"] = selection
    if np.array_equal(layers["leaf"][0], layers["eom"][0]):
        return MethodResult([layers["leaf"]], 0, parameters)
    return MethodResult([layers["leaf"], layers["eom"]], 0 if selection == "leaf" else 1, parameters)


def _better_selection(vectors: Vectors, layers: dict[str, tuple[Labels, Confidence]]) -> str:
    quality = {name: _mean_silhouette(vectors, labels) for name, (labels, _) in layers.items()}
    return "leaf" if quality["leaf"] >= _CLEARLY_WORSE * quality["eom"] else "eom"


def _leaf_and_eom(
    vectors: Vectors, smallest: int, samples: int, epsilon: float
) -> dict[str, tuple[Labels, Confidence]]:
    """Return labels and membership probabilities for both ways to select clusters from one tree."""
    tree = single_linkage_tree(vectors, samples)
    selected = {name: select_clusters(tree, smallest, name, epsilon) for name in SELECTIONS}
    return {name: (clusters.labels, clusters.probabilities) for name, clusters in selected.items()}


def single_linkage_tree(vectors: Vectors, min_samples: int) -> npt.NDArray[np.float64]:
    """Return HDBSCAN's hierarchy of ``float32 (n, d)`` vectors, ``float64 (n − 1, 4)``, as SciPy's ``linkage`` does.

    The package `hdbscan` would compute it, too, but its spanning tree takes longer, and among near-duplicates it is far
    from the shortest (benchmarks/scale.py).
    """
    return linkage(minimum_spanning_tree(vectors, min_samples))


def evoc(reduced: Reduced, settings: Settings) -> MethodResult:
    """EVoC (Tutte Institute): all its layers, the coarsest as the result; confidence is its membership strength."""
    vectors = reduced.vectors
    smallest = _smallest_cluster(len(vectors), settings)
    if len(vectors) < 2 * smallest or len(vectors) < _FEWEST_FOR_EVOC:
        raise ClusteringError(f"{len(vectors)} images are too few for EVoC; use --method hdbscan")
    library = import_optional("evoc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without a seed its result changes from run to run.
        model = library.EVoC(base_min_cluster_size=smallest, random_state=settings.seed)
        model.fit(np.ascontiguousarray(vectors))
    layers = []
    for labels, strengths in zip(model.cluster_layers_, model.membership_strength_layers_, strict=True):
        numbers = np.asarray(labels, dtype=np.int64)
        layers.append((numbers, np.where(numbers < 0, 0, np.clip(strengths, 0, 1)).astype(np.float32)))
    return MethodResult(layers, len(layers) - 1, {"min_cluster_size": smallest, "layers": len(layers)})


def _smallest_cluster(count: int, settings: Settings) -> int:
    return settings.min_cluster_size or max(4, round(np.sqrt(count) / 2))


def _mean_silhouette(vectors: Vectors, labels: Labels) -> float:
    """Return the mean silhouette, where that of noise is 0; 0 where it is not defined."""
    values = silhouettes(vectors, labels)
    defined = values[~np.isnan(values)]
    return float(defined.mean() * (labels >= 0).mean()) if len(defined) else 0.0
