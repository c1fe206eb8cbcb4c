"""`duplicates`: exact copies and near-copies, in groups around the best image of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.bursts import find_bursts
from imgcluster.commands.support.contents import Contents, read_contents
from imgcluster.commands.support.steps import rewrite_page
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.copies.groups import Group, group_around_best, propose_pairs
from imgcluster.copies.near_copies import NEAR_COPY, structural_agreement
from imgcluster.copies.signatures import orientation_invariants
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.nearest import nearest_images
from imgcluster.features.normalize import normalize_features
from imgcluster.features.threads import one_thread
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import current_results, encoder_metric
from imgcluster.workspace.table_columns import DUPLICATES, DuplicateRow

__all__ = ["DuplicatesSummary", "duplicates"]

# Of each image this many neighbors are compared: by their embeddings, and by what does not change when it is turned.
_NEIGHBORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesSummary:
    """What `duplicates` found.

    Attributes:
        workspace: The workspace folder.
        images: Images in the workspace.
        groups: The number of groups.
        exact: Images that are exact copies of their group's best image.
        near: Images that are near-copies of it.
        bursts: Images that are of the same burst as it.
        bytes: The size of the files of all these copies.
        not_compared: Images whose file is missing or has changed since it was embedded; only exact copies of these are
            found.
        without_time: Images without a capture time, if bursts were requested.
        threshold: The least score of a near-copy.
        duplicates: The rows of the table.
        table: The table: ``duplicates.csv`` or ``bursts.csv``.
        report: The page; empty without a clustering of these images.
        seconds: Wall-clock time.
        unlisted: The near-copies in the table of an earlier run that are not listed any more, if only exact copies were
            requested.
        outdated: Whether images were added or removed since the last clustering, whose page was left as it is.
    """

    workspace: str
    images: int
    groups: int
    exact: int
    near: int
    bursts: int
    bytes: int
    not_compared: int
    without_time: int
    threshold: float
    duplicates: tuple[DuplicateRow, ...]
    table: str
    report: str
    seconds: float
    unlisted: int = 0
    outdated: bool = False


@in_object_storage_too
def duplicates(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    exact: bool = False,
    bursts: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> DuplicatesSummary:
    """Find exact copies and near-copies: the same picture in another size, quality, format, crop or color.

    Every image of a group is a copy of the group's best image: most pixels, then the original (`best_first`).
    ``duplicates.csv`` and the page list them; no file is changed.

    Args:
        workspace: The workspace folder.
        exact: Whether to find exact copies only, without reading images.
        bursts: Whether to find bursts instead: photographs that one camera took within seconds of each other and that
            show the same. The best image is the sharpest, and the table is ``bursts.csv``.
        on_progress: Called with each step.

    Raises:
        UsageError: Exact copies and bursts are requested.
        WorkspaceError: Nothing is embedded, a step was interrupted, or another process uses the workspace.
    """
    watch = Stopwatch()
    if exact and bursts:
        raise UsageError("--exact and --bursts cannot be used together; choose one")
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked() as manifest:
        contents = read_contents(workspace, manifest, on_progress)
        embeddings, metric = contents.stored.embeddings, encoder_metric(manifest)
        results = current_results(workspace, embeddings)
        missing = without_time = 0
        if bursts:
            groups, missing = find_bursts(workspace, contents, metric, on_progress)
            without_time = sum(not exif.captured for exif in embeddings.exif)
            rows = tuple(contents.rows(groups, "burst"))
        else:
            near: list[Group] = []
            if not exact:
                vectors = normalize_features(embeddings.vectors[contents.first], metric, in_place=True)
                near, missing = _near_copies(workspace, contents, vectors, on_progress)
            rows = tuple(contents.rows(contents.with_exact_copies(near), "near"))
        table = workspace.bursts_table if bursts else workspace.duplicates_table
        unlisted = _near_copies_in(table) if exact else 0
        write_table(table, DUPLICATES, (row.fields for row in rows))
        report = ""
        if results is not None:
            rewrite_page(workspace, results, on_progress)
            report = to_text(workspace.report)
    copies = [row for row in rows if row.kind != "best"]
    return DuplicatesSummary(
        workspace=workspace.name,
        images=len(embeddings.locations),
        groups=len(rows) - len(copies),
        exact=sum(row.kind == "exact" for row in copies),
        near=sum(row.kind == "near" for row in copies),
        bursts=sum(row.kind == "burst" for row in copies),
        bytes=sum(row.bytes for row in copies),
        not_compared=missing,
        without_time=without_time,
        threshold=NEAR_COPY,
        duplicates=rows,
        table=to_text(table),
        report=report,
        seconds=watch.seconds,
        unlisted=unlisted,
        outdated=results is None and workspace.metrics.exists(),
    )


def _near_copies_in(table: Path) -> int:
    """Return the number of near-copies in a table; 0 if it is missing or was edited so that it cannot be read."""
    try:
        return sum(row["kind"] == "near" for row in read_table(table, DUPLICATES)) if table.exists() else 0
    except WorkspaceError:
        return 0


def _near_copies(
    workspace: Workspace, contents: Contents, vectors: Vectors, on_progress: OnProgress
) -> tuple[list[Group], int]:
    """Return the groups of contents, and the number of images that could not be compared."""
    signatures, rows = contents.signatures(workspace, on_progress)
    on_progress(Progress("neighbors", 0))
    pairs = _candidates(signatures.gray, vectors[rows])

    def compare(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return structural_agreement(
            signatures, pairs, step=lambda done: on_progress(Progress("pairs", done, len(pairs)))
        )

    # Threads of the numeric libraries are slower on matrices as small as these.
    with one_thread():
        groups = group_around_best(contents.ranks[rows], pairs, compare, NEAR_COPY)
    compared = [
        Group(int(rows[group.best]), tuple(rows[list(group.members)].tolist()), group.scores) for group in groups
    ]
    return compared, contents.left_out(rows)


def _candidates(gray: npt.NDArray[np.uint8], vectors: Vectors) -> npt.NDArray[np.int64]:
    """Return the pairs of images that may be copies, ``int64 (p, 2)``."""
    if len(gray) < 2:
        return np.empty((0, 2), np.int64)
    # Many equal pictures, such as one with different metadata, would have no other neighbors.
    distinct, copies = find_duplicates(gray.reshape(len(gray), -1))
    equal = np.stack([distinct[copies], np.arange(len(gray))], axis=1)
    neighbors = [
        nearest_images(vectors[distinct], _NEIGHBORS)[1],
        nearest_images(orientation_invariants(gray[distinct]), _NEIGHBORS)[1],
    ]
    pairs = np.concatenate([distinct[propose_pairs(neighbors)].reshape(-1, 2), equal])
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], np.int64)
