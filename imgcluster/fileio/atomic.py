"""Atomic writes: after an interruption at any moment a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.fileio.regular import is_special

__all__ = [
    "NOT_WRITABLE",
    "atomic_path",
    "is_link",
    "is_temporary",
    "link_or_copy",
    "make_folder",
    "remove",
    "remove_if_empty",
    "remove_recorded",
    "remove_stale_files",
    "remove_temporary_files",
    "sync_folder",
    "temporary_path",
    "write_json",
    "write_text",
]

NOT_WRITABLE: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
"""The error numbers of a folder that can only be read."""

# The computer, the process and a random number; earlier versions had no computer in the name.
_TEMPORARY: Final = re.compile(r"\.imgcluster-(?:(?P<computer>[0-9a-f]{8})-)?(?P<process>[0-9]+)-[0-9]+\.tmp")
# The names of this process, whatever path leads to their folder.
_names: set[str] = set()
_cleaned: set[Path] = set()
_LONGEST_RECORD: Final = 1 << 16


@contextmanager
def atomic_path(
    path: Path, *, folder: Path | None = None, record: Path | None = None, new: bool = False
) -> Iterator[Path]:
    """Yield a temporary path; it is flushed and renamed to `path` if the block ends without an error.

    Args:
        path: The file to write.
        folder: The folder of the temporary file, on the same disk; by default that of `path`.
        record: As for `temporary_path`.
        new: Whether an existing file is not replaced, also if it appeared during the block.

    Raises:
        FileExistsError: The file exists, and `new` is set.
        OSError: There is a device, a socket or a named pipe, which is not replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_special(path):
        raise OSError(errno.EINVAL, "neither a file nor a folder, so it is not replaced", os.fspath(path))
    with _naming(path), temporary_path(folder or path.parent, record) as temporary:
        yield temporary
        _flush(temporary)
        (_rename_to_free if new else os.replace)(temporary, path)
        sync_folder(path.parent)


def _rename_to_free(temporary: Path, path: Path) -> None:
    """Give a temporary file its name, without replacing a file; where there are hard links, its old name stays."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "a file with this name exists", os.fspath(path)) from None
        os.replace(temporary, path)


@contextmanager
def temporary_path(folder: Path, record: Path | None = None) -> Iterator[Path]:
    """Yield a path in `folder` for a file or a folder, which is removed at the end if it is still there.

    Meanwhile the file `record` contains the path, so that `remove_recorded` finds it after a kill. What killed
    processes left in `folder` is removed first.
    """
    # Not derived from the name of the final file, which may already be as long as the file system allows. Random, as
    # another user who can write to the folder could put a link to any file where the next one will be.
    number = int.from_bytes(os.urandom(8), "big")
    temporary = folder / f".imgcluster-{_computer()}-{os.getpid()}-{number}.tmp"
    _names.add(temporary.name)
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_stale_files(folder)
    if record is not None:
        write_text(record, to_text(temporary))
    try:
        yield temporary
    finally:
        _remove_all(temporary)
        _names.discard(temporary.name)
        if record is not None:
            remove(record)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors of the file system name `path`: those of writing name no file, others name the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        for field in ("filename", "filename2"):
            name = getattr(error, field)
            if isinstance(name, str) and is_temporary(os.path.basename(name)):
                setattr(error, field, os.fspath(path))
        raise


def write_text(path: Path, text: str) -> None:
    """Replace `path` with `text` in UTF-8; line endings are not converted."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` with `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has none."""
    with atomic_path(target) as temporary:
        try:
            # Where the source is itself a link, to the file behind it.
            os.link(os.path.realpath(source), temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of interrupted processes; call it only while no other process writes to `folder`."""
    for temporary in folder.glob(".imgcluster-*.tmp"):
        if is_temporary(temporary.name) and (is_link(temporary) or not temporary.is_dir()):
            temporary.unlink(missing_ok=True)


def remove_stale_files(folder: Path) -> None:
    """Remove the temporary files and folders of processes of this computer that have ended, as far as possible."""
    with suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            if not match or match["computer"] != _computer() or name in _names:
                continue
            if not _is_running(int(match["process"])):
                _remove_all(folder / name)


@functools.cache
def _computer() -> str:
    """Return eight hexadecimal digits for this computer or container, whose processes have numbers of their own."""
    import hashlib
    import platform

    facts = platform.node().encode(errors="surrogateescape")
    with suppress(OSError):
        facts += Path("/etc/machine-id").read_bytes()
    with suppress(OSError):
        # Containers can have the name of their computer.
        facts += os.readlink("/proc/self/ns/pid").encode()
    return hashlib.blake2b(facts, digest_size=4).hexdigest()


def _is_running(process: int) -> bool:
    """Return whether a process of this computer may be running; on Windows every one may be."""
    if os.name == "nt":  # os.kill would end it
        return True
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def remove_recorded(record: Path) -> None:
    """Remove the temporary file that an interrupted process left, if there is one.

    As `record` may be from a stranger, only a file that has the name of a temporary file is removed, and no folder.
    """
    if not record.is_file():
        return
    with record.open("rb") as file:
        text = file.read(_LONGEST_RECORD).decode(errors="replace")
    temporary = from_text(text)
    if is_temporary(temporary.name) and "\0" not in text and (is_link(temporary) or not temporary.is_dir()):
        remove(temporary)
    remove(record)


def is_temporary(name: str) -> bool:
    """Return whether `name` is that of a temporary file of `atomic_path`."""
    return bool(_TEMPORARY.fullmatch(name))


def _remove_all(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it exists."""
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        remove(path)


def is_link(path: Path) -> bool:
    """Return whether `path` itself is a symbolic link or a Windows junction."""
    is_junction = getattr(os.path, "isjunction", None)  # Python 3.12
    return path.is_symlink() or bool(is_junction and is_junction(path))


def make_folder(folder: Path, *, within: Path) -> None:
    """Create `folder` and its parents below `within` without following links.

    Raises:
        NotADirectoryError: `folder`, or a folder between it and `within`, is a link or a file.
        ValueError: `folder` is not below `within`.
    """
    current = within
    for name in folder.relative_to(within).parts:
        if name == "..":
            raise ValueError(f"{folder} is outside {within}")
        current = current / name
        current.mkdir(exist_ok=True)
        if is_link(current):
            raise NotADirectoryError(errno.ENOTDIR, "a link, which is not followed", os.fspath(current))


def remove(path: Path) -> None:
    """Remove a file if it exists."""
    path.unlink(missing_ok=True)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder if it exists, nothing is in it, and it can be removed."""
    with suppress(OSError):
        folder.rmdir()


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder, so that a rename survives a power failure; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # not supported by some network file systems
        pass
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    # Windows flushes only files opened for writing; on other systems that fails for copies of read-only files.
    if os.name == "nt":
        os.chmod(path, stat.S_IWRITE | stat.S_IREAD)
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())
