"""Writing so that a reader, or a kill at any moment, sees the old file or the new one and never half of one."""

from __future__ import annotations

import errno
import itertools
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = [
    "atomic_path",
    "is_draft",
    "is_link",
    "make_folder",
    "remove",
    "remove_drafts",
    "sync_folder",
    "write_json",
    "write_text",
]

_NUMBERS: Final = itertools.count()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is flushed and renamed when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dot keeps it from the eyes of users and globs, the numbers from every other writer. Its name is not made of
    # the file's own, which may be as long as the file system allows.
    draft = path.with_name(f".imgcluster-{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        yield draft
        _flush(draft)
        os.replace(draft, path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8; lines end as `text` has them."""
    with atomic_path(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes left half written in `folder`; only while no other process writes there."""
    for draft in folder.glob(".imgcluster-*.tmp"):
        draft.unlink(missing_ok=True)


def is_draft(name: str) -> bool:
    """Say whether a file of this name is a draft of `atomic_path`."""
    return name.startswith(".imgcluster-") and name.endswith(".tmp")


def is_link(path: Path) -> bool:
    """Say whether `path` itself is a symbolic link, or a junction of Windows."""
    is_junction = getattr(os.path, "isjunction", None)  # Python 3.12
    return path.is_symlink() or bool(is_junction and is_junction(path))


def make_folder(folder: Path, *, within: Path) -> None:
    """Create `folder` and its parents below `within`, following no link on the way.

    Raises:
        NotADirectoryError: `folder`, or a folder between it and `within`, is a link or a file.
        ValueError: `folder` does not lie below `within`.
    """
    current = within
    for name in folder.relative_to(within).parts:
        if name == "..":
            raise ValueError(f"{folder} leads out of {within}")
        current = current / name
        current.mkdir(exist_ok=True)
        if is_link(current):
            raise NotADirectoryError(errno.ENOTDIR, "a link, which is not followed", os.fspath(current))


def remove(path: Path) -> None:
    """Remove a file of ours if it is there."""
    path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Windows flushes only what is open for writing; elsewhere that would fail on a copy of a read-only file.
    if os.name == "nt":
        os.chmod(path, stat.S_IWRITE | stat.S_IREAD)
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the rename itself is done
        pass
    finally:
        os.close(descriptor)
