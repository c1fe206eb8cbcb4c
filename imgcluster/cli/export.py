"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import echo
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.export import ExportSummary

__all__ = ["export_command"]


@command()
def export_command(
    screen: Screen,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            envvar="IMGCLUSTER_EXPORT",
            help="The new file or folder, or s3://… and gs://… for copies; nothing is overwritten.",
        ),
    ],
    format: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="parquet, npy, csv, fiftyone, embedding-atlas or imagefolder; by default that of the ending of OUT.",
        ),
    ] = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Write paths, vectors, clusters, names and confidence for another program."""
    from imgcluster.commands.export import export

    with screen.progress() as on_progress:
        summary = export(output, format=format, workspace=workspace, on_progress=on_progress)
    screen.show(summary, _show)


def _show(summary: ExportSummary) -> None:
    clusters = f" in {counted(summary.clusters, 'cluster')}" if summary.clusters else ""
    echo(f"Exported {counted(summary.images, 'image')}{clusters} as {summary.format}: {summary.output}")
    if summary.missing:
        echo(f"The files of {counted(summary.missing, 'image')} are missing.")
