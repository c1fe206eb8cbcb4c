"""Joining the shards of ``embed --shard`` before another command uses the workspace."""

from __future__ import annotations

from imgcluster.errors import WorkspaceError
from imgcluster.progress import OnProgress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.work_shards import work_shards

__all__ = ["join_if_started"]


def join_if_started(workspace: Workspace, *, dry_run: bool, on_progress: OnProgress) -> None:
    """Join the shards of a workspace, if there are any.

    Raises:
        WorkspaceError: They cannot be joined, or this is a dry run, which joins nothing.
    """
    parts = work_shards(workspace)
    if not parts:
        return
    if dry_run:
        raise WorkspaceError(
            f"{workspace.path} has shards that are not joined; without --dry-run this command joins them. To join them "
            f"now: {workspace.command('embed --finish')}"
        )
    # Loads all that `embed` needs.
    from imgcluster.commands.support.join import join

    workspace.require_initialized()
    join(workspace, [part.workspace(workspace) for part in parts], "embed", on_progress)
