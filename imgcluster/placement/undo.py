"""Undoing a placement: a placed file that was changed, or is the last copy of its content, is not removed."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import make_folder, remove_if_empty
from imgcluster.fileio.path_text import from_text
from imgcluster.placement.journal import (
    UNFINISHED,
    WITHOUT_FILES,
    Entry,
    Journal,
    check_signed,
    one_per_source,
    write_journal,
)
from imgcluster.placement.place import move
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.types import PlaceMode

__all__ = [
    "UndoResult",
    "is_linked_original",
    "is_outdated_copy",
    "remove_entries",
    "sources_to_restore",
    "undo_placement",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What was removed and moved back.

    Attributes:
        done: The number of files removed or moved back.
        remaining: The targets that remain, each with the reason.
        journal: Their journal; None if none remains.
        returned: The original paths of the files that were moved back.
    """

    done: int
    remaining: tuple[tuple[str, str], ...]
    journal: Journal | None = None
    returned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Remains:
    """Why a placed file remains; it is not `movable` if a link at the original's path points to it."""

    reason: str
    movable: bool = True


# In nanoseconds: FAT stores modification times in steps of two seconds.
_COARSEST_TIME: Final = 2_000_000_000
_UNDONE: Final = "undone"
_ABSENT: Final = "absent"


def undo_placement(
    journal: Journal,
    path: Path,
    *,
    dry_run: bool = False,
    aside: Path | None = None,
    step: Callable[[int], None] = lambda done: None,
) -> UndoResult:
    """Undo a placement: move files back, remove links and copies, then remove empty folders.

    A file remains if removing it could lose data: it was changed, no independent copy of its content exists, or
    another file exists at the original path. Its entry stays in the journal, so that undoing can be repeated; with
    `aside` it is moved to that folder instead, and the journal is removed.

    Args:
        journal: The journal, as `read_journal` returns it.
        path: The journal's file, in the workspace folder.
        dry_run: Only report what would be done.
        aside: A folder inside the workspace for files that remain, except those that a link at the original path
            points to.
        step: Called with the number of files processed.

    Raises:
        PlacementError: Files would move back because of a journal that is not signed.
    """
    check_signed(journal, path, sources_to_restore(journal.entries, journal.mode))
    remaining, done = _undo_all(journal.entries, journal.mode, from_text(journal.folder), dry_run=dry_run, step=step)
    left: Journal | None = journal
    if not dry_run:
        if aside is not None:
            _set_aside([entry for entry, why in remaining if why.movable], aside, path.parent)
        if journal.mode not in WITHOUT_FILES:
            _remove_empty_folders(from_text(journal.folder), journal.entries)
        if remaining and aside is None:
            left = replace(journal, entries=tuple(entry for entry, _ in remaining))
            write_journal(left, path)
        else:
            left = None
            path.unlink(missing_ok=True)
    reasons = tuple((entry.target, why.reason) for entry, why in remaining)
    return UndoResult(len(done), reasons, left, tuple(done) if journal.mode == "move" else ())


def remove_entries(
    entries: Sequence[Entry],
    mode: PlaceMode,
    folder: Path,
    *,
    aside: Path | None,
    workspace: Path,
    step: Callable[[], None] = lambda: None,
) -> tuple[Entry, ...]:
    """Undo a part of a placement as `undo_placement` does, and return the entries of files that stay in their folders.

    Args:
        entries: Entries of the journal.
        mode: How the files were placed.
        folder: The folder of the folders of all clusters.
        aside: A folder inside the workspace for files that cannot be removed, except those that a link at the original
            path points to; without it they stay.
        workspace: The workspace folder.
        step: Called after each file.
    """
    remaining, _ = _undo_all(entries, mode, folder, dry_run=False, step=lambda done: step())
    present = [(entry, why) for entry, why in remaining if os.path.lexists(from_text(entry.target))]
    if aside is not None:
        movable = [entry for entry, why in present if why.movable]
        _set_aside(movable, aside, workspace)
        for entry, why in present:
            if why.movable:
                _LOG.warning("%s was moved to %s: %s", entry.target, aside, why.reason)
        present = [(entry, why) for entry, why in present if not why.movable]
    for entry, why in present:
        _LOG.warning("%s was not removed: %s", entry.target, why.reason)
    return tuple(entry for entry, _ in present)


