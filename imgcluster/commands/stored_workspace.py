"""Workspaces in object storage: a command works on a local copy, and what it changed is uploaded when it succeeded.

Objects are named by the digest of their content and never change; one list, ``imgcluster-workspace.json``, names the
files, and is written last, in one step. So a reader finds a complete earlier state or a complete new one. The local
copy remembers the list that it began with, which must still be there when it is replaced.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from imgcluster.commands.shard_store import ShardStore
from imgcluster.errors import ImgclusterError, SourceError, WorkspaceError, WorkspaceInUseError
from imgcluster.fileio.atomic import atomic_path, is_temporary, remove, write_text
from imgcluster.fileio.digests import update_from_file
from imgcluster.fileio.object_store import WORKSPACE_LIST, call_store, list_folder, open_store, store_url, upload
from imgcluster.fileio.schema import parse_json
from imgcluster.images.load import in_order
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.file_names import OWN_NAMES, WorkspaceFiles
from imgcluster.workspace.local_copy import ADDRESS, local_copy

__all__ = ["in_object_storage_too", "local_workspace"]

_LOG = logging.getLogger(__name__)

_OBJECTS: Final = "imgcluster-files"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FORMAT: Final = 1
_LIST: Final = {"format": int, "files": {str: {"sha256": str, "size": range(2**63)}}}
_AT_ONCE: Final = 8
_PART: Final = 1 << 20
_SECONDS: Final = 60.0
_SECONDS_OF_TRANSFER: Final = 3600.0

_NAMES: Final = WorkspaceFiles(Path())
# Of this computer alone.
_OF_COMPUTER: Final = (_NAMES.lock, _NAMES.unfinished, _NAMES.undoing)
# Not possible in object storage.
_OF_FILE_SYSTEM: Final = (_NAMES.clusters, _NAMES.duplicates, _NAMES.shards, _NAMES.joined_shards)
_STORED: Final = {*OWN_NAMES} - {path.name for path in (*_OF_COMPUTER, *_OF_FILE_SYSTEM)}
# Their content follows from the other files, so a command that changes nothing else has changed nothing.
_CACHES: Final = {
    path.name for path in (_NAMES.layers, _NAMES.layout, _NAMES.reduction, _NAMES.neighbors, _NAMES.signatures)
}

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _File:
    """The content of a file of a workspace: its digest, which names the object, and its size."""

    sha256: str
    size: int


_Files = Mapping[str, _File]


def in_object_storage_too(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let a command work with a `workspace` in object storage: on its local copy, which is uploaded in the end."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = signature.bind(*args, **kwargs)
        url = store_url(given.arguments.get("workspace", ""))
        if url is None:
            return function(*args, **kwargs)
        if ShardStore(url).parts():
            raise WorkspaceError(
                f"{url} has shards that are not joined: first run imgcluster embed --finish -w {url}, or delete "
                f"{url}/shards"
            )
        with local_workspace(url, given.arguments.get("on_progress", ignore_progress)) as folder:
            given.arguments["workspace"] = folder
            return function(*given.args, **given.kwargs)

    return run


@contextmanager
def local_workspace(workspace: str | os.PathLike[str], on_progress: OnProgress) -> Iterator[str | os.PathLike[str]]:
    """Yield the folder of a workspace; of one in object storage the local copy, whose changes are uploaded in the end.

    After an error nothing is uploaded; the changes stay in the local copy, and the next command goes on from there.

    Raises:
        SourceError: The store cannot be read or written.
        WorkspaceInUseError: Another process of this computer works there, or a command on another computer has changed
            the stored workspace meanwhile. The changes of this one are kept.
        WorkspaceError: The stored workspace is damaged, or another folder.
    """
    url = store_url(workspace)
    if url is None:
        yield workspace
        return
    copy = _LocalCopy(url)
    with copy.locked():
        try:
            copy.update(on_progress)
            yield copy.folder
            copy.upload(on_progress)
        except ImgclusterError as error:
            # Files of the copy keep their path: they can be looked at there.
            text = re.sub(re.escape(str(copy.folder)) + r"(?![/\\])", url, str(error))
            raise type(error)(text) from error


class _LocalCopy:
    """The local copy of a stored workspace, and the list of its files when both were equal.

    Args:
        url: That of `store_url`.
    """

    def __init__(self, url: str) -> None:
        self.folder = local_copy(url)
        self._url = url
        self._store = _Store(url)
        self._home = self.folder.parent
        self._list = self._home / "list.json"
        self._sent = self._home / "sent.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this computer out during the block."""
        from filelock import FileLock, Timeout

        self._home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._home / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise WorkspaceInUseError(
                f"another imgcluster process of this computer is using {self._url}; wait for it, or choose another "
                "workspace with -w DIR"
            ) from None
        try:
            write_text(self._home / ADDRESS, self._url)
            yield
        finally:
            lock.release()
            if not self.folder.exists():
                # Nothing is left of an address that does not exist.
                for file in (self._list, self._sent, self._home / ADDRESS, self._home / "lock"):
                    remove(file)
                with suppress(OSError):
                    self._home.rmdir()

    def update(self, on_progress: OnProgress) -> None:
        """Make the copy equal to the stored workspace, unless it only has changes that were not uploaded.

        Raises:
            WorkspaceInUseError: It has such changes, and the stored workspace has others.
        """
        stored, _ = self._store.read_list()
        before = _read(self._list)
        if before and not (self.folder / _NAMES.marker).is_file():
            # Somebody removed the copy.
            before = None
        if before is not None:
            if stored == before:
                return
            if stored == _read(self._sent):
                # The command that wrote it did not hear that it was written.
                self._remember(stored)
                return
            if _results(self._files()) != _results(self._store.parse(before)):
                raise self._set_aside()
        files = self._store.parse(stored)
        if not stored:
            self._store.refuse_other_objects()
        # From here on until it is complete there is nothing in the copy to lose.
        remove(self._list)
        remove(self._sent)
        self._download(files, on_progress)
        self._remember(stored)

    def upload(self, on_progress: OnProgress) -> None:
        """Make the stored workspace equal to the copy, if more than caches has changed.

        Raises:
            WorkspaceInUseError: The stored workspace has changed since `update`.
        """
        before = _read(self._list) or ""
        base, files = self._store.parse(before), self._files()
        if _results(files) == _results(base):
            return
        if base and _NAMES.marker.name not in files:
            raise WorkspaceError(f"{self.folder} was removed meanwhile, so nothing was uploaded; repeat the command")
        stored, time = self._store.read_list()
        if stored != before:
            raise self._set_aside()
        present = self._store.objects()
        used = {file.sha256 for file in base.values()}
        missing = {
            file: path for path, file in files.items() if not _is_there(present.get(file.sha256), file, used, time)
        }
        for done, _ in enumerate(in_order(self._write, missing.items(), _AT_ONCE)):
            on_progress(Progress("upload-workspace", done + 1, len(missing)))
        if self._store.read_list()[0] != before:
            raise self._set_aside()
        listed = {path: asdict(file) for path, file in sorted(files.items())}
        text = json.dumps({"format": _FORMAT, "files": listed}, indent=1, ensure_ascii=False) + "\n"
        # Whoever is interrupted now does not know whether it was written.
        write_text(self._sent, text)
        self._store.write_list(text)
        self._remember(text)
        # Readers may still need the objects of the list before. Newer ones may be those of a command that runs now.
        used |= {file.sha256 for file in files.values()}
        self._store.remove([name for name, (_, written) in present.items() if name not in used and written < time])

    def _write(self, item: tuple[_File, str]) -> None:
        file, path = item
        self._store.write(self.folder / path, file)

    def _files(self) -> dict[str, _File]:
        """Return the files that belong into the store, by their path in the workspace."""
        found = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                file = Path(folder, name)
                path = file.relative_to(self.folder).as_posix()
                if _is_stored(path) and not is_temporary(name):
                    digest = hashlib.sha256()
                    size = update_from_file(digest.update, file)
                    found[path] = _File(digest.hexdigest(), size)
        return found

    def _download(self, files: _Files, on_progress: OnProgress) -> None:
        present = self._files()
        for path in {*present.keys() - files.keys(), _NAMES.undoing.name}:
            remove(self.folder / path)
        for folder, _, _ in os.walk(self.folder, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
        paths: dict[_File, list[str]] = {}
        for path, file in files.items():
            if present.get(path) != file:
                paths.setdefault(file, []).append(path)
        for done, _ in enumerate(in_order(self._fetch, paths.items(), _AT_ONCE)):
            on_progress(Progress("download-workspace", done + 1, len(paths)))

    def _fetch(self, item: tuple[_File, list[str]]) -> None:
        """Fetch an object, which is the content of one or several files."""
        file, (first, *others) = item
        with atomic_path(self.folder / first) as temporary:
            self._store.fetch(first, file, temporary)
        for other in others:
            with atomic_path(self.folder / other) as temporary:
                shutil.copyfile(self.folder / first, temporary)

    def _remember(self, text: str) -> None:
        write_text(self._list, text)
        remove(self._sent)

    def _set_aside(self) -> WorkspaceInUseError:
        """Move the copy to another folder, and return the error that names it."""
        number = 1
        while (kept := self._home / f"not-uploaded-{number}").exists():
            number += 1
        os.rename(self.folder, kept)
        remove(self._list)
        remove(self._sent)
        return WorkspaceInUseError(
            f"{self._url} was changed by another command, so nothing was uploaded. What the command here changed is in "
            f"the workspace {kept}; repeat the command to do it again with the present state"
        )


class _Store:
    """The objects of a stored workspace.

    Args:
        url: That of `store_url`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        scheme, _, self._path = url.partition("://")
        self._system: Any = open_store(scheme, self._path.partition("/")[0])

    def read_list(self) -> tuple[str, int]:
        """Return the list, and when it was written, in nanoseconds or 0 if unknown; "" if there is none.

        Raises:
            SourceError: It cannot be read.
        """
        key = f"{self._path}/{WORKSPACE_LIST}"

        def read() -> tuple[str, int]:
            info = self._system.get_file_info(key)
            if info.size is None:
                return "", 0
            with self._system.open_input_stream(key) as stream:
                data = stream.read()
            if len(data) != info.size:
                raise OSError(f"{len(data)} of {info.size} bytes were read")
            return data.decode(errors="replace"), info.mtime_ns or 0

        text, time = call_store(self._url, "read", read, _SECONDS)
        return str(text), int(time)

    def parse(self, text: str) -> dict[str, _File]:
        """Return the files of a list by their paths; it may be from a stranger.

        Raises:
            WorkspaceError: It is damaged, or of a newer version.
        """
        if not text:
            return {}
        try:
            value = parse_json(text, _LIST)
            if value["format"] > _FORMAT:
                raise WorkspaceError(f"{self._url} was written by a newer version of imgcluster: upgrade imgcluster")
            files = {path: _File(file["sha256"], file["size"]) for path, file in value["files"].items()}
            for path, file in files.items():
                if not _is_stored(path) or not _DIGEST.fullmatch(file.sha256):
                    raise ValueError(f"it names {path!r}")
        except ValueError as error:
            raise WorkspaceError(
                f"{self._url}/{WORKSPACE_LIST} is damaged ({error}); restore it, or choose another workspace "
                "with -w DIR"
            ) from None
        return files

    def refuse_other_objects(self) -> None:
        """Check that a folder without a list has no objects, except those of an interrupted first command.

        Raises:
            WorkspaceError: It has.
        """
        found = {entry.base_name for entry in list_folder(self._system, self._url, may_be_missing=True)}
        if found - {"", _OBJECTS, _NAMES.shards.name}:
            raise WorkspaceError(
                f"{self._url} is not a workspace and contains other objects; choose an empty or new folder with -w DIR"
            )

    def objects(self) -> dict[str, tuple[int, int]]:
        """Return the size of each object, and when it was written, in nanoseconds."""
        found = list_folder(self._system, f"{self._url}/{_OBJECTS}", may_be_missing=True)
        return {
            entry.base_name: (entry.size or 0, entry.mtime_ns or 0)
            for entry in found
            if _DIGEST.fullmatch(entry.base_name)
        }

    def fetch(self, path: str, file: _File, target: Path) -> None:
        """Copy the object of a file.

        Raises:
            SourceError: It cannot be read.
            WorkspaceError: It has other content.
        """

        def read() -> None:
            digest, size = hashlib.sha256(), 0
            with self._system.open_input_stream(self._key(file)) as source, target.open("wb") as copy:
                while size < file.size and (part := source.read(_PART)):
                    digest.update(part)
                    size += copy.write(part)
            if size != file.size:
                raise OSError(f"{size} of {file.size} bytes were read")
            if digest.hexdigest() != file.sha256:
                raise WorkspaceError(
                    f"{path} of {self._url} is damaged: the object {self._key(file)} does not have the digest that it "
                    "is named by; restore that object, or choose another workspace with -w DIR"
                )

        call_store(f"{path} of {self._url} (object {self._key(file)})", "read", read, _SECONDS_OF_TRANSFER)

    def write(self, source: Path, file: _File) -> None:
        """Write the object of a file.

        Raises:
            SourceError: It cannot be written.
        """
        call_store(self._url, "written", lambda: upload(self._system, source, self._key(file)), _SECONDS_OF_TRANSFER)

    def write_list(self, text: str) -> None:
        """Replace the list.

        Raises:
            SourceError: It cannot be written.
        """

        def write() -> None:
            with self._system.open_output_stream(f"{self._path}/{WORKSPACE_LIST}", compression=None) as target:
                target.write(text.encode())

        call_store(self._url, "written", write, _SECONDS)

    def remove(self, names: list[str]) -> None:
        """Remove objects, as far as that is allowed."""
        try:
            for name in names:
                key = f"{self._path}/{_OBJECTS}/{name}"
                call_store(self._url, "cleared", functools.partial(self._system.delete_file, key), _SECONDS)
        except SourceError as error:
            _LOG.debug("%s", error)

    def _key(self, file: _File) -> str:
        return f"{self._path}/{_OBJECTS}/{file.sha256}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _is_stored(path: str) -> bool:
    """Return whether a path is that of a file of a workspace that belongs into the store, and of no other file."""
    parts = path.split("/")
    is_plain = all(part not in ("", ".", "..") and not set(part) & set("\\:\0") for part in parts)
    return is_plain and parts[0] in _STORED


def _is_there(present: tuple[int, int] | None, file: _File, used: set[str], time: int) -> bool:
    """Return whether an object need not be written: it has the size, and no command that runs now may remove it."""
    return present is not None and present[0] == file.size and (file.sha256 in used or present[1] >= time)


def _results(files: _Files) -> dict[str, _File]:
    return {path: file for path, file in files.items() if path not in _CACHES}
