"""The confusion matrix that `evaluate` leaves: its table and picture, written, read back, and drawn."""

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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Confusion", "draw_confusion", "read_confusion", "write_confusion"]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images per label (rows) and cluster (columns, −1 is noise): `counts` ``int64 (labels, clusters)``."""

    labels: tuple[str, ...]
    clusters: tuple[int, ...]
    counts: npt.NDArray[np.int64]


def write_confusion(space: Workspace, confusion: Confusion, names: Mapping[int, str]) -> None:
    """Write table and picture; clusters are called as their folders are, `names` being of those that have one."""
    rows = ([label, *counts] for label, counts in zip(confusion.labels, confusion.counts.tolist(), strict=True))
    write_table(space.confusion_table, ["label", *_columns(confusion, names)], rows)
    save(draw_confusion(confusion, names), space.confusion_picture)


def read_confusion(space: Workspace) -> Confusion | None:
    """Return what the table holds; None where `evaluate` has not run.

    Raises:
        WorkspaceError: The table is not as it was written.
    """
    if not space.confusion_table.exists():
        return None
    rows = list(read_table(space.confusion_table, ("label",)))
    try:
        columns = [name for name in rows[0] if name != "label"]
        counts = np.array([[int(row[name]) for name in columns] for row in rows], dtype=np.int64)
        clusters = tuple(_number(name) for name in columns)
    except (ValueError, IndexError):
        raise WorkspaceError(
            f"{space.confusion_table} is not as imgcluster wrote it: run imgcluster evaluate again"
        ) from None
    return Confusion(tuple(row["label"] for row in rows), clusters, counts)


def draw_confusion(confusion: Confusion, names: Mapping[int, str]) -> Figure:
    """Draw it with the matched clusters along the diagonal, then the others."""
    from scipy.optimize import linear_sum_assignment

    columns = _columns(confusion, names)
    _, matched = linear_sum_assignment(confusion.counts, maximize=True)
    order = [*matched.tolist(), *sorted(set(range(len(columns))) - set(matched.tolist()))]
    return confusion_figure(confusion.counts[:, order], confusion.labels, [columns[place] for place in order])


def _columns(confusion: Confusion, names: Mapping[int, str]) -> list[str]:
    return [folder_name(number, names.get(number, "")) for number in confusion.clusters]


def _number(column: str) -> int:
    """Return the cluster that `folder_name` called so."""
    return -1 if column == NOISE_FOLDER else int(column.split("_")[1])
