"""Changing the placed files of a workspace along with its clustering."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from imgcluster.commands.support.last_clustering import folder_names, placed_names
from imgcluster.commands.support.originals import return_originals, returning_originals
from imgcluster.commands.support.placed_files import current_files, read_placement, read_set_aside
from imgcluster.commands.support.renamed_originals import other_files
from imgcluster.fileio.atomic import make_folder
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import (
    FolderName,
    Journal,
    PlacementResult,
    PlaceMode,
    change_placement,
    folder_name,
    plan_placement,
    undo_placement,
)
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results
from imgcluster.workspace.shards import locations
from imgcluster.workspace.table_columns import row_of

__all__ = [
    "place_results",
    "preview_placement",
    "restore_placement",
    "return_interrupted_move",
    "update_placement",
    "warn_about_other_files",
    "with_companions",
]

_LOG = logging.getLogger(__name__)


def return_interrupted_move(
    workspace: Workspace, journal: Journal | None, *, dry_run: bool = False
) -> tuple[Journal | None, str]:
    """Undo an interrupted ``--place move`` of a first clustering, after which the workspace has no clustering.

    On a dry run it is not undone, and the returned text says that it would be; in all other cases the text is empty.

    Args:
        workspace: The workspace, locked.
        journal: As `read_placement` returned it.
        dry_run: Whether nothing may be changed.

    Returns:
        The journal as it is now, and the text.

    Raises:
        WorkspaceError: Files cannot be moved back.
    """
    if journal is None or journal.mode != "move" or workspace.metrics.exists():
        return journal, ""
    undone = return_originals(journal, workspace.journal, dry_run=dry_run)
    if not dry_run or not undone.done:
        return undone.journal, ""
    return undone.journal, (
        f"{counted(undone.done, 'image was', 'images were')} moved to {workspace.clusters} by an "
        "interrupted command; without --dry-run this command first moves them back."
    )


def update_placement(
    workspace: Workspace,
    journal: Journal | None,
    mode: PlaceMode,
    locations: Sequence[str],
    clusters: Iterable[int],
    names: Mapping[int, str],
    *,
    folder_name: FolderName = folder_name,
    companions: Sequence[str] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
    edited: Collection[str] = (),
    on_progress: OnProgress = ignore_progress,
) -> PlacementResult:
    """Place the images of a clustering, and change or remove the files placed by `journal` before.

    The second file of an image, in `companions`, is placed beside it. Copies of originals that were `renamed`, from the
    first path to the second, are theirs under the new path; those of originals that were `edited` are placed again.

    Raises:
        PlacementError: A file could not be placed.
    """
    if journal is not None and journal.mode != mode:
        _remove_placement(workspace, journal)
        journal = None
    if mode == "none":
        return PlacementResult({}, ())
    names_changed: set[str] = set()
    if journal is not None:
        journal, names_changed = _with_renamed_copies(journal, renamed)
    aside = current_files(read_set_aside(workspace))
    files, numbers = with_companions(locations, list(clusters), companions, without=aside)
    target = plan_placement(
        files,
        numbers,
        workspace.clusters,
        mode,
        names,
        folder_name=folder_name,
        current=journal,
        renamed=names_changed,
    )
    return _change(workspace, journal, target, "place", on_progress, edited=edited)


def place_results(
    workspace: Workspace,
    journal: Journal | None,
    mode: PlaceMode,
    results: Results,
    companions: Sequence[str],
    on_progress: OnProgress,
) -> PlacementResult:
    """Place the images of the present clustering, which does not change, as `update_placement` does."""
    return update_placement(
        workspace,
        journal,
        mode,
        results.locations,
        results.clusters.tolist(),
        placed_names(results.metrics["options"], map(row_of, results.table)),
        folder_name=folder_names(results.metrics),
        companions=companions,
        on_progress=on_progress,
    )


def _with_renamed_copies(journal: Journal, renamed: Mapping[str, str]) -> tuple[Journal, set[str]]:
    """Return the journal with the new paths of originals that were copied, and those of them with another name.

    Links are placed again, because they lead to the earlier path.
    """
    copied = {
        entry.source: renamed[entry.source]
        for entry in (journal.entries if journal.mode in ("copy", "hardlink") else ())
        if entry.source in renamed and not os.path.islink(from_text(entry.target))
    }
    entries = [dataclasses.replace(entry, source=copied.get(entry.source, entry.source)) for entry in journal.entries]
    if len({entry.source for entry in entries}) < len(entries):
        # One that replaced another image has no entry of its own.
        return journal, set()
    names = {new for old, new in copied.items() if old.rpartition("/")[2] != new.rpartition("/")[2]}
    return dataclasses.replace(journal, entries=tuple(entries)), names


def preview_placement(workspace: Workspace, mode: PlaceMode, files: Iterable[str]) -> PlacementResult:
    """Return what `update_placement` would place of the images' files: all but those that are set aside."""
    aside = current_files(read_set_aside(workspace))
    return PlacementResult({} if mode == "none" else {mode: sum(file not in aside for file in files)}, ())


