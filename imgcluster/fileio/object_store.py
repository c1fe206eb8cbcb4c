"""Object storage and web servers: opening them, and calls with retries and a time limit."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
from collections.abc import Callable
from http.client import HTTPException, IncompleteRead, InvalidURL
from pathlib import Path, PurePath
from typing import Any, Final, TypeVar

from imgcluster.errors import SourceError, one_line

__all__ = [
    "BUCKETS",
    "WORKSPACE_LIST",
    "Unavailable",
    "attempts",
    "call_store",
    "list_folder",
    "open_store",
    "store_endpoint",
    "store_url",
    "upload",
    "url_of",
]

BUCKETS: Final = ("s3", "gs")
"""The schemes of object storage."""

WORKSPACE_LIST: Final = "imgcluster-workspace.json"
"""The object that makes a folder in object storage a workspace."""

_URL: Final = re.compile(r"(s3|gs|https?)://(.+)", re.DOTALL)
_ATTEMPTS: Final = 5
_FIRST_WAIT: Final = 0.1
_SECONDS_OF_LISTING: Final = 60.0
_PART: Final = 1 << 20
# Names of errors of S3: the credentials are of no use for any other object either.
_REFUSED: Final = ("EXPIRED_TOKEN", "ExpiredToken", "INVALID_ACCESS_KEY", "INVALID_CLIENT_TOKEN", "SIGNATURE_DOES_NOT")

_Result = TypeVar("_Result")


class Unavailable(Exception):  # noqa: N818 - a fact about one object, which is skipped
    """An object that cannot be read or written, and why."""


def url_of(path: str | os.PathLike[str]) -> str | None:
    """Return the URL that a path given by the user is; None for a path of the file system."""
    # A path object makes one slash of two, and backslashes of them on Windows.
    text = path.as_posix().replace(":/", "://", 1) if isinstance(path, PurePath) else os.fspath(path)
    return text if _URL.fullmatch(text) else None


def store_url(path: str | os.PathLike[str]) -> str | None:
    """Return the URL of a folder in object storage that a path given by the user is; None for any other path."""
    url = url_of(path)
    return url.rstrip("/") if url and url.partition("://")[0] in BUCKETS else None


def store_endpoint(url: str) -> str:
    """Return the address of the store that a URL of `store_url` refers to; "" for the provider's own."""
    names = ("STORAGE_EMULATOR_HOST",) if url.startswith("gs:") else ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next(filter(None, map(os.environ.get, names)), "")


def open_store(scheme: str, bucket: str) -> Any:
    """Return the file system of a store, with the credentials of the standard variables and files.

    Raises:
        SourceError: The region of the bucket is not known.
    """
    from pyarrow import fs

    endpoint = store_endpoint(f"{scheme}://{bucket}")
    if scheme == "gs":
        if not endpoint:
            return fs.GcsFileSystem()
        host = urllib.parse.urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        return fs.GcsFileSystem(anonymous=True, scheme=host.scheme, endpoint_override=host.netloc)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint and not region:
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError as error:
            raise SourceError(
                f"the region of bucket {bucket} is not known ({one_line(error)}); set AWS_REGION"
            ) from None
    once = fs.AwsStandardS3RetryStrategy(max_attempts=1)
    return fs.S3FileSystem(region=region, endpoint_override=endpoint or None, retry_strategy=once)


def upload(system: Any, file: Path, key: str) -> None:
    """Write the content of a file into an object, which is there whole or not at all.

    Raises:
        OSError: It cannot be written, or the file not be read.
    """
    with file.open("rb") as source, system.open_output_stream(key, compression=None) as target:
        shutil.copyfileobj(source, target, _PART)


def list_folder(system: Any, url: str, *, recursive: bool = False, may_be_missing: bool = False) -> list[Any]:
    """Return what is in a folder of a store: a ``pyarrow.fs.FileInfo`` for each object and folder.

    Args:
        system: That of `open_store`.
        url: The folder's.
        recursive: Whether folders in folders are listed.
        may_be_missing: Whether a folder that does not exist is an empty one.

    Raises:
        SourceError: It cannot be listed.
    """
    from pyarrow import fs

    path = url.partition("://")[2].rstrip("/")
    selector = fs.FileSelector(path, recursive=recursive, allow_not_found=may_be_missing)
    return list(call_store(url, "listed", lambda: system.get_file_info(selector), _SECONDS_OF_LISTING))


def call_store(url: str, what: str, function: Callable[[], _Result], seconds: float) -> _Result:
    """Return what `attempts` does.

    Raises:
        SourceError: What is at `url` cannot be `what`, such as "read".
    """
    try:
        return attempts(function, seconds)
    except Unavailable as reason:
        raise SourceError(
            f"{url} cannot be {what} ({reason}); check its name, the credentials and the network, then repeat the "
            "command"
        ) from None


def attempts(function: Callable[[], _Result], seconds: float) -> _Result:
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
            raise Unavailable(f"it took longer than {seconds:g} s") from None
        except FileNotFoundError:
            raise Unavailable("it does not exist") from None
        except (OSError, HTTPException, ValueError) as error:
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


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    if isinstance(error, InvalidURL | UnicodeError):
        return "it is not a valid address; write a space as %20, and letters with accents in the same way"
    if isinstance(error, IncompleteRead):
        return "the connection was lost before the end"
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return "the server does not answer as HTTP requires"
    text = str(error)
    if match := re.search(r"AWS Error (\w+)", text):
        name = re.search(r"ExceptionName: (\w+)", text)
        status = re.search(r"HTTP status (\d+)", text)
        return (name or match)[1] + (f", HTTP status {status[1]}" if status else "")
    if isinstance(error, urllib.error.URLError):
        return one_line(error.reason) if isinstance(error.reason, BaseException) else str(error.reason)
    return re.sub(r"https?://\S+", "…", one_line(error))[:200]


def _is_final(error: Exception, reason: str) -> bool:
    """Return whether trying again is of no use."""
    if isinstance(error, ValueError):
        return True
    if isinstance(error, urllib.error.HTTPError):
        return 400 <= error.code < 500 and error.code not in (408, 429)
    return any(word in reason for word in ("ACCESS_DENIED", "NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND"))
