"""Placing each image in its cluster's folder, as a link, a copy or by moving it, without overwriting files."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from imgcluster.errors import PlacementError
from imgcluster.fileio.atomic import atomic_path, make_folder
from imgcluster.fileio.path_text import from_text
from imgcluster.placement.journal import Entry, Journal, check_signed, write_journal
from imgcluster.types import PlaceMode
from imgcluster.wording import quoted_argument

__all__ = [
    "PlacementResult",
    "copy_new",
    "mode_of",
    "move",
    "place",
    "place_entries",
    "sources_to_move",
]

_LOG = logging.getLogger(__name__)

# Tried if links are not possible: Windows needs developer mode for symbolic links, and hard links need one disk.
_FALLBACK: Final[dict[str, str]] = {"symlink": "hardlink", "hardlink": "copy"}
_NOT_ALLOWED: Final = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# ERROR_INVALID_FUNCTION (no links on this file system), ERROR_NOT_SAME_DEVICE, ERROR_PRIVILEGE_NOT_HELD.
_NOT_ALLOWED_WINDOWS: Final = {1, 17, 1314}


@dataclass(frozen=True, slots=True)
class PlacementResult:
    """What was placed.

    Attributes:
        counts: The number of placed files by mode.
        missing: The sources that no longer exist.
        journal: The journal as written; None if nothing is placed.
        moved: The number of files that were placed before and are in another folder now.
        unlinked: The number of files that had hard links, which do not lead to another disk, so that their content is
            stored once more there.
        returned: The original paths to which originals that were moved before returned.
        broken: The sources of links that were placed before and lead nowhere, because the files no longer exist.
    """

    counts: dict[str, int]
    missing: tuple[str, ...]
    journal: Journal | None = field(default=None, compare=False)
    moved: int = field(default=0, compare=False)
    unlinked: int = field(default=0, compare=False)
    returned: tuple[str, ...] = field(default=(), compare=False)
    broken: tuple[str, ...] = field(default=(), compare=False)

    @property
    def about_hard_links(self) -> str:
        """What became of hard links, in a sentence; "" if nothing did."""
        if not self.unlinked:
            return ""
        return (
            f"Files with hard links were moved to another disk: {self.unlinked:,}. Their links stay where they are and "
            "have the same content, but are separate files now, also after undo."
        )


def place(journal: Journal, path: Path, *, step: Callable[[int], None] = lambda done: None) -> PlacementResult:
    """Write the journal to `path`, then place its files.

    Args:
        journal: The planned placement.
        path: The journal's file, in the workspace folder.
        step: Called with the number of files done.

    Raises:
        PlacementError: An existing file could not be placed, or would be moved although the journal is not signed.
    """
    if journal.mode == "none":
        return PlacementResult({}, ())
    check_signed(journal, path, sources_to_move(journal.entries, journal.mode))
    write_journal(journal, path)
    if journal.mode == "manifest":
        return PlacementResult({journal.mode: len(journal.entries)}, (), journal)
    counts: dict[str, int] = {}
    missing, unlinked = place_entries(journal.entries, journal.mode, path, counts, step=step)
    if missing:
        absent = set(missing)
        placed = tuple(entry for entry in journal.entries if entry.source not in absent)
        journal = replace(journal, entries=placed)
        write_journal(journal, path)
    return PlacementResult(counts, missing, journal, unlinked=unlinked)


def sources_to_move(entries: Sequence[Entry], mode: PlaceMode) -> Iterator[str]:
    """Yield the original paths from which placing these entries moves files."""
    return (entry.source for entry in entries if mode == "move" and os.path.lexists(from_text(entry.source)))


def place_entries(
    entries: Sequence[Entry],
    mode: str,
    path: Path,
    counts: dict[str, int],
    *,
    step: Callable[[int], None] = lambda done: None,
) -> tuple[tuple[str, ...], int]:
    """Place files, and add their numbers by mode to `counts`.

    Args:
        entries: Those of the journal at `path`, which is written.
        mode: How files are placed.
        path: The journal's file, in the workspace folder.
        counts: Changed.
        step: Called with the number of files done.

    Returns:
        The sources that no longer exist, and the number of files whose hard links were lost.

    Raises:
        PlacementError: An existing file could not be placed.
    """
    missing, unlinked = [], 0
    for done, entry in enumerate(entries, start=1):
        source, target = from_text(entry.source), from_text(entry.target)
        try:
            # A path from a stranger can also be that of a folder or a device, which must not move.
            if source.is_file():
                make_folder(target.parent, within=path.parent)
                links = os.lstat(source).st_nlink
                used = _place_one(source, target, mode, path.parent)
                unlinked += used == "move" and links > 1 and os.lstat(target).st_nlink == 1
                counts[used] = counts.get(used, 0) + 1
                # If one symbolic link is not possible, none is; a hard link may fail for a single file only.
                if used == "hardlink":
                    mode = used
            else:
                missing.append(entry.source)
        except OSError as error:
            raise PlacementError(
                f"{entry.source} could not be placed as {entry.target}: {error.strerror or error}; "
                f"imgcluster undo -w {quoted_argument(str(path.parent))} removes the files placed so far"
            ) from None
        step(done)
    return tuple(missing), unlinked


def mode_of(source: Path, target: Path, mode: str) -> str:
    """Return the mode by which a file was really placed where `mode` was requested."""
    if mode == "move":
        return mode
    if target.is_symlink():
        return "symlink"
    try:
        return "hardlink" if os.path.samefile(source, target) else "copy"
    except OSError:
        return "copy"


def _place_one(source: Path, target: Path, mode: str, workspace: Path) -> str:
    """Place one file in a workspace and return the mode that was possible."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "a file with this name exists", os.fspath(target))
    if mode == "move":
        move(source, target, folder=workspace)
        return mode
    if mode == "copy":
        copy_new(source, target, folder=workspace)
        return mode
    try:
        if mode == "symlink":
            # Relative links stay valid if images and workspace are moved together.
            os.symlink(_relative(source, target.parent), target)
        else:
            os.link(source.resolve(), target)
    except (OSError, NotImplementedError) as error:
        if not _is_unsupported(error):
            raise
        _LOG.debug("%s is not possible (%s): trying %s", mode, error, _FALLBACK[mode])
        return _place_one(source, target, _FALLBACK[mode], workspace)
    return mode


