"""Taking a placing back, without losing anything: what was changed since, or is the last of its kind, stays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgcluster.pathtext import from_text
from imgcluster.placement.journal import Entry, Journal, PlaceMode, read_journal, write_journal
from imgcluster.placement.placing import free_name, move, names_in
from imgcluster.store.atomic import remove_drafts

__all__ = ["TakenBack", "take_back"]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What `take_back` did: files removed or moved back, and those left in place with the reason."""

    done: int
    left: tuple[tuple[str, str], ...]


def take_back(
    path: Path,
    *,
    dry_run: bool = False,
    aside: Path | None = None,
    step: Callable[[int], None] = lambda done: None,
) -> TakenBack:
    """Take the last placing back: moved files return, links and copies go, emptied folders go.

    A file stays, and is reported, where taking it back could lose something: it was changed since, its original is
    gone, or another file now lies where it came from. The journal keeps those entries, so that another try can be
    made; with `aside` they are moved into that folder instead, and the journal ends.

    Args:
        path: The journal.
        dry_run: Whether only to say what would be done.
        aside: Where to put links and copies that have to stay.
        step: Called with the number of files looked at.

    Raises:
        PlacementError: The journal is damaged.
    """
    journal = read_journal(path)
    if journal is None:
        return TakenBack(0, ())
    done = 0
    left: list[tuple[Entry, str]] = []
    for number, entry in enumerate(_as_they_are(journal.entries), start=1):
        try:
            reason = _take_one_back(entry, journal.mode, dry_run=dry_run)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason is None:
            done += 1
        elif reason:
            left.append((entry, reason))
        step(number)
    if not dry_run:
        if aside is not None:
            _set_aside([entry for entry, _ in left], aside)
        _remove_empty_folders(from_text(journal.folder), journal.entries)
        if left and aside is None:
            write_journal(Journal(journal.mode, journal.folder, tuple(entry for entry, _ in left)), path)
        else:
            path.unlink(missing_ok=True)
    return TakenBack(done, tuple((entry.target, reason) for entry, reason in left))


def _as_they_are(entries: Sequence[Entry]) -> list[Entry]:
    """Return one entry for each source: a relocating that was interrupted leaves two, and the file in either place."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.source not in found or not os.path.lexists(from_text(found[entry.source].target)):
            found[entry.source] = entry
    return list(found.values())


def _take_one_back(entry: Entry, mode: PlaceMode, *, dry_run: bool) -> str | None:
    """Take one file back and return None; "" where there is nothing to do, else why it stays."""
    source, target = from_text(entry.source), from_text(entry.target)
    if not os.path.lexists(target):
        # Of a link or copy nothing is lost; an original that is in neither place was renamed, or deleted.
        return "it is not there any more" if mode == "move" and not os.path.lexists(source) else ""
    if mode == "move":
        if os.path.lexists(source):
            # A kill in the middle of a move to another disk leaves the original beside a complete copy.
            if not _same_content(source, target):
                return f"another file lies where it came from: move {entry.source} away, then undo again"
            if not dry_run:
                target.unlink()
            return None
        if not dry_run:
            source.parent.mkdir(parents=True, exist_ok=True)
            move(target, source)
        return None
    if target.is_symlink():
        if os.path.realpath(target) != os.path.realpath(source):
            return "the link was changed"
    elif not source.exists():
        return "its original is gone, so this may be the last copy"
    elif not (os.path.samefile(source, target) or _same_content(source, target)):
        return "it was changed"
    if not dry_run:
        target.unlink()
    return None


def _set_aside(entries: Iterable[Entry], folder: Path) -> None:
    for entry in entries:
        target = from_text(entry.target)
        home = folder / target.parent.name
        home.mkdir(parents=True, exist_ok=True)
        move(target, home / free_name(target.name, dict.fromkeys(names_in(home), 1)))


def _same_content(first: Path, second: Path) -> bool:
    import filecmp

    # It remembers files by size and time of change, which an edit may leave as they were.
    filecmp.clear_cache()
    return filecmp.cmp(first, second, shallow=False)


def _remove_empty_folders(folder: Path, entries: Iterable[Entry]) -> None:
    # rmdir refuses folders that hold anything, which is what is wanted.
    homes = {from_text(entry.target).parent for entry in entries}
    for home in homes:
        remove_drafts(home)
    for home in [*sorted(homes), folder]:
        with contextlib.suppress(OSError):
            home.rmdir()
