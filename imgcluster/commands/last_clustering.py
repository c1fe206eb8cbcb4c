"""The last clustering of a workspace, also after its embeddings have changed, and the folder names it uses."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from imgcluster.clustering import METHODS
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, make_folder, remove
from imgcluster.placement import UNSORTED_FOLDER, FolderName, folder_name, group_folder_name
from imgcluster.workspace.folder import Workspace, read_json
from imgcluster.workspace.results import SORT, Results, read_tables

__all__ = ["folder_names", "keep_last_clustering", "last_metrics", "read_last_clustering"]

_REMEDY: Final = "run imgcluster cluster again"


def last_metrics(workspace: Workspace) -> dict[str, Any]:
    """Return ``metrics.json`` of the last clustering, of the embeddings as they are or were; empty if there is none."""
    return read_json(_folder(workspace) / workspace.metrics.name, _REMEDY)


def read_last_clustering(workspace: Workspace) -> Results:
    """Return the last clustering; `embed` archives it when it changes the embeddings.

    Raises:
        WorkspaceError: Nothing is clustered yet, or a table is damaged.
    """
    folder, metrics = _folder(workspace), last_metrics(workspace)
    if not metrics:
        raise WorkspaceError(f"nothing is clustered in {workspace.path} yet: run imgcluster cluster first")
    results = read_tables(workspace, metrics, folder=folder)
    if len(results.locations) != results.metrics.get("images"):
        raise WorkspaceError(
            f"the tables in {folder} are not those of its metrics.json: run imgcluster embed again, then assign, or "
            "run imgcluster cluster"
        )
    return results


def _folder(workspace: Workspace) -> Path:
    return workspace.path if workspace.metrics.exists() else workspace.outdated


def keep_last_clustering(workspace: Workspace) -> None:
    """Copy the clustering to ``outdated/``, so that it is not lost if replacing it is interrupted."""
    if not workspace.metrics.exists():
        return
    make_folder(workspace.outdated, within=workspace.path)
    # Without metrics.json the tables do not count; it is the last.
    remove(workspace.outdated / workspace.metrics.name)
    for path in (workspace.assignments, workspace.clusters_table, workspace.metrics):
        with atomic_path(workspace.outdated / path.name) as copy:
            shutil.copyfile(path, copy)


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
