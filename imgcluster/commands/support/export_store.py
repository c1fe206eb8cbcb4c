"""`export` into object storage: copies of the images, one folder for each cluster, made by the store itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import SourceError, UsageError, WorkspaceError
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.object_store import Unavailable, attempts, list_folder, open_store, store_url, upload
from imgcluster.fileio.path_text import from_text, relative_to
from imgcluster.placement import Journal
from imgcluster.placement.journal import Entry
from imgcluster.progress import OnProgress, Progress

__all__ = ["copy_into_store", "require_placed"]

_SECONDS: Final = 60.0
_AT_ONCE: Final = 16


def copy_into_store(journal: Journal, url: str, on_progress: OnProgress) -> int:
    """Copy the placed images to where they belong below `url`, and return the number of those that are missing.

    Images in a store of the same kind are copied by it, without passing through this machine; files are uploaded; those
    of web servers and other stores are missing. An object of the same size that is there already is not copied again.

    Args:
        journal: The placement.
        url: The folder in object storage.
        on_progress: Called with each step.

    Raises:
        UsageError: An object of another size is at the place of a copy; nothing is overwritten.
        SourceError: The store cannot be read or written.
    """
    scheme, _, path = url.partition("://")
    # Each bucket has its region; the store copies from any to that of the target.
    open_bucket = functools.cache(functools.partial(open_store, scheme))
    target = _Target(url, path, scheme, open_bucket, journal.folder)
    present = target.present()
    missing = 0
    copied = in_order(lambda entry: target.copy(entry, present), journal.entries, _AT_ONCE)
    for done, (_, was_copied) in enumerate(copied, start=1):
        missing += not was_copied
        on_progress(Progress("copy", done, len(journal.entries)))
    return missing


@dataclass(frozen=True, slots=True)
class _Target:
    """A folder in object storage: its URL, path and kind of store, what opens a bucket, and the placed folder."""

    url: str
    path: str
    scheme: str
    open_bucket: Callable[[str], Any]
    folder: str

    @property
    def system(self) -> Any:
        """The bucket of the folder."""
        return self.open_bucket(self.path.partition("/")[0])

    def present(self) -> dict[str, int]:
        """Return the size of each object in the folder."""
        from pyarrow import fs

        objects = list_folder(self.system, self.url, recursive=True, may_be_missing=True)
        return {entry.path: int(entry.size or 0) for entry in objects if entry.type == fs.FileType.File}

    def copy(self, entry: Entry, present: dict[str, int]) -> bool:
        """Copy an image; return False if it is missing."""
        target = f"{self.path}/{relative_to(entry.target, self.folder)}"
        url, file = store_url(entry.source), from_text(entry.source)
        if url is None and not file.is_file():
            return False
        if url is not None and not url.startswith(f"{self.scheme}://"):
            return False
        try:
            size = self._size(url, file)
            if target in present:
                if present[target] == size:
                    return True
                raise UsageError(f"{self.scheme}://{target} exists with other content; choose another folder")
            attempts(lambda: self._write(url, file, target), _SECONDS)
        except FileNotFoundError:
            return False
        except Unavailable as reason:
            raise SourceError(
                f"{entry.source} cannot be copied to {self.scheme}://{target} ({reason}); repeat the command to "
                "continue"
            ) from None
        return True

    def _size(self, url: str | None, file: Path) -> int:
        if url is None:
            return os.stat(file).st_size
        key = url.partition("://")[2]
        source = self.open_bucket(key.partition("/")[0])
        info = attempts(lambda: source.get_file_info(key), _SECONDS)
        if info.size is None:
            raise FileNotFoundError
        return int(info.size)

    def _write(self, url: str | None, file: Path, target: str) -> None:
        if url is not None:
            self.system.copy_file(url.partition("://")[2], target)
            return
        upload(self.system, file, target)


def require_placed(journal: Journal | None) -> Journal:
    """Return a journal.

    Raises:
        WorkspaceError: There is none.
    """
    if journal is None:
        raise WorkspaceError(
            "no images are placed, so it is not known where they belong: first run imgcluster cluster --place manifest"
        )
    return journal
