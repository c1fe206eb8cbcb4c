"""A finished clustering on its way into the workspace's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import common_base, relative_to
from imgcluster.types import Clustering, Measures
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.names import find_again, read_names
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.tables import ASSIGNMENTS, CLUSTERS

__all__ = ["ClusterRow", "Outcome", "rounded", "row_of"]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One row of ``clusters.csv``: number, images, share of all, path of the medoid (the most typical image), mean
    distance of the members to it, silhouette in [−1, 1] and stability in [0, 1], None where they are not defined, mean
    confidence of the members, and the name that somebody gave it, "" for none."""

    cluster: int
    size: int
    share: float
    medoid: str
    mean_distance: float
    silhouette: float | None
    stability: float | None
    mean_confidence: float
    name: str


def row_of(values: Mapping[str, str]) -> ClusterRow:
    """Return a row of ``clusters.csv`` from its texts."""
    return ClusterRow(
        cluster=int(values["cluster"]),
        size=int(values["size"]),
        share=float(values["share"]),
        medoid=values["medoid"],
        mean_distance=float(values["mean_distance"]),
        silhouette=float(values["silhouette"]) if values["silhouette"] else None,
        stability=float(values["stability"]) if values.get("stability") else None,
        mean_confidence=float(values.get("mean_confidence") or 0.0),
        name=values.get("name", ""),
    )


class Outcome:
    """A finished clustering beside what it was made from.

    Attributes:
        base: The folder that the tables' paths are relative to.
        locations: Absolute paths, one per image.
        labels: The cluster of each image.
        names: The names that clusters of before had which are found again.
        paths: Paths relative to `base`, as the tables show them.
        rows: The rows of ``clusters.csv``.
    """

    def __init__(
        self,
        space: Workspace,
        manifest: dict[str, Any],
        embeddings: Embeddings,
        clustering: Clustering,
        measures: Measures,
        stability: Sequence[float | None],
    ) -> None:
        self.locations = embeddings.locations
        self.labels = clustering.labels.tolist()
        self._space = space
        self._clustering = clustering
        self._confidence = clustering.confidence.tolist()
        self._measures = measures
        # After an interrupted `embed` the manifest does not know the folders of the newest images yet.
        self._complete = manifest.get("state") == "embedded"
        self.base = str(manifest.get("base", "")) if self._complete else common_base(list(embeddings.roots))
        self.paths = [relative_to(location, self.base) for location in embeddings.locations]
        self.names = find_again(read_names(space), self.locations, clustering.labels)
        self.rows = tuple(
            ClusterRow(
                cluster=facts.cluster,
                size=facts.size,
                share=round(facts.share, 4),
                medoid=self.paths[facts.medoid],
                mean_distance=round(facts.mean_distance, 4),
                silhouette=rounded(facts.silhouette),
                stability=rounded(stability[facts.cluster]),
                mean_confidence=round(float(clustering.confidence[clustering.labels == facts.cluster].mean()), 4),
                name=self.names.get(facts.cluster, ""),
            )
            for facts in measures.clusters
        )

    def write_tables(self) -> None:
        """Write ``assignments.csv`` and ``clusters.csv``, and assert that no image is lost.

        Raises:
            WorkspaceError: An image is in no row, or in two, of ``assignments.csv`` and ``skipped.csv``.
        """
        layers = [f"layer_{number}" for number in range(len(self._clustering.layers))]
        write_table(self._space.assignments, (*ASSIGNMENTS, *layers), self._assignment_rows())
        write_table(self._space.clusters_table, CLUSTERS, self._cluster_rows())
        self._check_every_image_has_its_row()

    def _assignment_rows(self) -> Iterator[Sequence[Any]]:
        medoids = {facts.medoid for facts in self._measures.clusters}
        columns = zip(
            self.paths,
            self.labels,
            self._confidence,
            self._measures.distances.tolist(),
            self._clustering.runner_up.tolist(),
            zip(*(layer.labels.tolist() for layer in self._clustering.layers), strict=True),
            strict=True,
        )
        for row, (path, label, confidence, distance, runner_up, layers) in enumerate(columns):
            shown = None if np.isnan(distance) else f"{distance:.4f}"
            second = None if runner_up < 0 else runner_up
            yield path, label, f"{confidence:.4f}", shown, row in medoids, second, *layers

    def _cluster_rows(self) -> Iterator[Sequence[Any]]:
        for row in self.rows:
            silhouette, stability = (
                None if value is None else f"{value:.4f}" for value in (row.silhouette, row.stability)
            )
            measured = f"{row.mean_distance:.4f}", silhouette, stability, f"{row.mean_confidence:.4f}"
            yield row.cluster, row.size, f"{row.share:.4f}", row.medoid, *measured, row.name

    def _check_every_image_has_its_row(self) -> None:
        """Read the tables back: each image found must be in one row of one of them, and in no other.

        Raises:
            WorkspaceError: It is not so, which is an error of ours.
        """
        assigned = [row["path"] for row in read_table(self._space.assignments, ASSIGNMENTS)]
        # An interrupted `embed` leaves the table of the one before it, of files that may be readable by now.
        known = self._complete and self._space.skipped.exists()
        skipped = [row["path"] for row in read_table(self._space.skipped, ("path",))] if known else []
        together = set(assigned) | set(skipped)
        if len(together) != len(assigned) + len(skipped) or set(assigned) != set(self.paths):
            raise WorkspaceError(
                f"the tables in {self._space.path} do not hold every image exactly once; please report this, and start "
                "over with: imgcluster embed PATH --fresh"
            )


def rounded(value: float | None) -> float | None:
    """Round a measure to the four digits that the tables show."""
    return None if value is None else round(value, 4)
