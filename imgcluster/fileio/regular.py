"""Reading files that a stranger may have chosen or written: only regular ones, and no more than fits into memory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, TextIO

from imgcluster.machine import reading_memory

__all__ = ["bounded_lines", "is_special", "open_regular", "read_text", "special_kind"]

_LONGEST_LINE: Final = 1 << 24


def is_special(path: Path) -> bool:
    """Return whether a path leads to something other than a file or a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def special_kind(mode: int) -> str:
    """Return what something is that has this mode and is neither a file nor a folder."""
    return "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, without a buffer.

    Raises:
        OSError: It cannot be read, or is a named pipe, a socket or a device.
    """
    # Before it is opened, which can wait forever and makes some devices do something.
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, f"{special_kind(mode)}, not a file", os.fspath(path))
    return path.open("rb", buffering=0)


def read_text(path: Path) -> str:
    """Return the content of a file in UTF-8.

    Raises:
        OSError: As in `open_regular`.
        ValueError: It is not UTF-8, or so large that its values might not fit into memory.
    """
    with open_regular(path) as file:
        size, limit = os.fstat(file.fileno()).st_size, reading_memory()
        if size > limit:
            raise ValueError(f"it has {size:,} bytes; more than {limit:,} are not read")
        return file.read().decode()


def bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a text file, as iterating over it does.

    Raises:
        ValueError: A line is so long that it might not fit into memory.
    """
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"a line has {_LONGEST_LINE:,} characters or more")
        yield line
