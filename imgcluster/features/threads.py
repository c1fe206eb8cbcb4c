"""Limiting numeric libraries to one thread, so that results are the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]


@contextmanager
def one_thread(library: str | None = None) -> Iterator[None]:
    """Limit numeric libraries, or one of ``openmp`` and ``blas``, to one thread.

    Several threads split a sum by their number, and its last digits would depend on the machine.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api=library):
        yield
