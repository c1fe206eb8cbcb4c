"""Images in object storage and on web servers: listing them, and reading one with retries and a time limit."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from imgcluster.errors import SourceError, UsageError, one_line
from imgcluster.fileio.path_text import join
from imgcluster.images.find import FoundFile, UnreadablePath
from imgcluster.images.load import in_order

__all__ = ["BUCKETS", "RemoteImages", "Unavailable", "url_of"]

BUCKETS: Final = ("s3", "gs")
"""The schemes of object storage."""

# A command line or a list may have made one slash of two.
_URL: Final = re.compile(r"(s3|gs|https?):[\\/]{1,2}(.+)", re.DOTALL)
# Parameters of a URL that grant access; they are used, and stored nowhere.
_SECRET: Final = re.compile(
    r"x-(amz|goog)-.*|.*(signature|token|secret|password|credential|key).*|sig|se|expires", re.I
)
_ATTEMPTS: Final = 5
_FIRST_WAIT: Final = 0.1
_HEADS: Final = 16
_PART: Final = 1 << 20
# Names of errors of S3: the credentials are of no use for any other object either.
_REFUSED: Final = ("EXPIRED_TOKEN", "ExpiredToken", "INVALID_ACCESS_KEY", "INVALID_CLIENT_TOKEN", "SIGNATURE_DOES_NOT")
_DENIED: Final = re.compile(r"ACCESS_DENIED|HTTP status 40[013]")
_SECONDS_OF_LISTING: Final = 60.0

_Result = TypeVar("_Result")


class Unavailable(Exception):  # noqa: N818 - a fact about one object, which is skipped
    """An object that cannot be read, and why."""


def url_of(path: str | os.PathLike[str]) -> str | None:
    """Return the URL that a path given by the user is; None for a path of the file system."""
    match = _URL.fullmatch(os.fspath(path))
    return f"{match[1]}://{match[2]}" if match else None


@dataclass(frozen=True)
class RemoteImages:
    """The folders and objects in object storage, and the files of web servers, that the user named.

    Attributes:
        urls: As the user gave them, with parameters that grant access.

    Raises:
        UsageError: A URL contains a password.
    """

    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        for url in self.urls:
            if "@" in urllib.parse.urlsplit(url).netloc:
                raise UsageError(
                    f"{_public(url)} was given with a password in it; use the standard variables, such as "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )

    @cached_property
    def public(self) -> tuple[str, ...]:
        """The URLs without anything that grants access."""
        return tuple(map(_public, self.urls))

    @cached_property
    def _private(self) -> dict[str, str]:
        return dict(zip(self.public, self.urls, strict=True))

    @cached_property
    def _systems(self) -> dict[str, Any]:
        return {}

    @property
    def roots(self) -> list[str]:
        """The folders that paths are relative to."""
        return [url if _is_folder(url) else url.rpartition("/")[0] for url in self.public]

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
        root, _, path = url.rpartition("/")
        try:
            return FoundFile(root, path, *_attempts(lambda: self._head(url), _SECONDS_OF_LISTING))
        except Unavailable as reason:
            return UnreadablePath(root, path, str(reason))

    def read(self, file: FoundFile, seconds: float) -> bytes:
        """Return the content of an object.

        Raises:
            Unavailable: It cannot be read within `seconds`, or has changed since it was found.
            SourceError: The credentials have expired.
        """

        def attempt() -> bytes:
            data = self._content(file.location, deadline)
            if file.size and len(data) != file.size:
                raise OSError(f"{len(data)} of {file.size} bytes were read: it has changed, or the connection was lost")
            return data

        deadline = time.monotonic() + seconds
        try:
            return _attempts(attempt, seconds)
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
            for name, entry in self._list(join(root, folder) if folder else root):
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
        from pyarrow import fs

        system, key = self._system(url)
        try:
            found = _attempts(lambda: system.get_file_info(fs.FileSelector(key)), _SECONDS_OF_LISTING)
        except Unavailable as reason:
            raise SourceError(
                f"{url} cannot be listed ({reason}); check its name, the credentials and the network"
            ) from None
        return sorted((entry.base_name, entry) for entry in found if entry.base_name)

    def _system(self, url: str) -> tuple[Any, str]:
        scheme, _, key = url.partition("://")
        if scheme not in self._systems:
            self._systems[scheme] = _open_system(scheme, key.split("/")[0])
        return self._systems[scheme], key.rstrip("/")

    def _head(self, url: str) -> tuple[int, int]:
        """Return the size of a file on a web server, and a number that changes with its ETag or date; 0 if unknown."""
        request = urllib.request.Request(self._private[url], method="HEAD")
        with urllib.request.urlopen(request, timeout=_SECONDS_OF_LISTING) as answer:
            headers = answer.headers
            size = int(headers.get("Content-Length") or 0)
            if tag := headers.get("ETag"):
                return size, int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest(), "big") >> 1
            date = headers.get("Last-Modified")
            return size, int(parsedate_to_datetime(date).timestamp()) * 10**9 if date else 0

    def _content(self, url: str, deadline: float) -> bytes:
        if url.startswith("http"):
            wait = max(0.1, deadline - time.monotonic())
            with urllib.request.urlopen(self._private[url], timeout=wait) as answer:
                return _read_parts(answer.read, deadline)
        system, key = self._system(url)
        with system.open_input_stream(key) as stream:
            return _read_parts(stream.read, deadline)


def _is_folder(url: str) -> bool:
    return url.startswith(tuple(f"{scheme}://" for scheme in BUCKETS))


def _public(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in BUCKETS:
        # A key may contain any character.
        bucket, slash, key = url.partition("://")[2].partition("/")
        return f"{parts.scheme}://{bucket.rpartition('@')[2]}{slash}{key}".rstrip("/")
    query = [pair for pair in parts.query.split("&") if pair and not _SECRET.fullmatch(pair.partition("=")[0])]
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(query), ""))


def _open_system(scheme: str, bucket: str) -> Any:
    from pyarrow import fs

    if scheme == "gs":
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        if not emulator:
            return fs.GcsFileSystem()
        host = urllib.parse.urlsplit(emulator if "://" in emulator else f"http://{emulator}")
        return fs.GcsFileSystem(anonymous=True, scheme=host.scheme, endpoint_override=host.netloc)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint and not region:
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError as error:
            raise SourceError(
                f"the region of bucket {bucket} is not known ({one_line(error)}); set AWS_REGION"
            ) from None
    once = fs.AwsStandardS3RetryStrategy(max_attempts=1)
    return fs.S3FileSystem(region=region, endpoint_override=endpoint, retry_strategy=once)


def _read_parts(read: Callable[[int], bytes], deadline: float) -> bytes:
    parts = []
    while part := read(_PART):
        parts.append(part)
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)


def _attempts(function: Callable[[], _Result], seconds: float) -> _Result:
    """Call a function until it succeeds, with growing pauses.

    Raises:
        Unavailable: It fails for good, or five times, or longer than `seconds`.
        SourceError: The credentials have expired or are wrong.
    """
    end = time.monotonic() + seconds
    wait = _FIRST_WAIT
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _within(function, end - time.monotonic())
        except TimeoutError:
            raise Unavailable(f"reading it took longer than {seconds:g} s") from None
        except FileNotFoundError:
            raise Unavailable("it does not exist") from None
        except (OSError, urllib.error.URLError) as error:
            # Not the text of the error, which may contain the request with its signature.
            reason = _reason(error)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if any(word in reason for word in _REFUSED):
                raise SourceError(
                    f"the credentials are refused ({reason}); renew them, then repeat the command"
                ) from None
            if attempt == _ATTEMPTS or _is_final(error, reason) or time.monotonic() + wait > end:
                raise Unavailable(reason) from None
        time.sleep(wait)
        wait *= 2
    raise AssertionError


def _within(function: Callable[[], _Result], seconds: float) -> _Result:
    """Return what a function returns; after `seconds` it is left alone in its thread.

    Raises:
        TimeoutError: It takes longer.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def _reason(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    text = str(error)
    if match := re.search(r"AWS Error (\w+)", text):
        name = re.search(r"ExceptionName: (\w+)", text)
        status = re.search(r"HTTP status (\d+)", text)
        return (name or match)[1] + (f", HTTP status {status[1]}" if status else "")
    if isinstance(error, urllib.error.URLError):
        return one_line(error.reason) if isinstance(error.reason, BaseException) else str(error.reason)
    return re.sub(r"https?://\S+", "…", one_line(error))[:200]


def _is_final(error: OSError, reason: str) -> bool:
    """Return whether trying again is of no use."""
    if isinstance(error, urllib.error.HTTPError):
        return 400 <= error.code < 500 and error.code not in (408, 429)
    return any(word in reason for word in ("ACCESS_DENIED", "NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND"))
