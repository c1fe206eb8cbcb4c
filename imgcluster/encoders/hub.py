"""The Hugging Face hub: what a repository has, and downloads that continue and are verified.

The package huggingface_hub makes the requests: it knows the endpoint's protocol, tokens, proxies and the user's cache.
Its own download does not continue after the process ended (since 1.5, every process starts a new temporary file), so
the body is read here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from imgcluster._version import __version__
from imgcluster.encoders.installed import PinnedFile, pinned_file
from imgcluster.errors import EncoderError, one_line
from imgcluster.fileio.atomic import sync_folder
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.progress import OnProgress, Progress

__all__ = ["Repository", "download", "find_repository"]

_Result = TypeVar("_Result")

_DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_TRANSIENT: Final = (408, 429, 500, 502, 503, 504)
_DELAYS: Final = (0.3, 1.0, 3.0)
"""Seconds to wait before each further attempt; a download that makes progress starts again with the first."""

_HASH: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_MEGABYTE: Final = 10**6
_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit.

    Attributes:
        name: ``OWNER/REPO``.
        commit: 40 hexadecimal digits.
        files: The paths of its files; None if the endpoint does not list them.
        license: The license that its card states; empty if there is none.
    """

    name: str
    commit: str
    files: frozenset[str] | None
    license: str

    def has(self, file: str) -> bool:
        """Return whether the repository has a file; a request is made if the endpoint does not list them."""
        if self.files is not None:
            return file in self.files
        with _explained(self.name, self.commit, file):
            return _head(self.name, self.commit, file) is not None


def find_repository(name: str, revision: str | None, probe: tuple[str, ...]) -> Repository:
    """Resolve a revision to a commit and list the repository's files.

    Without network, and with ``HF_HUB_OFFLINE``, it is looked for in the cache of huggingface_hub (``HF_HOME``).

    Args:
        name: ``OWNER/REPO``.
        revision: A branch, tag or commit; None for the default branch.
        probe: Files of which the repository probably has one: for endpoints without the API, and for the cache.

    Raises:
        EncoderError: There is no such repository or revision, it is gated or private, or the hub does not answer.
    """
    hub = _hub()
    if _is_offline(hub):
        return _cached_repository(name, revision, probe)
    with _explained(name, revision):
        api = hub.HfApi(endpoint=_endpoint(), library_name="imgcluster", library_version=__version__)
        try:
            info = _retried(lambda: api.model_info(name, revision=revision, timeout=_TIMEOUT))
        except hub.errors.HfHubHTTPError as error:
            # A mirror may serve files without the API.
            if error.response.status_code != 404 or isinstance(error, hub.errors.RevisionNotFoundError):
                raise
            for file in probe:
                metadata = _head(name, revision or "main", file)
                if metadata is not None:
                    return Repository(name, _checked_commit(name, metadata.commit_hash), None, "")
            raise
    card = info.card_data.to_dict() if info.card_data else {}
    license_name = card.get("license_name") if card.get("license") == "other" else card.get("license")
    files = None if info.siblings is None else frozenset(entry.rfilename for entry in info.siblings)
    return Repository(name, _checked_commit(name, info.sha), files, str(license_name or card.get("license") or ""))


def _checked_commit(repository: str, commit: str | None) -> str:
    """Return what the endpoint names as the commit of a repository, if it is one."""
    if commit is None or not re.fullmatch("[0-9a-f]{40}", commit):
        raise EncoderError(f"{_endpoint()} names no commit of {repository}; check HF_ENDPOINT")
    return commit


