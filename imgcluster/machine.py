"""What this machine offers to this process: processors and memory, and how much of it reading images may take."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["LIMIT", "READING_SECONDS", "memory_bytes", "processors", "reading_memory"]

LIMIT: Final = "PYTHON_CPU_COUNT"
"""The environment variable with the number of processors to use, as for Python 3.13."""

READING_SECONDS: Final = 20.0
"""How long reading and decoding one image may take, unless an option says otherwise."""

_CONTAINER_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Where a system does not tell.
_ASSUMED_BYTES: Final = 8 << 30


def processors() -> int:
    """Return the number of processors that this process may use."""
    limit = os.environ.get(LIMIT, "")
    if limit.isascii() and limit.isdecimal() and int(limit) > 0:
        return int(limit)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the size of the main memory, or the limit of the container if that is smaller."""
    total = _physical_bytes()
    for name in _CONTAINER_LIMITS:
        try:
            total = min(total, int(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # another system, or "max"
            continue
    return total


def reading_memory() -> int:
    """Return the memory for images that are decoded at the same time, unless an option says otherwise."""
    return memory_bytes() // 8


def _physical_bytes() -> int:
    if sys.platform == "win32":
        import ctypes

        # MEMORYSTATUSEX: its own length, the load, and seven 64-bit numbers, of which the first is the total.
        status = (ctypes.c_ulonglong * 8)()
        ctypes.cast(status, ctypes.POINTER(ctypes.c_ulong))[0] = ctypes.sizeof(status)
        return int(status[1]) if ctypes.windll.kernel32.GlobalMemoryStatusEx(status) else _ASSUMED_BYTES
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return _ASSUMED_BYTES
