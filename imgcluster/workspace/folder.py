"""The workspace folder: where each file lies, whose folder it is, who works in it now, and what its manifest says."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import is_draft, is_link, remove_drafts, write_json, write_text

__all__ = ["FORMAT", "MARKER", "Workspace", "read_json"]

_LOG = logging.getLogger(__name__)

MARKER: Final = ".imgcluster"
"""The file that tells a workspace from any other folder."""

FORMAT: Final = 1
"""The version of the workspace's layout; a newer one is refused."""

# The embeddings are not lost with it: each shard knows which encoder made it.
_MANIFEST_REMEDY: Final = "delete that file, then run the same embed command again"

_FIGURE: Final = re.compile(r"(map|sizes|silhouettes|tree|confusion|noise|cluster_[0-9]{3,}\w*)\.(png|svg)")

# Every file and folder that imgcluster makes in a workspace.
_OWN_NAMES: Final = (
    *(MARKER, ".lock", "manifest.json", "embeddings", "skipped.csv", "assignments.csv", "clusters.csv"),
    *("metrics.json", "confusion.csv", "confusion.png", "layers.parquet", "candidates.csv", "candidates.png"),
    *("report.html", "layout.parquet", "figures", "names.csv", "applied", "clusters", "outdated", "placed.jsonl"),
)

# What file managers put into folders unasked.
_LEFT_BY_SYSTEMS: Final = {".DS_Store", "Thumbs.db", "desktop.ini"}

_MARKER_TEXT: Final = "This folder is a workspace of imgcluster, which writes and removes its own files here.\n"


