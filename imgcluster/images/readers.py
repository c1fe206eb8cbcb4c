"""Reading many files: in processes that decode them, or in this one where none can be started.

A decoder that crashes or hangs costs one file and a process, which is replaced. Results come in the order of the files
and are the same in both ways.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from imgcluster.fileio.in_threads import in_order
from imgcluster.images.decode import Header, quiet_decoders
from imgcluster.images.found import FoundFile
from imgcluster.images.load import Content, Large, Loaded, read_image
from imgcluster.images.reader_pool import ReaderPool, ReaderSettings, Results, read_now
from imgcluster.images.reader_process import Request
from imgcluster.images.types import InputSpec

__all__ = ["FEW_FILES", "ReaderSettings", "Request", "Results", "read_each", "read_files", "read_headers"]

_LOG = logging.getLogger(__name__)

FEW_FILES: Final = 0
"""Up to so many files are read in this process. Tests of other things raise it: starting a process takes 0.15 s."""


def read_files(
    requests: Iterable[Request], spec: InputSpec | None, settings: ReaderSettings
) -> Generator[Results, None, None]:
    """Read files, or their headers if there is no `spec`, and yield the results in their order.

    Closing the generator ends the processes.
    """
    requests = iter(requests)
    first = list(itertools.islice(requests, FEW_FILES + 1))
    requests = itertools.chain(first, requests)
    readers = None if len(first) <= FEW_FILES else _open(spec, settings)
    if readers is None:
        yield from _read_here(requests, spec, settings)
    else:
        with readers:
            yield from readers.read(requests)


def read_each(
    files: Iterable[FoundFile], spec: InputSpec, settings: ReaderSettings | None = None
) -> Generator[Content, None, None]:
    """Read files as `read_files` does, and yield what each contains, with pixels that stay valid."""
    requests = (Request(file) for file in files)
    with quiet_decoders(), contextlib.closing(read_files(requests, spec, settings or ReaderSettings())) as results:
        for _, content in itertools.chain.from_iterable(results):
            if isinstance(content, Loaded):
                image = dataclasses.replace(content.image, pixels=content.image.pixels.copy())
                content = dataclasses.replace(content, image=image)
            yield content


def read_headers(files: Iterable[FoundFile]) -> Generator[tuple[FoundFile, Header | None], None, None]:
    """Yield files, in their order, with their headers; None where there is none."""
    requests = (Request(file) for file in files)
    with quiet_decoders(), contextlib.closing(read_files(requests, None, ReaderSettings())) as results:
        for request, content in itertools.chain.from_iterable(results):
            yield request.file, content if isinstance(content, Header) else None


def _open(spec: InputSpec | None, settings: ReaderSettings) -> ReaderPool | None:
    """Start readers; return None where that is not possible."""
    # A program made of Python and imgcluster in one file would start itself.
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    try:
        return ReaderPool(spec, settings)
    except OSError as error:
        _LOG.warning("no processes for reading images can be started: %s", error)
        return None


def _read_here(requests: Iterable[Request], spec: InputSpec | None, settings: ReaderSettings) -> Iterator[Results]:
    """Read files in threads of this process, and large images one by one; nothing can interrupt a decoder here."""
    share = settings.memory // settings.workers

    def read(request: Request) -> Content | Large:
        return read_image(request.file, spec, request.known_digest, memory=share)

    for request, content in in_order(read, requests, settings.workers):
        yield [(request, read_now(request, spec, settings.memory) if isinstance(content, Large) else content)]
