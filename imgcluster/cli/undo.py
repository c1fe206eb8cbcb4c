"""The command `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import ROWS, say
from imgcluster.cli.screen import Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.undo import UndoSummary

__all__ = [
    "show_undo",
    "undo_command",
]


def undo_command(
    dry_run: o.DryRun = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Take back the last plan, else the last placing of files: moved images return, links and copies go."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.undo import undo

        with screen.progress() as report:
            summary = undo(workspace=workspace, dry_run=dry_run, report=report)
        screen.show(summary, show_undo)
        if summary.place == "move" and summary.left:
            raise typer.Exit(1)


def show_undo(summary: UndoSummary) -> None:
    """Print what was taken back."""
    would = "Would take" if summary.dry_run else "Took"
    if summary.what == "plan":
        files = f"{summary.taken_back:,} placed {'file' if summary.taken_back == 1 else 'files'}"
        moved = f"; {files} moved back" if summary.taken_back else ""
        say(f"{would} back the last plan{moved}.")
        return
    total = summary.taken_back + len(summary.left)
    count = f"{summary.taken_back:,} of {total:,}" if summary.left else f"{total:,}"
    say(f"{would} back {count} {'file' if total == 1 else 'files'} placed by {summary.place}.")
    for target, reason in summary.left[:ROWS]:
        say(f"Not taken back: {target} ({reason})")
    if len(summary.left) > ROWS:
        say(f"… and {len(summary.left) - ROWS} more.")
