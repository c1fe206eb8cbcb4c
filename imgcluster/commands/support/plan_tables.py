"""The tables of a workspace after a plan, with all the columns that they had before."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

import numpy as np

from imgcluster.commands.support.confusion import Confusion, read_confusion
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.evaluation.types import Measures
from imgcluster.fileio.csv_tables import read_table
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plans import PlanResult
from imgcluster.workspace.results import Results
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.table_columns import ASSIGNMENTS, CLUSTERS

__all__ = ["PlanTables", "cluster_numbers"]


class PlanTables:
    """The tables after a plan, with all their present columns.

    Attributes:
        is_regrouped: Whether the plan puts images into other clusters.
        measures: The measures of the clustering after the plan; None if neither clusters nor medoids change.
        confusion: The confusion matrix of `evaluate`, if it exists and only names change; else None.
        clusters: The rows of ``clusters.csv``, as texts.
        cluster_columns: The columns of ``clusters.csv``.
        assignment_columns: The columns of ``assignments.csv``.
    """

    def __init__(
        self,
        workspace: Workspace,
        manifest: dict[str, Any],
        before: Results,
        after: PlanResult,
        embeddings: Embeddings,
        aside: Container[str],
    ) -> None:
        self._before, self._after = before, after
        self._table = workspace.assignments
        self.assignment_columns = list(next(self._rows()))
        present = before.table[0] if before.table else ()
        # The name is the last column.
        self.cluster_columns = [name for name in dict.fromkeys([*present, *CLUSTERS]) if name != "name"] + ["name"]
        self._confidence = before.confidence.copy()
        self.measures: Measures | None = None
        self.confusion: Confusion | None = None
        self.is_regrouped = bool((after.clusters != before.clusters).any())
        if self.is_regrouped:
            # The user is certain of the images that were corrected; noise has no confidence.
            certain = np.array([path in after.decisions for path in before.paths], dtype=bool)
            self._confidence[certain] = 1.0
            self._confidence[after.clusters < 0] = 0.0
        else:
            self.confusion = read_confusion(workspace)
        if self.is_regrouped or any(before.locations[row] in aside for row in np.flatnonzero(before.medoids).tolist()):
            self.measures = measure_clusters(workspace, manifest, embeddings, after.clusters, leaving=aside)
        self.clusters = list(self._cluster_rows())

    def assignments(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of ``assignments.csv``."""
        if self.measures is None:
            yield from (list(row.values()) for row in self._rows())
            return
        present = set(cluster_numbers(self._after))
        medoids = {facts.medoid for facts in self.measures.clusters}
        distances = self.measures.distances.tolist()
        for index, (row, cluster) in enumerate(zip(self._rows(), self._after.clusters.tolist(), strict=True)):
            distance = distances[index]
            changed = {
                "cluster": cluster,
                "confidence": f"{self._confidence[index]:.4f}",
                "distance": None if np.isnan(distance) else f"{distance:.4f}",
                "is_medoid": index in medoids,
                # The chosen layer is the clustering; the other layers do not change.
                f"layer_{self._before.metrics.get('layer')}": cluster,
            }
            if row.get("runner_up"):
                other = self._after.merged.get(int(row["runner_up"]), int(row["runner_up"]))
                changed["runner_up"] = other if other in present and other != cluster else None
            yield [changed.get(name, row[name]) for name in self.assignment_columns]

    def _rows(self) -> Iterator[dict[str, str]]:
        """Yield the rows of ``assignments.csv`` before the plan, with its decisions."""
        for row in read_table(self._table, ASSIGNMENTS):
            if self._after.decisions:
                row["decision"] = self._after.decisions.get(row["path"], row.get("decision", ""))
            yield row

    def _cluster_rows(self) -> Iterator[dict[str, str]]:
        before = self._before.rows
        numbers = cluster_numbers(self._after)
        measures = {} if self.measures is None else {facts.cluster: facts for facts in self.measures.clusters}
        for number in numbers:
            row = dict.fromkeys(self.cluster_columns, "") | before.get(number, {"cluster": str(number)})
            row["name"] = self._after.names.get(number, "")
            members = self._after.clusters == number
            if self.is_regrouped or not row.get("mean_confidence"):
                row["mean_confidence"] = f"{self._confidence[members].mean():.4f}"
            if number in measures:
                facts = measures[number]
                row |= {
                    "size": str(facts.size),
                    "share": f"{facts.share:.4f}",
                    "medoid": self._before.paths[facts.medoid],
                    "mean_distance": f"{facts.mean_distance:.4f}",
                    "silhouette": "" if facts.silhouette is None else f"{facts.silhouette:.4f}",
                }
                if (members != (self._before.clusters == number)).any():
                    row |= {"stability": "", "suggested_name": ""}
            yield row


def cluster_numbers(result: PlanResult) -> list[int]:
    """Return the numbers of the clusters that are not empty."""
    return [int(number) for number in np.unique(result.clusters) if number >= 0]
