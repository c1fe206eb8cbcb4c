"""Moved originals that the user renamed in the folders of the clusters, and files that imgcluster did not put there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from imgcluster.commands.support.signatures import content_digests
from imgcluster.fileio.atomic import is_link
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, one_per_source
from imgcluster.progress import ignore_progress
from imgcluster.workspace.shard_file import read_files, read_pairs
from imgcluster.workspace.shards import all_shards

__all__ = ["other_files", "with_renamed"]

_OF_WINDOWS: Final = ("desktop.ini", "thumbs.db")


def with_renamed(journal: Journal, shards: Path) -> Journal:
    """Return a journal of moved originals with the paths of those that the user renamed in its folders since.

    They are recognized by their content, also in the folder of another cluster. The second file of a pair of a raw file
    and a JPEG has no digest, so it is recognized by its name beside the first one.

    Args:
        journal: The journal.
        shards: The folder of the shards, which have the digests of the originals.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    entries = one_per_source(journal.entries) if journal.mode == "move" else []
    absent = {entry.source: entry.target for entry in entries if not os.path.lexists(from_text(entry.target))}
    files = other_files(journal) if absent else []
    if not files:
        return journal
    renamed = _found_by_content(files, _digests(shards, absent))
    present = {entry.source: entry.target for entry in entries if entry.source not in absent} | renamed
    renamed |= _found_beside(present, absent, {to_text(file) for file in files}, shards)
    if not renamed:
        return journal
    moved = (Entry(entry.source, renamed.get(entry.source, entry.target)) for entry in entries)
    return dataclasses.replace(journal, entries=tuple(moved))


def _found_by_content(files: Sequence[Path], digests: Mapping[str, bytes]) -> dict[str, str]:
    """Return which of the files are originals with these digests, by original path."""
    found: dict[bytes, list[Path]] = {}
    for file, digest in zip(files, content_digests(files, ignore_progress), strict=True):
        found.setdefault(digest, []).append(file)
    renamed: dict[str, str] = {}
    for source, digest in sorted(digests.items()):
        # An original that the user moved back is at its original path.
        if found.get(digest) and content_digests([from_text(source)], ignore_progress) != [digest]:
            renamed[source] = to_text(found[digest].pop(0))
    return renamed


def _found_beside(
    present: Mapping[str, str], absent: Mapping[str, str], files: Iterable[str], shards: Path
) -> dict[str, str]:
    """Return which files are second files of pairs, by original path: those beside the first file.

    Such a file has the name that it had before, or the first file's present name with its own extension.

    Args:
        present: Where the present originals are, by original path.
        absent: Where those were that are not there any more.
        files: The files that are not among the placed ones.
        shards: The folder of the shards, which have the pairs.
    """
    free = set(files) - set(present.values())
    pairs = {second: first for shard in all_shards(shards) for first, second in read_pairs(shard).values()}
    renamed: dict[str, str] = {}
    for source in sorted(absent.keys() & pairs.keys()):
        first = present.get(pairs[source])
        if first is None or os.path.lexists(from_text(source)):
            continue
        folder, before = first.rpartition("/")[0], absent[source].rpartition("/")[2]
        for path in (f"{folder}/{before}", os.path.splitext(first)[0] + os.path.splitext(before)[1]):
            if path in free:
                free.discard(path)
                renamed[source] = path
                break
    return renamed


def _digests(shards: Path, sources: Iterable[str]) -> dict[str, bytes]:
    """Return the digests of those of the files that are embedded."""
    wanted = frozenset(sources)
    digests: dict[str, bytes] = {}
    for shard in all_shards(shards):
        digests |= {location: digest for location, digest, *_ in read_files(shard) if location in wanted}
    return digests


def other_files(journal: Journal) -> list[Path]:
    """Return the regular files in the folders of a placement that are not among its files, sorted.

    Hidden files, and those that Windows adds to folders, are left out.
    """
    placed = {entry.target for entry in journal.entries}
    folder = from_text(journal.folder)
    folders = (
        sorted(path for path in folder.iterdir() if path.is_dir() and not is_link(path)) if folder.is_dir() else ()
    )
    files = (path for inside in folders for path in sorted(inside.iterdir()) if not _is_of_system(path.name))
    return [path for path in files if to_text(path) not in placed and path.is_file() and not is_link(path)]


def _is_of_system(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _OF_WINDOWS
