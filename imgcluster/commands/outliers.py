"""`outliers`: images that are unlike all others or unlike their cluster, and images of low quality."""

from __future__ import annotations

import heapq
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.steps import rewrite_page
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_images import StoredImages, read_images
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import UsageError
from imgcluster.features.blocks import reordered
from imgcluster.features.centroids import rows_by_label
from imgcluster.features.outlyingness import cluster_outlyingness, neighbor_outlyingness
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.images.quality import QUALITY_PROBLEMS, quality_problems
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Labels, VectorRows, Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED, current_results
from imgcluster.workspace.table_columns import OUTLIERS, OutlierRow

__all__ = ["REASONS", "OutliersSummary", "outliers"]

REASONS: Final = ("far", "atypical", *QUALITY_PROBLEMS)
"""Why an image is in the list."""

# Of the photographs in benchmarks/outliers.py, 1 % are beyond it, and 65 % of images from other collections.
_FAR: Final = 2.5
# Of each cluster up to three images are shown, or one of ten.
_PER_CLUSTER: Final = 3
_CLUSTER_SHARE: Final = 0.1
# A problem that more images have is a property of the collection, such as the size of handwritten digits.
_LARGEST_SHARE: Final = 0.5

_Flags = Mapping[str, npt.NDArray[np.bool_]]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutliersSummary:
    """What `outliers` found.

    Attributes:
        workspace: The workspace folder.
        images: Images in the workspace.
        only: The requested reasons; empty for all.
        reasons: For each reason, the number of images.
        common: Problems of quality that more than half of all images have, with their number. They are a property of
            the collection, and no reason.
        not_measured: Images whose quality is not known, because their vectors were imported or an earlier version
            embedded them.
        found: Images with at least one of the reasons.
        outliers: The first of them.
        table: The table with all images; empty if the workspace can only be read.
        report: The page; empty without a clustering of these images, too.
        seconds: Wall-clock time.
        outdated: Whether images were added or removed since the last clustering. Then no image is ``atypical``, and the
            page is left as it is.
        imported: Whether another program computed the vectors, so that no quality is known.
    """

    workspace: str
    images: int
    only: tuple[str, ...]
    reasons: dict[str, int]
    common: dict[str, int]
    not_measured: int
    found: int
    outliers: tuple[OutlierRow, ...]
    table: str
    report: str
    seconds: float
    outdated: bool = False
    imported: bool = False


@in_object_storage_too
def outliers(
    *,
    only: Sequence[str] = (),
    limit: int = 25,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    on_progress: OnProgress = ignore_progress,
) -> OutliersSummary:
    """Rank images by how unlike the others they are, and find images of low quality.

    The table has all images. An image has the reason ``far`` if its tenth neighbor is much farther away than those of
    other images, ``atypical`` if it is one of the least typical images of its cluster, and the problems of
    `images.quality.quality_problems`.

    Args:
        only: Reasons; `OutliersSummary.outliers` then has only images with one of them. With a single problem of
            quality, the worst image is the first. ``quality`` means all problems of quality.
        limit: The largest number of images in `OutliersSummary.outliers`.
        workspace: The workspace folder.
        on_progress: Called with each step.

    Raises:
        UsageError: A reason is unknown, or the limit is less than 1.
        WorkspaceError: Nothing is embedded, a step was interrupted, or another process uses the workspace.
    """
    watch = Stopwatch()
    chosen = _reasons([only] if isinstance(only, str) else only)
    if limit < 1:
        raise UsageError(f"--limit {limit} is not allowed; it is at least 1")
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(read_only=True) as manifest:
        images = read_images(workspace, manifest, on_progress)
        embeddings = images.embeddings
        results = current_results(workspace, embeddings)
        clusters = None if results is None else results.clusters
        on_progress(Progress("neighbors", 0))
        normalized = with_normalized_lengths(embeddings, manifest, in_place=True)
        neighbor_scores, cluster_scores = _scores(normalized.vectors, embeddings.content_order, clusters)
        flags, common = _flags(images, neighbor_scores, cluster_scores, clusters)
        # Not all at once: the rows of millions of images need more memory than their vectors.
        rows = partial(_rows, images, flags, neighbor_scores, cluster_scores, clusters)
        if workspace.is_writable:
            write_table(workspace.outliers_table, OUTLIERS, (row.fields for row in rows()))
        if workspace.is_writable and results is not None:
            rewrite_page(workspace, results, on_progress, embeddings=normalized)
    unusual = (row for row in rows() if set(row.reasons) & set(chosen or REASONS))
    if len(chosen) == 1 and chosen[0] in QUALITY_PROBLEMS:
        shown = heapq.nlargest(limit, unusual, key=lambda row: _severity(row, chosen[0]))
    else:
        shown = list(itertools.islice(unusual, limit))
    return OutliersSummary(
        workspace=workspace.name,
        images=len(images.paths),
        only=chosen,
        reasons={reason: int(flags[reason].sum()) for reason in REASONS},
        common=common,
        not_measured=int(np.isnan(embeddings.statistics[:, 2]).sum()),
        found=int(np.any([flags[reason] for reason in chosen or REASONS], axis=0).sum()),
        outliers=tuple(shown),
        table=to_text(workspace.outliers_table) if workspace.is_writable else "",
        report="" if results is None or not workspace.is_writable else to_text(workspace.report),
        seconds=watch.seconds,
        outdated=results is None and workspace.metrics.exists(),
        imported=manifest["encoder"]["name"] == IMPORTED,
    )


