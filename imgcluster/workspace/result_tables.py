"""The rows of ``assignments.csv`` and ``clusters.csv``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from imgcluster.clustering.types import Clustering
from imgcluster.errors import WorkspaceError
from imgcluster.evaluation.types import Measures
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import field, read_table, write_as_parquet, write_table
from imgcluster.fileio.path_text import relative_path
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results, base_folder
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.table_columns import ASSIGNMENTS, CLUSTERS, PHOTOGRAPH, ClusterRow

__all__ = ["ClusteringTables", "rounded"]

_ALSO_PARQUET_FROM: Final = 1_000_000


class ClusteringTables:
    """A clustering, its embeddings, and the rows of ``assignments.csv`` and ``clusters.csv``.

    Attributes:
        base: The folder that the tables' paths are relative to.
        clusters: The number of each image's cluster, ``int64 (n,)``; −1 is noise.
        names: The names of clusters.
        paths: Paths relative to `base`, as in the tables.
        rows: The rows of ``clusters.csv``.
    """

    def __init__(
        self,
        workspace: Workspace,
        manifest: dict[str, Any],
        embeddings: Embeddings,
        clustering: Clustering,
        measures: Measures,
        stability: Sequence[float | None],
        *,
        numbers: Sequence[int] | None = None,
        names: Mapping[int, str] = MappingProxyType({}),
        suggested_names: Mapping[int, str] = MappingProxyType({}),
        decisions: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.embeddings = embeddings
        self.clustering = clustering
        numbers = list(range(clustering.count)) if numbers is None else numbers
        # The last entry is that of −1.
        self._numbers = np.array([*numbers, -1], dtype=np.int64)
        self.clusters = self._numbers[clustering.labels]
        self._workspace = workspace
        self._measures = measures
        self._decisions = decisions
        self._has_companions = any(embeddings.companions)
        # After an interrupted `embed`, skipped.csv is that of an earlier run.
        self._complete = manifest.get("state") == "embedded"
        self.base = base_folder(manifest, embeddings)
        self.paths = [relative_path(location, self.base) for location in embeddings.locations]
        self.names = {number: names[number] for number in numbers if names.get(number)}
        self.rows = tuple(
            ClusterRow(
                cluster=numbers[facts.cluster],
                size=facts.size,
                share=round(facts.share, 4),
                medoid=self.paths[facts.medoid],
                mean_distance=round(facts.mean_distance, 4),
                silhouette=rounded(facts.silhouette),
                stability=rounded(stability[facts.cluster]),
                mean_confidence=round(float(clustering.confidence[clustering.labels == facts.cluster].mean()), 4),
                name=self.names.get(numbers[facts.cluster], ""),
                suggested_name=suggested_names.get(facts.cluster, ""),
            )
            for facts in measures.clusters
        )

    def write(self) -> None:
        """Write ``assignments.csv`` and ``clusters.csv``.

        Raises:
            WorkspaceError: An image would not be in exactly one row of ``assignments.csv`` and ``skipped.csv``.
        """
        self._check_every_image_has_one_row()
        write_table(self._workspace.assignments, self.assignment_columns, self.assignments())
        if len(self.paths) > _ALSO_PARQUET_FROM:
            write_as_parquet(self._workspace.assignments, self._workspace.assignments_parquet)
        else:
            remove(self._workspace.assignments_parquet)
        write_table(self._workspace.clusters_table, CLUSTERS, self._cluster_rows())

    @property
    def assignment_columns(self) -> tuple[str, ...]:
        """The columns of ``assignments.csv``."""
        layers = [f"layer_{number}" for number in range(len(self.clustering.layers))]
        columns = (*ASSIGNMENTS, *layers, *PHOTOGRAPH, *(("decision",) if self._decisions else ()))
        return (*columns, "companion") if self._has_companions else columns

    def results(self, metrics: dict[str, Any]) -> Results:
        """Return the same `Results` as `read_tables` would after `write`."""
        distances = self._measures.distances.astype(np.float64)
        medoids = np.zeros(len(self.paths), dtype=bool)
        medoids[[facts.medoid for facts in self._measures.clusters]] = True
        return Results(
            base=self.base,
            paths=self.paths,
            locations=self.embeddings.locations,
            clusters=self.clusters,
            confidence=np.array([float(f"{value:.4f}") for value in self.clustering.confidence.tolist()]),
            distances=np.array([float(f"{value:.4f}") for value in distances.tolist()]),
            medoids=medoids,
            table=[dict(zip(CLUSTERS, map(field, row), strict=True)) for row in self._cluster_rows()],
            metrics=metrics,
            runner_ups=self._numbers[self.clustering.runner_up].astype(np.int32),
            decisions={self.paths[row]: decision for row, decision in self._decisions.items()},
        )

    def assignments(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of ``assignments.csv``."""
        medoids = {facts.medoid for facts in self._measures.clusters}
        # The chosen layer is the clustering; the clusters of the others have numbers of their own.
        layers = [layer.labels for layer in self.clustering.layers]
        layers[self.clustering.chosen] = self.clusters
        columns = zip(
            self.paths,
            self.clusters.tolist(),
            self.clustering.confidence.tolist(),
            self._measures.distances.tolist(),
            self._numbers[self.clustering.runner_up].tolist(),
            zip(*(layer.tolist() for layer in layers), strict=True),
            self.embeddings.exif,
            strict=True,
        )
        for row, (path, label, confidence, distance, runner_up, layers, exif) in enumerate(columns):
            distance_text = None if np.isnan(distance) else f"{distance:.4f}"
            photograph = (exif.captured, exif.camera, exif.orientation or None)
            second = None if runner_up < 0 else runner_up
            decision = (self._decisions.get(row, ""),) if self._decisions else ()
            second_file = (self._companion(row),) if self._has_companions else ()
            facts = f"{confidence:.4f}", distance_text, row in medoids, second
            yield path, label, *facts, *layers, *photograph, *decision, *second_file

    def _companion(self, row: int) -> str:
        companion = self.embeddings.companions[row]
        return relative_path(companion, self.base) if companion else ""

    def _cluster_rows(self) -> Iterator[Sequence[Any]]:
        for row in self.rows:
            yield [f"{value:.4f}" if isinstance(value, float) else value for value in dataclasses.astuple(row)]

    def _check_every_image_has_one_row(self) -> None:
        current = self._complete and self._workspace.skipped.exists()
        skipped = [row["path"] for row in read_table(self._workspace.skipped, ("path",))] if current else []
        # A new file can have the path of an image that was moved, so the tables may share paths.
        distinct = all(len(set(paths)) == len(paths) for paths in (self.paths, skipped))
        if not distinct or len(self.clusters) != len(self.paths):
            raise WorkspaceError(
                f"the tables in {self._workspace.path} would not contain every image exactly once; please report this, "
                "and start over with: imgcluster embed PATH --fresh"
            )


def rounded(value: float | None) -> float | None:
    """Round a measure to four digits, as in the tables."""
    return None if value is None else round(value, 4)
