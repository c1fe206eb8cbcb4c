"""Changing a placement: placed files move between folders, new ones are placed, and those of removed images leave.

While files move, the journal contains every path that a file may be at, so that it is complete at every moment.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgcluster.errors import PlacementError
from imgcluster.fileio.atomic import make_folder, remove_if_empty
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, check_signed, one_per_source, write_journal
from imgcluster.placement.place import PlacementResult, mode_of, place, place_entries, sources_to_move
from imgcluster.placement.plan import FolderName, existing_names, folder_name, free_name, name_key, plan_placement
from imgcluster.placement.undo import is_linked_original, is_outdated_copy, remove_entries, sources_to_restore
from imgcluster.wording import quoted_argument

__all__ = ["change_placement", "relocate"]

_LOG = logging.getLogger(__name__)

# A file whose target is still taken by another one waits here, in a folder of the workspace's "clusters".
_WAITING_FOLDER = ".moving"


def relocate(
    journal: Journal,
    path: Path,
    locations: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    *,
    folder_name: FolderName = folder_name,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Move placed files to the folders of their present clusters, and return the number of moved files.

    Missing files are removed from the journal. If a name is taken, the file gets a numbered one. After an
    interruption, calling it again completes the work.

    Args:
        journal: The journal, as `read_journal` returns it.
        path: The journal's file, in the workspace folder.
        locations: Absolute paths of the images, as texts.
        clusters: The cluster of each image; −1 is noise.
        names: The names of the named clusters.
        folder_name: Returns the name of a cluster's folder.
        step: Called with the number of files done and in total.

    Raises:
        PlacementError: A file could not be moved.
    """
    everywhere = journal.mode == "manifest"
    placed = {entry.source for entry in journal.entries if everywhere or os.path.lexists(from_text(entry.target))}
    present = [row for row, location in enumerate(locations) if location in placed]
    target = plan_placement(
        [locations[row] for row in present],
        [clusters[row] for row in present],
        from_text(journal.folder),
        journal.mode,
        names,
        folder_name=folder_name,
        current=journal,
    )
    return change_placement(journal, target, path, step=step).moved


