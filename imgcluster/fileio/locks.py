"""Locks that keep other processes out of a folder, also on file systems that have none."""

from __future__ import annotations

import errno
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["take_lock"]

_LOG = logging.getLogger(__name__)

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def take_lock(path: Path, *, seconds: float = 0) -> BaseFileLock | None:
    """Lock a file, which is created; the caller calls `release` of what is returned.

    Where the file system has no locks, as some network file systems, there is a warning, and None is returned.

    Args:
        path: The file.
        seconds: How long to wait for another process; forever if negative.

    Raises:
        filelock.Timeout: Another process has the lock.
        OSError: The file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock: BaseFileLock = FileLock(path, timeout=seconds)
    kind = type(lock)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lock.acquire()
    except Timeout:
        if type(lock) is kind:
            raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    except NotImplementedError:  # of earlier versions of filelock
        pass
    else:
        if type(lock) is kind:
            return lock
        # Its replacement, a file that says who has the lock, would outlive a process that is killed.
        lock.release()
    _LOG.warning("the file system of %s has no locks: do not run imgcluster twice at once there", path.parent)
    return None
