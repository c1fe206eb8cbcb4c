"""Original files: those that were moved return all or none, and what to do where files are missing."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import Journal, PlaceMode, UndoResult, undo_placement
from imgcluster.placement.journal import WITHOUT_FILES, one_per_source
from imgcluster.placement.place import sources_to_move
from imgcluster.wording import counted

__all__ = [
    "FILES_GONE_REMEDY",
    "FileChanges",
    "file_changes",
    "folders_of",
    "return_originals",
    "returning_originals",
]


FILES_GONE_REMEDY: Final = (
    "run imgcluster embed again on their folder or, if it was renamed or moved, on the new one; where it was removed, "
    "start over with --fresh on the folders that exist"
)


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What restoring an earlier placement changes.

    Attributes:
        leaving: The number of placed files that are removed or moved.
        returning: The original paths to which originals return.
        moving: The number of originals that move into the workspace.
    """

    leaving: int = 0
    returning: tuple[str, ...] = ()
    moving: int = 0

    def __add__(self, other: FileChanges) -> FileChanges:
        return FileChanges(self.leaving + other.leaving, self.returning + other.returning, self.moving + other.moving)


def file_changes(current: Journal | None, target: Journal | None, path: Path) -> FileChanges:
    """Return what changes if the placement `current`, whose journal is at `path`, becomes `target`.

    Raises:
        PlacementError: The journal is not signed.
        WorkspaceError: An original cannot return.
    """
    mode: PlaceMode = "none" if target is None else target.mode
    after = {} if target is None else {entry.source: entry.target for entry in target.entries}
    entries = [] if current is None or current.mode in WITHOUT_FILES else one_per_source(current.entries)
    # A link at the same path as a copy is another file.
    staying = after if current is not None and current.mode == mode else {}
    moved = {entry.source for entry in entries if current is not None and current.mode == "move"}
    leaving = [entry for entry in entries if staying.get(entry.source) != entry.target]
    return FileChanges(
        sum(os.path.lexists(from_text(entry.target)) for entry in leaving),
        returning_originals(current, path, mode, after),
        0 if target is None else sum(source not in moved for source in sources_to_move(target.entries, mode)),
    )


def returning_originals(
    journal: Journal | None, path: Path, mode: PlaceMode, images: Container[str]
) -> tuple[str, ...]:
    """Return the original paths to which moved originals return if only `images` are placed, by `mode`.

    Args:
        journal: The present placement.
        path: Its file, in the workspace folder.
        mode: How files will be placed.
        images: The locations of the images that will be placed.

    Raises:
        PlacementError: The journal is not signed.
        WorkspaceError: An original cannot return.
    """
    if journal is None or journal.mode != "move":
        return ()
    if mode == "move":
        journal = replace(journal, entries=tuple(entry for entry in journal.entries if entry.source not in images))
    return return_originals(journal, path, dry_run=True).returned


def return_originals(journal: Journal, path: Path, *, dry_run: bool = False) -> UndoResult:
    """Move all originals of a placement, whose journal is at `path`, to their original paths, or none if one cannot.

    Raises:
        PlacementError: The journal is not signed.
        WorkspaceError: One cannot return.
    """
    for checking in (True,) if dry_run else (True, False):
        undone = undo_placement(journal, path, dry_run=checking)
        blocked = [(target, reason) for target, reason in undone.remaining if os.path.lexists(from_text(target))]
        if blocked:
            raise WorkspaceError(
                f"{counted(len(blocked), 'original')} cannot return from {from_text(journal.folder)}"
                f"{', so nothing was changed' if checking else ''}; the first is {blocked[0][0]}: {blocked[0][1]}"
            )
    return undone


def folders_of(files: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of files, which are absolute texts."""
    return tuple(sorted({file.rpartition("/")[0] or "/" for file in files}))
