"""Writing so that a reader, or a kill at any moment, sees the old file or the new one and never half of one."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["atomic_path", "remove", "sync_folder", "write_json", "write_text"]

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
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
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


def remove(path: Path) -> None:
    """Remove a file of ours if it is there."""
    path.unlink(missing_ok=True)


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
