"""The command `apply`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import say, show_clusters
from imgcluster.cli.screen import Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.apply import ApplySummary

__all__ = [
    "apply_command",
    "show_apply",
]


def apply_command(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan saved on the page.")],
    dry_run: o.DryRun = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Carry out what was decided on the page: names, merges, misplaced images."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.apply import apply

        with screen.progress() as report:
            summary = apply(plan, workspace=workspace, dry_run=dry_run, report=report)
        screen.show(summary, show_apply)


def show_apply(summary: ApplySummary) -> None:
    """Print what a plan changed, and the clusters after it."""
    parts = (
        (summary.named, "named", "cluster"),
        (summary.merged, "merged", "cluster"),
        (summary.misplaced, "put right", "image"),
    )
    told = [f"{count:,} {noun}{'' if count == 1 else 's'} {verb}" for count, verb, noun in parts if count]
    would = "The plan would change" if summary.dry_run else "The plan changed"
    say(f"{would}: {', '.join(told) or 'nothing'}.")
    show_clusters(summary.clusters, summary.workspace)
    if summary.dry_run:
        say("Nothing was written.")
        return
    if summary.moved:
        files = "file" if summary.moved == 1 else "files"
        say(f"Moved {summary.moved:,} placed {files} in {summary.workspace}/clusters.")
    say(f"To take the plan back: imgcluster undo -w {shlex.quote(summary.workspace)}")
    say(f"Page: {summary.report}")