class Workspace:
    """A workspace folder. Making the object creates nothing; `locked` does.

    Args:
        path: The folder.

    Raises:
        WorkspaceError: It exists and is something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        if not self.path.exists() and not self.path.is_symlink():
            return
        self._refuse_links()
        if not self.path.is_dir():
            raise WorkspaceError(f"{self.path} is a file; a workspace is a folder: choose another with -w DIR")
        if not self.is_made and any(not _may_be_there(entry.name) for entry in self.path.iterdir()):
            raise WorkspaceError(
                f"{self.path} holds files that are not imgcluster's; choose an empty or new folder with -w DIR"
            )
        found = self.manifest.get("format", FORMAT)
        if not isinstance(found, int):
            raise _not_ours(self.path / "manifest.json", _MANIFEST_REMEDY)
        if found > FORMAT:
            raise WorkspaceError(
                f"{self.path} was written by a newer imgcluster (format {found}, known is {FORMAT}); upgrade it"
            )

    def _refuse_links(self) -> None:
        """Refuse links in the place of own files and folders: what is written here stays in this folder.

        Raises:
            WorkspaceError: There is one.
        """
        own = [self.path / name for name in _OWN_NAMES]
        for folder in (self.clusters, self.outdated, self.outdated / self.clusters.name, self.applied):
            if not is_link(folder) and folder.is_dir():
                own += folder.iterdir()
        if self.applied.is_dir():
            own += self.applied.glob("*/*")
        for path in sorted(own):
            if is_link(path):
                raise WorkspaceError(
                    f"{path} is a link, and imgcluster follows no links inside its workspace; "
                    "replace it with what it leads to, or choose another folder with -w DIR"
                )

    @property
    def is_made(self) -> bool:
        """Whether the folder is a workspace already."""
        return (self.path / MARKER).is_file()

    @property
    def embeddings(self) -> Path:
        """The folder of the Parquet shards."""
        return self.path / "embeddings"

    @property
    def skipped(self) -> Path:
        """One row per image that could not be read."""
        return self.path / "skipped.csv"

    @property
    def assignments(self) -> Path:
        """One row per embedded image."""
        return self.path / "assignments.csv"

    @property
    def clusters_table(self) -> Path:
        """One row per cluster."""
        return self.path / "clusters.csv"

    @property
    def metrics(self) -> Path:
        """How the clustering was made and how good it is; written last, so it is there only with all the rest."""
        return self.path / "metrics.json"

    @property
    def confusion_table(self) -> Path:
        """The confusion matrix of `evaluate`."""
        return self.path / "confusion.csv"

    @property
    def confusion_picture(self) -> Path:
        """The confusion matrix of `evaluate` as a picture."""
        return self.path / "confusion.png"

    @property
    def layers(self) -> Path:
        """The layers of the last clustering, of which `cluster --level` picks another one."""
        return self.path / "layers.parquet"

    @property
    def candidates_table(self) -> Path:
        """The numbers of clusters that ``--k auto`` weighed."""
        return self.path / "candidates.csv"

    @property
    def candidates_picture(self) -> Path:
        """The numbers of clusters that ``--k auto`` weighed, as a chart."""
        return self.path / "candidates.png"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def layout(self) -> Path:
        """Where each image lies on the map; it depends on the embeddings alone, so it outlives a clustering."""
        return self.path / "layout.parquet"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def names(self) -> Path:
        """Which images the clusters held that people named, for later clusterings to find them again."""
        return self.path / "names.csv"

    @property
    def applied(self) -> Path:
        """What `undo` needs to take plans back, one folder for each, the first one 001."""
        return self.path / "applied"

    @property
    def clusters(self) -> Path:
        """The labelled folders."""
        return self.path / "clusters"

    @property
    def outdated(self) -> Path:
        """What was made from embeddings that have changed since."""
        return self.path / "outdated"

    @property
    def journal(self) -> Path:
        """What the last placing of files did."""
        return self.path / "placed.jsonl"

    @property
    def results(self) -> tuple[Path, ...]:
        """Everything made from the embeddings, the record that completes it first."""
        return (
            self.metrics,
            self.assignments,
            self.clusters_table,
            self.report,
            self.confusion_table,
            self.confusion_picture,
            self.candidates_table,
            self.candidates_picture,
            *self.drawn,
        )

    @property
    def drawn(self) -> tuple[Path, ...]:
        """The figures that were drawn; files of other names in their folder are not ours."""
        if not self.figures.is_dir():
            return ()
        return tuple(sorted(path for path in self.figures.iterdir() if _FIGURE.fullmatch(path.name)))

    @property
    def manifest(self) -> dict[str, Any]:
        """What ran; empty where nothing did.

        Raises:
            WorkspaceError: The file is damaged.
        """
        return read_json(self.path / "manifest.json", _MANIFEST_REMEDY)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        write_json(self.path / "manifest.json", {"format": FORMAT, **manifest})

    def read_metrics(self) -> dict[str, Any]:
        """Return ``metrics.json``; empty where nothing is clustered.

        Raises:
            WorkspaceError: The file is damaged.
        """
        return read_json(self.metrics, "run imgcluster cluster again")

    @contextmanager
    def locked(self, *, dry_run: bool = False) -> Iterator[None]:
        """Create the folder where it is missing and keep other processes out for the length of the block.

        What killed processes left half written is cleared away, but not on a dry run, which leaves all as it is.

        Raises:
            WorkspaceError: Another process works in it.
        """
        from filelock import FileLock, Timeout

        made_here = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise WorkspaceError(
                f"another imgcluster is working in {self.path}; wait for it, or choose another folder with -w DIR"
            ) from None
        except NotImplementedError:  # some network file systems have no locks; one user is the common case there
            _LOG.warning("the file system of %s has no locks: do not run two imgclusters in it at once", self.path)
        try:
            if not dry_run:
                if not self.is_made:
                    write_text(self.path / MARKER, _MARKER_TEXT)
                remove_drafts(self.path)
            yield
        finally:
            lock.release()
            if made_here:
                self._remove_if_unused()

    def _remove_if_unused(self) -> None:
        """Remove the folder where nothing came into it: a mistyped path leaves no trace."""
        if {entry.name for entry in self.path.iterdir()} <= {MARKER, ".lock"}:
            for name in (MARKER, ".lock"):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def command(self, words: str) -> str:
        """Return a command to type that works on this workspace, from any folder."""
        return f"imgcluster {words} -w {shlex.quote(str(self.path))}"

    def require(self, what: Path, remedy: str) -> None:
        """Raise `WorkspaceError` with `remedy` where `what` is not there."""
        if not what.exists():
            raise WorkspaceError(f"{self.path} has no {what.name} yet: {remedy}")


def _may_be_there(name: str) -> bool:
    """Say whether a file can lie in a folder that is empty to its user, or on its way to a workspace."""
    return name in _LEFT_BY_SYSTEMS or name == ".lock" or is_draft(name)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Return the object in a JSON file; empty where there is no file.

    Raises:
        WorkspaceError: It holds something else; the message ends with `remedy`.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WorkspaceError(f"{path} cannot be read ({error}); {remedy}") from None
    if not isinstance(value, dict):
        raise _not_ours(path, remedy)
    return value


def _not_ours(path: Path, remedy: str) -> WorkspaceError:
    return WorkspaceError(f"{path} is not as imgcluster writes it; {remedy}")
