"""How the process treats the memory that each batch of a training frees."""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["keep_freed_memory"]

# From glibc's malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4


def keep_freed_memory() -> None:
    """Keep freed memory for the next batch; without effect where the C library is not glibc.

    By default glibc returns every block above 32 MiB to the system, which clears it page by page when the next batch
    asks for it again. In `e-strokes-denoise` that took a third of the time (benchmarks/kept_memory.py).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
