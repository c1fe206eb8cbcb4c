"""The command `duplicates`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import ROWS, command_for, echo, file_size, new_table, plain, print_table, show_page
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.duplicates import DuplicatesSummary

__all__ = ["duplicates_command"]


@command()
def duplicates_command(
    screen: Screen,
    exact: Annotated[bool, typer.Option("--exact", help="Only exact copies; no image is read.")] = False,
    bursts: Annotated[
        bool,
        typer.Option("--bursts", help="Instead, photographs taken within seconds that show the same; best: sharpest."),
    ] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Find exact copies and near-copies: another size, quality, format, crop or color of the same picture."""
    from imgcluster.commands.duplicates import duplicates

    with screen.progress() as on_progress:
        summary = duplicates(workspace=workspace, exact=exact, bursts=bursts, on_progress=on_progress)
    screen.show(summary, _show)


def _show(summary: DuplicatesSummary) -> None:
    table = new_table("group", "kind", "score", "size", "bytes", "image", right=("group", "score", "bytes"))
    for row in summary.duplicates[:ROWS]:
        score = "" if row.kind == "best" else f"{row.score:.2f}"
        size = f"{row.width}×{row.height}"
        table.add_row(str(row.group), row.kind, score, size, f"{row.bytes:,}", plain(row.path))
    if summary.duplicates:
        print_table(table)
    if len(summary.duplicates) > ROWS:
        echo(f"… and {len(summary.duplicates) - ROWS:,} more in {summary.table}.")
    kinds = [
        (summary.exact, "exact copy", "exact copies"),
        (summary.near, "near-copy", "near-copies"),
        (summary.bursts, "more photograph of a burst", "more photographs of bursts"),
    ]
    copies = " and ".join(counted(count, one, many) for count, one, many in kinds if count)
    of = f"{counted(summary.groups, 'group')} among {counted(summary.images, 'image')}"
    none = "bursts" if summary.table.endswith("bursts.csv") else "copies"
    echo(f"Found {copies} in {of}, {file_size(summary.bytes)}." if copies else f"Found no {none}: {of}.")
    if summary.unlisted:
        echo(
            f"{counted(summary.unlisted, 'near-copy', 'near-copies')} that an earlier run had found are no longer "
            f"listed; to list them again: {command_for(summary.workspace, 'duplicates')}"
        )
    if summary.without_time:
        echo(f"{counted(summary.without_time, 'image')} without a capture time in EXIF cannot be in a burst.")
    if summary.not_compared:
        echo(
            f"{counted(summary.not_compared, 'image')} not compared, because the files are missing or have changed: "
            "run imgcluster embed again."
        )
    if not copies:
        return
    echo(f"No file was changed. Table: {summary.table}")
    show_page(summary.report, summary.workspace, outdated=summary.outdated)
    if summary.report:
        echo(
            "To set some aside, tick them on the page, save the plan, and apply it: "
            f"{command_for(summary.workspace, 'apply imgcluster-plan.json')}"
        )
