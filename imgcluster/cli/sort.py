"""The command `sort`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.cluster import show_files
from imgcluster.cli.command import DryRun, WorkspaceOption, command, from_field
from imgcluster.cli.console import echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, EmbedOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.sort import SortSummary

__all__ = ["show_sort", "sort_command"]


@command()
def sort_command(
    screen: Screen,
    into: Annotated[
        Path,
        typer.Option("--into", metavar="LABELS.txt", help="The groups, one per line: a name, or name: description."),
    ],
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="SHARE",
            help="Leave an image unsorted unless its group's description is more similar to it than this share of "
            "2,000 everyday words.",
        ),
    ] = 0.99,
    place: from_field(ClusterOptions, "place") = None,  # type: ignore[valid-type]
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    discard_decisions: Annotated[
        bool,
        typer.Option("--discard-decisions", help="Drop all names, merges and corrections; undo brings them back."),
    ] = False,
    dry_run: DryRun = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Sort the images into groups that you describe in words, in place of the clusters."""
    from imgcluster.commands.sort import sort

    with screen.progress() as on_progress:
        summary = sort(
            into,
            workspace=workspace,
            threshold=threshold,
            place=place,
            device=device,
            discard_decisions=discard_decisions,
            dry_run=dry_run,
            on_progress=on_progress,
        )
    screen.show(summary, show_sort)


def show_sort(summary: SortSummary) -> None:
    """Print the groups and the paths of the results."""
    table = new_table("group", "images", "described as", right=("images",))
    for group in summary.groups:
        table.add_row(plain(group.name), f"{group.images:,}", plain("; ".join(group.descriptions)))
    table.add_row("unsorted", f"{summary.unsorted:,}", "")
    print_table(table)
    echo(
        f"{counted(summary.images, 'image')}; unsorted are those whose group's description is not more similar to them "
        f"than {summary.threshold:.4g} of the everyday words."
    )
    for warning in summary.warnings:
        echo(f"Note: {warning}")
    show_files(summary)
