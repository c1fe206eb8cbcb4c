"""Regular files, beside named pipes, sockets and devices, which are not read, because that might never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

__all__ = ["is_special", "open_regular", "special_kind"]


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
