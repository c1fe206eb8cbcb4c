"""`apply`: apply a plan saved on the page to the folders, tables and page of a workspace."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.split import split_vectors
from imgcluster.commands.support.applied_plan import AppliedPlan, publish_plan
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import Earlier, read_earlier
from imgcluster.commands.support.plan_location import find_plan
from imgcluster.commands.support.plan_tables import PlanTables, cluster_numbers
from imgcluster.commands.support.set_aside import duplicates_of_plan
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import PlanError, WorkspaceError
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plan_file import Plan, read_plan
from imgcluster.workspace.plans import PlanResult, apply_plan, split_clusters
from imgcluster.workspace.results import Results, encoder_identity, read_results
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.states import last_state
from imgcluster.workspace.table_columns import ClusterRow, row_of

__all__ = ["PLAN_CHANGES", "ApplySummary", "PlanChange", "apply", "apply_text"]

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
        set_aside: The number of images whose originals moved, or would move, to the folder of duplicates.
        set_aside_to: The folder of duplicates; empty if the plan sets none aside.
        moved: The number of placed files that moved; 0 on a dry run.
        clusters: The clusters, as in ``clusters.csv``.
        noise: The number of images in no cluster.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        repeated: Whether the plan was applied by the last step already, so that nothing was left to do.
    """

    workspace: str
    plan: str
    named: int = 0
    merged: int = 0
    created: int = 0
    split: int = 0
    misplaced: int = 0
    unsorted: int = 0
    pinned: int = 0
    set_aside: int = 0
    set_aside_to: str = ""
    moved: int = 0
    clusters: tuple[ClusterRow, ...]
    noise: int
    report: str
    dry_run: bool
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A kind of change that a plan can make.

    Attributes:
        plan_field: The field of `Plan` with the changes that are requested.
        count: The field of `ApplySummary` with what changed.
        name: A request, as the history names it.
        noun: What changes.
        verb: What happened to it.
    """

    plan_field: str
    count: str
    name: str
    noun: str
    verb: str


PLAN_CHANGES: Final = (
    PlanChange("names", "named", "name", "cluster", "renamed"),
    PlanChange("merges", "merged", "merge", "cluster", "merged"),
    PlanChange("split", "split", "split", "cluster", "split"),
    PlanChange("new_clusters", "created", "new cluster", "cluster", "created"),
    PlanChange("misplaced", "misplaced", "correction", "image", "corrected"),
    PlanChange("unsorted", "unsorted", "unsorted image", "image", "removed from clusters"),
    PlanChange("pinned", "pinned", "pinned image", "image", "pinned"),
    PlanChange("set_aside", "set_aside", "set-aside image", "image", "set aside"),
)


@in_object_storage_too
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
        plan: The plan's file, also as ``~/Downloads/…``; `imgcluster.workspace.plans` describes the format.
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
    file = find_plan(plan)
    return apply_text(_read(file), to_text(file), Workspace(workspace), dry_run=dry_run, on_progress=on_progress)


def apply_text(
    text: str, name: str, workspace: Workspace, *, dry_run: bool = False, on_progress: OnProgress = ignore_progress
) -> ApplySummary:
    """Apply the plan with this text as `apply` does; `name` is its name in messages.

    Raises:
        ImgclusterError: As for `apply`.
    """
    parsed, operation = read_plan(text, name), hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    workspace.require_initialized()
    with workspace.locked(read_only=dry_run) as manifest:
        manifest = recover(workspace, manifest, dry_run=dry_run, on_progress=on_progress)
        before = read_results(workspace, manifest)
        last = last_state(workspace)
        if last is not None and last.complete and last.operation == operation:
            return _repeated(workspace, name, before, dry_run=dry_run)
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
        if embeddings.locations != before.locations:
            raise WorkspaceError(
                f"the tables in {workspace.path} do not match its embeddings: run imgcluster cluster again"
            )
        earlier = read_earlier(workspace, embeddings)
        after = _result(parsed, before, embeddings, earlier, name=name)
        aside = duplicates_of_plan(parsed, workspace, before, after.clusters, name=name)
        tables = PlanTables(workspace, manifest, before, after, embeddings, aside)
        moved = 0
        if not dry_run:
            applied = AppliedPlan(workspace, operation, parsed, embeddings, before, after, earlier, tables, aside)
            moved = publish_plan(applied, _describe(parsed), on_progress)
    decisions = np.array([after.decisions.get(path, "") for path in before.paths])
    return ApplySummary(
        workspace=workspace.name,
        plan=name,
        named=sum(
            after.names.get(number, "") != before.names.get(number, "")
            for number in cluster_numbers(after)
            if number not in after.created
        ),
        merged=len(after.merged),
        created=len(after.created),
        split=len(after.parts),
        misplaced=int(after.moved[decisions == "corrected"].sum()),
        unsorted=int((decisions == "unsorted").sum()),
        pinned=int((decisions == "pinned").sum()),
        set_aside=len(aside),
        set_aside_to=to_text(workspace.duplicates) if aside else "",
        moved=moved,
        clusters=tuple(row_of(row) for row in tables.clusters),
        noise=int((after.clusters < 0).sum()),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
    )


def _repeated(workspace: Workspace, name: str, present: Results, *, dry_run: bool) -> ApplySummary:
    """Return the summary of a plan that the last step has applied."""
    return ApplySummary(
        workspace=workspace.name,
        plan=name,
        clusters=tuple(map(row_of, present.table)),
        noise=int((present.clusters < 0).sum()),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
        repeated=True,
    )


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST_PLAN:
            raise PlanError(f"{file} has {file.stat().st_size:,} bytes; a plan has at most {_LARGEST_PLAN:,}")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PlanError(f"{file} is not a plan: it is not UTF-8; save it again on the page") from None


def _result(plan: Plan, before: Results, embeddings: Embeddings, earlier: Earlier, *, name: str) -> PlanResult:
    """Return the clustering after a plan."""
    seed, highest = int(before.metrics["options"]["seed"]), earlier.next_number - 1

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
    decided = {before.paths[row] for row in earlier.decided}
    return split_clusters(after, plan, before.paths, split, decided=decided, highest=highest, name=name)


def _describe(plan: Plan) -> str:
    """Return the numbers of changes of each kind, in words."""
    counts = ((len(getattr(plan, change.plan_field)), change.name) for change in PLAN_CHANGES)
    return ", ".join(counted(count, name) for count, name in counts if count)
