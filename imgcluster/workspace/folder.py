"""The workspace folder: its lock, its marker and its manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import UsageError, WorkspaceError, WorkspaceInUseError
from imgcluster.fileio.atomic import (
    NOT_WRITABLE,
    is_link,
    is_temporary,
    remove_if_empty,
    remove_recorded,
    remove_temporary_files,
    write_json,
    write_text,
)
from imgcluster.fileio.locks import take_lock
from imgcluster.fileio.object_store import store_url
from imgcluster.fileio.path_text import to_text
from imgcluster.fileio.regular import is_special, read_text
from imgcluster.fileio.schema import parse_json
from imgcluster.wording import quoted_argument
from imgcluster.workspace.file_names import OWN_NAMES, WorkspaceFiles
from imgcluster.workspace.local_copy import url_of_copy
from imgcluster.workspace.shapes import MANIFEST, METRICS

__all__ = ["FORMAT", "Workspace", "is_workspace", "read_json", "read_metrics"]

FORMAT: Final = 1
"""The version of the workspace's layout; newer ones are refused."""

_FIGURE: Final = re.compile(r"(map|sizes|silhouettes|tree|confusion|noise|cluster_[0-9]{3,}\w*)\.(png|svg)")

# File managers create these in any folder.
_SYSTEM_FILES: Final = {".DS_Store", "Thumbs.db", "desktop.ini"}

_MARKER_TEXT: Final = "This folder is a workspace of imgcluster, which writes and removes its own files here.\n"


class Workspace(WorkspaceFiles):
    """A workspace folder. The constructor creates nothing; `locked` does.

    Args:
        path: The folder.

    Attributes:
        path: The folder, absolute.
        url: The address in object storage, if the folder is the local copy of a workspace there.
        is_writable: False after `locked` found that it can only be read.

    Raises:
        UsageError: The path is in object storage.
        WorkspaceError: The path exists and is not a workspace or an empty folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if url := store_url(path):
            raise UsageError(f"workspace {url} is in object storage, and this needs a folder; choose one with -w DIR")
        super().__init__(Path(os.path.abspath(path)))
        self.url = url_of_copy(self.path)
        self.is_writable = True
        if not self.path.exists() and not self.path.is_symlink():
            return
        self._check_own_files()
        if not self.path.is_dir():
            raise WorkspaceError(f"{self.path} is not a folder; choose another workspace with -w DIR")
        if not self.is_initialized and not all(map(_is_ignorable, self.path.iterdir())):
            raise WorkspaceError(
                f"{self.path} is not a workspace and contains other files; name a workspace with -w DIR, or an empty "
                "or new folder to embed images into: imgcluster embed PATH -w DIR"
            )

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def _check_own_files(self) -> None:
        """Check that nothing of the workspace is a link, so that nothing outside it is written, or a named pipe.

        Raises:
            WorkspaceError: One is a link, or neither a file nor a folder.
        """
        own = [self.path / name for name in OWN_NAMES]
        for folder in (
            *(self.clusters, self.duplicates, self.outdated, self.outdated / self.clusters.name, self.applied),
            *(self.shards, self.joined_shards),
        ):
            if not is_link(folder) and folder.is_dir():
                own += folder.iterdir()
        if self.applied.is_dir():
            own += self.applied.glob("*/*")
        for path in sorted(own):
            if is_link(path):
                raise WorkspaceError(
                    f"{path} is a link, and links inside a workspace are not followed; replace it with its target, or "
                    "choose another workspace with -w DIR"
                )
            _refuse_special(path)
        if self.embeddings.is_dir():
            # Links among them are those of a dry run.
            for path in sorted(self.embeddings.iterdir()):
                _refuse_special(path)

    @property
    def name(self) -> str:
        """What the user calls it: its path, as text, or its address."""
        return self.url or to_text(self.path)

    @property
    def is_initialized(self) -> bool:
        """Whether the folder has the marker of a workspace."""
        return is_workspace(self.path)

    @property
    def figure_files(self) -> tuple[Path, ...]:
        """The files in `figures` that imgcluster wrote, by name."""
        if not self.figures.is_dir():
            return ()
        return tuple(sorted(path for path in self.figures.iterdir() if _FIGURE.fullmatch(path.name)))

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``manifest.json``; empty if nothing ran yet.

        Raises:
            WorkspaceError: The file is damaged, or of a newer version.
        """
        remedy = f"{self.repair_remedy}, or delete that file and embed again with the same --encoder"
        manifest = read_json(self.manifest_file, remedy, MANIFEST)
        version = manifest.get("format", FORMAT)
        if version > FORMAT:
            raise WorkspaceError(
                f"{self.path} has format version {version}; this imgcluster reads version {FORMAT}: upgrade imgcluster"
            )
        return manifest

    def _manifest_or_empty(self) -> dict[str, Any]:
        """Return the manifest; empty if it is damaged.

        Raises:
            WorkspaceError: It is of a newer version.
        """
        try:
            return self.manifest
        except WorkspaceError:
            # One of a newer version is intact, although its fields may have other shapes.
            if self._recorded_format() > FORMAT:
                raise
            return {}

    def _recorded_format(self) -> int:
        with suppress(WorkspaceError):
            return int(read_json(self.manifest_file, "", {"format": int}).get("format", FORMAT))
        return FORMAT

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace ``manifest.json``."""
        write_json(self.manifest_file, {"format": FORMAT, **manifest})

    def read_metrics(self) -> dict[str, Any]:
        """Return the content of ``metrics.json``; empty if nothing is clustered.

        Raises:
            WorkspaceError: The file is damaged.
        """
        return read_metrics(self.metrics, self.repair_remedy)

    @property
    def repair_remedy(self) -> str:
        """What to do about a damaged file that follows from the rest."""
        return f"run {self.command('verify --repair')}"

    @contextmanager
    def locked(self, *, read_only: bool = False, even_damaged: bool = False) -> Iterator[dict[str, Any]]:
        """Hold the workspace's lock during the block, create the folder if it is missing, and yield the manifest.

        Unless it is only read, the marker is written and temporary files of interrupted processes are removed. One
        that cannot be written is read without a lock. With `even_damaged`, a damaged manifest is an empty one.

        Raises:
            WorkspaceInUseError: Another process holds the lock.
            WorkspaceError: The folder cannot be written, or the manifest is damaged or of a newer version.
        """
        from filelock import Timeout

        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            raise WorkspaceError(
                f"{self.path} cannot be created ({error.strerror}); choose another workspace with -w DIR"
            ) from None
        lock = None
        try:
            lock = take_lock(self.lock)
        except Timeout:
            raise WorkspaceInUseError(
                f"another imgcluster process is using {self.path}; wait for it, or choose another workspace with -w DIR"
            ) from None
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            if not read_only:
                raise WorkspaceError(
                    f"{self.path} cannot be written ({error.strerror}), so only commands that change nothing work "
                    "there, such as history, similar, verify, and report --output FILE"
                ) from None
            self.is_writable = False
        try:
            manifest = self._manifest_or_empty() if even_damaged else self.manifest
            if not read_only:
                if not self.is_initialized:
                    write_text(self.marker, _MARKER_TEXT)
                self._remove_leftovers()
            yield manifest
        finally:
            if is_new and os.name != "nt":
                # While it is locked, so that no other process has begun in it.
                self._remove_if_unused()
            if lock is not None:
                lock.release()
            if is_new and os.name == "nt":  # where an open file cannot be removed
                self._remove_if_unused()

    def remove_caches(self) -> None:
        """Remove the caches that are valid for the exact vectors only, which can differ between devices."""
        for path in (self.layers, self.layout, self.reduction, self.neighbors):
            path.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of interrupted processes."""
        for folder in (self.path, self.embeddings, self.figures, *self.applied.glob("*/")):
            remove_temporary_files(folder)
        remove_recorded(self.unfinished)

    def initialize(self) -> None:
        """Create the folder and its marker; several processes may do so at once."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.marker.open("a", encoding="utf-8", newline="") as marker:
            if not marker.tell():
                marker.write(_MARKER_TEXT)

    def _remove_if_unused(self) -> None:
        """Remove the folder if nothing was written to it, so that a mistyped path does not stay behind."""
        if set(self.path.iterdir()) <= {self.marker, self.lock}:
            for file in (self.marker, self.lock):
                file.unlink(missing_ok=True)
            # Since then another process can have begun.
            remove_if_empty(self.path)

    def command(self, words: str) -> str:
        """Return an imgcluster command for this workspace that works in any folder."""
        return f"imgcluster {words} {self.option}"

    @property
    def option(self) -> str:
        """The option that names this workspace in any folder, as on the command line."""
        return f"-w {quoted_argument(self.url or str(self.path))}"

    def require_initialized(self) -> None:
        """Raise `WorkspaceError` if nothing was ever embedded here; `locked` would create a missing folder."""
        if not self.path.exists():
            raise WorkspaceError(
                f"workspace {self.path} does not exist: run imgcluster embed PATH first, or choose another with -w DIR"
            )
        if not self.is_initialized:
            raise WorkspaceError(f"{self.path} contains no embeddings: run imgcluster embed PATH first")


def is_workspace(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a workspace.

    It has our marker. A marker that was damaged counts if the manifest and the embeddings are there.
    """
    files = WorkspaceFiles(Path(folder))
    if not files.marker.is_file():
        return False
    with files.marker.open("rb") as file:
        text = file.read(len(_MARKER_TEXT))
    # Windows and editors may have changed the end of the line.
    return text.startswith(_MARKER_TEXT.strip().encode()) or (
        files.manifest_file.is_file() and files.embeddings.is_dir()
    )


