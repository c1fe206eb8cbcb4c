"""`report`: the page, written again from what the workspace holds, and the figures."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from imgcluster.commands.embed import refuse_own_output
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.page import write_page
from imgcluster.commands.support.placed_files import read_placement
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import UsageError
from imgcluster.features.blocks import in_memory
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.contact_sheet import is_replaceable
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, read_results
from imgcluster.workspace.shards import load

__all__ = ["ReportSummary", "report_page"]


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The page, and the folder of the figures; None where none were drawn."""

    report: str
    figures: str | None


@in_object_storage_too
def report_page(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    figures: bool = False,
    output: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = ignore_progress,
) -> ReportSummary:
    """Write the page again from the workspace.

    Args:
        workspace: The workspace folder.
        figures: Whether to draw figures, too: PNG and SVG files in the workspace's folder ``figures``.
        output: Another file for the page, outside of the workspace, of which nothing is changed then.
        on_progress: Called with each step.

    Raises:
        UsageError: `output` is another file, or in the workspace, or figures are to be drawn, too.
        WorkspaceError: Nothing is clustered, the clusters are older than the embeddings, or another process works
            in the workspace.
    """
    workspace = Workspace(workspace)
    workspace.require_initialized()
    page = None if output is None else Path(os.path.abspath(output))
    if page is not None:
        _check_output(page, workspace, figures)
    with workspace.locked(read_only=page is not None) as manifest:
        results = read_results(workspace, manifest)
        on_progress(Progress("load", 0))
        identity = encoder_identity(workspace, manifest)
        embeddings = load(workspace.embeddings, identity)
        if figures:
            embeddings = replace(embeddings, vectors=in_memory(embeddings.vectors))
        journal = read_placement(workspace, embeddings.files)
        # The figures need the vectors as they are, too.
        normalized = with_normalized_lengths(embeddings, manifest, in_place=not figures)
        write_page(workspace, results, normalized, manifest, journal, output=page, on_progress=on_progress)
        if figures:
            from imgcluster.commands.support.figures import write_figures

            write_figures(workspace, results, embeddings, manifest, journal, on_progress=on_progress)
    return ReportSummary(to_text(page or workspace.report), to_text(workspace.figures) if figures else None)


def _check_output(page: Path, workspace: Workspace, figures: bool) -> None:
    if figures:
        raise UsageError("--output and --figures cannot be combined: figures are written to the workspace")
    refuse_own_output([to_text(page)], workspace)
    if not is_replaceable(page, "imgcluster page"):
        raise UsageError(f"--output {page} exists and is not a page of imgcluster; choose another name")
