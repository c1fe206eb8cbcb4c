"""The results of a clustering, read back from the workspace's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import contents
from imgcluster.workspace.tables import ASSIGNMENTS

__all__ = [
    "Results",
    "encoder_identity",
    "read_results",
    "read_tables",
]

_NEEDED: Final = ("cluster", "size", "medoid", "mean_distance", "silhouette")


@dataclass(frozen=True, slots=True)
class Results:
    """A clustering as its tables hold it, row by row.

    `paths` are relative to `base`; `locations` are absolute; `clusters` ``int64 (n,)``; `confidence` and
    `distances` ``float64 (n,)`` (NaN where the table has none). `table` is ``clusters.csv``, `metrics`
    ``metrics.json``. `runner_ups` ``int32 (n,)`` are the next best clusters, −1 for none; None where the table has no
    such column.
    """

    base: str
    paths: list[str]
    locations: list[str]
    clusters: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    medoids: npt.NDArray[np.bool_]
    table: list[dict[str, str]]
    metrics: dict[str, Any]
    runner_ups: npt.NDArray[np.int32] | None = None

    @property
    def rows(self) -> dict[int, dict[str, str]]:
        """The rows of ``clusters.csv`` by cluster."""
        return {int(row["cluster"]): row for row in self.table}

    @property
    def names(self) -> dict[int, str]:
        """The names that people gave to clusters."""
        return {number: row["name"] for number, row in self.rows.items() if row.get("name")}


def encoder_identity(space: Workspace) -> str:
    """Return the identity of the encoder that the workspace was made with.

    Raises:
        WorkspaceError: Nothing is embedded yet.
    """
    if not space.path.exists():
        raise WorkspaceError(
            f"there is no workspace {space.path} yet: run imgcluster embed PATH first, or name another with -w DIR"
        )
    identity = space.manifest.get("encoder", {}).get("identity")
    if not identity:
        raise WorkspaceError(f"{space.path} holds no embeddings yet: run imgcluster embed PATH first")
    return str(identity)


def read_results(space: Workspace) -> Results:
    """Read the current clustering.

    Raises:
        WorkspaceError: Nothing is clustered yet, or embeddings have changed since.
    """
    identity = encoder_identity(space)
    if not space.metrics.exists() and space.applied.is_dir():
        raise WorkspaceError(f"a plan was interrupted half-way in {space.path}: apply it again, or run imgcluster undo")
    space.require(space.metrics, "run imgcluster cluster first")
    metrics = space.read_metrics()
    if metrics.get("fingerprint") != contents(space.embeddings, identity).fingerprint:
        raise WorkspaceError(
            f"the clusters in {space.path} are older than its embeddings: run imgcluster cluster again"
        )
    return read_tables(space, metrics)


def read_tables(space: Workspace, metrics: dict[str, Any]) -> Results:
    """Read the tables of a clustering whose ``metrics.json`` is, or will be, `metrics`.

    Raises:
        WorkspaceError: A table is missing or not as it was written.
    """
    base = str(metrics.get("base", ""))
    rows = list(read_table(space.assignments, ASSIGNMENTS))
    try:
        return Results(
            base=base,
            paths=[row["path"] for row in rows],
            locations=[absolute_path(base, row["path"]) for row in rows],
            clusters=np.array([int(row["cluster"]) for row in rows], dtype=np.int64),
            confidence=_numbers(row["confidence"] for row in rows),
            distances=_numbers(row["distance"] for row in rows),
            medoids=np.array([row["is_medoid"] == "true" for row in rows], dtype=bool),
            table=list(read_table(space.clusters_table, _NEEDED)),
            metrics=metrics,
            runner_ups=_whole(row["runner_up"] for row in rows) if rows and "runner_up" in rows[0] else None,
        )
    except ValueError as error:
        raise WorkspaceError(
            f"{space.assignments} is not as imgcluster wrote it ({error}): run imgcluster cluster again"
        ) from None


def _whole(texts: Any) -> npt.NDArray[np.int32]:
    return np.array([int(text) if text else -1 for text in texts], dtype=np.int32)


def _numbers(texts: Any) -> npt.NDArray[np.float64]:
    return np.array([float(text) if text else np.nan for text in texts], dtype=np.float64)
