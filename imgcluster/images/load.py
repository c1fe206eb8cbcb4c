"""Reading found files, several at a time and in order: sniffed, digested, decoded.

Threads suffice: Pillow and the operating system let go of Python's lock for nearly all of the work.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import from_text
from imgcluster.images.decode import Decoded, UnreadableImage, decode
from imgcluster.images.find import FoundFile
from imgcluster.images.formats import HEAD_BYTES, sniff
from imgcluster.types import InputSpec

__all__ = ["Loaded", "NotAnImage", "Skipped", "Unchanged", "default_workers", "in_order", "read_image"]

_MAX_FILE_BYTES: Final = 1 << 31
_DIGEST_BYTES: Final = 16
# Enough that the slowest of a few large pictures does not leave the other threads idle.
_AHEAD_PER_WORKER: Final = 8

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image ready for the encoder; `digest` is the BLAKE2b-128 of the file's bytes."""

    image: Decoded
    digest: bytes


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file whose content is what was embedded before."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image file that cannot be read, and why, in plain words."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotAnImage:
    """A file that neither is an image nor is named like one."""


def read_image(
    file: FoundFile, spec: InputSpec, known_digest: bytes | None = None
) -> Loaded | Unchanged | Skipped | NotAnImage:
    """Read one file; whatever is wrong with it is in the answer.

    With `known_digest`, a file that still has this content is not decoded.
    """
    path = from_text(file.location)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            kind = sniff(head, os.path.splitext(file.path)[1].lower())
            if kind.format is None:
                return NotAnImage() if kind.problem is None else Skipped(kind.problem)
            if file.size > _MAX_FILE_BYTES:
                return Skipped(f"the file is too large: {file.size} bytes, the limit is {_MAX_FILE_BYTES}")
            data = head + stream.read()
    except OSError as error:
        return Skipped(error.strerror or str(error))
    digest = hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
    if digest == known_digest:
        return Unchanged()
    try:
        return Loaded(decode(data, spec, kind=kind.format), digest)
    except UnreadableImage as reason:
        return Skipped(str(reason))


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with `function` of it, computed by `workers` threads a few items ahead, in the items' order."""
    if workers < 1:
        raise UsageError(f"{workers} workers are not possible; at least 1 is needed")
    pending: deque[tuple[_Item, Future[_Result]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="imgcluster") as pool:
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
            pool.shutdown(wait=False, cancel_futures=True)


def default_workers() -> int:
    """Return how many threads may decode: as many as there are processors for this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
