"""The command `report`."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import say
from imgcluster.cli.screen import Screen, boundary

__all__ = [
    "report_command",
    "show_report",
]


def report_command(
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw figures for papers, too: PNG and SVG in the folder figures.")
    ] = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write the page again from the workspace."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.report import report_page
        from imgcluster.fileio.path_text import to_text
        from imgcluster.workspace.folder import Workspace

        with screen.progress() as report:
            page = report_page(workspace=workspace, figures=figures, report=report)
        folder = to_text(Workspace(workspace).figures) if figures else None
        screen.show((page, folder), show_report, as_json={"report": page, "figures": folder})


def show_report(written: tuple[str, str | None]) -> None:
    """Print where the page lies, and the figures where there are any."""
    page, figures = written
    if figures:
        say(f"Figures: {figures}")
    say(f"Page: {page}")
