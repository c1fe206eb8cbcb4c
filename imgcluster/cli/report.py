"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import echo
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from imgcluster.commands.report import ReportSummary

__all__ = ["report_command"]


@command()
def report_command(
    screen: Screen,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw figures for publication: PNG and SVG in the folder figures.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE.html",
            envvar="IMGCLUSTER_OUTPUT_PAGE",
            help="Write the page to this file; the workspace is only read.",
        ),
    ] = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Write the page again from the workspace."""
    from imgcluster.commands.report import report_page

    with screen.progress() as on_progress:
        summary = report_page(workspace=workspace, figures=figures, output=output, on_progress=on_progress)
    screen.show(summary, _show)


def _show(summary: ReportSummary) -> None:
    if summary.figures:
        echo(f"Figures: {summary.figures}")
    echo(f"Page: {summary.report}")
