"""The results of a clustering, read from the workspace's tables."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, common_base
from imgcluster.types import Metric
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import Embeddings, load, summarize_shards
from imgcluster.workspace.states import interrupted_state
from imgcluster.workspace.table_columns import ASSIGNMENTS, parse_integer, parse_number, row_of

__all__ = [
    "IMPORTED",
    "SORT",
    "Results",
    "base_folder",
    "current_results",
    "encoder_identity",
    "encoder_metric",
    "read_embeddings",
    "read_results",
    "read_tables",
    "results_or_none",
    "with_options",
]

IMPORTED: Final = "imported"
"""The name of the encoder of vectors that another program computed."""

SORT: Final = "sort"
"""The method in ``metrics.json`` of images that were sorted into described groups."""

_REQUIRED: Final = ("cluster", "size", "medoid", "mean_distance", "silhouette")


@dataclass(frozen=True)
class Results:
    """The tables of a clustering of n images.

    Attributes:
        base: The folder that `paths` are relative to.
        paths: As in ``assignments.csv``.
        locations: The absolute paths, as texts.
        clusters: ``int64 (n,)``; −1 is noise.
        confidence: ``float64 (n,)`` in [0, 1].
        distances: To the medoid, ``float64 (n,)``; NaN for none.
        medoids: Which images are medoids, ``bool (n,)``.
        table: The rows of ``clusters.csv``.
        metrics: The content of ``metrics.json``.
        runner_ups: The second most likely clusters, ``int32 (n,)``, −1 for none; None if the table has no such column.
        decisions: What the user decided about single images, by path: ``corrected``, ``unsorted`` or ``pinned``.
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
    decisions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @cached_property
    def rows(self) -> dict[int, dict[str, str]]:
        """The rows of ``clusters.csv`` by cluster."""
        return {int(row["cluster"]): row for row in self.table}

    @cached_property
    def names(self) -> dict[int, str]:
        """The names of the named clusters."""
        return {number: row["name"] for number, row in self.rows.items() if row.get("name")}


def encoder_identity(workspace: Workspace, manifest: dict[str, Any]) -> str:
    """Return the identity of the encoder that made the embeddings.

    Raises:
        WorkspaceError: Nothing is embedded yet.
    """
    identity = manifest.get("encoder", {}).get("identity")
    if not identity:
        raise _nothing_embedded(workspace)
    return str(identity)


def read_embeddings(workspace: Workspace, manifest: dict[str, Any]) -> Embeddings:
    """Return the embeddings of a workspace with this manifest.

    Raises:
        WorkspaceError: There are none.
    """
    embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
    if not embeddings.locations:
        raise _nothing_embedded(workspace)
    return embeddings


def _nothing_embedded(workspace: Workspace) -> WorkspaceError:
    return WorkspaceError(f"{workspace.path} contains no embeddings: run imgcluster embed PATH first")


def encoder_metric(manifest: dict[str, Any]) -> Metric:
    """Return the metric by which vectors are compared: the option of the clustering on record, else the encoder's."""
    chosen = manifest.get("cluster", {}).get("options", {}).get("metric")
    metric: Metric = chosen or manifest["encoder"].get("metric", "cosine")
    return metric


def base_folder(manifest: dict[str, Any], embeddings: Embeddings) -> str:
    """Return the folder that the paths of images are relative to."""
    return str(manifest["base"]) if "base" in manifest else common_base(list(embeddings.roots))