def download(
    repository: str, commit: str, file: str, target: Path, expected: PinnedFile | None, on_progress: OnProgress
) -> PinnedFile:
    """Download a file of a repository, continue an interrupted download, and verify it.

    Args:
        repository: ``OWNER/REPO``.
        commit: The commit.
        file: The path in the repository.
        target: Where the file gets to.
        expected: What is pinned for this file; None at the first download.
        on_progress: Called with the megabytes that are there.

    Raises:
        EncoderError: The file does not exist, or its content is not what the hub says or what is pinned.
    """
    hub = _hub()
    target.parent.mkdir(parents=True, exist_ok=True)
    cached = _cached(repository, commit, file)
    etag = "" if cached is None else cached.resolve().name
    # Where links are not possible, as on Windows, the cache does not say the hash of its files.
    if cached is not None and _HASH.fullmatch(etag):
        partial = target.with_name(f"{target.name}.{etag[:16]}.part")
        shutil.copyfile(cached, partial)
    else:
        if _is_offline(hub):
            raise EncoderError(
                f"{file} of {repository} is not installed, and HF_HUB_OFFLINE is set; unset it, or use imgcluster "
                "encoders import with a tar from a machine with network"
            )
        with _explained(repository, commit, file):
            metadata = _retried(lambda: _metadata(repository, commit, file))
            etag, size = str(metadata.etag), metadata.size
            if metadata.commit_hash not in (None, commit):
                raise EncoderError(f"the hub answers with commit {metadata.commit_hash} of {repository}, not {commit}")
            partial = target.with_name(f"{target.name}.{re.sub('[^0-9a-zA-Z]', '', etag)[:16]}.part")
            _fetch(repository, commit, file, partial, size, on_progress)
    try:
        digest = _verify(partial, f"{file} of {repository}", etag, expected)
    except EncoderError:
        partial.unlink()
        raise
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(partial, target)
    sync_folder(target.parent)
    return digest


