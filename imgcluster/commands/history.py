"""What a workspace was before each plan, so that plans can be taken back, one after the other.

``applied/001/`` holds the tables and records of before the first plan, ``002/`` those of before the second. While a
plan is carried out, or taken back, the workspace has no ``metrics.json``: that is how an interruption is noticed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgcluster.commands.page import write_page
from imgcluster.commands.retire import read_placement
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, sync_folder, write_json
from imgcluster.placement import relocate
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace, read_json
from imgcluster.workspace.results import Results, encoder_identity, read_tables
from imgcluster.workspace.shards import Embeddings, load

__all__ = ["keep_state", "last_plan", "recover", "relocate_placed", "rewrite_page", "take_plan_back"]


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


def recover(space: Workspace, *, dry_run: bool = False, on_progress: OnProgress = ignore_progress) -> None:
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
    take_plan_back(space, state, on_progress=on_progress)


def take_plan_back(space: Workspace, state: Path, *, on_progress: OnProgress = ignore_progress) -> int:
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
    moved = relocate_placed(space, results, results.clusters.tolist(), results.names, "undo", on_progress)
    rewrite_page(space, results, on_progress)
    write_json(space.metrics, metrics)
    shutil.rmtree(state)
    if not metrics.get("plans"):
        shutil.rmtree(space.applied, ignore_errors=True)
    return moved


def relocate_placed(
    space: Workspace,
    results: Results,
    clusters: Sequence[int],
    names: Mapping[int, str],
    stage: str,
    on_progress: OnProgress,
) -> int:
    """Move placed files to the folders of `clusters`, one number per image of `results`; return how many moved."""
    journal = read_placement(space)
    if journal is None:
        return 0

    def step(done: int, total: int) -> None:
        on_progress(Progress(stage, done, total))

    return relocate(journal, space.journal, results.locations, clusters, names, step=step)


def rewrite_page(
    space: Workspace, results: Results, on_progress: OnProgress, *, embeddings: Embeddings | None = None
) -> None:
    """Write the page of `results` after placed files or tables have changed."""
    if embeddings is None:
        embeddings = load(space.embeddings, encoder_identity(space))
    write_page(space, results, embeddings, space.manifest, read_placement(space), on_progress=on_progress)


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
