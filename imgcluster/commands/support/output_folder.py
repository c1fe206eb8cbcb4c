"""Folders for images and tables that are no workspace: only what imgcluster wrote there is replaced."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import to_text
from imgcluster.images.arrays import is_own_png
from imgcluster.workspace.folder import is_workspace

__all__ = ["check_replaceable"]


def check_replaceable(folder: Path, images: Iterable[Path], tables: Mapping[Path, Sequence[str]] | None = None) -> None:
    """Check before anything is written that only files of imgcluster would be replaced.

    Args:
        folder: The folder that the user named.
        images: The images to write, as `write_png` does.
        tables: The columns of the tables to write.

    Raises:
        UsageError: One of the files exists and was not written by imgcluster, or the folder is a workspace.
    """
    if is_workspace(folder):
        raise UsageError(f"{to_text(folder)} is a workspace; choose another folder to write to")
    foreign = [path for path in images if os.path.lexists(path) and not is_own_png(path)]
    foreign += [
        path for path, columns in (tables or {}).items() if os.path.lexists(path) and not _has_columns(path, columns)
    ]
    if foreign:
        raise UsageError(
            f"{to_text(foreign[0])} exists and was not written by imgcluster; choose another folder to write to"
        )


def _has_columns(path: Path, columns: Sequence[str]) -> bool:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), None) == list(columns)
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
