"""Moved originals that the user renamed in the folders of the clusters, and files that imgcluster did not put there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from imgcluster.commands.support.signatures import content_digests
from imgcluster.fileio.atomic import is_link
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, one_per_source
from imgcluster.progress import ignore_progress
from imgcluster.workspace.shard_file import read_files
from imgcluster.workspace.shards import all_shards

__all__ = ["other_files", "with_renamed"]

_OF_WINDOWS: Final = ("desktop.ini", "thumbs.db")


def with_renamed(journal: Journal, shards: Path) -> Journal:
    """Return a journal of moved originals with the paths of those that the user renamed in its folders since.

    They are recognized by their content, also in the folder of another cluster. The second file of a pair of a raw file
    and a JPEG has no digest, so it is not recognized.

    Args:
        journal: The journal.
        shards: The folder of the shards, which have the digests of the originals.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    entries = one_per_source(journal.entries) if journal.mode == "move" else []
    absent = {entry.source: entry for entry in entries if not os.path.lexists(from_text(entry.target))}
    files = other_files(journal) if absent else []
    if not files:
        return journal
    found: dict[bytes, list[Path]] = {}
    for file, digest in zip(files, content_digests(files, ignore_progress), strict=True):
        found.setdefault(digest, []).append(file)
    renamed: dict[str, Entry] = {}
    for source, digest in sorted(_digests(shards, absent).items()):
        # An original that the user moved back is at its original path.
        if found.get(digest) and content_digests([from_text(source)], ignore_progress) != [digest]:
            renamed[source] = Entry(source, to_text(found[digest].pop(0)))
    if not renamed:
        return journal
    return dataclasses.replace(journal, entries=tuple(renamed.get(entry.source, entry) for entry in entries))


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
