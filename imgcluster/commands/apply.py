"""`apply`: a plan made on the page is carried out on the workspace: folders, tables and page follow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.confusion import Confusion, read_confusion, write_confusion
from imgcluster.commands.history import keep_state, recover, relocate_placed, rewrite_page
from imgcluster.errors import PlanError, UsageError, WorkspaceError
from imgcluster.evaluation.internal import measure
from imgcluster.fileio.atomic import remove, write_json
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Measures, Metric
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.names import write_names
from imgcluster.workspace.plans import Decided, Plan, carry_out, read_plan
from imgcluster.workspace.result_tables import ClusterRow, rounded, row_of
from imgcluster.workspace.results import Results, encoder_identity, read_results, read_tables
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.tables import ASSIGNMENTS, CLUSTERS

__all__ = ["ApplySummary", "apply"]

# Of a million misplaced images with long paths; larger files are something else.
_LARGEST_PLAN: Final = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySummary:
    """What `apply` did, or would do.

    Attributes:
        workspace: The workspace folder.
        plan: The plan's file.
        named: Clusters whose name is another one now.
        merged: Clusters that went into others.
        misplaced: Images that went to another cluster one by one.
        moved: Placed files that went to another folder; 0 on a dry run.
        clusters: The clusters, as in ``clusters.csv``.
        noise: Images of no cluster.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
    """

    workspace: str
    plan: str
    named: int
    merged: int
    misplaced: int
    moved: int
    clusters: tuple[ClusterRow, ...]
    noise: int
    report: str
    dry_run: bool


def apply(
    plan: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> ApplySummary:
    """Carry out a plan that was saved on the page: names, merges and misplaced images.

    Placed files go to the folders of their clusters, tables, ``metrics.json`` and page follow. Scores of `evaluate`
    go, being those of the clustering before; where a plan only gives names they stay, and the confusion matrix has
    the new names. `undo` takes all of it back. Later clusterings keep the names of those clusters that they find
    again.

    Args:
        plan: The plan's file; `imgcluster.workspace.plans` describes it.
        workspace: The workspace folder.
        dry_run: Whether only to say what would be done.
        on_progress: Called with each step.

    Raises:
        UsageError: There is no such file.
        PlanError: It is no plan, contradicts itself, or was made for another clustering.
        WorkspaceError: Nothing is clustered, embeddings have changed since, another process works here, or a plan was
            interrupted and this is a dry run, which leaves it as it is.
        PlacementError: A placed file could not be moved.
    """
    file = Path(plan)
    decisions = _read(file)
    space = Workspace(workspace)
    identity = encoder_identity(space)
    with space.locked(dry_run=dry_run):
        recover(space, dry_run=dry_run, on_progress=on_progress)
        results = read_results(space)
        decided = carry_out(decisions, results.paths, results.clusters, results.names, name=to_text(file))
        embeddings = load(space.embeddings, identity)
        tables = _Tables(space, results, decided, embeddings)
        moved = 0
        if not dry_run:
            moved = _write(space, results, decided, tables, embeddings, on_progress)
    return ApplySummary(
        workspace=to_text(space.path),
        plan=to_text(file),
        named=sum(decided.names.get(number, "") != results.names.get(number, "") for number in _numbers(decided)),
        merged=len(decided.merged),
        misplaced=int(decided.moved.sum()),
        moved=moved,
        clusters=tuple(row_of(row) for row in tables.clusters),
        noise=int((decided.clusters < 0).sum()),
        report="" if dry_run else to_text(space.report),
        dry_run=dry_run,
    )


def _read(file: Path) -> Plan:
    try:
        if not file.is_file():
            raise UsageError(f"there is no plan {file}; save one on the page, report.html")
        if file.stat().st_size > _LARGEST_PLAN:
            raise PlanError(f"{file} is too large for a plan: {file.stat().st_size:,} bytes")
        return read_plan(file.read_text(encoding="utf-8-sig"), to_text(file))
    except UnicodeDecodeError:
        raise PlanError(f"{file} is not a plan, which is JSON in UTF-8; save it again on the page") from None


def _write(
    space: Workspace,
    results: Results,
    decided: Decided,
    tables: _Tables,
    embeddings: Embeddings,
    on_progress: OnProgress,
) -> int:
    number = keep_state(space)
    # From here to the last line the workspace has no clustering; then it has the new one. In between, `recover`
    # and `undo` restore the old one.
    remove(space.metrics)
    for path in space.drawn:
        remove(path)
    labels = decided.clusters.tolist()
    moved = relocate_placed(space, results, labels, decided.names, "place", on_progress)
    write_table(space.assignments, tables.assignment_columns, tables.assignments())
    write_table(
        space.clusters_table,
        tables.cluster_columns,
        ([row[name] for name in tables.cluster_columns] for row in tables.clusters),
    )
    write_names(space, results.locations, labels, decided.names, shown=results.names.values())
    metrics = results.metrics | {"plans": number}
    if tables.measures is not None:
        for name in ("scores", "quality"):
            metrics.pop(name, None)
        for path in (space.confusion_table, space.confusion_picture):
            remove(path)
        metrics |= {
            "clusters": len(tables.clusters),
            "noise": int((decided.clusters < 0).sum()),
            "layers": _layers_after(metrics, len(tables.clusters)),
            "silhouette": rounded(tables.measures.silhouette),
            "silhouette_sample": tables.measures.silhouette_sample,
        }
    elif tables.confusion is not None:
        write_confusion(space, tables.confusion, decided.names)
    rewrite_page(space, read_tables(space, metrics), on_progress, embeddings=embeddings)
    write_json(space.metrics, metrics)
    return moved


def _layers_after(metrics: dict[str, Any], count: int) -> list[int]:
    """Return the numbers of clusters of all layers, `count` being that of the picked one."""
    layers = list(metrics.get("layers", ()))
    if layers:
        layers[metrics["layer"]] = count
    return layers


class _Tables:
    """The tables after a plan: every column they had, with what changed.

    Attributes:
        measures: Of the clustering after the plan; None where it only gives names.
        confusion: What `evaluate` found, which holds on where a plan only gives names; else None.
        clusters: The rows of ``clusters.csv`` as texts.
        cluster_columns: Its columns.
        assignment_columns: Those of ``assignments.csv``.
    """

    def __init__(self, space: Workspace, results: Results, decided: Decided, embeddings: Embeddings) -> None:
        if embeddings.locations != results.locations:
            raise WorkspaceError(f"the tables in {space.path} are not of its embeddings: run imgcluster cluster again")
        self._before, self._decided = results, decided
        self._rows = list(read_table(space.assignments, ASSIGNMENTS))
        self.assignment_columns = list(self._rows[0])
        known = [name for name in CLUSTERS if name != "name"]
        # The name is the last column, whatever others there are.
        others = [name for name in (results.table[0] if results.table else ()) if name != "name"]
        self.cluster_columns = [*dict.fromkeys([*others, *known]), "name"]
        self._confidence = results.confidence.copy()
        self.measures: Measures | None = None
        self.confusion: Confusion | None = None
        if (decided.clusters != results.clusters).any():
            # Who says where an image belongs is sure of it; of no cluster there is nothing to be sure of.
            self._confidence[decided.moved] = 1.0
            self._confidence[decided.clusters < 0] = 0.0
            metric: Metric = space.manifest["encoder"].get("metric", "cosine")
            self.measures = measure(embeddings.vectors, self._compact(), metric, order=embeddings.content_order)
        else:
            self.confusion = read_confusion(space)
        self.clusters = list(self._cluster_rows())

    def assignments(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of ``assignments.csv``."""
        if self.measures is None:
            yield from (list(row.values()) for row in self._rows)
            return
        left = set(_numbers(self._decided))
        medoids = {facts.medoid for facts in self.measures.clusters}
        distances = self.measures.distances.tolist()
        for index, (row, cluster) in enumerate(zip(self._rows, self._decided.clusters.tolist(), strict=True)):
            distance = distances[index]
            changed = {
                "cluster": cluster,
                "confidence": f"{self._confidence[index]:.4f}",
                "distance": None if np.isnan(distance) else f"{distance:.4f}",
                "is_medoid": index in medoids,
                # The picked layer is the clustering; the finer and coarser ones stay as they were computed.
                f"layer_{self._before.metrics.get('layer')}": cluster,
            }
            if row.get("runner_up"):
                other = self._decided.merged.get(int(row["runner_up"]), int(row["runner_up"]))
                changed["runner_up"] = other if other in left and other != cluster else None
            yield [changed.get(name, row[name]) for name in self.assignment_columns]

    def _compact(self) -> npt.NDArray[np.int64]:
        """Return the clusters numbered without gaps, in the same order."""
        labels = np.full(len(self._decided.clusters), -1, dtype=np.int64)
        for compact, number in enumerate(_numbers(self._decided)):
            labels[self._decided.clusters == number] = compact
        return labels

    def _cluster_rows(self) -> Iterator[dict[str, str]]:
        before = self._before.rows
        facts = {} if self.measures is None else dict(zip(_numbers(self._decided), self.measures.clusters, strict=True))
        for number in _numbers(self._decided):
            row = dict.fromkeys(self.cluster_columns, "") | before[number]
            row["name"] = self._decided.names.get(number, "")
            inside = self._decided.clusters == number
            if not row.get("mean_confidence"):
                row["mean_confidence"] = f"{self._confidence[inside].mean():.4f}"
            if number in facts:
                found = facts[number]
                row |= {
                    "size": str(found.size),
                    "share": f"{found.share:.4f}",
                    "medoid": self._before.paths[found.medoid],
                    "mean_distance": f"{found.mean_distance:.4f}",
                    "silhouette": "" if found.silhouette is None else f"{found.silhouette:.4f}",
                    "mean_confidence": f"{self._confidence[inside].mean():.4f}",
                }
                if "stability" in row and (inside != (self._before.clusters == number)).any():
                    row["stability"] = ""
            yield row


def _numbers(decided: Decided) -> list[int]:
    return [int(number) for number in np.unique(decided.clusters) if number >= 0]
