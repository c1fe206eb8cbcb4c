"""Workspaces in object storage: a command works on a local copy, and what it changed is uploaded when it succeeded.

The local copy remembers the list of files that it began with, which must still be there when it is replaced.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from imgcluster.commands.support.shard_store import ShardStore
from imgcluster.errors import ImgclusterError, SourceError, WorkspaceError, WorkspaceInUseError
from imgcluster.fileio.atomic import atomic_path, is_temporary, remove, remove_if_empty, write_text
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.locks import take_lock
from imgcluster.fileio.object_store import store_url
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.file_names import WorkspaceFiles
from imgcluster.workspace.local_copy import ADDRESS, local_copy
from imgcluster.workspace.local_digests import hash_files
from imgcluster.workspace.stored_files import StoredFile, StoredFiles, files_of, is_stored, list_of

__all__ = ["in_object_storage_too", "local_workspace"]

_AT_ONCE: Final = 8
_NAMES: Final = WorkspaceFiles(Path())
# Their content follows from the other files, so a command that changes nothing else has changed nothing.
_CACHES: Final = {
    path.name for path in (_NAMES.layers, _NAMES.layout, _NAMES.reduction, _NAMES.neighbors, _NAMES.signatures)
}

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_object_storage_too(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let a command work with a `workspace` in object storage: on its local copy, which is uploaded in the end."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = signature.bind(*args, **kwargs)
        url = store_url(given.arguments.get("workspace", ""))
        if url is None:
            return function(*args, **kwargs)
        with local_workspace(url, given.arguments.get("on_progress", ignore_progress)) as folder:
            if ShardStore(url).parts():
                raise WorkspaceError(
                    f"{url} has shards that are not joined: first run imgcluster embed --finish -w {url}, or delete "
                    f"{url}/shards"
                )
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
            try:
                copy.upload(on_progress)
            except SourceError as error:
                raise SourceError(
                    f"{error}. What was changed is kept in {copy.folder}/ and uploaded by the next command; to give it "
                    "up, delete that folder"
                ) from error
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
        self._store = StoredFiles(url)
        self._home = self.folder.parent
        self._list = self._home / "list.json"
        self._sent = self._home / "sent.json"
        self._digests = self._home / "digests.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this computer out during the block."""
        from filelock import Timeout

        self._home.mkdir(parents=True, exist_ok=True)
        try:
            lock = take_lock(self._home / "lock")
        except Timeout:
            raise WorkspaceInUseError(
                f"another imgcluster process of this computer is using {self._url}; wait for it, or choose another "
                "workspace with -w DIR"
            ) from None
        try:
            write_text(self._home / ADDRESS, self._url)
            yield
        finally:
            if lock is not None:
                lock.release()
            if not self.folder.exists():
                # Nothing is left of an address that does not exist.
                for file in (self._list, self._sent, self._digests, self._home / ADDRESS, self._home / "lock"):
                    remove(file)
                remove_if_empty(self._home)

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
                self._record_list(stored)
                return
            if _results(self._files()) != _results(files_of(before, self._url)):
                raise self._set_aside()
        files = files_of(stored, self._url)
        if not stored:
            self._store.refuse_other_objects()
        # From here on until it is complete there is nothing in the copy to lose.
        remove(self._list)
        remove(self._sent)
        self._download(files, on_progress)
        self._record_list(stored)

    def upload(self, on_progress: OnProgress) -> None:
        """Make the stored workspace equal to the copy, if more than caches has changed.

        Raises:
            WorkspaceInUseError: The stored workspace has changed since `update`.
        """
        before = _read(self._list) or ""
        base, files = files_of(before, self._url), self._files()
        if _results(files) == _results(base) or _is_interrupted(files):
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
        text = list_of(files)
        # Whoever is interrupted now does not know whether it was written.
        write_text(self._sent, text)
        self._store.write_list(text)
        self._record_list(text)
        # Readers may still need the objects of the list before. Newer ones may be those of a command that runs now.
        used |= {file.sha256 for file in files.values()}
        self._store.remove([name for name, (_, written) in present.items() if name not in used and written < time])

    def _write(self, item: tuple[StoredFile, str]) -> None:
        file, path = item
        self._store.write(self.folder / path, file)

    def _files(self) -> dict[str, StoredFile]:
        """Return the files that belong into the store, by their path in the workspace."""
        paths = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name).relative_to(self.folder).as_posix()
                if is_stored(path) and not is_temporary(name):
                    paths.append(path)
        return hash_files(self.folder, paths, self._digests)

    def _download(self, files: Mapping[str, StoredFile], on_progress: OnProgress) -> None:
        present = self._files()
        for path in {*present.keys() - files.keys(), _NAMES.undoing.name}:
            remove(self.folder / path)
        for folder, _, _ in os.walk(self.folder, topdown=False):
            remove_if_empty(Path(folder))
        paths: dict[StoredFile, list[str]] = {}
        for path, file in files.items():
            if present.get(path) != file:
                paths.setdefault(file, []).append(path)
        for done, _ in enumerate(in_order(self._fetch, paths.items(), _AT_ONCE)):
            on_progress(Progress("download-workspace", done + 1, len(paths)))

    def _fetch(self, item: tuple[StoredFile, list[str]]) -> None:
        """Fetch an object, which is the content of one or several files."""
        file, (first, *others) = item
        with atomic_path(self.folder / first) as temporary:
            self._store.fetch(first, file, temporary)
        for other in others:
            with atomic_path(self.folder / other) as temporary:
                shutil.copyfile(self.folder / first, temporary)

    def _record_list(self, text: str) -> None:
        write_text(self._list, text)
        remove(self._sent)

    def _set_aside(self) -> WorkspaceInUseError:
        """Move the copy to another folder, and return the error that names it."""
        number = 1
        while (copy := self._home / f"not-uploaded-{number}").exists():
            number += 1
        os.rename(self.folder, copy)
        remove(self._list)
        remove(self._sent)
        return WorkspaceInUseError(
            f"{self._url} was changed by another command, so nothing was uploaded. What the command here changed is in "
            f"the workspace {copy}; repeat the command to do it again with the present state"
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _is_there(present: tuple[int, int] | None, file: StoredFile, used: set[str], time: int) -> bool:
    """Return whether an object need not be written: it has the size, and no command that runs now may remove it."""
    return present is not None and present[0] == file.size and (file.sha256 in used or present[1] >= time)


def _is_interrupted(files: Mapping[str, StoredFile]) -> bool:
    """Return whether an earlier command was interrupted while it changed results, and this one only read them."""
    begun = _NAMES.assignments.name in files or _NAMES.journal.name in files
    return begun and _NAMES.metrics.name not in files


def _results(files: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
    return {path: file for path, file in files.items() if path not in _CACHES}
