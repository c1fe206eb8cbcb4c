"""The command `assign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.cluster import show_files
from imgcluster.cli.command import DryRun, WorkspaceOption, command, from_field
from imgcluster.cli.console import echo, show_clusters
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.assign import AssignSummary

__all__ = ["assign_command", "show_assign"]


@command()
def assign_command(
    screen: Screen,
    new_clusters: Annotated[
        bool,
        typer.Option("--new-clusters", help="Create clusters of images in no cluster that are similar to each other."),
    ] = False,
    place: from_field(ClusterOptions, "place") = None,  # type: ignore[valid-type]
    dry_run: DryRun = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Put images embedded since the last clustering into its clusters."""
    from imgcluster.commands.assign import assign

    with screen.progress() as on_progress:
        summary = assign(
            workspace=workspace, new_clusters=new_clusters, place=place, dry_run=dry_run, on_progress=on_progress
        )
    screen.show(summary, show_assign)


def show_assign(summary: AssignSummary) -> None:
    """Print what is new, the clusters, and the paths of the results."""
    if summary.is_unchanged:
        echo(f"No new images; the {counted(len(summary.clusters), 'cluster is', 'clusters are')} unchanged.")
        if summary.placed or summary.returned:
            show_files(summary)
        elif summary.report:
            echo(f"Page: {summary.report}")
        else:
            echo("Nothing was written.")
        return
    unsorted = (
        f"; {summary.unsorted:,} {'is' if summary.unsorted == 1 else 'are'} unlike all clusters (unsorted)"
        if summary.unsorted
        else ""
    )
    new = counted(summary.assigned + summary.unsorted, "new image")
    if summary.assigned or summary.unsorted:
        echo(f"Assigned {summary.assigned:,} of {new} to {counted(len(summary.clusters), 'cluster')}{unsorted}.")
    if summary.removed:
        echo(f"{counted(summary.removed, 'image')} of the clustering left the workspace.")
    if summary.new_clusters:
        echo(f"New clusters: {', '.join(map(str, summary.new_clusters))}.")
    show_clusters(summary.clusters, summary.workspace)
    for warning in summary.warnings:
        echo(f"Note: {warning}")
    show_files(summary)
