"""The numbers of the clusters of a new clustering: those of the clusters before it, and what the user decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.changes import ABSENT, ClusterChange, compare_clusterings, count_moved
from imgcluster.clustering.matching import Decided, KnownMembers, Settled, settle
from imgcluster.clustering.types import Clustering, Layer
from imgcluster.errors import WorkspaceError
from imgcluster.types import Labels
from imgcluster.wording import counted
from imgcluster.workspace.decisions import Decisions, read_decisions, write_decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.known_clusters import (
    KnownClusters,
    find_rows,
    read_known_clusters,
    write_known_clusters,
)
from imgcluster.workspace.results import read_tables
from imgcluster.workspace.shards import Embeddings

__all__ = ["Earlier", "Numbered", "describe", "number_clusters", "read_earlier", "write_earlier"]

# The longest list of decisions in a message.
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a workspace knows of its clusters before a step, in rows of the present embeddings.

    Attributes:
        known: The images of its clusters, by content.
        rows: The present row of each image of `known`, ``int64 (m,)``; −1 where it is gone.
        clusters: The cluster of each of the n present images in the last clustering, ``int64 (n,)``; −1 is noise, and
            `ABSENT` stands for images that are new.
        decisions: What the user decided.
        decided: The decided images by row.
    """

    known: KnownClusters
    rows: npt.NDArray[np.int64]
    clusters: Labels
    decisions: Decisions
    decided: Mapping[int, tuple[bytes, str]]

    def kinds(self, decisions: Decisions) -> dict[int, str]:
        """Return the kind of each of these decisions about images that are present, by row."""
        present = ((row, decisions.images.get(key)) for row, key in self.decided.items())
        return {row: image.decision for row, image in present if image is not None}

    def renamed(self, embeddings: Embeddings) -> dict[str, str]:
        """Return the present path of each image of the last clustering that was renamed, by its path there."""
        known = zip(self.known.paths, self.rows.tolist(), self.known.current.tolist(), strict=True)
        present = {path: embeddings.locations[row] for path, row, current in known if current and row >= 0}
        return {before: path for before, path in present.items() if before != path}

    def edited(self, embeddings: Embeddings) -> set[str]:
        """Return the paths that had another content in the last clustering."""
        known = zip(self.known.paths, self.known.digests, self.known.current.tolist(), strict=True)
        before = {path: digest for path, digest, current in known if current}
        present = zip(embeddings.locations, embeddings.digests, strict=True)
        return {path for path, digest in present if before.get(path, digest) != digest}

    @property
    def returning(self) -> Labels:
        """The cluster that each new image had when it left the workspace, ``int64 (n,)``; `ABSENT` for all others.

        A cluster that has no images now returns with them, unless other images of it are in another cluster.
        """
        returning = np.full(len(self.clusters), ABSENT, dtype=np.int64)
        known = ~self.known.current & (self.rows >= 0) & (self.known.clusters >= 0)
        numbers, rows = self.known.clusters[known], self.rows[known]
        is_new = self.clusters[rows] == ABSENT
        dissolved = np.setdiff1d(numbers[~is_new], self.clusters)
        returns = is_new & ~np.isin(numbers, dissolved)
        # Of several clusters the last one counts, which is the first.
        returning[rows[returns][::-1]] = numbers[returns][::-1]
        return returning

    @property
    def removed(self) -> dict[int, int]:
        """The number of images of each cluster that are gone."""
        gone = self.known.clusters[(self.rows < 0) & self.known.current]
        numbers, counts = np.unique(gone, return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))

    @property
    def next_number(self) -> int:
        """The first number that no cluster ever had."""
        decided = (image.cluster for image in self.decisions.images.values())
        return max(self.known.highest, *self.decisions.shaped, *self.decisions.names, *decided, -1) + 1

    @property
    def members(self) -> KnownMembers:
        """The members of all known clusters that are still present."""
        used = (self.rows >= 0) & (self.known.clusters >= 0)
        return KnownMembers(self.known.clusters[used], self.rows[used], self.clusters != ABSENT)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A clustering whose clusters have their final numbers.

    Attributes:
        clustering: Its chosen layer has the labels 0 to k − 1, in the order of their numbers.
        numbers: The number of each label, ``int64 (k,)``.
        stability: Of each label; None where the user made the cluster.
        changes: What became of each cluster of the last clustering; empty for the first one.
        moved: The number of images of the last clustering that are in another cluster now.
        decisions: The decisions, without those that were discarded.
    """

    clustering: Clustering
    numbers: npt.NDArray[np.int64]
    stability: tuple[float | None, ...]
    changes: tuple[ClusterChange, ...]
    moved: int
    decisions: Decisions

    @property
    def clusters(self) -> Labels:
        """The cluster of each image, ``int64 (n,)``; −1 is noise."""
        return np.append(self.numbers, -1)[self.clustering.labels]


def read_earlier(workspace: Workspace, embeddings: Embeddings) -> Earlier:
    """Read what the workspace knows of its clusters.

    Raises:
        WorkspaceError: A file is damaged.
    """
    known, decisions = read_known_clusters(workspace.known_clusters), read_decisions(workspace.decisions)
    metrics = workspace.read_metrics()
    if not len(known.clusters) and metrics:
        # Clustered by an earlier version, which recorded no digests: images are known by their paths.
        results = read_tables(workspace, metrics)
        digests = dict(zip(embeddings.locations, embeddings.digests, strict=True))
        known = known.after(
            results.clusters, [digests.get(path, b"") for path in results.locations], results.locations, keep=()
        )
        decisions = dataclasses.replace(decisions, names={**results.names, **decisions.names})
    rows = find_rows(known.digests, known.paths, embeddings.digests, embeddings.locations, current=known.current)
    clusters = np.full(len(embeddings.locations), ABSENT, dtype=np.int64)
    present = known.current & (rows >= 0)
    clusters[rows[present]] = known.clusters[present]
    images = embeddings.digests, embeddings.locations
    found = zip(known.digests, known.paths, rows.tolist(), present.tolist(), strict=True) if decisions.images else ()
    recognized = {(digest, path): row for digest, path, row, is_present in found if is_present}
    # An edited file must keep its decision when it is renamed later.
    decisions = decisions.of_present_files(*images, known=recognized)
    return Earlier(known, rows, clusters, decisions, decisions.rows(*images, known=recognized))


def write_earlier(
    workspace: Workspace, earlier: Earlier, embeddings: Embeddings, clusters: Labels, decisions: Decisions
) -> None:
    """Store the clusters of the present images, and the decisions, for the steps after this one."""
    keep = {*decisions.names, *decisions.shaped}
    known = earlier.known.after(clusters, embeddings.digests, embeddings.locations, keep=keep)
    write_known_clusters(workspace.known_clusters, known)
    write_decisions(workspace.decisions, decisions)


def number_clusters(
    clustering: Clustering,
    stability: Sequence[float | None],
    earlier: Earlier,
    locations: Sequence[str],
    *,
    discard: bool = False,
) -> Numbered:
    """Number the clusters of a clustering, and put images where the user decided.

    Args:
        clustering: The clustering, with its layer chosen.
        stability: Of the clusters of that layer.
        earlier: What was known before.
        locations: The absolute paths of the images.
        discard: Whether decisions that cannot be respected are removed.

    Raises:
        WorkspaceError: A decision cannot be respected.
    """
    layer, decisions = clustering.layers[clustering.chosen], earlier.decisions
    rows = np.array(sorted(earlier.decided), dtype=np.int64)
    targets = np.array([decisions.images[earlier.decided[row]].cluster for row in rows.tolist()], dtype=np.int64)
    decided = Decided(decisions.shaped, rows, targets)
    settled = settle(layer.labels, earlier.members, decided, earlier.next_number)
    if len(settled.conflicts):
        if not discard:
            raise _conflict([(locations[rows[at]], int(targets[at])) for at in settled.conflicts.tolist()])
        decisions = _without(decisions, {earlier.decided[int(rows[at])] for at in settled.conflicts.tolist()})
    numbers = np.unique(settled.clusters[settled.clusters >= 0])
    layers = list(clustering.layers)
    layers[clustering.chosen] = _settled_layer(layer, settled, numbers, rows)
    first = not (earlier.clusters != ABSENT).any()
    return Numbered(
        clustering=dataclasses.replace(clustering, layers=tuple(layers)),
        numbers=numbers.astype(np.int64),
        stability=_settled_stability(stability, settled, numbers),
        changes=() if first else compare_clusterings(earlier.clusters, settled.clusters, earlier.removed),
        moved=count_moved(earlier.clusters, settled.clusters),
        decisions=decisions,
    )


def _without(decisions: Decisions, images: Collection[tuple[bytes, str]]) -> Decisions:
    return dataclasses.replace(
        decisions, images={image: decided for image, decided in decisions.images.items() if image not in images}
    )


def _settled_layer(layer: Layer, settled: Settled, numbers: Labels, decided: npt.NDArray[np.int64]) -> Layer:
    """Return the layer after `settle`, with the positions in `numbers` as labels; `decided` are rows that are sure."""
    labels = np.where(settled.clusters >= 0, np.searchsorted(numbers, settled.clusters), -1)
    confidence = layer.confidence.copy()
    confidence[decided] = 1.0
    confidence[labels < 0] = 0.0
    positions = {number: label for label, number in enumerate(numbers.tolist())}
    # The last entry is that of −1.
    new_labels = np.array([positions.get(number, -1) for number in (*settled.numbers.tolist(), -1)], dtype=np.int64)
    runner_up = new_labels[layer.runner_up]
    runner_up[runner_up == labels] = -1
    return Layer(labels, confidence, runner_up)


def _settled_stability(
    stability: Sequence[float | None], settled: Settled, numbers: Labels
) -> tuple[float | None, ...]:
    """Return the stability of the clusters with these numbers; None for those that are not one cluster as found."""
    sources: dict[int, list[int]] = {}
    for source, number in enumerate(settled.numbers.tolist()):
        sources.setdefault(number, []).append(source)
    clusters = [sources.get(number, []) for number in numbers.tolist()]
    return tuple(stability[found[0]] if len(found) == 1 else None for found in clusters)


def describe(decisions: Decisions) -> str:
    """Return the numbers of decisions of each kind, in words."""
    parts = (
        (len(decisions.names), "name", ""),
        (len(decisions.merges), "merged cluster", ""),
        (len(decisions.made), "cluster made by you", "clusters made by you"),
        (len(decisions.images), "image put into a cluster", "images put into a cluster"),
    )
    return ", ".join(counted(count, one, many) for count, one, many in parts if count)


def _conflict(images: Sequence[tuple[str, int]]) -> WorkspaceError:
    shown = ", ".join(f"{location} belongs in cluster {cluster}" for location, cluster in images[:_SHOWN])
    more = f", and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return WorkspaceError(
        f"{len(images)} of your corrections cannot be kept, because their clusters have no counterpart in this "
        f"clustering: {shown}{more}. Add --discard-decisions to drop them, or choose other options"
    )
