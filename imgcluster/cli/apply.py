"""The command `apply`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import DryRun, WorkspaceOption, command
from imgcluster.cli.console import command_for, echo, files_of, show_clusters
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.apply import ApplySummary

__all__ = ["apply_command"]


@command()
def apply_command(
    screen: Screen,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan saved on the page.")],
    dry_run: DryRun = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Apply a plan saved on the page: names, merges, splits, new clusters, corrections."""
    from imgcluster.commands.apply import apply

    with screen.progress() as on_progress:
        summary = apply(plan, workspace=workspace, dry_run=dry_run, on_progress=on_progress)
    screen.show(summary, _show)


def _show(summary: ApplySummary) -> None:
    from imgcluster.commands.apply import PLAN_CHANGES

    if summary.repeated:
        echo("The plan is applied already; nothing was changed.")
        return
    counts = ((getattr(summary, change.count), change) for change in PLAN_CHANGES)
    changes = ", ".join(f"{counted(count, change.noun)} {change.verb}" for count, change in counts if count)
    echo(f"{'The plan would change' if summary.dry_run else 'Applied the plan'}: {changes or 'nothing to change'}.")
    show_clusters(summary.clusters, summary.workspace)
    if summary.set_aside:
        moved = f"{'Would move' if summary.dry_run else 'Moved'} {counted(summary.set_aside, 'original')}"
        echo(f"{moved} to {summary.set_aside_to}: deleting that folder deletes them.")
    if summary.dry_run:
        echo("Nothing was written.")
        return
    if summary.moved:
        echo(f"Moved {counted(summary.moved, 'placed file')} in {files_of(summary.workspace)}/clusters.")
    echo(f"To undo the plan: {command_for(summary.workspace, 'undo')}")
    echo(f"Page: {summary.report}")