def copy_new(source: Path, target: Path, *, folder: Path | None = None) -> None:
    """Copy a file, with its times, to a free path; `folder` is as for `atomic_path`."""
    with atomic_path(target, folder=folder, new=True) as temporary:
        shutil.copy2(source, temporary)


def move(source: Path, target: Path, *, folder: Path | None = None, record: Path | None = None) -> None:
    """Move a file to a free path, also on another disk; a moved link still points to its file.

    `folder` and `record` are as for `atomic_path`.
    """
    if source.is_symlink():
        destination = Path(os.readlink(source))
        if not destination.is_absolute():
            # ".." in a link is relative to the real path of its folder.
            destination = Path(_relative(source.parent.resolve() / destination, target.parent))
        os.symlink(destination, target)
        source.unlink()
        return
    try:
        os.rename(source, target)
    except OSError as error:
        if not (error.errno == errno.EXDEV or getattr(error, "winerror", None) == 17):
            raise
        # On another disk: the original is removed after its copy is flushed, unless it changed in the meantime.
        before = source.stat()
        with atomic_path(target, folder=folder, record=record, new=True) as temporary:
            shutil.copy2(source, temporary)
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            target.unlink()
            raise OSError(errno.EBUSY, "the file changed while it was being moved", os.fspath(source)) from None
        source.unlink()


def _relative(path: Path, start: Path) -> str:
    # Links in the folders' paths would change the meaning of "..".
    path = path.parent.resolve() / path.name
    try:
        return os.path.relpath(path, start.resolve())
    except ValueError:  # two drives of Windows
        return os.fspath(path)


def _is_unsupported(error: BaseException) -> bool:
    """Return whether the file system or the user's rights do not allow this kind of link."""
    if isinstance(error, NotImplementedError):
        return True
    return getattr(error, "errno", None) in _NOT_ALLOWED or getattr(error, "winerror", None) in _NOT_ALLOWED_WINDOWS
