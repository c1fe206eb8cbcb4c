"""The command `outliers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import command_for, echo, new_table, plain, print_table, show_page
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.outliers import OutliersSummary

__all__ = ["outliers_command"]


@command()
def outliers_command(
    screen: Screen,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="REASON",
            help="Show only images that are far, atypical, blurred, dark, bright, low-contrast, single-color or tiny; "
            "quality means the last six. Can be repeated.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", help="The number of images to print.")] = 25,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Find images unlike all others or unlike their cluster, and images of low quality; no file is changed."""
    from imgcluster.commands.outliers import outliers

    with screen.progress() as on_progress:
        summary = outliers(only=only or (), limit=limit, workspace=workspace, on_progress=on_progress)
    screen.show(summary, _show)


def _show(summary: OutliersSummary) -> None:
    table = new_table("rank", "score", "sharpness", "reasons", "image", right=("rank", "score", "sharpness"))
    for row in summary.outliers:
        score, sharpness = ("" if value != value else f"{value:.2f}" for value in (row.score, row.sharpness))
        table.add_row(str(row.rank), score, sharpness, ", ".join(row.reasons), plain(row.path))
    if summary.outliers:
        print_table(table)
    counts = {name: count for name, count in summary.reasons.items() if name in summary.only or not summary.only}
    reasons = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    nothing = f"none is {' or '.join(summary.only)}" if summary.only else "no outliers"
    echo(f"Of {counted(summary.images, 'image')}: {reasons or nothing}.")
    for reason, count in summary.common.items():
        echo(f"{counted(count, 'image')} of the collection are {reason}, so this is not counted.")
    if summary.not_measured:
        _show_not_measured(summary)
    if summary.found > len(summary.outliers):
        echo(f"Showed {len(summary.outliers):,} of {summary.found:,}; -n shows more.")
    written = f"All images: {summary.table}" if summary.table else "The workspace is read-only, so there is no table."
    echo(f"No image was left out or changed. {written}")
    if summary.table:
        show_page(summary.report, summary.workspace, outdated=summary.outdated)


def _show_not_measured(summary: OutliersSummary) -> None:
    unknown = f"The quality of {counted(summary.not_measured, 'image')} is not known, because"
    if summary.imported:
        # In this workspace, embedding would replace the imported vectors.
        echo(f"{unknown} vectors were imported; another workspace has it: imgcluster embed FOLDER -w OTHER")
    else:
        again = command_for(summary.workspace, "embed PATH --fresh")
        echo(f"{unknown} an earlier version embedded them. To measure it, with the same paths and options: {again}")