def _fetch(repository: str, commit: str, file: str, partial: Path, size: int | None, on_progress: OnProgress) -> None:
    """Read the body of a file into `partial`, from where an earlier attempt ended."""
    hub = _hub()
    url = _url(repository, commit, file)
    headers = {**_headers(), "Accept-Encoding": "identity"}
    total = None if size is None else max(1, size // _MEGABYTE)

    def attempt() -> None:
        start = partial.stat().st_size if partial.exists() else 0
        if size is not None and start == size:
            return
        ranged = headers | ({"Range": f"bytes={start}-"} if start else {})
        with hub.get_session().stream("GET", url, headers=ranged, timeout=_TIMEOUT) as response:
            if response.status_code == 416:
                partial.unlink()
            hub.utils.hf_raise_for_status(response)
            # A server without ranges sends everything.
            with partial.open("ab" if response.status_code == 206 else "wb") as stream:
                for chunk in response.iter_bytes():
                    stream.write(chunk)
                    on_progress(Progress("download", stream.tell() // _MEGABYTE, total))
        if size is not None and partial.stat().st_size < size:
            raise ConnectionError("the hub sent less than the whole file")
        if total is not None:
            on_progress(Progress("download", total, total))

    _retried(attempt, position=lambda: partial.stat().st_size if partial.exists() else 0)


def _verify(path: Path, what: str, etag: str, expected: PinnedFile | None) -> PinnedFile:
    """Return the hash of a downloaded file after comparing it with the hub's and with the pinned one.

    The hub's is the SHA-256 for large files, and git's SHA-1 of the blob for others.
    """
    pinned = pinned_file(path)
    if not _HASH.fullmatch(etag):
        raise EncoderError(
            f"{_endpoint()} states no hash of {what} (its ETag is {etag!r}), so it cannot be verified; use another "
            "HF_ENDPOINT"
        )
    actual = pinned.sha256
    if len(etag) < len(actual):
        content = path.read_bytes()
        actual = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if actual != etag:
        raise EncoderError(f"{what} is damaged: its hash is {actual}, the hub says {etag}; run the command again")
    if expected is not None and pinned != expected:
        raise EncoderError(
            f"{what} has other content now: its SHA-256 is {pinned.sha256}, pinned is {expected.sha256}; it is refused"
        )
    return pinned


def _retried(call: Callable[[], _Result], position: Callable[[], int] = lambda: 0) -> _Result:
    """Return `call()`, called again after a failure that may pass.

    Args:
        call: Makes requests.
        position: Returns how far it is; while that grows, attempts are not counted.
    """
    hub = _hub()
    failures, reached = 0, position()
    while True:
        try:
            return call()
        except (hub.errors.HTTPError, ConnectionError) as error:
            response = getattr(error, "response", None)
            passing = response is None or response.status_code in (*_TRANSIENT, 416)
            if position() > reached:
                failures, reached = 0, position()
            if isinstance(error, hub.errors.OfflineModeIsEnabled) or not passing or failures == len(_DELAYS):
                raise
            time.sleep(_DELAYS[failures])
            failures += 1


@contextmanager
def _explained(repository: str, revision: str | None, file: str = "") -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line with what to do."""
    hub = _hub()
    errors = hub.errors
    where = f"{repository} on {_endpoint()}"
    try:
        yield
    except errors.GatedRepoError:
        raise EncoderError(
            f"{where} is gated: accept its terms on its page, make a token in your account's settings, and set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise EncoderError(f"{where} has no revision {revision}; give a branch, tag or commit") from None
    except errors.EntryNotFoundError:
        raise EncoderError(f"{where} has no file {file}; give one with hub:{repository}:FILE.onnx") from None
    except errors.HTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 404 and file:
            raise EncoderError(f"{where} has no file {file}; give one with hub:{repository}:FILE.onnx") from None
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
            raise EncoderError(
                f"{where} does not exist, or is private or gated (HTTP {status}): check the name; for a private or "
                "gated one accept its terms on its page, and set HF_TOKEN to a token that may read it"
            ) from None
        answer = f"HTTP {status}" if status else one_line(error)
        raise EncoderError(
            f"{where} cannot be reached ({answer}); check the network and HF_ENDPOINT, then run the command again: it "
            "continues. Without network use imgcluster encoders import"
        ) from None
    except errors.HFValidationError as error:
        raise EncoderError(f"{repository!r} is not the name of a repository: {one_line(error)}") from None
    except (OSError, ValueError) as error:
        # Those with a number come from this machine, such as a full disk.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise EncoderError(f"{where} cannot be read ({one_line(error)}); check the network and HF_ENDPOINT") from None


def _hub() -> Any:
    """Import huggingface_hub, without its telemetry unless the user decides otherwise.

    Raises:
        EncoderError: It is missing.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        return import_optional("huggingface_hub")
    except UnavailablePackage as error:
        raise EncoderError(f"encoders of the Hugging Face hub cannot be downloaded: {error}") from None


def _metadata(repository: str, revision: str, file: str) -> Any:
    hub = _hub()
    return hub.get_hf_file_metadata(
        _url(repository, revision, file), timeout=_TIMEOUT, headers=_headers(), endpoint=_endpoint()
    )


def _head(repository: str, revision: str, file: str) -> Any | None:
    """Return the metadata of a file; None if the repository does not have it."""
    hub = _hub()
    try:
        return _retried(lambda: _metadata(repository, revision, file))
    except hub.errors.HfHubHTTPError as error:
        if error.response.status_code == 404:
            return None
        raise


def _url(repository: str, revision: str, file: str) -> str:
    hub = _hub()
    return str(hub.hf_hub_url(repository, file, revision=revision, endpoint=_endpoint()))


def _headers() -> dict[str, str]:
    hub = _hub()
    return dict(hub.utils.build_hf_headers(library_name="imgcluster", library_version=__version__))


# huggingface_hub reads these two variables when it is imported.
def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT).rstrip("/")


def _is_offline(hub: Any) -> bool:
    return bool(hub.constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").upper() in (
        "1",
        "ON",
        "YES",
        "TRUE",
    )


def _cached(repository: str, revision: str | None, file: str) -> Path | None:
    """Return a file in the cache of huggingface_hub; None if it is not there."""
    hub = _hub()
    path = hub.try_to_load_from_cache(repository, file, revision=revision)
    return Path(path) if isinstance(path, str) else None


def _cached_repository(name: str, revision: str | None, probe: tuple[str, ...]) -> Repository:
    for file in probe:
        path = _cached(name, revision, file)
        if path is not None:
            # …/snapshots/COMMIT/FILE
            folder = path.parents[len(Path(file).parts) - 1]
            files = frozenset(entry.relative_to(folder).as_posix() for entry in folder.rglob("*") if entry.is_file())
            return Repository(name, folder.name, files, "")
    raise EncoderError(
        f"{name} is not installed, and HF_HUB_OFFLINE is set; unset it, or use imgcluster encoders import with a tar "
        "from a machine with network"
    )
