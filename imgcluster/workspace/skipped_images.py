"""The table of the images that `embed` skipped, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import relative_path
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["read_skipped", "write_skipped"]


def read_skipped(table: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table of skipped images.

    Raises:
        WorkspaceError: It is damaged.
    """
    try:
        yield from read_table(table, SKIPPED)
    except WorkspaceError as error:
        raise WorkspaceError(f"{error}; delete that file, then run the same embed command again") from None


def write_skipped(workspace: Workspace, skipped: Mapping[str, str], base: str) -> None:
    """Write the table of the skipped images, given as the reason of each absolute path."""
    rows = ((relative_path(location, base), reason) for location, reason in sorted(skipped.items()))
    write_table(workspace.skipped, SKIPPED, rows)
