"""Shards in object storage: one object for each complete shard, ``shards/I-of-N.zip`` below the workspace's URL.

An object is there whole or not at all, so no shard in a store is incomplete, and the last of several that were written
for one shard counts.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import IO, Any, Final

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.object_store import call_store, list_folder, open_store, upload
from imgcluster.fileio.schema import parse_json
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shapes import SHARD
from imgcluster.workspace.work_shards import WorkShard, shard_files

__all__ = ["ShardStore"]

_OBJECT: Final = re.compile(r"([0-9]{1,6})-of-([0-9]{1,6})\.zip")
_MEMBER: Final = re.compile(r"(manifest\.json|skipped\.csv|removed\.csv|embeddings/shard-[0-9]{6,}\.parquet)")
_MANIFEST: Final = "manifest.json"
_SECONDS: Final = 60.0
_SECONDS_OF_TRANSFER: Final = 3600.0
_PART: Final = 1 << 20
# The last two: members that are encrypted, compressed in an unknown way, or damaged.
_UNREADABLE: Final = (zipfile.BadZipFile, EOFError, RuntimeError, zlib.error)


class ShardStore:
    """The shards below a URL in object storage.

    Args:
        url: ``s3://bucket/path`` or ``gs://bucket/path``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        scheme, _, self._path = url.partition("://")
        self._system: Any = open_store(scheme, self._path.partition("/")[0])

    def parts(self) -> list[WorkShard]:
        """Return the shards that are there, sorted.

        Raises:
            SourceError: The store cannot be listed.
        """
        return sorted(self.objects())

    def objects(self) -> dict[WorkShard, tuple[int, int]]:
        """Return the size and time of the object of each shard, which differ where it was written again.

        Raises:
            SourceError: The store cannot be listed.
        """
        from pyarrow import fs

        entries = list_folder(self._system, f"{self.url}/shards", may_be_missing=True)
        found = ((_OBJECT.fullmatch(entry.base_name), entry) for entry in entries if entry.type == fs.FileType.File)
        return {
            WorkShard(int(match[1]), int(match[2])): (entry.size, entry.mtime_ns) for match, entry in found if match
        }

    def manifest(self, part: WorkShard) -> str:
        """Return the manifest of a shard that is there, without reading the rest.

        Raises:
            SourceError: It cannot be read.
            WorkspaceError: It is damaged.
        """

        def read() -> str:
            with self._system.open_input_file(self._key(part)) as file:
                source = _Watched(file)
                try:
                    with zipfile.ZipFile(source) as archive:
                        _check_sizes(archive, source.size)
                        return archive.read(_MANIFEST).decode()
                except _UNREADABLE:
                    # It hides errors of reading.
                    if source.error is not None:
                        raise source.error from None
                    raise

        try:
            text: str = call_store(self.url, "read", read, _SECONDS)
            parse_json(text, SHARD)
        except (*_UNREADABLE, KeyError, ValueError) as error:
            raise self._damaged(part, error) from None
        return text

    def fetch(self, part: WorkShard, shared: Workspace) -> Workspace:
        """Copy a shard into a workspace, and return the shard's own workspace in it.

        Raises:
            SourceError: It cannot be read.
            WorkspaceError: It is damaged.
        """
        own, copy = part.workspace(shared), shared.path / "shard.zip"

        def read() -> None:
            with self._system.open_input_stream(self._key(part)) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, _PART)

        shared.initialize()
        own.initialize()
        own.embeddings.mkdir(exist_ok=True)
        call_store(self.url, "read", read, _SECONDS_OF_TRANSFER)
        try:
            with zipfile.ZipFile(copy) as archive:
                _check_sizes(archive, copy.stat().st_size)
                for name in archive.namelist():
                    # Others, also those with paths outside of the folder, are ignored.
                    if _MEMBER.fullmatch(name):
                        with archive.open(name) as member:
                            _write(own.path / name, member)
        except _UNREADABLE as error:
            raise self._damaged(part, error) from None
        finally:
            copy.unlink(missing_ok=True)
        return own

    def upload(self, part: WorkShard, shared: Workspace) -> None:
        """Write a complete shard of a workspace into the store, in the place of any earlier one.

        Raises:
            SourceError: It cannot be written.
        """
        own, copy = part.workspace(shared), shared.path / "shard.zip"
        with zipfile.ZipFile(copy, "w") as archive:
            for file in shard_files(own):
                archive.write(file, file.relative_to(own.path).as_posix())

        call_store(self.url, "written", lambda: upload(self._system, copy, self._key(part)), _SECONDS_OF_TRANSFER)
        copy.unlink()

    def remove(self, parts: Iterable[WorkShard]) -> None:
        """Remove shards, which are joined.

        Raises:
            SourceError: They cannot be removed.
        """
        for part in parts:
            call_store(self.url, "cleared", partial(self._system.delete_file, self._key(part)), _SECONDS)

    def _key(self, part: WorkShard) -> str:
        return f"{self._path}/shards/{part.number}-of-{part.count}.zip"

    def _damaged(self, part: WorkShard, error: Exception) -> WorkspaceError:
        return WorkspaceError(
            f"shard {part} in {self.url} is damaged ({error}): delete {self._key(part)}, and embed this shard again"
        )


class _Watched(RawIOBase):
    """An object that is read in parts, and the last error of that."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.size = int(source.size())
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        left = self.size - self._source.tell()
        expected = left if size < 0 else min(size, left)
        try:
            data = bytes(self._source.read(expected))
            if len(data) < expected:
                raise OSError("the connection was lost before the end")
        except OSError as error:
            self.error = error
            raise
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._source.seek(offset, whence))

    def tell(self) -> int:
        return int(self._source.tell())

    def seekable(self) -> bool:
        return True


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """Check that the files are not larger than the archive, in which they are stored as they are.

    Raises:
        BadZipFile: They are larger, and could fill the disk or the memory.
    """
    if sum(member.file_size for member in archive.infolist()) > size:
        raise zipfile.BadZipFile("its files are larger than itself")


def _write(path: Path, source: IO[bytes]) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, _PART)
