"""Printing to standard output: lines, tables, and numbers with nouns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from imgcluster.fileio.path_text import printable, to_text
from imgcluster.wording import counted, quoted_argument

if TYPE_CHECKING:
    from imgcluster.commands.cluster import ClusterRow, ClusterSummary
    from imgcluster.commands.sort import SortSummary
    from imgcluster.commands.undo import UndoSummary

__all__ = [
    "ROWS",
    "command_for",
    "echo",
    "file_size",
    "files_of",
    "new_table",
    "plain",
    "print_table",
    "show_clusters",
    "show_page",
    "show_returned",
]

_PLAIN_WIDTH: Final = 10_000

# Tables show at most this many rows; clusters.csv and the page contain all.
ROWS: Final = 25
_FOLDERS: Final = 3
_NUMERIC_COLUMNS: Final = ("cluster", "size", "share", "confidence", "stability")


def echo(text: str) -> None:
    """Print lines; control characters, which file names can contain, are escaped."""
    sys.stdout.write("\n".join(printable(line) for line in text.split("\n")) + "\n")


def new_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print a table; on a terminal it is as wide as the terminal."""
    # Elsewhere, long paths are not wrapped.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    # Rich itself would end the program if the pipe is closed.
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write(captured.get())


def plain(text: str) -> Text:
    """Return text without interpretation of Rich markup; control characters are escaped."""
    return Text(printable(text))


def files_of(workspace: str) -> str:
    """Return the folder with the files of a workspace of a summary; of one in object storage that of its local copy."""
    from imgcluster.workspace.local_copy import folder_of

    return to_text(folder_of(workspace))


def show_returned(summary: ClusterSummary | SortSummary | UndoSummary) -> None:
    """Print how many originals move back to their original paths, and the folders."""
    if summary.returned:
        folders = ", ".join(summary.returned_to[:_FOLDERS])
        more = len(summary.returned_to) - _FOLDERS
        others = f" and {counted(more, 'more folder')}" if more > 0 else ""
        moved = "Would move" if summary.dry_run else "Moved"
        echo(f"{moved} {counted(summary.returned, 'original')} back to {folders}{others}.")


def command_for(workspace: str, words: str) -> str:
    """Return an imgcluster command for a workspace of a summary."""
    return f"imgcluster {words} -w {quoted_argument(workspace)}"


def show_page(report: str, workspace: str, *, outdated: bool) -> None:
    """Print where the page is, or how to get one that has what was found."""
    if report:
        echo(f"Page: {report}")
    elif outdated:
        echo(
            "The clusters are outdated, because images were added or removed since, so neither they nor the page were "
            f"used: {command_for(workspace, 'assign')}"
        )
    else:
        echo(f"To see all of it on a page: {command_for(workspace, 'cluster')}")


def file_size(size: int) -> str:
    """Return a number of bytes in megabytes, or in kilobytes if it is small."""
    number, unit = (size / 1e6, "MB") if size >= 1e6 else (size / 1e3, "kB")
    return f"{number:,.{0 if number >= 10 else 1}f} {unit}"


def show_clusters(rows: Sequence[ClusterRow], workspace: str) -> None:
    """Print the clusters as a table."""
    if not rows:
        return
    named = any(row.name for row in rows)
    suggested = any(row.suggested_name for row in rows)
    names = (*(("name",) if named else ()), *(("suggested name",) if suggested else ()))
    table = new_table(
        "cluster",
        *names,
        "size",
        "share",
        "confidence",
        "stability",
        "most typical image",
        right=_NUMERIC_COLUMNS,
    )
    for row in rows[:ROWS]:
        name = (*((plain(row.name),) if named else ()), *((plain(row.suggested_name),) if suggested else ()))
        table.add_row(
            str(row.cluster),
            *name,
            f"{row.size:,}",
            f"{row.share:.1%}",
            f"{row.mean_confidence:.2f}",
            "" if row.stability is None else f"{row.stability:.2f}",
            plain(row.medoid),
        )
    print_table(table)
    if len(rows) > ROWS:
        echo(f"… and {len(rows) - ROWS} more in {files_of(workspace)}/clusters.csv.")
