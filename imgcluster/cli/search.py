"""The command `search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command, from_field
from imgcluster.cli.console import echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.search import SearchSummary

__all__ = ["search_command", "show_search"]


@command()
def search_command(
    screen: Screen,
    query: Annotated[str, typer.Argument(metavar="TEXT", help='What the images show, such as "red shoes".')],
    without: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="TEXT", help="Leave out what this describes as well. Can be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", help="The number of images to print.")] = 50,
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Print the images that a text describes, the most similar first."""
    from imgcluster.commands.search import search

    with screen.progress() as on_progress:
        summary = search(
            query, without=without or (), limit=limit, workspace=workspace, device=device, on_progress=on_progress
        )
    screen.show(summary, show_search)


def show_search(summary: SearchSummary) -> None:
    """Print the images as a table."""
    table = new_table("rank", "score", "image", right=("rank", "score"))
    for image in summary.results:
        table.add_row(str(image.rank), f"{image.score:.3f}", plain(image.path))
    if summary.results:
        print_table(table)
    left_out = f"; left out {counted(summary.left_out, 'image')} by --not" if summary.left_out else ""
    shown = f"{len(summary.results):,} of {counted(summary.images, 'image')}"
    echo(f"Showed {shown}{left_out}." + (f" Paths are relative to {summary.base}" if summary.base else ""))