def sources_to_restore(entries: Iterable[Entry], mode: PlaceMode) -> Iterator[str]:
    """Yield the original paths to which undoing these entries moves files back."""
    for entry in one_per_source(entries) if mode == "move" else ():
        if os.path.lexists(from_text(entry.target)) and not os.path.lexists(from_text(entry.source)):
            yield entry.source


def _undo_all(
    entries: Iterable[Entry], mode: PlaceMode, folder: Path, *, dry_run: bool, step: Callable[[int], None]
) -> tuple[list[tuple[Entry, _Remains]], list[str]]:
    """Undo the placement of each file; return the entries that remain, and the sources of those undone."""
    done: list[str] = []
    remaining: list[tuple[Entry, _Remains]] = []
    if mode in WITHOUT_FILES:
        return remaining, done
    entries = one_per_source(entries)
    problems = _folder_problems(sources_to_restore(entries, mode))
    for number, entry in enumerate(entries, start=1):
        try:
            outcome = _undo_one(entry, mode, folder, problems, dry_run=dry_run)
        except OSError as error:
            outcome = _Remains(error.strerror or str(error))
        if isinstance(outcome, _Remains):
            remaining.append((entry, outcome))
        elif outcome == _UNDONE:
            done.append(entry.source)
        step(number)
    return remaining, done


def _undo_one(
    entry: Entry, mode: PlaceMode, folder: Path, problems: Mapping[Path, str], *, dry_run: bool
) -> str | _Remains:
    source, target = from_text(entry.source), from_text(entry.target)
    if not os.path.lexists(target):
        # A missing link or copy is harmless; a moved file that is at neither path was renamed or deleted.
        lost = mode == "move" and not os.path.lexists(source)
        return _Remains("the moved file is missing") if lost else _ABSENT
    if mode == "move" and not os.path.lexists(source):
        if problem := problems.get(source.parent):
            return _Remains(problem)
        if not dry_run:
            source.parent.mkdir(parents=True, exist_ok=True)
            move(target, source, record=folder.parent / UNFINISHED)
        return _UNDONE
    check = _check_moved_file if mode == "move" else _check_copy
    remains = check(source, target, folder)
    if remains is not None:
        return remains
    if not dry_run:
        target.unlink()
    return _UNDONE


def _folder_problems(sources: Iterable[str]) -> dict[Path, str]:
    """Return why files cannot be created in the folders of `sources`, by folder; without those where they can.

    A folder may be missing because its disk is not mounted. Then the folder at which it is mounted is empty, and files
    that were put there would be hidden as soon as it is.
    """
    folders = {from_text(source).parent for source in sources}
    present = {folder: _nearest_existing(folder) for folder in folders}
    missing = {at: folder for folder, at in sorted(present.items(), reverse=True) if at != folder and _is_empty(at)}
    problems = {folder: _folder_problem(at, missing.get(at)) for folder, at in present.items()}
    return {folder: problem for folder, problem in problems.items() if problem}


def _nearest_existing(folder: Path) -> Path:
    """Return a folder or its nearest parent that exists; the root of a drive may not."""
    return next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path(folder.anchor))


def _is_empty(folder: Path) -> bool:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is None
    return False


def _folder_problem(folder: Path, missing: Path | None) -> str:
    """Return why no file can be created in an existing folder, or in `missing` below it; "" if one can."""
    if missing is not None:
        return f"{folder} is empty: mount its disk, or create {missing} if it has none, then repeat the command"
    if not os.path.lexists(folder):
        return f"{folder} is missing: mount its disk, then repeat the command"
    if not folder.is_dir():
        return f"{folder} is not a folder: move it away, then repeat the command"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"files in {folder} cannot be created"