def with_options(manifest: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with these options on record for the clustering."""
    return manifest | {"cluster": {"options": dict(options)}}


def read_results(workspace: Workspace, manifest: dict[str, Any]) -> Results:
    """Read the current clustering of a workspace with this manifest.

    Raises:
        WorkspaceError: Nothing is clustered yet, the embeddings have changed since, a step was interrupted, or a table
            is damaged.
    """
    identity = encoder_identity(workspace, manifest)
    _refuse_interrupted(workspace)
    if not workspace.metrics.exists():
        raise WorkspaceError(f"{workspace.path} has no {workspace.metrics.name} yet: run imgcluster cluster first")
    metrics = workspace.read_metrics()
    if metrics.get("fingerprint") != summarize_shards(workspace.embeddings, identity).fingerprint:
        raise WorkspaceError(
            f"the clusters in {workspace.path} are outdated, its embeddings have changed: run imgcluster cluster again "
            "or, to keep the clusters, imgcluster assign"
        )
    results = read_tables(workspace, metrics)
    if len(results.paths) != metrics["images"] or len({*results.paths}) != len(results.paths):
        raise _damaged(workspace.assignments, "rows are missing or there twice", workspace.repair_remedy)
    return results


def _refuse_interrupted(workspace: Workspace) -> None:
    interrupted = interrupted_state(workspace)
    if interrupted is not None and interrupted.metrics is not None:
        raise WorkspaceError(f"{workspace.metrics} is missing; {workspace.repair_remedy}")
    if interrupted is not None:
        raise WorkspaceError(
            f"the last step was interrupted in {workspace.path}: repeat it, run imgcluster cluster, or imgcluster undo"
        )


def current_results(workspace: Workspace, embeddings: Embeddings) -> Results | None:
    """Return the clustering of these embeddings; None if there is none, or they have changed since.

    Raises:
        WorkspaceError: A step was interrupted, or a table is damaged.
    """
    _refuse_interrupted(workspace)
    if not workspace.metrics.exists():
        return None
    metrics = workspace.read_metrics()
    if metrics.get("fingerprint") != embeddings.fingerprint:
        return None
    results = read_tables(workspace, metrics)
    _check_rows(workspace, results, embeddings)
    return results


def _check_rows(workspace: Workspace, results: Results, embeddings: Embeddings) -> None:
    """Check that the rows of a clustering are those of the embedded images, in their order.

    Raises:
        WorkspaceError: They are not: someone deleted or sorted rows in a spreadsheet, say.
    """
    if results.locations != embeddings.locations:
        raise _damaged(workspace.assignments, "its rows are not those of the embedded images", workspace.repair_remedy)


def results_or_none(workspace: Workspace, manifest: dict[str, Any], embeddings: Embeddings) -> Results | None:
    """Return what `read_results` does, with a row for each of the embeddings; None if nothing was ever clustered."""
    if not workspace.metrics.exists() and interrupted_state(workspace) is None:
        return None
    results = read_results(workspace, manifest)
    _check_rows(workspace, results, embeddings)
    return results


def read_tables(workspace: Workspace, metrics: dict[str, Any], *, folder: Path | None = None) -> Results:
    """Read the tables of a clustering with the given ``metrics.json``, which need not be written yet.

    Args:
        workspace: The workspace.
        metrics: The content of ``metrics.json``.
        folder: The folder of the tables, by default that of the workspace.

    Raises:
        WorkspaceError: A table is missing or invalid.
    """
    # The names of described groups are only in their file.
    remedy = "run imgcluster sort again" if metrics.get("method") == SORT else workspace.repair_remedy
    base = str(metrics.get("base", ""))
    folder = folder or workspace.path
    file, clusters_file = (folder / path.name for path in (workspace.assignments, workspace.clusters_table))
    try:
        columns = _columns(read_table(file, ASSIGNMENTS))
        table = list(read_table(clusters_file, _REQUIRED))
    except WorkspaceError as error:
        raise WorkspaceError(f"{error}; {remedy}") from None
    except ValueError as error:
        raise _damaged(file, error, remedy) from None
    locations = [absolute_path(base, path) for path in columns["paths"]]
    results = Results(base=base, locations=locations, table=table, metrics=metrics, **columns)
    try:
        numbers = [row_of(row).cluster for row in table]
    except ValueError as error:
        raise _damaged(clusters_file, error, remedy) from None
    if sorted(numbers) != sorted({*results.clusters.tolist()} - {-1}):
        raise _damaged(clusters_file, f"its clusters are not those of {file.name}", remedy)
    return results


def _damaged(file: Path, why: object, remedy: str) -> WorkspaceError:
    return WorkspaceError(f"{file} is damaged ({why}); {remedy}")


def _columns(rows: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return the fields of `Results` that are in the rows of ``assignments.csv``.

    No row is kept: those of five million images need more memory than many computers have.

    Raises:
        ValueError: A number is invalid.
    """
    paths: list[str] = []
    decisions: dict[str, str] = {}
    clusters, runner_ups = array("q"), array("i")
    confidence, distances = array("d"), array("d")
    medoids = bytearray()
    for row in rows:
        paths.append(row["path"])
        clusters.append(parse_integer(row["cluster"] or "-1", least=-1))
        runner_ups.append(parse_integer(row["runner_up"] or "-1", least=-1))
        confidence.append(_number(row["confidence"]))
        distances.append(_number(row["distance"]))
        medoids.append(row["is_medoid"] == "true")
        if row.get("decision"):
            decisions[row["path"]] = row["decision"]
    return {
        "paths": paths,
        "clusters": np.array(clusters, dtype=np.int64),
        "confidence": np.array(confidence, dtype=np.float64),
        "distances": np.array(distances, dtype=np.float64),
        "medoids": np.array(medoids, dtype=bool),
        "runner_ups": np.array(runner_ups, dtype=np.int32),
        "decisions": decisions,
    }


def _number(text: str) -> float:
    """Return the number in a field; NaN for an empty text."""
    return parse_number(text) if text else math.nan