def _refuse_special(path: Path) -> None:
    """Refuse a workspace that has something other than a file or a folder at `path`.

    Raises:
        WorkspaceError: It has.
    """
    if is_special(path):
        raise WorkspaceError(
            f"{path} is neither a file nor a folder, so that reading it might never end; remove it, or choose "
            "another workspace with -w DIR"
        )


def _is_ignorable(path: Path) -> bool:
    """Return whether a folder counts as empty in spite of this file."""
    # A marker without content is left of a kill while a shard was started.
    files = WorkspaceFiles(path.parent)
    is_empty_marker = path == files.marker and path.is_file() and not path.stat().st_size
    return is_empty_marker or path == files.lock or path.name in _SYSTEM_FILES or is_temporary(path.name)


def read_metrics(path: Path, remedy: str) -> dict[str, Any]:
    """Return the content of a ``metrics.json``; empty if it does not exist.

    Raises:
        WorkspaceError: It is damaged; the message ends with `remedy`.
    """
    metrics = read_json(path, remedy, METRICS)
    if metrics and not (metrics["layer"] < len(metrics["layers"]) and metrics["noise"] <= metrics["images"]):
        raise WorkspaceError(f"{path} is damaged (its numbers contradict each other); {remedy}")
    return metrics


def read_json(path: Path, remedy: str, shape: dict[str, Any]) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file does not exist.

    Raises:
        WorkspaceError: The file is not JSON of the `shape`, which is as for `schema.check`; the message ends with
            `remedy`.
    """
    try:
        value: dict[str, Any] = parse_json(read_text(path), shape)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged ({error}); {remedy}") from None
    return value