def _check_moved_file(source: Path, target: Path, folder: Path) -> _Remains | None:
    """Return why a moved file whose original path exists remains; None if it is there already.

    An interrupted move to another disk leaves both the original and a complete copy, which has its times.
    """
    if target.is_symlink():
        same_link = source.is_symlink() and os.path.realpath(source) == os.path.realpath(target)
    else:
        same_link = False
        if is_linked_original(source, target, folder):
            return _Remains(f"its original path {source} is a link to it: remove that, then repeat the command", False)
    if same_link or (_is_independent_copy(source, target, folder) and _has_same_time(source, target)):
        return None
    return _Remains(f"another file exists at its original path: move {source} away, then repeat the command")


def _check_copy(source: Path, target: Path, folder: Path) -> _Remains | None:
    """Return why a placed link or copy remains; None if removing it loses nothing."""
    if target.is_symlink():
        same_file = os.path.realpath(target) == os.path.realpath(source)
        return None if same_file else _Remains("the link was changed to another file")
    if not source.exists():
        return _Remains("the original no longer exists, so this may be the last copy")
    if _is_independent_copy(source, target, folder):
        return None
    if _is_same_file(source, target) or _is_inside(source, folder):
        return _Remains(f"the original {source} is now a link to it, so this may be the only copy", False)
    return _Remains("the file was changed")


def _is_independent_copy(source: Path, target: Path, folder: Path) -> bool:
    """Return whether `source` resolves to another regular file outside `folder` with the content of `target`.

    A hard link counts if it is another directory entry, because the content remains under that name.
    """
    real = Path(os.path.realpath(source))
    try:
        copy, original = os.lstat(real), os.lstat(target)
    except OSError:
        return False
    if not (stat.S_ISREG(copy.st_mode) and stat.S_ISREG(os.stat(target).st_mode)) or _is_inside(real, folder):
        return False
    if (copy.st_dev, copy.st_ino) == (original.st_dev, original.st_ino):
        # Two paths can be one directory entry: through a linked folder, a bind mount, or a different case.
        return copy.st_nlink > 1 and not _is_same_entry(real, target)
    return _same_content(real, target)


def is_linked_original(source: Path, target: Path, folder: Path) -> bool:
    """Return whether the original path `source` is a link to its placed file, which is then the only copy."""
    return (
        not target.is_symlink() and _is_same_file(source, target) and not _is_independent_copy(source, target, folder)
    )


def is_outdated_copy(source: Path, target: Path, folder: Path) -> bool:
    """Return whether a placed file is a copy of another content than that of its original, which exists."""
    real = Path(os.path.realpath(source))
    if target.is_symlink() or not real.is_file() or _is_same_file(real, target) or _is_inside(real, folder):
        return False
    return not _same_content(real, target)


def _is_same_file(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _is_same_entry(first: Path, second: Path) -> bool:
    same_folder = os.path.realpath(first.parent) == os.path.realpath(second.parent)
    return same_folder and first.name.casefold() == second.name.casefold()


def _is_inside(path: Path, folder: Path) -> bool:
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _set_aside(entries: Iterable[Entry], aside: Path, workspace: Path) -> None:
    for entry in entries:
        target = from_text(entry.target)
        folder = aside / target.parent.name
        make_folder(folder, within=workspace)
        move(target, folder / free_name(target.name, dict.fromkeys(existing_names(folder), 1)))


def _has_same_time(first: Path, second: Path) -> bool:
    return abs(first.stat().st_mtime_ns - second.stat().st_mtime_ns) < _COARSEST_TIME


def _same_content(first: Path, second: Path) -> bool:
    import filecmp

    # filecmp caches by size and mtime, which an edit may not change.
    filecmp.clear_cache()
    return filecmp.cmp(first, second, shallow=False)


def _remove_empty_folders(folder: Path, entries: Iterable[Entry]) -> None:
    parents = {from_text(entry.target).parent for entry in entries}
    for parent in [*sorted(parents), folder]:
        remove_if_empty(parent)
