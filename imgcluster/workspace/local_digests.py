"""Digests of the files of a local copy: a file is read again only if it may have changed since, as with git's index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import temporary_path, write_text
from imgcluster.fileio.digests import update_from_file
from imgcluster.fileio.schema import parse_json
from imgcluster.workspace.stored_files import StoredFile

__all__ = ["hash_files"]

# Some file systems number files with more than 64 bits.
_STATE: Final = {"size": int, "mtime_ns": int, "ctime_ns": int, "inode": object}
_FILE: Final = {"sha256": str, "size": int}


@dataclass(frozen=True, slots=True)
class _State:
    """What differs after a file was changed or replaced. Nobody can set `ctime_ns`, which Windows does not have."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> _State:
        facts = path.stat()
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


@dataclass(frozen=True, slots=True)
class _Hashed:
    """The content of a file, and its state before it was read."""

    file: StoredFile
    state: _State


def hash_files(folder: Path, paths: Collection[str], record: Path) -> dict[str, StoredFile]:
    """Return the content of files, by their paths in `folder`.

    The file `record`, on the same disk, remembers it for the next call.
    """
    if not paths:  # the folder may be gone
        return {}
    known = _read(record)
    now = _time(record.parent)
    hashed = {path: _hash(folder / path, known.get(path)) for path in paths}
    # The next change of a file that was changed just now may have the same time.
    certain = {path: each for path, each in hashed.items() if max(each.state.mtime_ns, each.state.ctime_ns) < now}
    if certain != known:
        write_text(record, json.dumps({path: asdict(each) for path, each in certain.items()}, ensure_ascii=False))
    return {path: each.file for path, each in hashed.items()}


def _hash(path: Path, known: _Hashed | None) -> _Hashed:
    # Before it is read: a change meanwhile then differs from it.
    state = _State.of(path)
    if known is not None and known.state == state:
        return known
    digest = hashlib.sha256()
    size = update_from_file(digest.update, path)
    return _Hashed(StoredFile(digest.hexdigest(), size), state)


def _time(folder: Path) -> int:
    """Return the time by the clock of the file system, which may have longer steps than that of the computer."""
    with temporary_path(folder) as file:
        file.touch()
        return file.stat().st_mtime_ns


def _read(record: Path) -> dict[str, _Hashed]:
    """Return what is remembered; nothing if the file is missing or damaged."""
    try:
        found = parse_json(record.read_text(encoding="utf-8"), {str: {"file": _FILE, "state": _STATE}})
    except (FileNotFoundError, ValueError):
        return {}
    return {
        path: _Hashed(
            StoredFile(**{name: each["file"][name] for name in _FILE}),
            _State(**{name: each["state"][name] for name in _STATE}),
        )
        for path, each in found.items()
    }
