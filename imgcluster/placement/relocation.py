"""Moving placed files between folders after clusters were renamed, merged or corrected.

While files move, the journal contains the old and the new target of each, so that it is complete at every moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from imgcluster.errors import PlacementError
from imgcluster.fileio.atomic import make_folder
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, one_per_source, write_journal
from imgcluster.placement.plan import FolderName, existing_names, folder_name, free_name

__all__ = ["relocate"]


def relocate(
    journal: Journal,
    path: Path,
    locations: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    *,
    folder_name: FolderName = folder_name,
    file_names: Mapping[str, str] = MappingProxyType({}),
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
        file_names: The name that each moving file gets, by location; its original name if it is not listed.
        step: Called with the number of files done and in total.

    Raises:
        PlacementError: A file could not be moved.
    """
    current = {entry.source: entry.target for entry in one_per_source(journal.entries)}
    folder = from_text(journal.folder)
    folders = {
        location: folder / folder_name(cluster, names.get(cluster, ""))
        for location, cluster in zip(locations, clusters, strict=True)
    }
    targets, moves = _plan_moves(current, folders, file_names)
    if moves:
        both = [Entry(source, target) for source, target in current.items()]
        both += [Entry(source, to_text(target)) for source, target in moves.items()]
        write_journal(Journal(journal.mode, journal.folder, tuple(both)), path)
    moved = 0
    for done, (source, target) in enumerate(moves.items(), start=1):
        before = from_text(current[source])
        try:
            if os.path.lexists(before):
                make_folder(target.parent, within=path.parent)
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, "a file with this name exists", os.fspath(target))
                # Relative links stay valid, because the folders of all clusters have the same parent.
                os.rename(before, target)
                moved += 1
            else:
                del targets[source]
        except OSError as error:
            raise PlacementError(
                f"{before} could not be moved to {target}: {error.strerror or error}; "
                f"imgcluster undo -w {shlex.quote(str(path.parent))} undoes the moves so far"
            ) from None
        step(done, len(moves))
    entries = tuple(Entry(source, target) for source, target in targets.items())
    write_journal(Journal(journal.mode, journal.folder, entries), path)
    for parent in sorted({from_text(entry.target).parent for entry in journal.entries}):
        # rmdir fails for folders that are not empty.
        with contextlib.suppress(OSError):
            parent.rmdir()
    return moved


def _plan_moves(
    current: Mapping[str, str], folders: Mapping[str, Path], file_names: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Path]]:
    """Return the new target of every source, and the targets of those that have to move.

    Files of one folder keep the order of their numbers, so that renaming a cluster renames no file.
    """
    targets = dict(current)
    taken: dict[Path, dict[str, int]] = {}
    moves: dict[str, Path] = {}
    for source, target in sorted(current.items(), key=_number_order):
        folder = folders.get(source)
        if folder is None or from_text(target).parent == folder:
            continue
        if folder not in taken:
            taken[folder] = dict.fromkeys(existing_names(folder), 1)
        # By default the original name: a number that was necessary in the old folder may not be in the new one.
        moves[source] = folder / free_name(file_names.get(source, from_text(source).name), taken[folder])
        targets[source] = to_text(moves[source])
    return targets, moves


def _number_order(item: tuple[str, str]) -> tuple[bool, int, str]:
    """Return a sort key of a (source, target) pair: files with their original name, then by number."""
    source, target = item
    name = from_text(target).name
    return name != from_text(source).name, len(name), name
