"""`duplicates`: exact copies and near-copies, in groups around the best image of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.apply import apply_text
from imgcluster.commands.support.bursts import find_bursts
from imgcluster.commands.support.contents import Contents, read_contents
from imgcluster.commands.support.signatures import content_digests
from imgcluster.commands.support.steps import recover, rewrite_page
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.copies.groups import Group, group_around_best, propose_pairs
from imgcluster.copies.near_copies import NEAR_COPY, structural_agreement
from imgcluster.copies.signatures import orientation_invariants
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.features.blocks import reordered
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.nearest import nearest_images
from imgcluster.features.normalize import normalize_rows
from imgcluster.features.threads import one_thread
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Metric, VectorRows, Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plan_file import VERSION
from imgcluster.workspace.plans import identity_of
from imgcluster.workspace.results import Results, current_results, encoder_metric, read_results
from imgcluster.workspace.table_columns import DUPLICATES, DuplicateRow

__all__ = ["DuplicatesSummary", "duplicates"]

# Of each image this many neighbors are compared: by their embeddings, and by what does not change when it is turned.
_NEIGHBORS: Final = 8
# Below this even different photographs of one scene count as copies.
_LEAST_THRESHOLD: Final = 0.5


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
        set_aside: The number of exact copies whose originals moved to the folder of duplicates.
        set_aside_to: That folder; empty if none moved.
        not_set_aside: Exact copies that did not move: hard links of their group's best image, and those of which one of
            the two files is missing or has changed.
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
    set_aside: int = 0
    set_aside_to: str = ""
    not_set_aside: int = 0


@in_object_storage_too
def duplicates(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    exact: bool = False,
    bursts: bool = False,
    threshold: float | None = None,
    set_aside: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> DuplicatesSummary:
    """Find exact copies and near-copies: the same picture in another size, quality, format, crop or color.

    Every image of a group is a copy of the group's best image (`best_first`). Equal pictures whose raw files differ are
    near-copies. ``duplicates.csv`` and the page list them. Without `set_aside` no file is changed.

    Args:
        workspace: The workspace folder.
        exact: Whether to find exact copies only, without reading images.
        bursts: Whether to find bursts instead: photographs that one camera took within seconds of each other and that
            show the same. The best image is the sharpest, and the table is ``bursts.csv``.
        threshold: The least score of a near-copy, from 0.5 to 1; 0.85 by default.
        set_aside: Whether the originals of exact copies move to the folder of duplicates, as a plan of the page moves
            them; the best image of each group stays. Only with `exact`. `undo` moves them back.
        on_progress: Called with each step.

    Raises:
        UsageError: The options contradict each other, or the threshold is out of range.
        WorkspaceError: Nothing is embedded, a step was interrupted, another process uses the workspace or, with
            `set_aside`, these images are not clustered.
        PlanError: The copies cannot be set aside (`apply`).
        PlacementError: An original could not be moved.
    """
    watch = Stopwatch()
    least = _check_options(exact=exact, bursts=bursts, threshold=threshold, set_aside=set_aside)
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked() as manifest:
        if set_aside:
            manifest = recover(workspace, manifest, on_progress=on_progress)
            read_results(workspace, manifest)
        contents = read_contents(workspace, manifest, on_progress)
        embeddings, metric = contents.stored.embeddings, encoder_metric(manifest)
        results = current_results(workspace, embeddings)
        if bursts:
            groups, missing = find_bursts(workspace, contents, metric, on_progress)
        else:
            near, missing = ([], 0) if exact else _near_copies(workspace, contents, metric, least, on_progress)
            groups = contents.with_exact_copies(near)
        rows = tuple(contents.rows(groups, "burst" if bursts else "near"))
        table = workspace.bursts_table if bursts else workspace.duplicates_table
        unlisted = _near_copies_in(table) if exact else 0
        write_table(table, DUPLICATES, (row.fields for row in rows))
        report = ""
        if results is not None:
            rewrite_page(workspace, results, on_progress)
            report = to_text(workspace.report)
        chosen = _identical(rows, contents, on_progress) if set_aside else []
    if chosen and results is not None:
        _set_aside(chosen, workspace, results, on_progress)
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
        without_time=sum(not exif.captured for exif in embeddings.exif) if bursts else 0,
        threshold=least,
        duplicates=rows,
        table=to_text(table),
        report=report,
        seconds=watch.seconds,
        unlisted=unlisted,
        outdated=results is None and workspace.metrics.exists(),
        set_aside=len(chosen),
        set_aside_to=to_text(workspace.duplicates) if chosen else "",
        not_set_aside=sum(row.kind == "exact" for row in copies) - len(chosen) if set_aside else 0,
    )


def _check_options(*, exact: bool, bursts: bool, threshold: float | None, set_aside: bool) -> float:
    """Return the least score of a near-copy."""
    if exact and bursts:
        raise UsageError("--exact and --bursts cannot be used together; choose one")
    if set_aside and not exact:
        raise UsageError(
            "--set-aside is for exact copies only: add --exact, or set others aside on the page, where you see them"
        )
    if threshold is not None and (exact or bursts):
        raise UsageError(f"--threshold is for near-copies; leave it out with {'--exact' if exact else '--bursts'}")
    if threshold is not None and not _LEAST_THRESHOLD <= threshold <= 1:
        raise UsageError(f"--threshold {threshold} is not allowed; it is from {_LEAST_THRESHOLD} to 1")
    return NEAR_COPY if threshold is None else threshold


def _set_aside(paths: Sequence[str], workspace: Workspace, results: Results, on_progress: OnProgress) -> None:
    plan = {
        "imgcluster_plan": VERSION,
        "clustering": identity_of(results.paths, results.clusters),
        "set_aside": paths,
    }
    apply_text(json.dumps(plan), "--set-aside", workspace, on_progress=on_progress)


def _identical(rows: Sequence[DuplicateRow], contents: Contents, on_progress: OnProgress) -> list[str]:
    """Return the paths of exact copies whose files are now as their best image's, and are not hard links of it."""
    files = dict(zip(contents.stored.paths, contents.stored.files, strict=True))
    copies = [row for row in rows if row.kind == "exact"]
    paths = list(dict.fromkeys(path for row in copies for path in (row.best, row.path)))
    digests = dict(zip(paths, content_digests([files[path] for path in paths], on_progress), strict=True))
    return [
        row.path
        for row in copies
        if digests[row.path] == digests[row.best] and not os.path.samefile(files[row.path], files[row.best])
    ]


