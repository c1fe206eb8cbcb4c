"""Reading many files: in processes that decode them, or in this one where there are few.

A decoder that crashes or hangs costs one file and a process, which is replaced. Results come in the order of the files
and are the same in both ways.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from typing import Final

from imgcluster.fileio.in_threads import in_order
from imgcluster.images.load import Content, Large, read_image
from imgcluster.images.reader_pool import ReaderPool, ReaderSettings, Results, read_now
from imgcluster.images.reader_process import Request
from imgcluster.types import InputSpec

__all__ = ["ReaderSettings", "Request", "Results", "read_files"]

_LOG = logging.getLogger(__name__)

# Fewer files than this are read here: starting readers takes as long.
_FEW_FILES: Final = 64
_FEW_BYTES: Final = 32 << 20
# The most memory that one image may take in this process, where nothing can interrupt its decoder.
_HERE_BYTES: Final = 128 << 20


def read_files(
    requests: Iterable[Request], spec: InputSpec, settings: ReaderSettings
) -> Generator[Results, None, None]:
    """Read files and yield the results in their order; closing the generator ends the processes."""
    requests = iter(requests)
    first = list(itertools.islice(requests, _FEW_FILES + 1))
    few = len(first) <= _FEW_FILES and sum(request.file.size for request in first) <= _FEW_BYTES
    requests = itertools.chain(first, requests)
    readers = None if few else _open(spec, settings)
    if readers is None:
        yield from _read_here(requests, spec, settings)
    else:
        with readers:
            yield from readers.read(requests)


def _open(spec: InputSpec, settings: ReaderSettings) -> ReaderPool | None:
    """Start readers; return None where that is not possible."""
    # A program made of Python and imgcluster in one file would start itself.
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    try:
        return ReaderPool(spec, settings)
    except OSError as error:
        _LOG.warning("no processes for reading images can be started: %s", error)
        return None


def _read_here(requests: Iterable[Request], spec: InputSpec, settings: ReaderSettings) -> Iterator[Results]:
    """Read files in threads of this process, and large images in a process of their own."""
    limit = min(_HERE_BYTES, settings.memory // settings.workers)

    def read(request: Request) -> Content | Large:
        return read_image(request.file, spec, request.known_digest, memory=limit)

    with ExitStack() as stack:
        readers: ReaderPool | None = None
        for request, content in in_order(read, requests, settings.workers):
            if not isinstance(content, Large):
                yield [(request, content)]
                continue
            if readers is None:
                readers = _open(spec, dataclasses.replace(settings, workers=1))
                if readers is None:
                    yield [(request, read_now(request, spec, settings.memory))]
                    continue
                stack.enter_context(readers)
            yield from readers.read([request])