def _reasons(only: Sequence[str]) -> tuple[str, ...]:
    unknown = [reason for reason in only if reason not in (*REASONS, "quality")]
    if unknown:
        raise UsageError(f"--only {unknown[0]!r} is unknown; choose from {', '.join(REASONS)}, quality")
    names = {*only, *(QUALITY_PROBLEMS if "quality" in only else ())}
    return tuple(reason for reason in REASONS if reason in names)


def _scores(
    vectors: Vectors | VectorRows, order: npt.NDArray[np.int64], clusters: Labels | None
) -> tuple[_Floats, _Floats]:
    """Return neighbor and cluster scores; computed in an order that does not depend on file names."""
    ordered = reordered(vectors, order)
    neighbor_scores, cluster_scores = (np.full(len(vectors), np.nan) for _ in range(2))
    neighbor_scores[order] = neighbor_outlyingness(ordered)
    if clusters is not None:
        cluster_scores[order] = cluster_outlyingness(ordered, clusters[order])
    return neighbor_scores, cluster_scores


def _flags(
    images: StoredImages, neighbor_scores: _Floats, cluster_scores: _Floats, clusters: Labels | None
) -> tuple[_Flags, dict[str, int]]:
    """Return which images have each reason, and the problems that most images have."""
    embeddings = images.embeddings
    problems = quality_problems(embeddings.statistics, embeddings.sizes)
    counts = {name: int(problem.sum()) for name, problem in problems.items()}
    common = {name: count for name, count in counts.items() if count > _LARGEST_SHARE * len(images.paths)}
    for name in common:
        problems[name] = np.zeros_like(problems[name])
    atypical = np.zeros(len(images.paths), bool)
    if clusters is not None:
        for rows in rows_by_label(clusters, int(clusters.max(initial=-1)) + 1):
            shown = min(_PER_CLUSTER, math.ceil(_CLUSTER_SHARE * len(rows)))
            least = rows[np.argsort(-cluster_scores[rows], kind="stable")[:shown]]
            atypical[least[cluster_scores[least] > 0]] = True
    return {"far": neighbor_scores > _FAR, "atypical": atypical, **problems}, common


def _rows(
    images: StoredImages, flags: _Flags, neighbor_scores: _Floats, cluster_scores: _Floats, clusters: Labels | None
) -> Iterator[OutlierRow]:
    """Yield all images: those with a reason first, and those with the highest score first."""
    embeddings = images.embeddings
    scores = np.fmax(neighbor_scores, cluster_scores)
    has_reason = np.any([*flags.values()], axis=0)
    order = np.lexsort((-np.nan_to_num(scores, nan=-np.inf), ~has_reason))
    for rank, row in enumerate(order.tolist(), start=1):
        brightness, _, contrast, sharpness = embeddings.statistics[row].tolist()
        width, height = embeddings.sizes[row].tolist()
        yield OutlierRow(
            rank=rank,
            path=images.paths[row],
            reasons=tuple(reason for reason in REASONS if flags[reason][row]),
            score=round(float(scores[row]), 4),
            neighbor_score=round(float(neighbor_scores[row]), 4),
            cluster_score=round(float(cluster_scores[row]), 4),
            cluster=None if clusters is None else int(clusters[row]),
            brightness=round(brightness, 4),
            contrast=round(contrast, 4),
            sharpness=round(sharpness, 4),
            width=width,
            height=height,
        )


def _severity(row: OutlierRow, problem: str) -> float:
    """Return a number that is larger for a worse image."""
    return {
        "blurred": 0.0 if math.isnan(row.sharpness) else -row.sharpness,
        "dark": -row.brightness,
        "bright": row.brightness,
        "low-contrast": -row.contrast,
        "single-color": -row.contrast,
        "tiny": -float(row.width * row.height),
    }[problem]
