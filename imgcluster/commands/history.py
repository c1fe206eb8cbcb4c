"""Saved states of a workspace, so that applied plans can be undone in reverse order.

``applied/001/`` contains the tables and ``metrics.json`` before the first plan, ``002/`` those before the second.
While a plan is applied or undone the workspace has no ``metrics.json``, which reveals an interruption.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imgcluster.commands.last_clustering import folder_names
from imgcluster.commands.page import with_normalized_lengths, write_page
from imgcluster.commands.replace_results import read_placement
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, sync_folder, write_json
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import read_journal, relocate
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace, read_json
from imgcluster.workspace.results import Results, encoder_identity, read_tables
from imgcluster.workspace.shards import Embeddings, load

__all__ = [
    "last_state",
    "relocate_placed",
    "rewrite_page",
    "save_state",
    "undo_interrupted_plan",
    "undo_plan",
]


def save_state(workspace: Workspace) -> int:
    """Save the files that a plan changes, and return the number of plans including the next one."""
    number = int(workspace.read_metrics().get("plans", 0)) + 1
    # Saved for a plan that was interrupted before it changed anything.
    shutil.rmtree(workspace.applied / f"{number:03d}", ignore_errors=True)
    temporary = workspace.applied / ".draft"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for path in (*_changed_by_plans(workspace), workspace.journal):
        if path.exists():
            with atomic_path(temporary / path.name) as copy:
                shutil.copyfile(path, copy)
    os.rename(temporary, workspace.applied / f"{number:03d}")
    sync_folder(workspace.applied)
    return number


def last_state(workspace: Workspace) -> Path | None:
    """Return the folder of the state before the last plan; None if no plan was applied to this clustering."""
    states = _saved_states(workspace)
    if workspace.metrics.exists():
        # Ignore a state that was saved for a plan that was interrupted before it changed anything.
        states = states[: int(workspace.read_metrics().get("plans", 0))]
    return states[-1] if states else None


def undo_interrupted_plan(
    workspace: Workspace, *, dry_run: bool = False, on_progress: OnProgress = ignore_progress
) -> None:
    """Undo a plan whose application was interrupted, if there is one.

    Raises:
        WorkspaceError: There is one, and this is a dry run.
    """
    state = last_state(workspace)
    if state is None or workspace.metrics.exists():
        return
    if dry_run:
        raise WorkspaceError(
            f"applying a plan was interrupted in {workspace.path}; without --dry-run this command first undoes it. To "
            f"undo it now: {workspace.command('undo')}"
        )
    undo_plan(workspace, state, on_progress=on_progress)


def undo_plan(workspace: Workspace, state: Path, *, on_progress: OnProgress = ignore_progress) -> int:
    """Restore a saved state, remove it, and return the number of placed files that moved."""
    metrics: dict[str, Any] = read_json(state / workspace.metrics.name, "run imgcluster cluster again")
    remove(workspace.metrics)
    for path in workspace.figure_files:
        remove(path)
    for path in _changed_by_plans(workspace):
        if path != workspace.metrics:
            remove(path)
            if (state / path.name).exists():
                with atomic_path(path) as copy:
                    shutil.copyfile(state / path.name, copy)
    results = read_tables(workspace, metrics)
    moved = relocate_placed(
        workspace,
        results,
        results.clusters.tolist(),
        results.names,
        "undo",
        on_progress,
        file_names=_file_names(state / workspace.journal.name, results.locations),
    )
    rewrite_page(workspace, results, on_progress)
    write_json(workspace.metrics, metrics)
    shutil.rmtree(state)
    if not metrics.get("plans"):
        shutil.rmtree(workspace.applied, ignore_errors=True)
    return moved


def relocate_placed(
    workspace: Workspace,
    results: Results,
    clusters: Sequence[int],
    names: Mapping[int, str],
    stage: str,
    on_progress: OnProgress,
    *,
    file_names: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Move placed files to the folders of `clusters` (one per image of `results`), and return the number moved."""
    journal = read_placement(workspace)
    if journal is None:
        return 0

    def step(done: int, total: int) -> None:
        on_progress(Progress(stage, done, total))

    return relocate(
        journal,
        workspace.journal,
        results.locations,
        clusters,
        names,
        folder_name=folder_names(results.metrics),
        file_names=file_names,
        step=step,
    )


def _file_names(journal: Path, locations: Sequence[str]) -> dict[str, str]:
    """Return the names that placed files had, by location, from the journal of a saved state."""
    saved = read_journal(journal, frozenset(locations)) if journal.exists() else None
    return {} if saved is None else {entry.source: from_text(entry.target).name for entry in saved.entries}


def rewrite_page(
    workspace: Workspace, results: Results, on_progress: OnProgress, *, embeddings: Embeddings | None = None
) -> None:
    """Write the page again after placed files or tables have changed; `embeddings` are as for `write_page`."""
    manifest = workspace.manifest
    if embeddings is None:
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    write_page(workspace, results, embeddings, manifest, read_placement(workspace), on_progress=on_progress)


def _saved_states(workspace: Workspace) -> list[Path]:
    if not workspace.applied.is_dir():
        return []
    return sorted(path for path in workspace.applied.iterdir() if path.name.isdigit())


def _changed_by_plans(workspace: Workspace) -> tuple[Path, ...]:
    return (
        workspace.metrics,
        workspace.assignments,
        workspace.clusters_table,
        workspace.names,
        workspace.confusion_table,
        workspace.confusion_picture,
    )
