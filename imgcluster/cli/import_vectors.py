"""The command `import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import echo
from imgcluster.cli.embed import show_next
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.import_vectors import ImportSummary

__all__ = ["import_command"]


@command()
def import_command(
    screen: Screen,
    vectors: Annotated[
        Path,
        typer.Argument(
            metavar="VECTORS", help="A .npy, .npz, .parquet or .csv file with one vector per image.", show_default=False
        ),
    ],
    paths: Annotated[
        str | None,
        typer.Option(
            "--paths",
            metavar="FILE|COLUMN",
            help="The images' paths: a file with one per line, a CSV file with the column path, or a column of "
            "VECTORS; by default its column path.",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Where relative paths start; the current folder by default."),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option("--column", metavar="NAME", help="The column of the vectors; by default embedding, or the only."),
    ] = None,
    metric: Annotated[
        str,
        typer.Option("--metric", metavar="cosine|euclidean", help="How the vectors are compared."),
    ] = "cosine",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over in a workspace with other vectors.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Make a workspace from vectors of another program, with or without the image files."""
    from imgcluster.commands.import_vectors import import_vectors

    with screen.progress() as on_progress:
        summary = import_vectors(
            vectors,
            paths,
            workspace=workspace,
            root=root,
            column=column,
            metric=metric,
            fresh=fresh,
            on_progress=on_progress,
        )
    screen.show(summary, _show)


def _show(summary: ImportSummary) -> None:
    images = counted(summary.images, "vector")
    if summary.unchanged:
        echo(f"The workspace already holds these {images}; nothing was written.")
    else:
        echo(f"Imported {images} of {summary.embedding_size:,} values, metric {summary.metric}.")
    if summary.missing:
        echo(
            f"{counted(summary.missing, 'image')} without a file: no pictures, and they cannot be placed. If the files "
            "exist, name the folder that their paths start from with --root DIR."
        )
    show_next(summary.workspace, outdated=summary.outdated)
