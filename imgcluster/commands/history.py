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

from imgcluster.commands.page import with_normalized_lengths, write_page
from imgcluster.commands.retire import read_placement
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


def save_state(space: Workspace) -> int:
    """Save the files that a plan changes, and return the number of plans including the next one."""
    number = int(space.read_metrics().get("plans", 0)) + 1
    # Saved for a plan that was interrupted before it changed anything.
    shutil.rmtree(space.applied / f"{number:03d}", ignore_errors=True)
    temporary = space.applied / ".draft"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for path in (*_changed_by_plans(space), space.journal):
        if path.exists():
            with atomic_path(temporary / path.name) as copy:
                shutil.copyfile(path, copy)
    os.rename(temporary, space.applied / f"{number:03d}")
    sync_folder(space.applied)
    return number


def last_state(space: Workspace) -> Path | None:
    """Return the folder of the state before the last plan; None if no plan was applied to this clustering."""
    states = _saved_states(space)
    if space.metrics.exists():
        # Ignore a state that was saved for a plan that was interrupted before it changed anything.
        states = states[: int(space.read_metrics().get("plans", 0))]
    return states[-1] if states else None


def undo_interrupted_plan(
    space: Workspace, *, dry_run: bool = False, on_progress: OnProgress = ignore_progress
) -> None:
    """Undo a plan whose application was interrupted, if there is one.

    Raises:
        WorkspaceError: There is one, and this is a dry run.
    """
    state = last_state(space)
    if state is None or space.metrics.exists():
        return
    if dry_run:
        raise WorkspaceError(
            f"applying a plan was interrupted in {space.path}; without --dry-run this command first undoes it. To undo "
            f"it now: {space.command('undo')}"
        )
    undo_plan(space, state, on_progress=on_progress)


def undo_plan(space: Workspace, state: Path, *, on_progress: OnProgress = ignore_progress) -> int:
    """Restore a saved state, remove it, and return the number of placed files that moved."""
    metrics: dict[str, Any] = read_json(state / space.metrics.name, "run imgcluster cluster again")
    remove(space.metrics)
    for path in space.figure_files:
        remove(path)
    for path in _changed_by_plans(space):
        if path != space.metrics:
            remove(path)
            if (state / path.name).exists():
                with atomic_path(path) as copy:
                    shutil.copyfile(state / path.name, copy)
    results = read_tables(space, metrics)
    moved = relocate_placed(
        space,
        results,
        results.clusters.tolist(),
        results.names,
        "undo",
        on_progress,
        file_names=_file_names(state / space.journal.name, results.locations),
    )
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
    *,
    file_names: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Move placed files to the folders of `clusters` (one per image of `results`), and return the number moved."""
    journal = read_placement(space)
    if journal is None:
        return 0

    def step(done: int, total: int) -> None:
        on_progress(Progress(stage, done, total))

    return relocate(journal, space.journal, results.locations, clusters, names, file_names=file_names, step=step)


def _file_names(journal: Path, locations: Sequence[str]) -> dict[str, str]:
    """Return the names that placed files had, by location, from the journal of a saved state."""
    saved = read_journal(journal, frozenset(locations)) if journal.exists() else None
    return {} if saved is None else {entry.source: from_text(entry.target).name for entry in saved.entries}


def rewrite_page(
    space: Workspace, results: Results, on_progress: OnProgress, *, embeddings: Embeddings | None = None
) -> None:
    """Write the page again after placed files or tables have changed; `embeddings` are as for `write_page`."""
    manifest = space.manifest
    if embeddings is None:
        embeddings = load(space.embeddings, encoder_identity(space, manifest))
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    write_page(space, results, embeddings, manifest, read_placement(space), on_progress=on_progress)


def _saved_states(space: Workspace) -> list[Path]:
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
