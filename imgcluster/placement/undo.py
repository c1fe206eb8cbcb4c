"""Undoing a placement without losing anything: a file that was changed, or is the last copy of its content, stays."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import make_folder, remove_drafts
from imgcluster.fileio.path_text import from_text
from imgcluster.placement.journal import Entry, Journal, PlaceMode, write_journal
from imgcluster.placement.place import move
from imgcluster.placement.plan import free_name, names_in

__all__ = ["UndoResult", "undo_placement"]


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What `undo_placement` did: files removed or moved back, and those left in place with the reason."""

    done: int
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Stays:
    """Why a placed file stays; `movable` is false where a link at the original's path depends on where it lies."""

    reason: str
    movable: bool = True


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
    """Undo a placement: moved files return, links and copies are removed, then the folders that are empty.

    A file stays, and is reported, where removing it could lose something: it was changed, no independent copy of its
    content exists, or another file lies at the original's path. The journal keeps those entries, so that `undo` can
    be repeated; with `aside` they are moved into that folder instead, and the journal is removed.

    Args:
        journal: The journal, as `read_journal` returns it.
        path: The journal's file, in the workspace folder.
        dry_run: Only report what would be done.
        aside: A folder inside the workspace for links and copies that have to stay. A file that a link at the
            original's path leads to stays where it is even so.
        step: Called with the number of files processed.
    """
    done = 0
    left: list[tuple[Entry, _Stays]] = []
    for number, entry in enumerate(_one_per_source(journal.entries), start=1):
        try:
            outcome = _undo_one(entry, journal.mode, from_text(journal.folder), dry_run=dry_run)
        except OSError as error:
            outcome = _Stays(error.strerror or str(error))
        if isinstance(outcome, _Stays):
            left.append((entry, outcome))
        else:
            done += outcome == _UNDONE
        step(number)
    if not dry_run:
        if aside is not None:
            _set_aside([entry for entry, stays in left if stays.movable], aside, path.parent)
        _remove_empty_folders(from_text(journal.folder), journal.entries)
        if left and aside is None:
            write_journal(Journal(journal.mode, journal.folder, tuple(entry for entry, _ in left)), path)
        else:
            path.unlink(missing_ok=True)
    return UndoResult(done, tuple((entry.target, stays.reason) for entry, stays in left))


def _one_per_source(entries: Sequence[Entry]) -> list[Entry]:
    """Return one entry per source: an interrupted relocation leaves two, and the file is at one of both targets."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.source not in found or not os.path.lexists(from_text(found[entry.source].target)):
            found[entry.source] = entry
    return list(found.values())


def _undo_one(entry: Entry, mode: PlaceMode, folder: Path, *, dry_run: bool) -> str | _Stays:
    source, target = from_text(entry.source), from_text(entry.target)
    if not os.path.lexists(target):
        # A missing link or copy loses nothing; a moved original that is at neither path was renamed or deleted.
        lost = mode == "move" and not os.path.lexists(source)
        return _Stays("it is not there any more") if lost else _ABSENT
    if mode == "move" and not os.path.lexists(source):
        if not dry_run:
            source.parent.mkdir(parents=True, exist_ok=True)
            move(target, source)
        return _UNDONE
    stays = _why_moved_file_stays(source, target, folder) if mode == "move" else _why_copy_stays(source, target, folder)
    if stays is not None:
        return stays
    if not dry_run:
        target.unlink()
    return _UNDONE


def _why_moved_file_stays(source: Path, target: Path, folder: Path) -> _Stays | None:
    """Return why a moved file stays although its original path is taken; None where a complete copy lies there.

    A kill in the middle of a move to another disk leaves the original beside a complete copy.
    """
    if target.is_symlink():
        same_link = source.is_symlink() and os.path.realpath(source) == os.path.realpath(target)
    else:
        same_link = False
        if _is_same_file(source, target) and not _is_independent_copy(source, target, folder):
            return _Stays(f"a link to it lies where it came from: remove the link {source}, then undo again", False)
    if same_link or _is_independent_copy(source, target, folder):
        return None
    return _Stays(f"another file lies where it came from: move {source} away, then undo again")


def _why_copy_stays(source: Path, target: Path, folder: Path) -> _Stays | None:
    """Return why a placed link or copy stays; None where it can be removed without losing anything."""
    if target.is_symlink():
        return None if os.path.realpath(target) == os.path.realpath(source) else _Stays("the link was changed")
    if not source.exists():
        return _Stays("its original is gone, so this may be the last copy")
    if _is_independent_copy(source, target, folder):
        return None
    if _is_same_file(source, target) or _is_inside(source, folder):
        return _Stays(f"its original {source} is a link that leads here, so this may be the only copy", False)
    return _Stays("it was changed")


def _is_independent_copy(source: Path, target: Path, folder: Path) -> bool:
    """Say whether the content of `target` is safe in another regular file, outside `folder`, that `source` leads to.

    A hard link counts where it is another directory entry: removing one name leaves the content under the other.
    """
    real = Path(os.path.realpath(source))
    try:
        copy, original = os.lstat(real), os.lstat(target)
    except OSError:
        return False
    if not (stat.S_ISREG(copy.st_mode) and stat.S_ISREG(os.stat(target).st_mode)) or _is_inside(real, folder):
        return False
    if (copy.st_dev, copy.st_ino) == (original.st_dev, original.st_ino):
        # Also where two paths lead to one directory entry: through a linked folder, a bind mount, or another case.
        return copy.st_nlink > 1 and not _is_same_entry(real, target)
    return _same_content(real, target)


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
        move(target, folder / free_name(target.name, dict.fromkeys(names_in(folder), 1)))


def _same_content(first: Path, second: Path) -> bool:
    import filecmp

    # The module caches results by size and time, which an edit may leave unchanged.
    filecmp.clear_cache()
    return filecmp.cmp(first, second, shallow=False)


def _remove_empty_folders(folder: Path, entries: Iterable[Entry]) -> None:
    parents = {from_text(entry.target).parent for entry in entries}
    for parent in parents:
        remove_drafts(parent)
    for parent in [*sorted(parents), folder]:
        # rmdir refuses a folder that holds anything.
        with contextlib.suppress(OSError):
            parent.rmdir()
