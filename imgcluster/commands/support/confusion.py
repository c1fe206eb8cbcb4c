"""The confusion matrix of `evaluate`: writing, reading and drawing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.placement import NOISE_FOLDER, folder_name
from imgcluster.report.plots import confusion_figure, save
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.table_columns import parse_integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Confusion", "draw_confusion", "read_confusion", "write_confusion"]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images per label (rows) and cluster (columns; −1 is noise); `counts` is ``int64 (labels, clusters)``."""

    labels: tuple[str, ...]
    clusters: tuple[int, ...]
    counts: npt.NDArray[np.int64]


def write_confusion(workspace: Workspace, confusion: Confusion, names: Mapping[int, str]) -> None:
    """Write the table and the plot; columns are named like the clusters' folders."""
    rows = ([label, *counts] for label, counts in zip(confusion.labels, confusion.counts.tolist(), strict=True))
    write_table(workspace.confusion_table, ["label", *_columns(confusion, names)], rows)
    save(draw_confusion(confusion, names), workspace.confusion_picture)


def read_confusion(workspace: Workspace) -> Confusion | None:
    """Read the table; None if `evaluate` did not run.

    Raises:
        WorkspaceError: The table is invalid.
    """
    if not workspace.confusion_table.exists():
        return None
    rows = list(read_table(workspace.confusion_table, ("label",)))
    try:
        columns = [name for name in rows[0] if name != "label"]
        counts = np.array([[parse_integer(row[name]) for name in columns] for row in rows], dtype=np.int64)
        clusters = tuple(_number(name) for name in columns)
    except (ValueError, IndexError):
        raise WorkspaceError(
            f"{workspace.confusion_table} is not a valid table: run imgcluster evaluate again"
        ) from None
    return Confusion(tuple(row["label"] for row in rows), clusters, counts)


def draw_confusion(confusion: Confusion, names: Mapping[int, str]) -> Figure:
    """Draw the matrix with matched clusters (Hungarian method) on the diagonal, then the others."""
    from scipy.optimize import linear_sum_assignment

    columns = _columns(confusion, names)
    _, matched = linear_sum_assignment(confusion.counts, maximize=True)
    order = [*matched.tolist(), *sorted(set(range(len(columns))) - set(matched.tolist()))]
    return confusion_figure(confusion.counts[:, order], confusion.labels, [columns[index] for index in order])


def _columns(confusion: Confusion, names: Mapping[int, str]) -> list[str]:
    return [folder_name(number, names.get(number, "")) for number in confusion.clusters]


def _number(column: str) -> int:
    """Return the cluster of a name made by `folder_name`."""
    return -1 if column == NOISE_FOLDER else int(column.split("_")[1])
