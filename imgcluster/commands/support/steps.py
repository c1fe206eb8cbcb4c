"""Steps that change results, each of which is complete or undone; `undo` undoes them in reverse order."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from imgcluster.commands.support.change_placed import (
    place_results,
    preview_placement,
    restore_placement,
    with_companions,
)
from imgcluster.commands.support.last_clustering import folder_names
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.originals import FileChanges, file_changes, returning_originals
from imgcluster.commands.support.page import write_page
from imgcluster.commands.support.placed_files import read_placement, read_set_aside, record_set_aside
from imgcluster.commands.support.set_aside import restore_set_aside
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, write_json
from imgcluster.placement import Journal, PlacementResult, PlaceMode, relocate
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results, encoder_identity, read_tables
from imgcluster.workspace.shards import Embeddings, load, summarize_shards
from imgcluster.workspace.states import (
    State,
    begin_state,
    drop_state,
    interrupted_state,
    is_pending,
    last_state,
    restore_files,
    restore_shards,
    set_complete,
    shards_differ,
    states,
)

__all__ = [
    "changes_of_undo",
    "changing_results",
    "is_repeated",
    "place_otherwise",
    "recover",
    "relocate_placed",
    "rewrite_page",
    "undo_state",
    "undoable_state",
]


@contextmanager
def changing_results(
    workspace: Workspace, command: str, summary: str, metrics: dict[str, Any], *, operation: str = ""
) -> Iterator[None]:
    """Save the present state for `undo`, then change the results in the block.

    ``metrics.json`` is removed first, and written from `metrics` if the block ends without an error. In between the
    step counts as interrupted, and `recover` undoes it, or completes it if only that file is missing. A step that
    `is_repeated` is not recorded.

    Args:
        workspace: The workspace.
        command: The command of the step.
        summary: What it does, in words, for `history`.
        metrics: The content of ``metrics.json`` after the step.
        operation: Identifies a step that must not be repeated, or its result.
    """
    repeats = is_repeated(workspace, operation)
    record_set_aside(workspace)
    state = begin_state(workspace, command, summary, operation=operation)
    repeats = repeats and state is not None and not shards_differ(workspace, state)
    remove(workspace.metrics)
    for path in workspace.figure_files:
        remove(path)
    yield
    if state is not None and not repeats:
        set_complete(state, metrics)
    write_json(workspace.metrics, metrics)
    if state is not None and repeats:
        drop_state(workspace, state)


def is_repeated(workspace: Workspace, result: str) -> bool:
    """Return whether the last step had this result: it was killed at its end, or the present one changes nothing."""
    last = last_state(workspace)
    return workspace.read_metrics().get("result") == result and (last is None or last.operation == result)


def recover(
    workspace: Workspace,
    manifest: dict[str, Any],
    *,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> dict[str, Any]:
    """Undo a step that was interrupted while it changed results, if there is one; embeddings stay as they are.

    If only ``metrics.json`` is missing, because the step was interrupted at its end or the file was deleted, it is
    written again. A later `undo` does not complete one before this command any more.

    Args:
        workspace: The workspace, locked.
        manifest: Its manifest.
        dry_run: Whether nothing may be changed.
        on_progress: Called with each step.

    Returns:
        The manifest as it is now.

    Raises:
        WorkspaceError: There is one, and this is a dry run.
    """
    state = interrupted_state(workspace)
    if not dry_run:
        remove(workspace.undoing)
    if state is None:
        return manifest
    if dry_run:
        raise WorkspaceError(
            f"{_what(state)} was interrupted in {workspace.path}; without --dry-run this command first undoes or "
            f"completes it. To undo it now: {workspace.command('undo')}"
        )
    if state.metrics is not None:
        write_json(workspace.metrics, state.metrics)
        return manifest
    _restore(workspace, state, on_progress, embedded=False, trust=False)
    return workspace.manifest


def undoable_state(workspace: Workspace, *, dry_run: bool = False) -> State | None:
    """Return the state before the last step; None without one. States from which nothing was changed are removed."""
    for state in reversed(states(workspace)):
        if not is_pending(workspace, state) or shards_differ(workspace, state):
            return state
        if not dry_run:
            drop_state(workspace, state)
    return None


def changes_of_undo(workspace: Workspace, state: State, placed: Journal | None, *, trust: bool) -> FileChanges:
    """Return what `undo_state` changes about placed files and those set aside; `placed` is the present journal.

    Raises:
        PlacementError: A journal is damaged or not signed.
        WorkspaceError: An original cannot return.
    """
    saved, saved_aside = (state.folder / path.name for path in (workspace.journal, workspace.set_aside_journal))
    placed_before = read_placement(workspace, path=saved, trust=trust)
    aside, aside_before = (read_set_aside(workspace, path=path, trust=trust) for path in (None, saved_aside))
    changes = file_changes(placed, placed_before, workspace.journal)
    return changes + file_changes(aside, aside_before, workspace.set_aside_journal)


def undo_state(
    workspace: Workspace, state: State, *, trust: bool = False, on_progress: OnProgress = ignore_progress
) -> None:
    """Restore a saved state, and remove it; `trust` is as for `read_placement`."""
    _restore(workspace, state, on_progress, embedded=True, trust=trust)
    drop_state(workspace, state)


def relocate_placed(
    workspace: Workspace,
    results: Results,
    clusters: Sequence[int],
    names: Mapping[int, str],
    companions: Sequence[str],
    on_progress: OnProgress,
    *,
    without: Container[str] = (),
) -> int:
    """Move placed files to the folders of `clusters` (one per image of `results`), and return the number moved.

    The second file of an image, in `companions`, moves with it. Links and copies of the files `without` are removed.
    """
    journal = read_placement(workspace)
    if journal is None:
        return 0

    def step(done: int, total: int) -> None:
        on_progress(Progress("place", done, total))

    locations, clusters = with_companions(results.locations, clusters, companions, without=without)
    return relocate(
        journal,
        workspace.journal,
        locations,
        clusters,
        names,
        folder_name=folder_names(results.metrics),
        step=step,
    )


def place_otherwise(
    workspace: Workspace,
    results: Results,
    journal: Journal | None,
    mode: PlaceMode,
    on_progress: OnProgress,
    *,
    dry_run: bool = False,
) -> PlacementResult:
    """Place the files of an unchanged clustering by another mode than that of the present journal, as a step."""
    manifest = workspace.manifest
    embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
    returned = returning_originals(journal, workspace.journal, mode, embeddings.files)
    if dry_run:
        return dataclasses.replace(preview_placement(workspace, mode, embeddings.files), returned=returned)
    options = results.metrics["options"] | {"place": mode}
    results = dataclasses.replace(results, metrics=results.metrics | {"options": options})
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    with changing_results(workspace, "assign", f"--place {mode}", results.metrics):
        placed = place_results(workspace, journal, mode, results, embeddings.companions, on_progress)
        rewrite_page(workspace, results, on_progress, embeddings=embeddings)
    return dataclasses.replace(placed, returned=returned)


def rewrite_page(
    workspace: Workspace, results: Results, on_progress: OnProgress, *, embeddings: Embeddings | None = None
) -> None:
    """Write the page again after placed files or tables have changed; `embeddings` are as for `write_page`."""
    manifest = workspace.manifest
    if embeddings is None:
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    write_page(workspace, results, embeddings, manifest, read_placement(workspace), on_progress=on_progress)


def _restore(workspace: Workspace, state: State, on_progress: OnProgress, *, embedded: bool, trust: bool) -> None:
    """Restore the results of a state and, with `embedded`, its embeddings."""
    saved = state.folder / workspace.journal.name
    metrics = restore_files(workspace, state, embedded=embedded)
    restore_set_aside(workspace, state.folder / workspace.set_aside_journal.name, on_progress, trust=trust)
    # First the files: both journals are checked against the images that the shards hold before and after.
    placed = restore_placement(workspace, saved, on_progress, trust=trust)
    if embedded:
        restore_shards(workspace, state)
    page = state.folder / workspace.report.name
    if page.exists() and not placed.missing:
        with atomic_path(workspace.report) as copy:
            shutil.copyfile(page, copy)
    elif metrics.get("fingerprint") == _fingerprint(workspace):
        rewrite_page(workspace, read_tables(workspace, metrics), on_progress)
    write_json(workspace.metrics, metrics)


def _fingerprint(workspace: Workspace) -> str:
    return summarize_shards(workspace.embeddings, encoder_identity(workspace, workspace.manifest)).fingerprint


def _what(state: State) -> str:
    return "applying a plan" if state.command == "apply" else f"imgcluster {state.command}"
