"""Publishing the results of a plan: placed files, tables, decisions and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgcluster.commands.support.confusion import write_confusion
from imgcluster.commands.support.last_clustering import folder_names, placed_names
from imgcluster.commands.support.numbering import Earlier, write_earlier
from imgcluster.commands.support.plan_tables import PlanTables
from imgcluster.commands.support.set_aside import set_aside
from imgcluster.commands.support.steps import changing_results, relocate_placed, rewrite_page
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import write_table
from imgcluster.progress import OnProgress
from imgcluster.workspace.decisions import Decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plan_file import Plan
from imgcluster.workspace.plans import PlanResult, decisions_after, identity_of
from imgcluster.workspace.result_tables import rounded
from imgcluster.workspace.results import Results, read_tables
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.table_columns import row_of

__all__ = ["AppliedPlan", "publish_plan"]


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The results before and after a plan.

    Attributes:
        workspace: The workspace.
        operation: The digest of the plan's file.
        plan: The plan.
        embeddings: Those of the images, normalized.
        before: The results before the plan.
        after: The clustering after it.
        earlier: What was known and decided before.
        tables: The tables after the plan.
        aside: The duplicates that leave the folders of clusters, by location, as `duplicates_of_plan` returns them.
    """

    workspace: Workspace
    operation: str
    plan: Plan
    embeddings: Embeddings
    before: Results
    after: PlanResult
    earlier: Earlier
    tables: PlanTables
    aside: Mapping[str, int]

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json`` after the plan."""
        metrics, measures = dict(self.before.metrics), self.tables.measures
        if measures is None or not self.tables.is_regrouped:
            return metrics
        # Plans that were saved before an `assign` would take back what this one does.
        for name in ("scores", "quality", "identities", "left"):
            metrics.pop(name, None)
        return metrics | {
            "applied_to": sorted({self.plan.clustering, identity_of(self.before.paths, self.before.clusters)}),
            "clusters": len(self.tables.clusters),
            "noise": int((self.after.clusters < 0).sum()),
            "layers": _layers_after(metrics, len(self.tables.clusters)),
            "silhouette": rounded(measures.silhouette),
            "silhouette_sample": measures.silhouette_sample,
        }

    @property
    def decisions(self) -> Decisions:
        """All decisions after the plan."""
        paths, stored = self.before.paths, self.embeddings
        images = dict(zip(paths, zip(stored.digests, stored.locations, strict=True), strict=True))
        decided = {paths[row]: key for row, key in self.earlier.decided.items()}
        return decisions_after(self.earlier.decisions, self.before.names, self.after, images, decided)

    @property
    def files_aside(self) -> dict[str, int]:
        """The files of `aside`, with the second file of images that have one."""
        pairs = zip(self.embeddings.locations, self.embeddings.companions, strict=False)
        return {
            **self.aside,
            **{second: self.aside[first] for first, second in pairs if second and first in self.aside},
        }


def publish_plan(applied: AppliedPlan, summary: str, on_progress: OnProgress) -> int:
    """Write the results of a plan, and return the number of placed files that moved.

    Args:
        applied: The results.
        summary: What the plan changes, for `history`.
        on_progress: Called with each step.

    Raises:
        PlacementError: A placed file could not be moved.
    """
    workspace, before, tables, embeddings = applied.workspace, applied.before, applied.tables, applied.embeddings
    metrics, files, labels = applied.metrics, applied.files_aside, applied.after.clusters
    with changing_results(workspace, "apply", summary, metrics, operation=applied.operation):
        names = placed_names(metrics["options"], map(row_of, tables.clusters))
        # Links and copies of what is set aside leave first: afterwards they would look like the last ones.
        moved = relocate_placed(
            workspace, before, labels.tolist(), names, embeddings.companions, on_progress, without=files
        )
        if files:
            set_aside(workspace, files, names, folder_names(before.metrics), on_progress)
        write_table(workspace.assignments, tables.assignment_columns, tables.assignments())
        write_table(
            workspace.clusters_table,
            tables.cluster_columns,
            ([row[name] for name in tables.cluster_columns] for row in tables.clusters),
        )
        write_earlier(workspace, applied.earlier, embeddings, labels, applied.decisions)
        if tables.is_regrouped:
            for path in (workspace.confusion_table, workspace.confusion_picture):
                remove(path)
        elif tables.confusion is not None:
            write_confusion(workspace, tables.confusion, applied.after.names)
        rewrite_page(workspace, read_tables(workspace, metrics), on_progress, embeddings=embeddings)
    return moved


def _layers_after(metrics: dict[str, Any], count: int) -> list[int]:
    """Return the number of clusters of each layer, with `count` for the chosen one."""
    layers = list(metrics.get("layers", ()))
    if layers:
        layers[metrics["layer"]] = count
    return layers