def change_placement(
    current: Journal | None,
    target: Journal,
    path: Path,
    *,
    edited: Collection[str] = (),
    aside: Path | None = None,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> PlacementResult:
    """Change the placed files of one placement, if there is one, into those of another one of the same mode.

    Files of both are renamed, the others are removed or moved back as by `undo_placement`, or placed. After an
    interruption, calling it again with the journal as it is then, and the same target, completes the work.

    Args:
        current: The journal, as `read_journal` returns it; None if nothing is placed.
        target: The planned placement.
        path: The journal's file, in the workspace folder.
        edited: The originals whose content has changed: their copies are removed or set aside, and placed again.
        aside: A folder inside the workspace for files that cannot be removed.
        step: Called with the number of files done and in total.

    Raises:
        PlacementError: A file could not be moved or placed, or would be moved although its journal is not signed.
    """
    if current is None:
        return place(target, path, step=lambda done: step(done, len(target.entries)))
    if target.mode == "manifest":
        before = {entry.source: entry.target for entry in current.entries}
        moved = sum(before.get(entry.source, entry.target) != entry.target for entry in target.entries)
        return dataclasses.replace(place(target, path), moved=moved)
    folder = from_text(current.folder)
    changes = _compare(current, target, folder, edited)
    removed, moves, added = changes.removed, changes.moves, changes.added
    waiting = _waiting_paths(changes.placed, moves, folder)
    total, done = len(removed) + len(moves) + len(added), 0

    def count(number: int = 1) -> None:
        nonlocal done
        done += number
        step(done, total)

    check_signed(current, path, sources_to_restore(removed, current.mode))
    check_signed(target, path, sources_to_move(added, target.mode))
    signed = current.signed and target.signed
    remaining = remove_entries(removed, current.mode, folder, aside=aside, workspace=path.parent, step=count)
    placed = dict(changes.placed)

    # Before each of these only paths that are free are recorded: after an interruption each path is that of one file.
    def record(entries: Iterable[Entry]) -> None:
        present = (Entry(source, to_text(at)) for source, at in placed.items())
        write_journal(Journal(current.mode, current.folder, (*remaining, *present, *entries), signed), path)

    for paths in (waiting, moves):
        if paths:
            record(Entry(source, to_text(new)) for source, new in paths.items())
        for source, new in paths.items():
            _rename(placed[source], new, path)
            placed[source] = new
            if paths is moves:
                count()
    if added:
        record(added)
    counts, broken = _counts(target, placed)
    missing, unlinked = place_entries(added, target.mode, path, counts, step=count)
    absent = set(missing)
    present = tuple(changes.linked.get(entry.source, entry) for entry in target.entries if entry.source not in absent)
    journal = Journal(target.mode, target.folder, (*present, *remaining), signed)
    # Also where only original paths are new.
    write_journal(journal, path)
    for parent in {from_text(entry.target).parent for entry in current.entries} | {folder / _WAITING_FOLDER}:
        remove_if_empty(parent)
    return PlacementResult(counts, missing, journal, len(moves), unlinked, broken=broken)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What is different between two placements.

    Attributes:
        placed: The placed files of images of both, by original path.
        removed: The entries of the first that the second has not.
        moves: The path in the second of each file that is at another one, by original path.
        linked: The entries of files that stay where they are, because their original path is a link to them.
        added: The entries of the second that are not placed.
    """

    placed: dict[str, Path]
    removed: list[Entry]
    moves: dict[str, Path]
    linked: dict[str, Entry]
    added: list[Entry]


def _compare(current: Journal, target: Journal, folder: Path, edited: Collection[str]) -> _Changes:
    entries = one_per_source(current.entries)
    placed = {entry.source: from_text(entry.target) for entry in entries if os.path.lexists(from_text(entry.target))}
    planned = {entry.source: from_text(entry.target) for entry in target.entries}
    copied = [source for source in edited if source in placed]
    outdated = {source for source in copied if is_outdated_copy(from_text(source), placed[source], folder)}
    leaving = [entry for entry in entries if entry.source in outdated]
    placed = {source: at for source, at in placed.items() if source not in outdated}
    moves = {source: new for source, new in planned.items() if source in placed and placed[source] != new}
    linked = {source for source in moves if is_linked_original(from_text(source), placed[source], folder)}
    for source in linked:
        _LOG.warning("%s was not moved: its original path is a link to it", placed[source])
        del moves[source]
    return _Changes(
        placed={source: at for source, at in placed.items() if source in planned},
        removed=leaving + [entry for entry in entries if entry.source not in planned and entry.source in placed],
        moves=moves,
        linked={source: Entry(source, to_text(placed[source])) for source in linked},
        added=[entry for entry in target.entries if entry.source not in placed],
    )


def _waiting_paths(placed: Mapping[str, Path], moves: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Return a temporary path for each moving file that is at the target of another one."""
    targets = {_path_key(new): source for source, new in moves.items()}
    blocking = [source for source in moves if targets.get(_path_key(placed[source]), source) != source]
    folder = folder / _WAITING_FOLDER
    # After an interruption there are some.
    taken = dict.fromkeys(existing_names(folder), 1)
    return {source: folder / free_name(f"0{placed[source].suffix}", taken) for source in blocking}


def _path_key(path: Path) -> tuple[Path, str]:
    return path.parent, name_key(path.name)


def _counts(target: Journal, placed: Mapping[str, Path]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return how many files that are placed already were placed by each mode, and the sources of broken links."""
    counts: dict[str, int] = {}
    broken = []
    for entry in target.entries:
        if entry.source not in placed:
            continue
        if not os.path.exists(placed[entry.source]):
            broken.append(entry.source)
            continue
        used = mode_of(from_text(entry.source), from_text(entry.target), target.mode)
        counts[used] = counts.get(used, 0) + 1
    return counts, tuple(broken)


def _rename(before: Path, after: Path, journal: Path) -> None:
    try:
        make_folder(after.parent, within=journal.parent)
        if os.path.lexists(after):
            raise FileExistsError(errno.EEXIST, "a file with this name exists", os.fspath(after))
        # Relative links stay valid, because the folders of all clusters have the same parent.
        os.rename(before, after)
    except OSError as error:
        raise PlacementError(
            f"{before} could not be moved to {after}: {error.strerror or error}; "
            f"imgcluster undo -w {quoted_argument(str(journal.parent))} undoes the moves so far"
        ) from None
