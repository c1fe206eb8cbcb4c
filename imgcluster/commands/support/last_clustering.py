"""The last clustering of a workspace, also after its embeddings have changed, and the folder names it uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from imgcluster.clustering import METHODS
from imgcluster.errors import WorkspaceError
from imgcluster.placement import UNSORTED_FOLDER, FolderName, folder_name, group_folder_name
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import SORT, Results, read_tables
from imgcluster.workspace.table_columns import ClusterRow

__all__ = ["folder_names", "is_outdated", "placed_names", "read_last_clustering"]


def read_last_clustering(workspace: Workspace) -> Results:
    """Return the last clustering.

    Raises:
        WorkspaceError: Nothing is clustered yet, or a table is damaged.
    """
    if not workspace.metrics.exists():
        raise WorkspaceError(f"nothing is clustered in {workspace.path} yet: run imgcluster cluster first")
    results = read_tables(workspace, workspace.read_metrics())
    if len(results.locations) != results.metrics.get("images"):
        raise WorkspaceError(
            f"the tables in {workspace.path} are not those of its metrics.json: run imgcluster cluster again"
        )
    return results


def is_outdated(workspace: Workspace, fingerprint: str) -> bool:
    """Return whether there is a clustering that is not of the images with this fingerprint, or is damaged."""
    with contextlib.suppress(WorkspaceError):
        return workspace.metrics.exists() and workspace.read_metrics().get("fingerprint") != fingerprint
    return True


def placed_names(options: Mapping[str, Any], rows: Iterable[ClusterRow]) -> dict[int, str]:
    """Return the names that folders have: those of the user and, where requested, suggested ones."""
    suggested = bool(options.get("name_clusters"))
    return {row.cluster: row.name or (row.suggested_name if suggested else "") for row in rows}


def folder_names(metrics: Mapping[str, Any]) -> FolderName:
    """Return the rule for the names of clusters' folders.

    Images in no cluster are in ``noise`` if the method leaves noise, and in ``unsorted`` if they were left by `assign`
    or `sort`.
    """
    if metrics["method"] == SORT:
        return group_folder_name
    method = METHODS.get(str(metrics["method"]))
    if "assigned" not in metrics or (method is not None and not method.takes_k):
        return folder_name
    return _folder_name_after_assign


def _folder_name_after_assign(cluster: int, name: str = "") -> str:
    return UNSORTED_FOLDER if cluster < 0 else folder_name(cluster, name)
