"""Calling functions in threads: for many items, as for reading, downloading and uploading, or beside other work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from imgcluster.errors import UsageError

__all__ = ["beside", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# So far ahead that one large file does not leave the other threads idle.
_AHEAD_PER_WORKER: Final = 8


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, *, wait: bool = True
) -> Generator[tuple[_Item, _Result], None, None]:
    """Yield (item, function(item)) in the order of `items`, computed by `workers` threads a few items ahead.

    After an interruption no thread is left, unless `wait` is False: then calls in progress end later.

    Raises:
        UsageError: `workers` is less than 1.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers are not possible; at least 1 is needed")
    pending: deque[tuple[_Item, Future[_Result]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="imgcluster")
    try:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            if len(pending) >= workers * _AHEAD_PER_WORKER:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


@contextmanager
def beside(function: Callable[[threading.Event], None]) -> Iterator[None]:
    """Call `function` in a thread during the block, at whose end the event is set, and wait for it."""
    stop = threading.Event()
    thread = threading.Thread(target=function, args=(stop,), name="imgcluster-beside", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
