"""Placing: each image into its cluster's folder, as a link, a copy or by moving it, never over another file."""

from __future__ import annotations

import errno
import logging
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.errors import PlacementError
from imgcluster.fileio.atomic import atomic_path, make_folder
from imgcluster.fileio.path_text import from_text
from imgcluster.placement.journal import Journal, write_journal

__all__ = [
    "Placed",
    "move",
    "place",
]

_LOG = logging.getLogger(__name__)

# What is tried where a file system or its rights do not allow what was asked (Windows without developer mode has
# no symbolic links, no system has hard links between two disks).
_FALLBACK: Final[dict[str, str]] = {"symlink": "hardlink", "hardlink": "copy"}
_NOT_ALLOWED: Final = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# ERROR_INVALID_FUNCTION (no links on this file system), ERROR_NOT_SAME_DEVICE, ERROR_PRIVILEGE_NOT_HELD.
_NOT_ALLOWED_WINDOWS: Final = {1, 17, 1314}


@dataclass(frozen=True, slots=True)
class Placed:
    """How many files were placed, by the way that was taken; `missing` are images whose file is gone."""

    counts: dict[str, int]
    missing: tuple[str, ...]


def place(journal: Journal, path: Path, *, step: Callable[[int], None] = lambda done: None) -> Placed:
    """Carry out a plan, after it was written to `path`.

    Args:
        journal: The plan.
        path: Where the journal is kept for `take_back`.
        step: Called with the number of files done.

    Raises:
        PlacementError: A file could not be placed for another reason than that it is gone.
    """
    if journal.mode == "none":
        return Placed({}, ())
    write_journal(journal, path)
    counts: dict[str, int] = {}
    missing = []
    mode: str = journal.mode
    for done, entry in enumerate(journal.entries, start=1):
        source, target = from_text(entry.source), from_text(entry.target)
        try:
            if source.exists():
                make_folder(target.parent, within=path.parent)
                way = _place_one(source, target, mode)
                counts[way] = counts.get(way, 0) + 1
                # Where one symbolic link is refused all are. Of hard links that does not hold: one file may lie on
                # another disk, or have as many as it can, and the next need not be copied for that.
                if way == "hardlink":
                    mode = way
            else:
                missing.append(entry.source)
        except OSError as error:
            raise PlacementError(
                f"{entry.source} could not be placed as {entry.target}: {error.strerror or error}; "
                f"imgcluster undo -w {shlex.quote(str(path.parent))} takes back what was placed so far"
            ) from None
        step(done)
    if missing:
        # Nothing is to be taken back of them.
        gone = set(missing)
        there = tuple(entry for entry in journal.entries if entry.source not in gone)
        write_journal(Journal(journal.mode, journal.folder, there), path)
    return Placed(counts, tuple(missing))


def _place_one(source: Path, target: Path, mode: str) -> str:
    """Place one file and return the way that worked."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "a file of this name is there already", os.fspath(target))
    if mode == "move":
        move(source, target)
        return mode
    if mode == "copy":
        with atomic_path(target) as draft:
            shutil.copy2(source, draft)
        return mode
    try:
        if mode == "symlink":
            # Relative links survive moving the folder that holds both images and workspace.
            os.symlink(_relative(source, target.parent), target)
        else:
            os.link(source.resolve(), target)
    except (OSError, NotImplementedError) as error:
        if not _is_unsupported(error):
            raise
        _LOG.debug("no %s possible here (%s): trying a %s", mode, error, _FALLBACK[mode])
        return _place_one(source, target, _FALLBACK[mode])
    return mode


def move(source: Path, target: Path) -> None:
    """Move a file to a name that is free, also to another disk; a link that is moved still leads to its file."""
    if source.is_symlink():
        destination = Path(os.readlink(source))
        if not destination.is_absolute():
            # ".." in a link starts from where its folder really is.
            destination = Path(_relative(source.parent.resolve() / destination, target.parent))
        os.symlink(destination, target)
        source.unlink()
        return
    try:
        os.rename(source, target)
    except OSError as error:
        if not (error.errno == errno.EXDEV or getattr(error, "winerror", None) == 17):
            raise
        # Another disk: the original is removed only when its copy is safely written, and only if nobody wrote to it
        # in the meantime.
        before = source.stat()
        with atomic_path(target) as draft:
            shutil.copy2(source, draft)
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            target.unlink()
            raise OSError(errno.EBUSY, "it was changed while it was being moved", os.fspath(source)) from None
        source.unlink()


def _relative(path: Path, start: Path) -> str:
    # Without links in either folder's path, ".." leads to where it seems to.
    path = path.parent.resolve() / path.name
    try:
        return os.path.relpath(path, start.resolve())
    except ValueError:  # two drives of Windows
        return os.fspath(path)


def _is_unsupported(error: BaseException) -> bool:
    """Say whether the file system or our rights on it do not allow this kind of link at all."""
    if isinstance(error, NotImplementedError):
        return True
    return getattr(error, "errno", None) in _NOT_ALLOWED or getattr(error, "winerror", None) in _NOT_ALLOWED_WINDOWS
