"""What a workspace was before each plan, so that plans can be taken back, one after the other.

``applied/001/`` holds the tables and records of before the first plan, ``002/`` those of before the second. While a
plan is carried out, or taken back, the workspace has no ``metrics.json``: that is how an interruption is noticed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from imgcluster.commands.page import write_page
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, sync_folder, write_json
from imgcluster.placement import relocate
from imgcluster.progress import Progress, Report, silent
from imgcluster.workspace.folder import Workspace, read_json
from imgcluster.workspace.results import read_placement, read_tables

__all__ = ["keep_state", "last_plan", "recover", "take_plan_back"]


def keep_state(space: Workspace) -> int:
    """Keep what a plan is about to change, and return how many plans that makes."""
    number = int(space.read_metrics().get("plans", 0)) + 1
    # A state that was kept for a plan of which nothing came.
    shutil.rmtree(space.applied / f"{number:03d}", ignore_errors=True)
    draft = space.applied / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for path in _changed_by_plans(space):
        if path.exists():
            with atomic_path(draft / path.name) as copy:
                shutil.copyfile(path, copy)
    os.rename(draft, space.applied / f"{number:03d}")
    sync_folder(space.applied)
    return number


def last_plan(space: Workspace) -> Path | None:
    """Return the state of before the last plan; None where no plan was carried out since the clustering."""
    kept = _kept(space)
    if space.metrics.exists():
        # One more may be there, kept for a plan that was interrupted before it changed anything.
        kept = kept[: int(space.read_metrics().get("plans", 0))]
    return kept[-1] if kept else None


def recover(space: Workspace, *, dry_run: bool = False, report: Report = silent) -> None:
    """Take back a plan that was interrupted half-way, so that it can be carried out again.

    Raises:
        WorkspaceError: There is one, and this is a dry run, which leaves it as it is.
    """
    state = last_plan(space)
    if state is None or space.metrics.exists():
        return
    if dry_run:
        raise WorkspaceError(
            f"a plan was interrupted half-way in {space.path}: without --dry-run this command first takes it back. To "
            f"see what comes then: {space.command('undo')}"
        )
    take_plan_back(space, state, report=report)


def take_plan_back(space: Workspace, state: Path, *, report: Report = silent) -> int:
    """Bring the workspace back to a state that was kept, and return how many placed files moved."""
    metrics: dict[str, Any] = read_json(state / space.metrics.name, "start over with: imgcluster cluster")
    remove(space.metrics)
    for path in space.drawn:
        remove(path)
    for path in _changed_by_plans(space):
        if path != space.metrics:
            remove(path)
            if (state / path.name).exists():
                with atomic_path(path) as copy:
                    shutil.copyfile(state / path.name, copy)
    results = read_tables(space, metrics)
    journal = read_placement(space)
    moved = (
        0
        if journal is None
        else relocate(
            journal,
            space.journal,
            results.locations,
            results.clusters.tolist(),
            results.names,
            step=lambda done, total: report(Progress("undo", done, total)),
        )
    )
    write_page(space, metrics, report=report)
    write_json(space.metrics, metrics)
    shutil.rmtree(state)
    if not metrics.get("plans"):
        shutil.rmtree(space.applied, ignore_errors=True)
    return moved


def _kept(space: Workspace) -> list[Path]:
    if not space.applied.is_dir():
        return []
    return sorted(path for path in space.applied.iterdir() if path.name.isdigit())


def _changed_by_plans(space: Workspace) -> tuple[Path, ...]:
    return (
        space.metrics,
        space.assignments,
        space.clusters_table,
        space.names,
        space.confusion_table,
        space.confusion_picture,
    )
