"""The command `history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import command_for, echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from imgcluster.commands.history import HistorySummary

__all__ = ["history_command"]


@command()
def history_command(screen: Screen, workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE)) -> None:
    """List the steps that can be undone, the last one first."""
    from imgcluster.commands.history import history

    screen.show(history(workspace=workspace), _show)


def _show(summary: HistorySummary) -> None:
    if not summary.steps:
        echo("No step since the first clustering.")
        return
    table = new_table("step", "time (UTC)", "command", "what", right=("step",))
    for step in summary.steps:
        when = step.time.removesuffix("+00:00").replace("T", " ")
        table.add_row(str(step.step), when, plain(step.command), plain(step.summary))
    print_table(table)
    echo(f"To undo the last step: {command_for(summary.workspace, 'undo')}")
