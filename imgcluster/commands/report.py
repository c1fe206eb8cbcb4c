"""`report`: the page, written again from what the workspace holds, and the figures."""

from __future__ import annotations

import os

from imgcluster.commands.embed import DEFAULT_WORKSPACE
from imgcluster.commands.page import render_page
from imgcluster.fileio.path_text import to_text
from imgcluster.progress import Progress, Report, silent
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, read_results
from imgcluster.workspace.shards import load

__all__ = [
    "report_page",
]


def report_page(
    *, workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE, figures: bool = False, report: Report = silent
) -> str:
    """Write the page again from the workspace and return its path as text.

    Args:
        workspace: The workspace folder.
        figures: Whether to draw the figures, too: PNG and SVG files in its folder ``figures``.
        report: Called with each step.

    Raises:
        WorkspaceError: Nothing is clustered, the clusters are older than the embeddings, or another process works
            in the workspace.
    """
    space = Workspace(workspace)
    identity = encoder_identity(space)  # refuses a folder that is not there, which the lock would make
    with space.locked():
        results = read_results(space)
        report(Progress("load", 0))
        embeddings = load(space.embeddings, identity)
        render_page(space, results, embeddings, report)
        if figures:
            from imgcluster.commands.figures import write_figures

            write_figures(space, results, embeddings, report)
    return to_text(space.report)