def _near_copies_in(table: Path) -> int:
    """Return the number of near-copies in a table; 0 if it is missing or was edited so that it cannot be read."""
    try:
        return sum(row["kind"] == "near" for row in read_table(table, DUPLICATES)) if table.exists() else 0
    except WorkspaceError:
        return 0


def _near_copies(
    workspace: Workspace, contents: Contents, metric: Metric, threshold: float, on_progress: OnProgress
) -> tuple[list[Group], int]:
    """Return the groups of contents, and the number of images that could not be compared."""
    vectors = normalize_rows(reordered(contents.stored.embeddings.vectors, contents.first), metric)
    signatures, rows = contents.signatures(workspace, on_progress)
    on_progress(Progress("neighbors", 0))
    pairs = _candidates(signatures.gray, reordered(vectors, rows))

    def compare(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return structural_agreement(
            signatures, pairs, step=lambda done: on_progress(Progress("pairs", done, len(pairs)))
        )

    # Threads of the numeric libraries are slower on matrices as small as these.
    with one_thread():
        groups = group_around_best(contents.ranks[rows], pairs, compare, threshold)
    compared = [
        Group(int(rows[group.best]), tuple(rows[list(group.members)].tolist()), group.scores) for group in groups
    ]
    return compared, contents.left_out(rows)


def _candidates(gray: npt.NDArray[np.uint8], vectors: Vectors | VectorRows) -> npt.NDArray[np.int64]:
    """Return the pairs of images that may be copies, ``int64 (p, 2)``."""
    if len(gray) < 2:
        return np.empty((0, 2), np.int64)
    # Many equal pictures, such as one with different metadata, would have no other neighbors.
    distinct, copies = find_duplicates(gray.reshape(len(gray), -1))
    equal = np.stack([distinct[copies], np.arange(len(gray))], axis=1)
    neighbors = [
        nearest_images(reordered(vectors, distinct), _NEIGHBORS)[1],
        nearest_images(orientation_invariants(gray[distinct]), _NEIGHBORS)[1],
    ]
    pairs = np.concatenate([distinct[propose_pairs(neighbors)].reshape(-1, 2), equal])
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], np.int64)
