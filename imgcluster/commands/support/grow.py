"""The clusters of the last clustering with the images that were embedded since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering import Settings
from imgcluster.clustering.assign import assign_new, similar_unsorted
from imgcluster.clustering.changes import ABSENT
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.clustering.types import Layer
from imgcluster.commands.support.numbering import Earlier
from imgcluster.features.neighborhood import find_neighborhood
from imgcluster.features.normalize import row_normalization
from imgcluster.types import Labels, Metric, Vectors
from imgcluster.workspace.results import Results
from imgcluster.workspace.shards import Embeddings

__all__ = ["SMALLEST_GROUP", "Grown", "grow"]

# Fewer similar images are not offered as clusters.
SMALLEST_GROUP: Final = 5


@dataclass(frozen=True, slots=True)
class Grown:
    """The last clustering with new images.

    Attributes:
        layer: Of all images.
        new: Which images are new, ``bool (n,)``.
        returned: The number of new images that are in the cluster that they had before they left the workspace.
        stability: Of each cluster by its number; None where it is unknown.
        created: The numbers of the clusters that were created.
        similar: The number of images in no cluster that are similar to each other.
    """

    layer: Layer
    new: npt.NDArray[np.bool_]
    returned: int
    stability: tuple[float | None, ...]
    created: tuple[int, ...]
    similar: int


def grow(last: Results, earlier: Earlier, embeddings: Embeddings, metric: Metric, *, new_clusters: bool) -> Grown:
    """Assign new images, and create clusters if requested."""
    new = earlier.clusters == ABSENT
    returning = earlier.returning
    returns = returning != ABSENT
    labels = np.where(returns, returning, np.where(new, -1, earlier.clusters))
    confidence = np.zeros(len(labels), dtype=np.float32)
    runner_up = np.full(len(labels), -1, dtype=np.int64)
    # The known images of the last clustering are the rows of its table.
    rows = earlier.rows[earlier.known.current]
    present = rows >= 0
    confidence[rows[present]] = last.confidence[present]
    if last.runner_ups is not None:
        runner_up[rows[present]] = last.runner_ups[present]

    stability = _stability(last, earlier)
    # Shared by both searches: every image that is new or in no cluster, among the others.
    normalize = row_normalization(embeddings.vectors, metric)
    neighborhood = find_neighborhood(
        embeddings.vectors, (labels < 0) | returns, labels, embeddings.content_order, normalize=normalize
    )
    added = assign_new(neighborhood, labels, new, returning=returns)
    labels[new], confidence[new], runner_up[new] = added.labels, added.confidence, added.runner_up
    _decide(earlier, labels, confidence)
    # Images that the user removed from the clusters stay outside of them.
    offered = np.where(np.isin(np.arange(len(labels)), list(earlier.decided)), len(stability), labels)
    similar = similar_unsorted(neighborhood, offered)
    created: tuple[int, ...] = ()
    if new_clusters and len(similar) >= SMALLEST_GROUP:
        groups, values = _groups(normalize(embeddings.vectors[similar]), int(last.metrics["options"]["seed"]))
        labels[similar] = len(stability) + groups.labels
        confidence[similar] = groups.confidence
        runner_up[similar] = np.where(groups.runner_up < 0, -1, len(stability) + groups.runner_up)
        created = tuple(range(len(stability), len(stability) + groups.count))
        stability, similar = (*stability, *values), similar[:0]
    return Grown(Layer(labels, confidence, runner_up), new, int(returns.sum()), stability, created, len(similar))


def _decide(earlier: Earlier, labels: Labels, confidence: npt.NDArray[np.float32]) -> None:
    """Put images where the user decided: edited files among the new ones."""
    present = {-1, *np.unique(labels).tolist()}
    for row, key in earlier.decided.items():
        cluster = earlier.decisions.images[key].cluster
        if earlier.clusters[row] == ABSENT and cluster in present:
            labels[row], confidence[row] = cluster, float(cluster >= 0)


def _stability(last: Results, earlier: Earlier) -> tuple[float | None, ...]:
    """Return the stability of each cluster up to the highest number, also of numbers that are no longer in use."""
    values = {number: row.get("stability") for number, row in last.rows.items()}
    return tuple(float(value) if (value := values.get(number)) else None for number in range(earlier.next_number))


def _groups(vectors: Vectors, seed: int) -> tuple[Layer, tuple[float | None, ...]]:
    """Cluster images that are similar to each other."""
    result = cluster_embeddings(
        vectors, "euclidean", method="kmeans", reduction="graph", settings=Settings(seed=seed), assign=False
    )
    chosen = result.clustering.chosen
    return result.clustering.layers[chosen], result.stability[chosen]
