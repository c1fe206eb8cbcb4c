"""Limiting numeric libraries to one thread, so that results are the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["one_thread"]


@contextmanager
def one_thread(library: str | None = None) -> Iterator[None]:
    """Limit numeric libraries, or one of ``openmp`` and ``blas``, to one thread.

    Several threads split a sum by their number, and its last digits would depend on the machine.
    """
    with _libraries().limit(limits=1, user_api=library):
        yield


@cache
def _libraries() -> Any:
    """Find the libraries once: looking for them takes longer than k-means among few images."""
    # Loads all that this package computes with; what is loaded later does not take part.
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
