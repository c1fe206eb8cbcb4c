"""The command `similar`."""

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
    from imgcluster.commands.similar import SimilarSummary

__all__ = ["similar_command"]


@command()
def similar_command(
    screen: Screen,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Image files, in the workspace or elsewhere.")],
    limit: Annotated[int, typer.Option("-n", "--limit", help="The number of images for each.")] = 20,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="SCORE",
            envvar="IMGCLUSTER_SIMILAR_THRESHOLD",
            help="Leave out images whose score is less than this.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE.html", help="Write a page that shows them.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="The workspace's encoder, if it is an .onnx file of your own.")
    ] = None,
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Print the images that resemble an image, the most similar first."""
    from imgcluster.commands.similar import similar

    with screen.progress() as on_progress:
        summary = similar(
            images,
            limit=limit,
            threshold=threshold,
            page=page,
            encoder=encoder,
            workspace=workspace,
            device=device,
            on_progress=on_progress,
        )
    screen.show(summary, _show)


def _show(summary: SimilarSummary) -> None:
    for query in summary.queries:
        echo(f"Similar to {query.image}:")
        table = new_table("rank", "score", "image", right=("rank", "score"))
        for image in query.results:
            table.add_row(str(image.rank), f"{image.score:.3f}", plain(image.path))
        if query.results:
            print_table(table)
        else:
            echo("No image is that similar.")
    relative = f" Paths are relative to {summary.base}" if summary.base else ""
    echo(f"Compared with {counted(summary.images, 'image')}.{relative}")
    if summary.page:
        echo(f"Page: {summary.page}")
