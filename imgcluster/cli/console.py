"""Printing results on standard output: lines, tables, and phrases that several commands use."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from imgcluster.fileio.path_text import printable

if TYPE_CHECKING:
    from imgcluster.commands.cluster import ClusterRow

__all__ = [
    "ROWS",
    "counted",
    "images",
    "new_table",
    "plain",
    "print_table",
    "say",
    "show_clusters",
]

_PLAIN_WIDTH: Final = 10_000

# The table shows at most this many clusters; clusters.csv and the page have all.
ROWS: Final = 25
_FIGURES: Final = ("cluster", "size", "share", "confidence", "stability")


def say(text: str) -> None:
    """Print lines, without the control characters that names of files may hold."""
    sys.stdout.write("\n".join(printable(line) for line in text.split("\n")) + "\n")


def new_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table; columns named in `right` are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print a table, as wide as the terminal where there is one."""
    # Without a terminal to fit into, a table is as wide as it likes: paths stay whole.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    # Not printed by Rich, which ends the program itself where the reader has gone.
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write(captured.get())


def plain(text: str) -> Text:
    """Return text as it is, without Rich's markup and without control characters."""
    return Text(printable(text))


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not 1."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def images(count: int) -> str:
    """Return a number of images in words."""
    return counted(count, "image")


def show_clusters(rows: Sequence[ClusterRow], workspace: str) -> None:
    """Print the clusters as a table, the largest first."""
    if not rows:
        return
    named = any(row.name for row in rows)
    names = ("name",) if named else ()
    table = new_table(
        "cluster",
        *names,
        "size",
        "share",
        "confidence",
        "stability",
        "most typical image",
        right=_FIGURES,
    )
    for row in rows[:ROWS]:
        name = (plain(row.name),) if named else ()
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
        say(f"… and {len(rows) - ROWS} more in {workspace}/clusters.csv.")
