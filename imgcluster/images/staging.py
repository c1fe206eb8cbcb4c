"""Staging: remote images are downloaded to a temporary folder ahead of the readers, and removed when they are read."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import remove
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.object_store import Unavailable, url_of
from imgcluster.fileio.path_text import to_text
from imgcluster.images.find import Remote
from imgcluster.images.found import FoundFile
from imgcluster.images.load import Content, Skipped
from imgcluster.images.readers import Request

__all__ = ["Stage"]

_DOWNLOADS: Final = 16


class Stage:
    """A temporary folder for remote images; local ones pass unchanged.

    Args:
        remote: The remote images.
        seconds: How long downloading one may take.
    """

    def __init__(self, remote: Remote | None, seconds: float) -> None:
        self._remote = remote
        self._seconds = seconds
        self._exit = contextlib.ExitStack()
        if remote is not None:
            folder = tempfile.TemporaryDirectory(prefix="imgcluster-", ignore_cleanup_errors=True)
            self._folder = Path(self._exit.enter_context(folder))
        self._closed = False
        self._failed: dict[str, str] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        # Downloads in progress end later, and must not write then.
        self._closed = True
        self._exit.close()

    def requests(self, requests: Iterator[Request]) -> Generator[Request, None, None]:
        """Yield the requests in their order, with the file's copy where it is remote."""
        if self._remote is None:
            yield from requests
            return
        for (_, request), copy in in_order(self._download, enumerate(requests), _DOWNLOADS, wait=False):
            yield request if copy is None else _at(request, copy)

    def result(self, file: FoundFile, content: Content) -> Content:
        """Return what was read of a file, or why it was not downloaded, and remove its copy."""
        if self._remote is None or url_of(file.location) is None:
            return content
        # Only copies in the temporary folder.
        if file.file.parent == self._folder:
            remove(file.file)
        reason = self._failed.pop(file.location, None)
        return content if reason is None else Skipped(reason)

    def _download(self, item: tuple[int, Request]) -> Path | None:
        number, request = item
        if self._remote is None or url_of(request.file.location) is None:
            return None
        copy = self._folder / str(number)
        try:
            content = self._remote.read(request.file, self._seconds)
            if not self._closed:
                copy.write_bytes(content)
        except Unavailable as reason:
            self._failed[request.file.location] = str(reason)
        return copy


def _at(request: Request, copy: Path) -> Request:
    return dataclasses.replace(request, file=dataclasses.replace(request.file, moved_to=to_text(copy)))
