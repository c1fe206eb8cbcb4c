"""Methods that look for dense regions, leave the rest as noise, and find the number of clusters themselves."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.settings import Settings
from imgcluster.clustering.types import Answer
from imgcluster.errors import ClusteringError
from imgcluster.features.reduce import Reduced

__all__ = ["evoc", "hdbscan"]

# Chosen on features of CIFAR-10 (benchmarks/hdbscan_defaults.py).
_CLEARLY_WORSE: Final = 0.9
_SILHOUETTE_SAMPLE: Final = 5000


def hdbscan(space: Reduced, settings: Settings) -> Answer:
    """HDBSCAN (Campello, Moulavi & Sander 2013; McInnes et al. 2017) with defaults that suit few images and many.

    The smallest cluster grows with the square root of the number of images. Of the two ways to take clusters from
    the tree, its leaves find the groups in photographs, where "excess of mass" sees one huge cluster; but groups that
    are well apart they tear up. So the leaves are taken unless their silhouettes are clearly worse; both are layers.
    Confidence is the membership probability: how deep in its cluster's density an image lies.
    """
    import hdbscan as library

    vectors = space.vectors
    count = len(vectors)
    smallest = _smallest_cluster(count, settings)
    parameters: dict[str, Any] = {"min_cluster_size": smallest, "min_samples": 1}
    if count < smallest:
        return Answer([(np.full(count, -1, np.int64), np.zeros(count, np.float32))], 0, parameters)
    points = vectors.astype(np.float64)
    found: dict[str, Any] = {}
    for selection in ("leaf", "eom"):
        with warnings.catch_warnings():
            # hdbscan's own code trips over deprecations of what it is built on.
            warnings.simplefilter("ignore")
            found[selection] = library.HDBSCAN(
                min_cluster_size=smallest,
                # Neighbours smooth the density: in sets of a few dozen images even three smooth the clusters away.
                min_samples=1,
                cluster_selection_method=selection,
                core_dist_n_jobs=1,
            ).fit(points)
    quality = {selection: _mean_silhouette(points, model.labels_) for selection, model in found.items()}
    selection = "leaf" if quality["leaf"] >= _CLEARLY_WORSE * quality["eom"] else "eom"
    parameters["selection"] = selection
    layers = [
        (model.labels_.astype(np.int64), np.clip(model.probabilities_, 0, 1).astype(np.float32))
        for model in found.values()
    ]
    if np.array_equal(layers[0][0], layers[1][0]):
        return Answer(layers[:1], 0, parameters)
    return Answer(layers, 0 if selection == "leaf" else 1, parameters)


def evoc(space: Reduced, settings: Settings) -> Answer:
    """EVoC (Tutte Institute): all its layers, of which the coarsest counts; confidence is its membership strength."""
    vectors = space.vectors
    smallest = _smallest_cluster(len(vectors), settings)
    if len(vectors) < 2 * smallest or len(vectors) < _FEWEST_FOR_EVOC:
        raise ClusteringError(f"{len(vectors)} images are too few for EVoC; use --method hdbscan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import evoc as library

        # Without a seed its answer changes from run to run.
        model = library.EVoC(base_min_cluster_size=smallest, random_state=settings.seed)
        model.fit(np.ascontiguousarray(vectors))
    layers = []
    for labels, strengths in zip(model.cluster_layers_, model.membership_strength_layers_, strict=True):
        numbers = np.asarray(labels, dtype=np.int64)
        layers.append((numbers, np.where(numbers < 0, 0, np.clip(strengths, 0, 1)).astype(np.float32)))
    return Answer(layers, len(layers) - 1, {"min_cluster_size": smallest, "layers": len(layers)})


# With fewer its neighbour search trips over itself.
_FEWEST_FOR_EVOC: Final = 16


def _smallest_cluster(count: int, settings: Settings) -> int:
    return settings.min_cluster_size or max(4, round(np.sqrt(count) / 2))


def _mean_silhouette(points: npt.NDArray[np.float64], labels: npt.NDArray[Any]) -> float:
    """Return the mean silhouette, noise counting as 0; 0 where it is not defined. Of 5,000 images, drawn evenly."""
    if len(points) > _SILHOUETTE_SAMPLE:
        sample = np.linspace(0, len(points) - 1, _SILHOUETTE_SAMPLE).astype(np.int64)
        points, labels = points[sample], labels[sample]
    inside = labels >= 0
    if not 2 <= len(np.unique(labels[inside])) < inside.sum():
        return 0.0
    from sklearn.metrics import silhouette_samples

    return float(silhouette_samples(points[inside], labels[inside]).sum() / len(points))
