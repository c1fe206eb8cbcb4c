"""`cluster --ray`: what is computed of every vector on its own is computed by the nodes of a Ray cluster."""

from __future__ import annotations

import os
from typing import Any

from imgcluster.commands.cluster import ClusterSummary, cluster
from imgcluster.commands.support.ray_nodes import connected, shared_workspace
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, RayOptions
from imgcluster.progress import OnProgress, ignore_progress

__all__ = ["cluster_on_ray"]


def cluster_on_ray(
    *,
    ray: RayOptions | None = None,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    options: ClusterOptions | None = None,
    discard_decisions: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> ClusterSummary:
    """Cluster the workspace's embeddings as `cluster` does, on a Ray cluster; the result is the same, byte for byte.

    The model is fitted on a sample on this machine. The tasks on the nodes read the shards in parts, and place all
    other vectors beside the sample. Vectors of less than 256 MB are not divided, and stay on this machine.

    Args:
        ray: The cluster; only its address counts.
        workspace: As for `cluster`.
        options: As for `cluster`.
        discard_decisions: As for `cluster`.
        dry_run: As for `cluster`.
        on_progress: Called with each step.
        **changes: Single fields of `ClusterOptions`.

    Raises:
        UnavailablePackage: Ray is not installed.
        UsageError: The workspace is in object storage.
        RayClusterError: There is no such cluster, or its tasks fail.
        ImgclusterError: As for `cluster`.
    """
    shared_workspace(workspace)
    with connected(ray or RayOptions()) as connection:
        return cluster(
            workspace=workspace,
            options=options,
            discard_decisions=discard_decisions,
            dry_run=dry_run,
            on_progress=on_progress,
            map_parts=connection.map_parts,
            **changes,
        )
