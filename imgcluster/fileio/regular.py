"""Opening files whose paths a stranger may have chosen: only regular ones, because reading others might never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

__all__ = ["open_regular", "special_kind"]


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
