"""Images in object storage and on web servers: listing them, and reading one with retries and a time limit."""

from __future__ import annotations

import hashlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from imgcluster.errors import UsageError
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.object_store import BUCKETS, WORKSPACE_LIST, Unavailable, attempts, list_folder, open_store
from imgcluster.fileio.path_text import join
from imgcluster.images.address import Address
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.load import MOST_BYTES, too_many_bytes

__all__ = ["RemoteImages"]

_NO_NAME: Final = "the folder cannot be read: its name is empty; rename its objects"
_HEADS: Final = 16
_PART: Final = 1 << 20
# The last is the error where the answer is longer than the object asked for, and cannot be read.
_DENIED: Final = re.compile(r"ACCESS_DENIED|HTTP status 40[013]|INTERNAL_FAILURE")
_SECONDS_OF_HEAD: Final = 60.0
# An address that is signed for reading with GET refuses HEAD.
_NO_HEAD: Final = (403, 405, 501)


@dataclass(frozen=True)
class RemoteImages:
    """The folders and objects in object storage, and the files of web servers, that the user named.

    Attributes:
        urls: As the user gave them, with parameters that grant access.

    Raises:
        UsageError: A URL contains a password, or two differ in nothing that is stored.
    """

    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        found: dict[str, tuple[str, ...]] = {}
        for address in self._addresses:
            if address.has_password:
                raise UsageError(
                    f"{address.public} was given with a password in it; use the standard variables, such as "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
            other = found.setdefault(address.public, address.secrets)
            if other != address.secrets:
                names = sorted({pair.partition("=")[0] for pair in {*other} ^ {*address.secrets}})
                raise UsageError(
                    f"{address.public} was given twice, with different values of {', '.join(names)}, which are not "
                    "stored because they can grant access; give one of them, or download both images"
                )

    @property
    def public(self) -> tuple[str, ...]:
        """The URLs without anything that grants access."""
        return tuple(self._private)

    @cached_property
    def _addresses(self) -> list[Address]:
        return list(map(Address.parse, self.urls))

    @cached_property
    def _private(self) -> dict[str, str]:
        return {address.public: url for address, url in zip(self._addresses, self.urls, strict=True)}

    @cached_property
    def _systems(self) -> dict[tuple[str, str], Any]:
        return {}

    @property
    def roots(self) -> list[str]:
        """The folders that paths are relative to."""
        return [url if _is_folder(url) else _split(url)[0] for url in self.public]

    @property
    def folders(self) -> list[str]:
        """The URLs that stand for everything below them."""
        return [url for url in self.public if _is_folder(url)]

    @property
    def files(self) -> list[str]:
        """The URLs of single files."""
        return [url for url in self.public if not _is_folder(url)]

    def find(self, includes: Callable[..., bool], *, recursive: bool) -> Iterator[FoundFile | UnreadablePath]:
        """Yield every object, folder by folder in sorted order.

        Args:
            includes: As `Finder.includes`.
            recursive: Whether folders in folders are searched.

        Raises:
            UsageError: A bucket or folder does not exist.
            SourceError: A folder cannot be listed.
        """
        for url in self.folders:
            yield from self._walk(url, "", includes, recursive)
        for _, entry in in_order(self._find_file, self.files, _HEADS):
            yield entry

    def _find_file(self, url: str) -> FoundFile | UnreadablePath:
        root, path = _split(url)
        try:
            return FoundFile(root, path, *attempts(lambda: self._head(url), _SECONDS_OF_HEAD))
        except Unavailable as reason:
            return UnreadablePath(root, path, str(reason))

    def read(self, file: FoundFile, seconds: float) -> bytes:
        """Return the content of an object.

        Raises:
            Unavailable: It cannot be read within `seconds`, has changed since it was found, or is too large.
            SourceError: The credentials have expired.
        """

        def attempt() -> bytes:
            data = self._content(file.location, deadline, file.size or MOST_BYTES)
            if file.size and len(data) != file.size:
                raise OSError(f"{len(data)} of {file.size} bytes were read: it has changed, or the connection was lost")
            return data

        if file.size > MOST_BYTES:
            raise Unavailable(too_many_bytes(file.size))
        deadline = time.monotonic() + seconds
        try:
            return attempts(attempt, seconds)
        except Unavailable as reason:
            if _is_folder(file.root) and _DENIED.search(str(reason)):
                # The answer for one object does not say whether it is refused, or everything with these credentials.
                self._list(file.location.rpartition("/")[0])
            raise

    def _walk(
        self, root: str, path: str, includes: Callable[..., bool], recursive: bool
    ) -> Iterator[FoundFile | UnreadablePath]:
        from pyarrow import fs

        stack = [path]
        while stack:
            folder = stack.pop()
            inner = []
            entries = self._list(join(root, folder) if folder else root)
            # As of folders, a workspace below the named folder is left out.
            for name, entry in entries if not folder or all(name != WORKSPACE_LIST for name, _ in entries) else ():
                if not name:
                    yield UnreadablePath(root, f"{folder}//" if folder else "/", _NO_NAME, is_folder=True)
                    continue
                below = f"{folder}/{name}" if folder else name
                is_folder = entry.type == fs.FileType.Directory
                if not includes(name, below, is_folder=is_folder):
                    continue
                if is_folder:
                    inner.append(below)
                elif entry.type == fs.FileType.File:
                    yield FoundFile(root, below, entry.size or 0, entry.mtime_ns or 0)
            if recursive:
                stack += reversed(inner)

    def _list(self, url: str) -> list[tuple[str, Any]]:
        """Return what is in a folder, by name; the name of a folder that begins with a slash is ""."""
        system, key = self._system(url)
        entries = list_folder(system, url)
        named = [(entry.base_name if entry.path.rstrip("/") != key else "", entry) for entry in entries]
        # A file and a folder can have the same name.
        return sorted(named, key=lambda pair: (pair[0], pair[1].type.value))

    def _system(self, url: str) -> tuple[Any, str]:
        scheme, _, key = url.partition("://")
        bucket = key.partition("/")[0]
        # Each bucket has its region.
        if (scheme, bucket) not in self._systems:
            self._systems[scheme, bucket] = open_store(scheme, bucket)
        return self._systems[scheme, bucket], key.rstrip("/")

    def _head(self, url: str) -> tuple[int, int]:
        """Return the size of a file on a web server, and a number that changes with its ETag or date; 0 if unknown."""
        request = urllib.request.Request(self._private[url], method="HEAD")
        try:
            answer = urllib.request.urlopen(request, timeout=_SECONDS_OF_HEAD)
        except urllib.error.HTTPError as error:
            if error.code not in _NO_HEAD:
                raise
            error.close()
            return 0, 0
        with answer:
            headers = answer.headers
            length, tag = headers.get("Content-Length", ""), headers.get("ETag") or headers.get("Last-Modified")
            number = hashlib.blake2b(tag.encode("utf-8", "surrogateescape"), digest_size=8).digest() if tag else b""
            return int(length) if length.isdecimal() else 0, int.from_bytes(number, "big") >> 1

    def _content(self, url: str, deadline: float, most: int) -> bytes:
        if url.startswith("http"):
            wait = max(0.1, deadline - time.monotonic())
            with urllib.request.urlopen(self._private[url], timeout=wait) as answer:
                return _read_parts(answer.read, deadline, most)
        system, key = self._system(url)
        with system.open_input_stream(key) as stream:
            return _read_parts(stream.read, deadline, most)


def _is_folder(url: str) -> bool:
    return url.startswith(tuple(f"{scheme}://" for scheme in BUCKETS))


def _split(url: str) -> tuple[str, str]:
    """Return the folder of a file on a web server, without a slash at its end, and the rest, which is not empty."""
    root = url.partition("?")[0].rstrip("/").rpartition("/")[0].rstrip("/")
    return root, url[len(root) + 1 :]


def _read_parts(read: Callable[[int], bytes], deadline: float, most: int) -> bytes:
    """Return what is there; an answer without an end is given up after `most` bytes."""
    parts, size = [], 0
    while part := read(_PART):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(f"more than {most} bytes were sent: it has changed, or is too large")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)
