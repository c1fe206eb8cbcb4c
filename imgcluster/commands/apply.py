"""`apply`: apply a plan saved on the page to the folders, tables and page of a workspace."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.split import split_vectors
from imgcluster.commands.confusion import Confusion, read_confusion, write_confusion
from imgcluster.commands.last_clustering import folder_names, placed_names
from imgcluster.commands.numbering import Earlier, read_earlier, write_earlier
from imgcluster.commands.page import with_normalized_lengths
from imgcluster.commands.set_aside import duplicates_of_plan, set_aside
from imgcluster.commands.steps import changing_results, recover, relocate_placed, rewrite_page
from imgcluster.errors import PlanError, UsageError, WorkspaceError
from imgcluster.evaluation.internal import measure
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Measures
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plan_file import Plan, read_plan
from imgcluster.workspace.plans import PlanResult, apply_plan, decisions_after, split_clusters
from imgcluster.workspace.result_tables import rounded
from imgcluster.workspace.results import (
    Results,
    encoder_identity,
    encoder_metric,
    read_results,
    read_tables,
)
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.states import last_state
from imgcluster.workspace.table_columns import ASSIGNMENTS, CLUSTERS, ClusterRow, row_of

__all__ = ["ApplySummary", "apply"]

# Enough for a million corrected images with long paths.
_LARGEST_PLAN: Final = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySummary:
    """What `apply` did, or would do.

    Attributes:
        workspace: The workspace folder.
        plan: The plan's file.
        named: The number of clusters with a new name, or whose name was removed.
        merged: The number of clusters that were merged into others.
        created: The number of clusters that were created from images.
        split: The number of clusters that were split.
        misplaced: The number of images that were moved to other clusters one by one, new clusters included.
        unsorted: The number of images that belong to no cluster, by the plan.
        pinned: The number of images that stay in their clusters, by the plan.
        set_aside: The number of duplicates whose originals moved, or would move, to the folder of duplicates.
        moved: The number of placed files that moved; 0 on a dry run.
        clusters: The clusters, as in ``clusters.csv``.
        noise: The number of images in no cluster.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        repeated: Whether the plan was applied by the last step already, so that nothing was left to do.
    """

    workspace: str
    plan: str
    named: int
    merged: int
    created: int
    split: int
    misplaced: int
    unsorted: int
    pinned: int
    set_aside: int
    moved: int
    clusters: tuple[ClusterRow, ...]
    noise: int
    report: str
    dry_run: bool
    repeated: bool = False


def apply(
    plan: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> ApplySummary:
    """Apply a plan that was saved on the page: names, merges, splits, new clusters and decisions about single images.

    Placed files, tables, ``metrics.json`` and the page are updated. Scores of `evaluate` are removed unless the plan
    changes only names. `undo` restores the state before. The decisions are stored, and later commands respect them.
    Applying the plan of the last step again changes nothing.

    Args:
        plan: The plan's file; `imgcluster.workspace.plans` describes the format.
        workspace: The workspace folder.
        dry_run: Only report what would be done.
        on_progress: Called with each step.

    Raises:
        UsageError: The file does not exist.
        PlanError: It is not a plan, contradicts itself, was made for another clustering, or sets images aside while the
            originals are in the folders of clusters.
        WorkspaceError: Nothing is clustered, the embeddings have changed since, another process uses the workspace,
            or, on a dry run, applying an earlier plan was interrupted.
        PlacementError: A placed file could not be moved.
    """
    file = Path(plan)
    text = _read(file)
    parsed, operation = read_plan(text, to_text(file)), hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(read_only=dry_run) as manifest:
        manifest = recover(workspace, manifest, dry_run=dry_run, on_progress=on_progress)
        before = read_results(workspace, manifest)
        last = last_state(workspace)
        if last is not None and last.complete and last.operation == operation:
            return _repeated(workspace, file, before, dry_run=dry_run)
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
        if embeddings.locations != before.locations:
            raise WorkspaceError(
                f"the tables in {workspace.path} do not match its embeddings: run imgcluster cluster again"
            )
        earlier = read_earlier(workspace, embeddings)
        after = _result(parsed, before, embeddings, earlier.next_number - 1, name=to_text(file))
        tables = _Tables(workspace, manifest, before, after, embeddings)
        aside = duplicates_of_plan(parsed, workspace, before, after.clusters, name=to_text(file))
        moved = 0
        if not dry_run:
            moved = _publish(
                workspace, before, earlier, after, tables, embeddings, parsed, operation, aside, on_progress
            )
    decisions = np.array([after.decisions.get(path, "") for path in before.paths])
    return ApplySummary(
        workspace=to_text(workspace.path),
        plan=to_text(file),
        named=sum(after.names.get(number, "") != before.names.get(number, "") for number in _numbers(after)),
        merged=len(after.merged),
        created=len(after.created),
        split=len(after.parts),
        misplaced=int(after.moved[decisions == "corrected"].sum()),
        unsorted=int((decisions == "unsorted").sum()),
        pinned=int((decisions == "pinned").sum()),
        set_aside=len(aside),
        moved=moved,
        clusters=tuple(row_of(row) for row in tables.clusters),
        noise=int((after.clusters < 0).sum()),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
    )


def _repeated(workspace: Workspace, file: Path, present: Results, *, dry_run: bool) -> ApplySummary:
    """Return the summary of a plan that the last step has applied."""
    counts = ("named", "merged", "created", "split", "misplaced", "unsorted", "pinned", "set_aside", "moved")
    return ApplySummary(
        workspace=to_text(workspace.path),
        plan=to_text(file),
        **dict.fromkeys(counts, 0),
        clusters=tuple(map(row_of, present.table)),
        noise=int((present.clusters < 0).sum()),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
        repeated=True,
    )


def _read(file: Path) -> str:
    try:
        if not file.is_file():
            raise UsageError(f"plan {file} does not exist; save one on the page, report.html")
        if file.stat().st_size > _LARGEST_PLAN:
            raise PlanError(f"{file} has {file.stat().st_size:,} bytes; a plan has at most {_LARGEST_PLAN:,}")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PlanError(f"{file} is not a plan: it is not UTF-8; save it again on the page") from None


def _result(plan: Plan, before: Results, embeddings: Embeddings, highest: int, *, name: str) -> PlanResult:
    """Return the clustering after a plan; `highest` is the highest number that a cluster ever had."""
    seed = int(before.metrics["options"]["seed"])

    def split(rows: npt.NDArray[np.int64], parts: int) -> npt.NDArray[np.int64]:
        order = embeddings.content_order
        ordered = order[np.isin(order, rows)]
        labels = np.empty(len(before.clusters), np.int64)
        labels[ordered] = split_vectors(embeddings.vectors[ordered], parts, seed=seed)
        return labels[rows]

    after = apply_plan(
        plan,
        before.paths,
        before.clusters,
        before.names,
        highest=highest,
        identities=tuple(map(str, before.metrics.get("identities", ()))),
        name=name,
    )
    return split_clusters(after, plan, before.paths, split, highest=highest, name=name)


def _publish(
    workspace: Workspace,
    before: Results,
    earlier: Earlier,
    after: PlanResult,
    tables: _Tables,
    embeddings: Embeddings,
    plan: Plan,
    operation: str,
    aside: Mapping[str, int],
    on_progress: OnProgress,
) -> int:
    """Write the results of a plan, and return the number of placed files that moved."""
    labels = after.clusters.tolist()
    metrics = dict(before.metrics)
    if tables.measures is not None:
        for name in ("scores", "quality"):
            metrics.pop(name, None)
        metrics |= {
            "clusters": len(tables.clusters),
            "noise": int((after.clusters < 0).sum()),
            "layers": _layers_after(metrics, len(tables.clusters)),
            "silhouette": rounded(tables.measures.silhouette),
            "silhouette_sample": tables.measures.silhouette_sample,
        }
    images = dict(zip(before.paths, zip(embeddings.digests, embeddings.locations, strict=True), strict=True))
    decided = {before.paths[row]: key for row, key in earlier.decided.items()}
    decisions = decisions_after(earlier.decisions, before.names, after, images, decided)
    pairs = zip(embeddings.locations, embeddings.companions, strict=False)
    files = {**aside, **{second: aside[first] for first, second in pairs if second and first in aside}}
    with changing_results(workspace, "apply", _describe(plan), metrics, operation=operation):
        names = placed_names(metrics["options"], map(row_of, tables.clusters))
        # Links and copies of what is set aside leave first: afterwards they would look like the last ones.
        moved = relocate_placed(
            workspace, before, labels, names, embeddings.companions, "place", on_progress, without=files
        )
        if files:
            set_aside(workspace, files, names, folder_names(before.metrics), on_progress)
        write_table(workspace.assignments, tables.assignment_columns, tables.assignments())
        write_table(
            workspace.clusters_table,
            tables.cluster_columns,
            ([row[name] for name in tables.cluster_columns] for row in tables.clusters),
        )
        write_earlier(workspace, earlier, embeddings, after.clusters, decisions)
        if tables.measures is not None:
            for path in (workspace.confusion_table, workspace.confusion_picture):
                remove(path)
        elif tables.confusion is not None:
            write_confusion(workspace, tables.confusion, after.names)
        rewrite_page(workspace, read_tables(workspace, metrics), on_progress, embeddings=embeddings)
    return moved


def _describe(plan: Plan) -> str:
    """Return the numbers of changes of each kind, in words."""
    parts = (
        (len(plan.names), "name"),
        (len(plan.merges), "merge"),
        (len(plan.split), "split"),
        (len(plan.new_clusters), "new cluster"),
        (len(plan.misplaced), "correction"),
        (len(plan.unsorted), "unsorted image"),
        (len(plan.pinned), "pinned image"),
        (len(plan.set_aside), "duplicate"),
    )
    return ", ".join(counted(count, noun) for count, noun in parts if count)


def _layers_after(metrics: dict[str, Any], count: int) -> list[int]:
    """Return the number of clusters of each layer, with `count` for the chosen one."""
    layers = list(metrics.get("layers", ()))
    if layers:
        layers[metrics["layer"]] = count
    return layers


class _Tables:
    """The tables after a plan, with all their present columns.

    Attributes:
        measures: The measures of the clustering after the plan; None if only names change.
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
    ) -> None:
        self._before, self._after = before, after
        self._rows = list(read_table(workspace.assignments, ASSIGNMENTS))
        for row in self._rows if after.decisions else ():
            row["decision"] = after.decisions.get(row["path"], row.get("decision", ""))
        self.assignment_columns = list(self._rows[0])
        present = before.table[0] if before.table else ()
        # The name is the last column.
        self.cluster_columns = [name for name in dict.fromkeys([*present, *CLUSTERS]) if name != "name"] + ["name"]
        self._confidence = before.confidence.copy()
        self.measures: Measures | None = None
        self.confusion: Confusion | None = None
        if (after.clusters != before.clusters).any():
            # The user is certain of the images that were corrected; noise has no confidence.
            certain = np.array([path in after.decisions for path in before.paths], dtype=bool)
            self._confidence[certain] = 1.0
            self._confidence[after.clusters < 0] = 0.0
            metric = encoder_metric(manifest)
            self.measures = measure(embeddings.vectors, self._compact_labels(), metric, order=embeddings.content_order)
        else:
            self.confusion = read_confusion(workspace)
        self.clusters = list(self._cluster_rows())

    def assignments(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of ``assignments.csv``."""
        if self.measures is None:
            yield from (list(row.values()) for row in self._rows)
            return
        present = set(_numbers(self._after))
        medoids = {facts.medoid for facts in self.measures.clusters}
        distances = self.measures.distances.tolist()
        for index, (row, cluster) in enumerate(zip(self._rows, self._after.clusters.tolist(), strict=True)):
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

    def _compact_labels(self) -> npt.NDArray[np.int64]:
        """Return the labels renumbered without gaps, in the same order."""
        labels = np.full(len(self._after.clusters), -1, dtype=np.int64)
        for compact, number in enumerate(_numbers(self._after)):
            labels[self._after.clusters == number] = compact
        return labels

    def _cluster_rows(self) -> Iterator[dict[str, str]]:
        before = self._before.rows
        numbers = _numbers(self._after)
        measures = {} if self.measures is None else dict(zip(numbers, self.measures.clusters, strict=True))
        for number in numbers:
            row = dict.fromkeys(self.cluster_columns, "") | before.get(number, {"cluster": str(number)})
            row["name"] = self._after.names.get(number, "")
            members = self._after.clusters == number
            if number in measures or not row.get("mean_confidence"):
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


def _numbers(result: PlanResult) -> list[int]:
    """Return the numbers of the clusters that are not empty."""
    return [int(number) for number in np.unique(result.clusters) if number >= 0]
