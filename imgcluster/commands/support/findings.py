"""Reads what other commands found about the images, for the page: rows about files that have changed are left out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.placed_files import are_set_aside
from imgcluster.errors import WorkspaceError
from imgcluster.features.nearest import nearest_images
from imgcluster.fileio.csv_tables import read_table
from imgcluster.progress import OnProgress, Progress
from imgcluster.report.page_content import Copy, Findings, Unusual
from imgcluster.workspace.caches import read_neighbors, write_neighbors
from imgcluster.workspace.file_facts import read_file_facts
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results, encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.table_columns import DUPLICATES, OUTLIERS

__all__ = ["groups_of_copies", "read_findings"]

_LOG = logging.getLogger(__name__)

# In larger collections the lists of similar images would make the page too large.
_MOST_LISTED: Final = 10_000
_NEIGHBORS: Final = 8
_MOST_OUTLIERS: Final = 240
# Changes with the computation.
_VERSION: Final = 1

_Groups = tuple[tuple[Copy, ...], ...]
_Table = Sequence[Mapping[str, str]]


def read_findings(
    workspace: Workspace,
    results: Results,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    on_progress: OnProgress,
    *,
    read_only: bool,
) -> Findings:
    """Return what is known of the images; they have the same order in `results` and `embeddings`.

    Args:
        workspace: The workspace.
        results: The clustering.
        embeddings: With vectors of length 1 if they are compared by cosine.
        manifest: The manifest.
        on_progress: Called with each step.
        read_only: Whether nothing may be stored in the workspace.
    """
    set_aside = are_set_aside(workspace, embeddings)
    images = {path: row for row, path in enumerate(results.paths)}
    rows = {path: row for path, row in images.items() if not set_aside[row]}
    tables = [[*_rows(table, DUPLICATES)] for table in (workspace.duplicates_table, workspace.bursts_table)]
    identity = encoder_identity(workspace, manifest)
    sizes = np.empty(0, np.int64)
    if any(tables):
        sizes = read_file_facts(workspace.embeddings, identity).sizes
    duplicates, bursts = (_copies(table, rows, embeddings, sizes) for table in tables)
    outliers = [*_outliers(workspace, rows, results, embeddings)]
    return Findings(
        neighbors=_neighbors(workspace, embeddings, encoder_metric(manifest), on_progress, read_only=read_only),
        duplicates=duplicates,
        bursts=bursts,
        set_aside=tuple(np.flatnonzero(set_aside).tolist()),
        outliers=tuple(outliers[:_MOST_OUTLIERS]),
        more_outliers=max(0, len(outliers) - _MOST_OUTLIERS),
        remaining=tuple(_remaining(tables, images, set_aside, shown=(*duplicates, *bursts))),
    )


def groups_of_copies(embeddings: Embeddings, duplicates: _Groups) -> npt.NDArray[np.int64]:
    """Return a number for each image, ``int64 (n,)``: the same for exact copies, and for copies that were found."""
    first: dict[bytes, int] = {}
    groups = np.array([first.setdefault(digest, row) for row, digest in enumerate(embeddings.digests)], np.int64)
    for best, *copies in duplicates:
        groups[[copy.image for copy in copies]] = groups[best.image]
    return groups


def _neighbors(
    workspace: Workspace, embeddings: Embeddings, metric: str, on_progress: OnProgress, *, read_only: bool
) -> npt.NDArray[np.int32] | None:
    if not 2 <= len(embeddings.locations) <= _MOST_LISTED:
        return None
    key = f"{_VERSION} {metric} {embeddings.fingerprint}"
    stored = read_neighbors(workspace.neighbors, key, len(embeddings.locations))
    if stored is not None:
        return stored
    on_progress(Progress("neighbors", 0))
    # In an order that does not depend on file names.
    order = embeddings.content_order
    nearest = order[nearest_images(embeddings.vectors[order], _NEIGHBORS)[1]]
    neighbors = np.empty(nearest.shape, np.int32)
    neighbors[order] = nearest
    if not read_only:
        write_neighbors(workspace.neighbors, key, neighbors)
    return neighbors


def _rows(table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a table; none if it is missing or was edited so that it cannot be read."""
    if not table.exists():
        return
    try:
        yield from read_table(table, columns)
    except WorkspaceError as error:
        _LOG.warning("the page does not show %s: %s", table.name, error)


def _copies(table: _Table, rows: dict[str, int], embeddings: Embeddings, file_sizes: npt.NDArray[np.int64]) -> _Groups:
    groups: dict[str, list[Copy]] = {}
    for row in table:
        image = rows.get(row["path"], -1)
        known = (*embeddings.sizes[image].tolist(), int(file_sizes[image])) if image >= 0 else None
        try:
            copy = Copy(
                image, row["kind"], float(row["score"]), *(int(row[name]) for name in ("width", "height", "bytes"))
            )
        except ValueError:
            continue
        if (copy.width, copy.height, copy.bytes) == known:
            groups.setdefault(row["group"], []).append(copy)
    # Without its best image nothing is known about the rest of a group.
    return tuple(tuple(group) for group in groups.values() if len(group) > 1 and group[0].kind == "best")


def _remaining(
    tables: Iterable[_Table], images: Mapping[str, int], set_aside: npt.NDArray[np.bool_], *, shown: _Groups
) -> Iterator[tuple[int, ...]]:
    """Yield what is left of each group of the tables whose images all exist, unless it is `shown`."""
    known = {tuple(sorted(copy.image for copy in group)) for group in shown}
    for table in tables:
        groups: dict[str, set[int]] = {}
        for row in table:
            groups.setdefault(row["group"], set()).add(images.get(row["path"], -1))
        for group in groups.values():
            left = tuple(sorted(image for image in group if image >= 0 and not set_aside[image]))
            if left and -1 not in group and left not in known:
                yield left


def _outliers(
    workspace: Workspace, rows: dict[str, int], results: Results, embeddings: Embeddings
) -> Iterator[Unusual]:
    for row in _rows(workspace.outliers_table, OUTLIERS):
        image = rows.get(row["path"], -1)
        if image < 0 or not row["reasons"]:
            continue
        now = [*map(str, embeddings.sizes[image].tolist()), str(results.clusters[image])]
        if [row["width"], row["height"], row["cluster"] or now[2]] != now:
            continue
        try:
            yield Unusual(image, tuple(row["reasons"].split()), float(row["sharpness"]) if row["sharpness"] else None)
        except ValueError:
            continue
