"""The placed files of a workspace, and the images that are set aside, from their journals."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.renamed_originals import with_renamed
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, from_text
from imgcluster.placement import Journal, PlaceMode, choose_mode, read_journal
from imgcluster.placement.journal import one_per_source, write_journal
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import Embeddings, locations
from imgcluster.workspace.states import earlier_locations

__all__ = [
    "are_set_aside",
    "current_files",
    "current_locations",
    "current_paths",
    "mode_for_clusters",
    "moved_files",
    "read_placement",
    "read_set_aside",
    "record_renamed",
    "record_set_aside",
]

_LOG = logging.getLogger(__name__)


class _EmbeddedImages(Container[str]):
    """The locations of the workspace's images, also of those that were removed since the last saved state.

    Where a damaged shard was deleted, only the table of the clustering still has its images.
    """

    def __init__(self, workspace: Workspace, present: Container[str]) -> None:
        self._workspace = workspace
        self._present = present
        self._earlier: frozenset[str] | None = None

    def __contains__(self, location: object) -> bool:
        if location in self._present:
            return True
        if self._earlier is None:
            self._earlier = frozenset((*earlier_locations(self._workspace), *_table_locations(self._workspace)))
        return location in self._earlier


def _table_locations(workspace: Workspace) -> Iterator[str]:
    """Yield the absolute paths, as texts, of the files in ``assignments.csv``; none if it cannot be read."""
    with contextlib.suppress(WorkspaceError):
        base = str(workspace.read_metrics().get("base", ""))
        for row in read_table(workspace.assignments, ("path",)):
            yield from (absolute_path(base, path) for path in (row["path"], row.get("companion")) if path)


def mode_for_clusters(
    workspace: Workspace, requested: PlaceMode | None, journal: Journal | None, locations: Iterable[str]
) -> PlaceMode:
    """Return how the images at `locations` are placed into new clusters, as `choose_mode` does.

    Raises:
        UsageError: Files would be moved because of a journal that is not signed.
    """
    last = workspace.read_metrics().get("options", {}).get("place")
    return choose_mode(requested, journal, locations, last=last, url=workspace.url)


def read_placement(
    workspace: Workspace,
    embedded: Container[str] | None = None,
    *,
    path: Path | None = None,
    folder: Path | None = None,
    trust: bool = False,
) -> Journal | None:
    """Return the journal of the last placement; None if nothing is placed.

    Moved originals that the user renamed since have their present paths, except in a saved state.

    Args:
        workspace: The workspace.
        embedded: The locations of its images, if they have been read before.
        path: The journal's file, if it is that of a saved state.
        folder: The folder of its files, if it is not that of the clusters.
        trust: Whether the user says that the journal is theirs, although it may not be signed.

    Raises:
        PlacementError: The journal is damaged.
        WorkspaceError: A shard is damaged, so that the journal cannot be checked.
    """
    path = path or workspace.journal
    journal = _read(workspace, path, folder or workspace.clusters, embedded)
    if journal is None:
        return None
    if path.parent == workspace.path:
        journal = with_renamed(journal, workspace.embeddings)
    return dataclasses.replace(journal, signed=True) if trust else journal


def _read(workspace: Workspace, path: Path, folder: Path, embedded: Container[str] | None) -> Journal | None:
    """Return the journal at `path`, as it was written."""
    if not path.exists():
        return None
    present = locations(workspace.embeddings) if embedded is None else embedded
    return read_journal(path, _EmbeddedImages(workspace, present), workspace=workspace.path, folder=folder.name)


def record_renamed(workspace: Workspace) -> Journal | None:
    """Record what the user did by hand with moved originals, and return the journal of the last placement.

    Raises:
        PlacementError: A journal is damaged.
        WorkspaceError: A shard is damaged.
    """
    record_set_aside(workspace)
    return _record_renamed(workspace, workspace.journal, workspace.clusters)


def record_set_aside(workspace: Workspace) -> None:
    """Record where the user renamed originals that are set aside to, and that those moved back are not set aside.

    Raises:
        PlacementError: The journal is damaged.
        WorkspaceError: A shard is damaged.
    """
    file = workspace.set_aside_journal
    before = _record_renamed(workspace, file, workspace.duplicates)
    journal = _without_returned(before)
    if journal is None:
        remove(file)
    elif journal != before:
        write_journal(journal, file)


def _without_returned(journal: Journal | None) -> Journal | None:
    """Return a journal without the files that the user moved back to their original paths; None if none is left."""
    if journal is None:
        return None
    entries = tuple(
        entry
        for entry in journal.entries
        if os.path.lexists(from_text(entry.target)) or not os.path.lexists(from_text(entry.source))
    )
    return dataclasses.replace(journal, entries=entries) if entries else None


def _record_renamed(workspace: Workspace, path: Path, folder: Path) -> Journal | None:
    before = _read(workspace, path, folder, None)
    if before is None:
        return None
    journal = with_renamed(before, workspace.embeddings)
    if journal != before:
        write_journal(journal, path)
        paths = {entry.target for entry in journal.entries} - {entry.target for entry in before.entries}
        _LOG.warning(
            "%s by hand in %s, such as %s, and recognized. To put an image into another cluster, move it on the page",
            counted(len(paths), "original was renamed or moved", "originals were renamed or moved"),
            folder,
            min(paths),
        )
    return journal


def read_set_aside(
    workspace: Workspace, embedded: Container[str] | None = None, *, path: Path | None = None, trust: bool = False
) -> Journal | None:
    """Return the journal of the images that are set aside, or that at `path`; None if there are none.

    Those whose originals the user moved back are left out, except in a saved state.

    Args:
        workspace: The workspace.
        embedded: The locations of its images, if they have been read before.
        path: The journal's file, if it is that of a saved state.
        trust: As for `read_placement`.

    Raises:
        PlacementError: The journal is damaged.
    """
    file = path or workspace.set_aside_journal
    journal = read_placement(workspace, embedded, path=file, folder=workspace.duplicates, trust=trust)
    return _without_returned(journal) if path is None else journal


def current_files(*journals: Journal | None) -> dict[str, str]:
    """Return where the files are that were moved, by their original paths; both are absolute paths as texts."""
    moved = [journal for journal in journals if journal is not None and journal.mode == "move"]
    return {entry.source: entry.target for journal in moved for entry in one_per_source(journal.entries)}


def moved_files(workspace: Workspace, journal: Journal | None) -> dict[str, str]:
    """Return `current_files` of the placed files, whose journal is given, and of those that are set aside."""
    return current_files(journal, read_set_aside(workspace))


def current_locations(workspace: Workspace, locations: Sequence[str], journal: Journal | None) -> list[str]:
    """Return where the file of each image is now, as text: where it was found, or where it was moved to.

    Args:
        workspace: The workspace.
        locations: The absolute paths of its images, as texts.
        journal: That of the placed files.
    """
    moved = moved_files(workspace, journal)
    return [moved.get(location, location) for location in locations]


def current_paths(workspace: Workspace, locations: Sequence[str], journal: Journal | None) -> list[Path]:
    """Return `current_locations` as paths."""
    return [from_text(location) for location in current_locations(workspace, locations, journal)]


def are_set_aside(workspace: Workspace, embeddings: Embeddings) -> npt.NDArray[np.bool_]:
    """Return whether each image is set aside: ``bool (n,)``."""
    aside = current_files(read_set_aside(workspace, embeddings.files))
    return np.array([location in aside for location in embeddings.locations], dtype=bool)
