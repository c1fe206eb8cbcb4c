"""Duplicates that are set aside: their originals move to the workspace's folder of duplicates, and back by `undo`.

They stay in the workspace and its tables, but are not placed in the folders of clusters.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.placed_files import current_files, read_placement, read_set_aside
from imgcluster.errors import PlanError
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table
from imgcluster.placement import (
    FolderName,
    Journal,
    PlacementResult,
    change_placement,
    plan_placement,
    undo_placement,
)
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plan_file import Plan
from imgcluster.workspace.results import Results
from imgcluster.workspace.shards import locations
from imgcluster.workspace.table_columns import DUPLICATES

__all__ = ["duplicates_of_plan", "restore_set_aside", "set_aside"]

_LOG = logging.getLogger(__name__)


def duplicates_of_plan(
    plan: Plan, workspace: Workspace, before: Results, clusters: npt.NDArray[np.int64], *, name: str
) -> dict[str, int]:
    """Return the clusters of the images that a plan sets aside, by their locations.

    Args:
        plan: The plan.
        workspace: The workspace.
        before: The clustering before the plan.
        clusters: The clusters after it, ``int64 (n,)``.
        name: The plan's name in messages.

    Raises:
        PlanError: The workspace is in object storage, their originals are in the folders of clusters, or no image of a
            group of duplicates would stay.
    """
    if plan.set_aside and workspace.url:
        raise PlanError(
            f"{name} sets images aside, whose originals would move to a folder of the workspace, and {workspace.url} "
            "has none; leave them out of the plan"
        )
    journal = read_placement(workspace)
    if plan.set_aside and journal is not None and journal.mode == "move":
        raise PlanError(
            f"{name} sets images aside, but the originals were moved to {workspace.clusters}; move them back with "
            f"{workspace.command('assign --place symlink')}, then repeat this command"
        )
    chosen, present = set(plan.set_aside), current_files(read_set_aside(workspace))
    _check_that_one_stays(
        workspace,
        chosen,
        {path for path, where in zip(before.paths, before.locations, strict=True) if where in present},
        name,
    )
    images = zip(before.paths, before.locations, clusters.tolist(), strict=True)
    return {location: cluster for path, location, cluster in images if path in chosen and location not in present}


def _check_that_one_stays(workspace: Workspace, chosen: Set[str], earlier: Set[str], name: str) -> None:
    for table in (workspace.duplicates_table, workspace.bursts_table):
        groups: dict[str, set[str]] = {}
        for row in read_table(table, DUPLICATES) if chosen and table.exists() else ():
            groups.setdefault(row["group"], set()).add(row["path"])
        for group in groups.values():
            if group & chosen and group <= chosen | earlier:
                raise PlanError(
                    f"{name} sets aside all {len(group)} images of a group in {table.name}; leave one of them, such as "
                    f"{min(group & chosen)}, out of the plan"
                )


def set_aside(
    workspace: Workspace,
    images: Mapping[str, int],
    names: Mapping[int, str],
    folder_name: FolderName,
    on_progress: OnProgress,
) -> None:
    """Move the originals of images to the folder of duplicates.

    Args:
        workspace: The workspace.
        images: The cluster of each image, by its location.
        names: The names of the named clusters.
        folder_name: Returns the name of a cluster's folder.
        on_progress: Called with each step.

    Raises:
        PlacementError: A file could not be moved.
    """
    current = read_set_aside(workspace)
    before = () if current is None else current.entries
    new = sorted(images.keys() - {entry.source for entry in before})
    plan = plan_placement(
        new, [images[location] for location in new], workspace.duplicates, "move", names, folder_name=folder_name
    )
    target = Journal("move", plan.folder, (*before, *plan.entries))
    placed = _change(workspace, current, target, on_progress)
    if placed.about_hard_links:
        _LOG.warning("%s", placed.about_hard_links)


def restore_set_aside(workspace: Workspace, saved: Path, on_progress: OnProgress, *, trust: bool) -> None:
    """Restore what was set aside by the journal at `saved`; without one, all originals return.

    `trust` is as for `read_placement`.

    Raises:
        PlacementError: A file could not be moved, or a journal is damaged.
    """
    embedded = frozenset(locations(workspace.embeddings))
    current = read_set_aside(workspace, embedded, trust=trust)
    target = read_set_aside(workspace, embedded, path=saved, trust=trust)
    if target is not None:
        _change(workspace, current, target, on_progress)
    elif current is not None:
        for path, reason in undo_placement(current, workspace.set_aside_journal).remaining:
            _LOG.warning("%s was not moved back: %s", path, reason)
    else:
        remove(workspace.set_aside_journal)


def _change(workspace: Workspace, current: Journal | None, target: Journal, on_progress: OnProgress) -> PlacementResult:
    return change_placement(
        current,
        target,
        workspace.set_aside_journal,
        step=lambda done, total: on_progress(Progress("place", done, total)),
    )
