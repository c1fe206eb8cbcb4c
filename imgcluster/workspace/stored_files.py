"""The files of a workspace in object storage: objects that never change, and one list of them.

Objects are named by the digest of their content. The list, ``imgcluster-workspace.json``, names the files, and is
written last, in one step: a reader finds a complete earlier state or a complete new one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import SourceError, WorkspaceError
from imgcluster.fileio.object_store import WORKSPACE_LIST, call_store, list_folder, open_store, upload
from imgcluster.fileio.schema import parse_json
from imgcluster.workspace.file_names import OWN_NAMES, WorkspaceFiles

__all__ = ["StoredFile", "StoredFiles", "files_of", "is_stored", "list_of"]

_LOG = logging.getLogger(__name__)

_OBJECTS: Final = "imgcluster-files"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FORMAT: Final = 1
_LIST: Final = {"format": int, "files": {str: {"sha256": str, "size": range(2**63)}}}
_PART: Final = 1 << 20
_SECONDS: Final = 60.0
_SECONDS_OF_TRANSFER: Final = 3600.0

_NAMES: Final = WorkspaceFiles(Path())
# Of this computer alone.
_OF_COMPUTER: Final = (_NAMES.lock, _NAMES.unfinished, _NAMES.undoing)
# Not possible in object storage.
_OF_FILE_SYSTEM: Final = (_NAMES.clusters, _NAMES.duplicates, _NAMES.shards, _NAMES.joined_shards)
_STORED: Final = {*OWN_NAMES} - {path.name for path in (*_OF_COMPUTER, *_OF_FILE_SYSTEM)}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The content of a file of a workspace: its digest, which names the object, and its size."""

    sha256: str
    size: int


class StoredFiles:
    """The objects and the list of a workspace in object storage.

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
            WorkspaceError: It is empty.
        """
        key = f"{self._path}/{WORKSPACE_LIST}"

        def read() -> tuple[str, int]:
            info = self._system.get_file_info(key)
            if info.size is None:
                return "", 0
            if not info.size:
                raise _damaged(self._url, "it is empty")
            with self._system.open_input_stream(key) as stream:
                data = stream.read()
            if len(data) != info.size:
                raise OSError(f"{len(data)} of {info.size} bytes were read")
            return data.decode(errors="replace"), info.mtime_ns or 0

        text, time = call_store(self._url, "read", read, _SECONDS)
        return str(text), int(time)

    def refuse_other_objects(self) -> None:
        """Check that a folder without a list has no objects, except those of an interrupted first command.

        Raises:
            WorkspaceError: It has.
            SourceError: There is no such bucket.
        """
        from pyarrow import fs

        bucket = self._path.partition("/")[0]
        info = call_store(self._url, "read", lambda: self._system.get_file_info(bucket), _SECONDS)
        if info.type == fs.FileType.NotFound:
            raise SourceError(f"{self._url} cannot be read: there is no bucket {bucket}; check its name")
        names = {entry.base_name for entry in list_folder(self._system, self._url, may_be_missing=True)}
        if names - {"", _OBJECTS, _NAMES.shards.name}:
            raise WorkspaceError(
                f"{self._url} is not a workspace and contains other objects; choose an empty or new folder with -w DIR"
            )

    def objects(self) -> dict[str, tuple[int, int]]:
        """Return the size of each object, and when it was written, in nanoseconds."""
        listed = list_folder(self._system, f"{self._url}/{_OBJECTS}", may_be_missing=True)
        return {
            entry.base_name: (entry.size or 0, entry.mtime_ns or 0)
            for entry in listed
            if _DIGEST.fullmatch(entry.base_name)
        }

    def fetch(self, path: str, file: StoredFile, target: Path) -> None:
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

    def write(self, source: Path, file: StoredFile) -> None:
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

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, as far as that is allowed."""
        try:
            for name in names:
                key = f"{self._path}/{_OBJECTS}/{name}"
                call_store(self._url, "cleared", functools.partial(self._system.delete_file, key), _SECONDS)
        except SourceError as error:
            _LOG.debug("%s", error)

    def _key(self, file: StoredFile) -> str:
        return f"{self._path}/{_OBJECTS}/{file.sha256}"


def files_of(text: str, url: str) -> dict[str, StoredFile]:
    """Return the files of a list by their paths; it may be from a stranger.

    Args:
        text: The list.
        url: The workspace.

    Raises:
        WorkspaceError: It is damaged, or of a newer version.
    """
    if not text:
        return {}
    try:
        value = parse_json(text, _LIST)
        if value["format"] > _FORMAT:
            raise WorkspaceError(f"{url} was written by a newer version of imgcluster: upgrade imgcluster")
        files = {path: StoredFile(file["sha256"], file["size"]) for path, file in value["files"].items()}
        for path, file in files.items():
            if not is_stored(path) or not _DIGEST.fullmatch(file.sha256):
                raise ValueError(f"it names {path!r}")
    except ValueError as error:
        raise _damaged(url, error) from None
    return files


def list_of(files: Mapping[str, StoredFile]) -> str:
    """Return the list of files, by their paths."""
    listed = {path: asdict(file) for path, file in sorted(files.items())}
    return json.dumps({"format": _FORMAT, "files": listed}, indent=1, ensure_ascii=False) + "\n"


def _damaged(url: str, reason: object) -> WorkspaceError:
    return WorkspaceError(
        f"{url}/{WORKSPACE_LIST} is damaged ({reason}); restore it, or choose another workspace with -w DIR"
    )


def is_stored(path: str) -> bool:
    """Return whether a path is that of a file of a workspace that belongs into the store, and of no other file."""
    parts = path.split("/")
    is_plain = all(part not in ("", ".", "..") and not set(part) & set("\\:\0") for part in parts)
    return is_plain and parts[0] in _STORED
