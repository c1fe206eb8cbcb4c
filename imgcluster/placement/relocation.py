"""Relocating: what was placed goes from folder to folder as clusters are renamed, merged and corrected.

The journal knows every file at every moment: while files move it holds both the old place and the new one of each,
and `take_back` looks at both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imgcluster.errors import PlacementError
from imgcluster.fileio.atomic import make_folder
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, write_journal
from imgcluster.placement.plan import folder_name, free_name, names_in

__all__ = ["relocate"]


def relocate(
    journal: Journal,
    path: Path,
    locations: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    *,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Move what was placed to where the clusters `locations` are in now belong, and return how many files moved.

    A file that has been taken away since is left out of the journal; nothing is overwritten: where a name is taken,
    the file gets a numbered one. Run again after an interruption, it goes on.

    Args:
        journal: The journal, as `read_journal` returns it.
        path: The journal's file, in the workspace folder.
        locations: Absolute paths of the images, as texts.
        clusters: As many cluster numbers; −1 is noise.
        names: The names of those clusters that have one.
        step: Called with the number of files done and of all.

    Raises:
        PlacementError: A file could not be moved.
    """
    places: dict[str, str] = {}
    for entry in journal.entries:
        # After an interruption a file may be in either place; it is in one.
        if entry.source not in places or not os.path.lexists(from_text(places[entry.source])):
            places[entry.source] = entry.target
    folder = from_text(journal.folder)
    homes = {
        location: folder / folder_name(cluster, names.get(cluster, ""))
        for location, cluster in zip(locations, clusters, strict=True)
    }
    after, moves = _decide(places, homes)
    if moves:
        both = [Entry(source, target) for source, target in places.items()]
        both += [Entry(source, to_text(target)) for source, target in moves.items()]
        write_journal(Journal(journal.mode, journal.folder, tuple(both)), path)
    moved = 0
    for done, (source, target) in enumerate(moves.items(), start=1):
        before = from_text(places[source])
        try:
            if os.path.lexists(before):
                make_folder(target.parent, within=path.parent)
                _rename(before, target)
                moved += 1
            else:
                del after[source]
        except OSError as error:
            raise PlacementError(
                f"{before} could not be moved to {target}: {error.strerror or error}; "
                f"imgcluster undo -w {shlex.quote(str(path.parent))} takes back what was moved so far"
            ) from None
        step(done, len(moves))
    entries = tuple(Entry(source, target) for source, target in after.items())
    write_journal(Journal(journal.mode, journal.folder, entries), path)
    for home in sorted({from_text(entry.target).parent for entry in journal.entries}):
        # It refuses folders that hold anything, which is what is wanted.
        with contextlib.suppress(OSError):
            home.rmdir()
    return moved


def _rename(before: Path, after: Path) -> None:
    """Rename in one step: the file is in one of its places at every moment. Relative links lead on, because all
    folders of clusters lie side by side."""
    if os.path.lexists(after):
        raise FileExistsError(errno.EEXIST, "a file of this name is there already", os.fspath(after))
    os.rename(before, after)


def _decide(places: Mapping[str, str], homes: Mapping[str, Path]) -> tuple[dict[str, str], dict[str, Path]]:
    """Return where every file will be, and those that move with their targets."""
    after = dict(places)
    taken: dict[Path, dict[str, int]] = {}
    moves: dict[str, Path] = {}
    for source, place in places.items():
        home = homes.get(source)
        if home is None or from_text(place).parent == home:
            continue
        if home not in taken:
            taken[home] = dict.fromkeys(names_in(home), 1)
        # Under its own name, which a numbered one may be free to take again.
        moves[source] = home / free_name(from_text(source).name, taken[home])
        after[source] = to_text(moves[source])
    return after, moves
