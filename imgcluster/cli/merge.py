"""The command `merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import echo, files_of
from imgcluster.cli.embed import show_next
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

__all__ = ["merge_command"]


@command()
def merge_command(
    screen: Screen,
    workspaces: Annotated[
        list[Path], typer.Argument(metavar="WORKSPACE…", help="Workspaces, or those with shards of other machines.")
    ],
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Add the images of other workspaces, or the shards of other machines, to a workspace."""
    from imgcluster.commands.merge import merge
    from imgcluster.commands.support.embed_summary import EmbedSummary

    with screen.progress() as on_progress:
        summary = merge(workspaces, workspace=workspace, on_progress=on_progress)

    def show(done: EmbedSummary) -> None:
        echo(
            f"Merged {counted(len(workspaces), 'workspace')}: {done.workspace} now holds "
            f"{counted(done.embedded, 'image')} ({done.new:,} new, {done.changed:,} changed)."
        )
        if done.skipped:
            echo(f"{counted(done.skipped, 'image')} could not be read; see {files_of(done.workspace)}/skipped.csv.")
        show_next(done.workspace, outdated=done.outdated)

    screen.show(summary, show)
