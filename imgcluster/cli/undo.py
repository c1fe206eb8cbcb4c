"""The command `undo`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import DryRun, WorkspaceOption, command
from imgcluster.cli.console import ROWS, echo, files_of, show_returned
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.undo import UndoSummary

__all__ = ["undo_command"]


@command()
def undo_command(
    screen: Screen,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Move files also if another user, computer or key wrote where they came from."),
    ] = False,
    dry_run: DryRun = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Undo the last step or, if there is none, the placement: moved images return, links and copies are removed."""
    from imgcluster.commands.undo import acknowledge, undo_unacknowledged

    with screen.progress() as on_progress:
        summary = undo_unacknowledged(workspace=workspace, trust=trust, dry_run=dry_run, on_progress=on_progress)
    screen.show(summary, _show)
    acknowledge(summary)
    if summary.place == "move" and summary.left:
        raise typer.Exit(1)


def _show(summary: UndoSummary) -> None:
    prefix = "Would undo" if summary.dry_run else "Undone:"
    if summary.what != "placing":
        step = "the last plan" if summary.what == "plan" else f"the last imgcluster {summary.what}"
        files = f"; placed files removed or moved: {summary.taken_back:,}" if summary.taken_back else ""
        echo(f"{prefix} {step}{files}.")
        show_returned(summary)
        if summary.moved:
            moved, folder = counted(summary.moved, "original"), f"{files_of(summary.workspace)}/clusters"
            echo(
                f"Would move {moved} to {folder}."
                if summary.dry_run
                else f"Moved {moved} to {folder}: do not delete it."
            )
        return
    total = summary.taken_back + len(summary.left)
    done = f"{summary.taken_back:,} of {counted(total, 'file')}" if summary.left else counted(total, "file")
    echo(f"{prefix} the placement of {done} (by {summary.place}).")
    show_returned(summary)
    if summary.place_again:
        echo(f"To place them again: {summary.place_again}")
    _show_left(summary)


def _show_left(summary: UndoSummary) -> None:
    """Print the files that stay, those with the same reason in one line."""
    by_reason: dict[str, list[str]] = {}
    for target, reason in summary.left:
        by_reason.setdefault(reason, []).append(target)
    what = "Not moved back" if summary.place == "move" else "Not removed"
    for reason, targets in itertools.islice(by_reason.items(), ROWS):
        others = f" and {counted(len(targets) - 1, 'other file')}" if len(targets) > 1 else ""
        echo(f"{what}: {targets[0]}{others} ({reason})")
    if len(by_reason) > ROWS:
        echo(f"… and {counted(len(by_reason) - ROWS, 'other reason')}; with --json all files are listed.")
