"""`embed --finish`, `embed --status` and `merge`: the images of shards, or of other workspaces, in one workspace."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from imgcluster.commands.support.embed_summary import EmbedSummary
from imgcluster.commands.support.join import identity_of, is_complete, join
from imgcluster.commands.support.shard_store import ShardStore
from imgcluster.commands.support.stored_workspace import local_workspace
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.fileio.object_store import store_url
from imgcluster.fileio.path_text import Paths, path_list
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shard_file import count_rows
from imgcluster.workspace.shards import list_shards
from imgcluster.workspace.work_shards import WorkShard, every_shard, work_shards

__all__ = ["ShardStatus", "ShardsSummary", "finish_shards", "merge", "shards_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """One shard of a workspace.

    Attributes:
        shard: I/N.
        state: ``complete``, ``incomplete`` (running or interrupted) or ``missing``.
        images: The rows it has written.
    """

    shard: str
    state: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsSummary:
    """The shards of a workspace that are not joined yet, by number; `complete` if none is left to embed."""

    workspace: str
    complete: bool
    shards: tuple[ShardStatus, ...]


def shards_status(workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE) -> ShardsSummary:
    """Return which shards of ``embed --shard`` are complete.

    Raises:
        WorkspaceError: Nothing was ever embedded here, or a shard is damaged.
    """
    if url := store_url(workspace):
        return _stored_status(url)
    workspace = Workspace(workspace)
    workspace.require_initialized()
    started = set(work_shards(workspace))
    statuses = tuple(_status(workspace, part, started) for part in every_shard(started))
    complete = all(shard.state == "complete" for shard in statuses)
    return ShardsSummary(workspace=workspace.name, complete=complete, shards=statuses)


def _status(workspace: Workspace, part: WorkShard, started: set[WorkShard]) -> ShardStatus:
    if part not in started:
        return ShardStatus(shard=str(part), state="missing", images=0)
    own = part.workspace(workspace)
    manifest = own.manifest
    rows = sum(count_rows(shard) for shard in list_shards(own.embeddings, identity_of(manifest)))
    return ShardStatus(shard=str(part), state="complete" if is_complete(manifest) else "incomplete", images=rows)


def _stored_status(url: str) -> ShardsSummary:
    store = ShardStore(url)
    stored = {part: json.loads(store.manifest(part))["rows"] for part in store.parts()}
    every = every_shard(stored)
    statuses = tuple(
        ShardStatus(shard=str(part), state="complete" if part in stored else "missing", images=stored.get(part, 0))
        for part in every
    )
    return ShardsSummary(workspace=url, complete=bool(every) and len(stored) == len(every), shards=statuses)


def finish_shards(
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE, *, on_progress: OnProgress = ignore_progress
) -> EmbedSummary:
    """Join the shards of ``embed --shard``, after which the workspace is as if one process had embedded all images.

    Raises:
        WorkspaceError: A shard is missing, incomplete or damaged, or does not belong to the others.
        NoImagesError: No shard found an image; the workspace is unchanged.
    """
    if url := store_url(workspace):
        return _finish_stored(url, on_progress)
    workspace = Workspace(workspace)
    workspace.require_initialized()
    parts = work_shards(workspace)
    if not parts:
        raise WorkspaceError(f"{workspace.path} has no shards to join: run imgcluster embed PATH --shard I/N first")
    return join(workspace, [part.workspace(workspace) for part in parts], "embed", on_progress)


def _finish_stored(url: str, on_progress: OnProgress) -> EmbedSummary:
    store = ShardStore(url)
    while True:
        joined = store.objects()
        summary = merge([url], workspace=url, on_progress=on_progress)
        # Another process may have written a shard again meanwhile; then all of them are joined once more.
        if store.objects() == joined:
            store.remove(joined)
            return summary


def merge(
    workspaces: Paths,
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    on_progress: OnProgress = ignore_progress,
) -> EmbedSummary:
    """Add the images of other workspaces, or the shards that other machines embedded, to a workspace.

    A workspace with shards contributes these, and all N have to be among `workspaces`. Any other contributes all of
    its images. Clusterings and decisions of `workspaces` are not taken over; those of `workspace` stay. `workspaces`
    are not changed.

    Args:
        workspaces: The workspace to add, or several; shards in object storage are copied to the folder for temporary
            files.
        workspace: The workspace that they are added to; it is created if it is missing.
        on_progress: Called with each step.

    Raises:
        UsageError: No workspace is given, one twice, or the workspace itself.
        WorkspaceError: They do not fit together, or a shard is missing, incomplete or damaged.
        SourceError: A workspace in object storage cannot be read.
        NoImagesError: They contain no image; the workspace is unchanged.
    """
    workspaces = path_list(workspaces)
    if not workspaces:
        raise UsageError("no workspaces to merge: give the folder of at least one")
    names = [store_url(path) or os.path.abspath(path) for path in workspaces]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(f"{repeated[0]} is given twice; name each workspace once")
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="imgcluster-"))
        target = Workspace(opened.enter_context(local_workspace(workspace, on_progress)))
        sources: list[Workspace] = []
        for number, path in enumerate(workspaces):
            if (url := store_url(path)) and (url == target.url or ShardStore(url).parts()):
                sources += _fetch_all(url, Workspace(Path(folder, str(number))), on_progress)
                continue
            source = Workspace(opened.enter_context(local_workspace(path, on_progress)))
            if not source.path.exists():
                raise WorkspaceError(f"workspace {source.path} does not exist; check the path")
            source.require_initialized()
            parts = [part.workspace(source) for part in work_shards(source)]
            if not parts and source.path == target.path:
                raise UsageError(f"{target.path} cannot be merged into itself; choose another workspace with -w DIR")
            sources += parts or [source]
        return join(target, sources, "merge", on_progress)


def _fetch_all(url: str, copy: Workspace, on_progress: OnProgress) -> list[Workspace]:
    """Copy the shards in a store, and return the workspace of each."""
    store = ShardStore(url)
    parts = store.parts()
    if not parts:
        raise WorkspaceError(f"{url} has no shards to merge: run imgcluster embed PATH -w {url} --shard I/N first")
    fetched = []
    for number, part in enumerate(parts):
        on_progress(Progress("fetch", number, len(parts)))
        fetched.append(store.fetch(part, copy))
    return fetched
