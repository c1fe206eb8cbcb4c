"""The placed files of a workspace: reading their journal, and changing them along with the clustering."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.originals import return_originals
from imgcluster.commands.support.renamed_originals import other_files, with_renamed
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import make_folder
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, from_text
from imgcluster.placement import (
    FolderName,
    Journal,
    PlacementResult,
    PlaceMode,
    change_placement,
    folder_name,
    place,
    plan_placement,
    read_journal,
    undo_placement,
)
from imgcluster.placement.journal import one_per_source, write_journal
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import Embeddings, locations
from imgcluster.workspace.states import earlier_locations

__all__ = [
    "are_set_aside",
    "current_files",
    "moved_files",
    "preview_placement",
    "read_placement",
    "read_set_aside",
    "record_renamed",
    "restore_placement",
    "return_interrupted_move",
    "update_placement",
    "warn_about_other_files",
    "with_companions",
]

_LOG = logging.getLogger(__name__)


class _EmbeddedImages(Container[str]):
    """The locations of the workspace's images, also of those that were removed since the last saved state.

    Where a damaged shard was deleted, only the table of the clustering still has its images.
    """

    def __init__(self, workspace: Workspace, present: Container[str]) -> None:
        self._workspace = workspace
        self._present = present
        self._earlier: frozenset[str] | None = None

    def __contains__(self, location: object) -> bool:
        if location in self._present:
            return True
        if self._earlier is None:
            self._earlier = frozenset((*earlier_locations(self._workspace), *_table_locations(self._workspace)))
        return location in self._earlier


def _table_locations(workspace: Workspace) -> Iterator[str]:
    """Yield the absolute paths, as texts, of the files in ``assignments.csv``; none if it cannot be read."""
    with contextlib.suppress(WorkspaceError):
        base = str(workspace.read_metrics().get("base", ""))
        for row in read_table(workspace.assignments, ("path",)):
            yield from (absolute_path(base, path) for path in (row["path"], row.get("companion")) if path)


def read_placement(
    workspace: Workspace,
    embedded: Container[str] | None = None,
    *,
    path: Path | None = None,
    folder: Path | None = None,
    trust: bool = False,
) -> Journal | None:
    """Return the journal of the last placement; None if nothing is placed.

    Moved originals that the user renamed since have their present paths, except in a saved state.

    Args:
        workspace: The workspace.
        embedded: The locations of its images, if they have been read before.
        path: The journal's file, if it is that of a saved state.
        folder: The folder of its files, if it is not that of the clusters.
        trust: Whether the user says that the journal is theirs, although it may not be signed.

    Raises:
        PlacementError: The journal is damaged.
        WorkspaceError: A shard is damaged, so that the journal cannot be checked.
    """
    path = path or workspace.journal
    journal = _read(workspace, path, folder or workspace.clusters, embedded)
    if journal is None:
        return None
    if path.parent == workspace.path:
        journal = with_renamed(journal, workspace.embeddings)
    return dataclasses.replace(journal, signed=True) if trust else journal


def _read(workspace: Workspace, path: Path, folder: Path, embedded: Container[str] | None) -> Journal | None:
    """Return the journal at `path`, as it was written."""
    if not path.exists():
        return None
    present = locations(workspace.embeddings) if embedded is None else embedded
    return read_journal(path, _EmbeddedImages(workspace, present), workspace=workspace.path, folder=folder.name)


def record_renamed(workspace: Workspace) -> Journal | None:
    """Record where the user renamed moved originals to, and return the journal of the last placement.

    Raises:
        PlacementError: A journal is damaged.
        WorkspaceError: A shard is damaged.
    """
    _record_renamed(workspace, workspace.set_aside_journal, workspace.duplicates)
    return _record_renamed(workspace, workspace.journal, workspace.clusters)


def _record_renamed(workspace: Workspace, path: Path, folder: Path) -> Journal | None:
    before = _read(workspace, path, folder, None)
    if before is None:
        return None
    journal = with_renamed(before, workspace.embeddings)
    if journal != before:
        write_journal(journal, path)
        paths = {entry.target for entry in journal.entries} - {entry.target for entry in before.entries}
        _LOG.warning(
            "%s by hand in %s, such as %s, and recognized by content. To put an image into another cluster, move it on "
            "the page",
            counted(len(paths), "original was renamed or moved", "originals were renamed or moved"),
            folder,
            min(paths),
        )
    return journal


def read_set_aside(
    workspace: Workspace, embedded: Container[str] | None = None, *, path: Path | None = None, trust: bool = False
) -> Journal | None:
    """Return the journal of the images that are set aside, or that at `path`; None if there are none.

    Args:
        workspace: The workspace.
        embedded: The locations of its images, if they have been read before.
        path: The journal's file, if it is that of a saved state.
        trust: As for `read_placement`.

    Raises:
        PlacementError: The journal is damaged.
    """
    path = path or workspace.set_aside_journal
    return read_placement(workspace, embedded, path=path, folder=workspace.duplicates, trust=trust)


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


def current_files(*journals: Journal | None) -> dict[str, str]:
    """Return where the files are that were moved, by their original paths; both are absolute paths as texts."""
    moved = [journal for journal in journals if journal is not None and journal.mode == "move"]
    return {entry.source: entry.target for journal in moved for entry in one_per_source(journal.entries)}


def moved_files(workspace: Workspace, journal: Journal | None) -> dict[str, str]:
    """Return `current_files` of the placed files, whose journal is given, and of those that are set aside."""
    return current_files(journal, read_set_aside(workspace))


def are_set_aside(workspace: Workspace, embeddings: Embeddings) -> npt.NDArray[np.bool_]:
    """Return whether each image is set aside: ``bool (n,)``."""
    aside = current_files(read_set_aside(workspace, embeddings.files))
    return np.array([location in aside for location in embeddings.locations], dtype=bool)


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
    """
    embedded = frozenset(locations(workspace.embeddings))
    current = read_placement(workspace, embedded, trust=trust)
    target = read_placement(workspace, embedded, path=saved, trust=trust)
    if current is not None and (target is None or target.mode != current.mode):
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
    total = len(target.entries)
    if current is None:
        return place(target, workspace.journal, step=lambda done: on_progress(Progress(stage, done, total)))
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