def with_companions(
    locations: Sequence[str], clusters: Sequence[int], companions: Sequence[str], *, without: Container[str] = ()
) -> tuple[list[str], list[int]]:
    """Return the files of the images, those in `companions` last, and the cluster of each; `without` are left out."""
    second = [(file, cluster) for file, cluster in zip(companions, clusters, strict=False) if file]
    files = [*zip(locations, clusters, strict=True), *second]
    files = [(file, cluster) for file, cluster in files if file not in without]
    return [file for file, _ in files], [cluster for _, cluster in files]


def restore_placement(workspace: Workspace, saved: Path, on_progress: OnProgress, *, trust: bool) -> PlacementResult:
    """Restore the placement of the journal at `saved`; without one no files are placed.

    `trust` is as for `read_placement`.

    Raises:
        PlacementError: A file could not be placed, or a journal is damaged.
        WorkspaceError: An original cannot return.
    """
    embedded = frozenset(locations(workspace.embeddings))
    current = read_placement(workspace, embedded, trust=trust)
    target = read_placement(workspace, embedded, path=saved, trust=trust)
    mode: PlaceMode = "none" if target is None else target.mode
    # `undo` has checked this before it changed anything; a command that undoes an interrupted step has not.
    returning_originals(current, workspace.journal, mode, {entry.source for entry in target.entries} if target else ())
    if current is not None and current.mode != mode:
        _remove_placement(workspace, current)
        current = None
    if target is None:
        return PlacementResult({}, ())
    placed = _change(workspace, current, target, "undo", on_progress)
    if placed.missing and target.mode == "move":
        _LOG.warning(
            "%s at neither path, and not restored, such as %s",
            counted(len(placed.missing), "original is", "originals are"),
            min(placed.missing),
        )
    return placed


def warn_about_other_files(journal: Journal) -> None:
    """Name the files that stay in the folders of moved originals, because imgcluster did not put them there."""
    others = other_files(dataclasses.replace(journal, entries=()))
    if others:
        _LOG.warning(
            "%s in %s, because imgcluster did not put %s there, such as %s",
            counted(len(others), "file stays", "files stay"),
            journal.folder,
            "it" if len(others) == 1 else "them",
            others[0],
        )


def _change(
    workspace: Workspace,
    current: Journal | None,
    target: Journal,
    stage: str,
    on_progress: OnProgress,
    *,
    edited: Collection[str] = (),
) -> PlacementResult:
    return change_placement(
        current,
        target,
        workspace.journal,
        edited=edited,
        aside=workspace.outdated / workspace.clusters.name,
        step=lambda done, total: on_progress(Progress(stage, done, total)),
    )


def _remove_placement(workspace: Workspace, journal: Journal) -> None:
    """Undo a placement.

    Links and copies whose removal could lose data move to ``outdated/clusters/``. The journal of moved originals that
    are missing moves to ``outdated/``, because it records their original paths.

    Raises:
        WorkspaceError: Originals cannot be moved back.
    """
    outdated = workspace.outdated
    if journal.mode == "move":
        undone = return_originals(journal, workspace.journal)
        if undone.remaining:
            make_folder(outdated, within=workspace.path)
            archived = outdated / free_name(workspace.journal.name, dict.fromkeys(existing_names(outdated), 1))
            os.replace(workspace.journal, archived)
            _LOG.warning(
                "moved images are missing from %s; %s lists their original paths", workspace.clusters, archived
            )
        warn_about_other_files(journal)
        return
    aside = outdated / workspace.clusters.name
    for target, reason in undo_placement(journal, workspace.journal, aside=aside).remaining:
        action = "was not removed" if os.path.lexists(from_text(target)) else f"was moved to {aside}"
        _LOG.warning("%s %s: %s", target, action, reason)
