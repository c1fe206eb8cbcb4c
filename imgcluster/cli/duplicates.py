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
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="SCORE",
            envvar="IMGCLUSTER_DUPLICATES_THRESHOLD",
            help="The least score of a near-copy, from 0.5 to 1; 0.85 by default.",
        ),
    ] = None,
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside",
            help="With --exact: move the originals of all exact copies but the best to the folder duplicates of the "
            "workspace; undo moves them back.",
        ),
    ] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Find exact copies and near-copies: another size, quality, format, crop or color of the same picture."""
    from imgcluster.commands.duplicates import duplicates

    with screen.progress() as on_progress:
        summary = duplicates(
            workspace=workspace,
            exact=exact,
            bursts=bursts,
            threshold=threshold,
            set_aside=set_aside,
            on_progress=on_progress,
        )
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
        unlisted = counted(summary.unlisted, "near-copy of an earlier run is", "near-copies of an earlier run are")
        echo(f"{unlisted} not listed; to list them again: {command_for(summary.workspace, 'duplicates')}")
    if summary.without_time:
        echo(f"{counted(summary.without_time, 'image')} without a capture time in EXIF cannot be in a burst.")
    if summary.not_compared:
        echo(
            f"{counted(summary.not_compared, 'image')} not compared, because the files are missing or have changed: "
            "embed or import them again."
        )
    if not copies:
        return
    if summary.not_set_aside:
        echo(
            f"{counted(summary.not_set_aside, 'exact copy', 'exact copies')} not set aside: hard links of the best "
            "image, or files that are missing or have changed since they were embedded."
        )
    if summary.set_aside:
        moved = counted(summary.set_aside, "original")
        echo(f"Moved {moved} to {summary.set_aside_to}: deleting that folder deletes them.")
        echo(f"To undo: {command_for(summary.workspace, 'undo')}")
        echo(f"Table: {summary.table}")
    else:
        echo(f"No file was changed. Table: {summary.table}")
    show_page(summary.report, summary.workspace, outdated=summary.outdated)
    if summary.report and not summary.set_aside:
        if summary.exact and not summary.near:
            echo(
                "To set all but the best of each group aside: "
                f"{command_for(summary.workspace, 'duplicates --exact --set-aside')}"
            )
        echo(
            "To set some aside, tick them on the page, save the plan, and apply it: "
            f"{command_for(summary.workspace, 'apply imgcluster-plan.json')}"
        )
