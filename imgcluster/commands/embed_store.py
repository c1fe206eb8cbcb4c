"""`embed --shard` with a workspace in object storage: a shard is embedded in a temporary folder, then written there."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from imgcluster.commands.embed import embed
from imgcluster.commands.support.embed_summary import EmbedSummary
from imgcluster.commands.support.shard_store import ShardStore
from imgcluster.errors import UsageError
from imgcluster.fileio.object_store import store_url
from imgcluster.fileio.path_text import Paths
from imgcluster.options import EmbedOptions
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.work_shards import WorkShard, refuse_other_counts

__all__ = ["embed_into_store"]


def embed_into_store(
    paths: Paths = (),
    *,
    workspace: str | os.PathLike[str],
    shard: str,
    files: Paths = (),
    options: EmbedOptions | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> EmbedSummary:
    """Embed one shard as `embed` does, into a workspace in object storage; `merge` joins its shards.

    A shard that is there already, of the same request, is skipped. One that is interrupted starts over.

    Args:
        paths: As for `embed`.
        workspace: ``s3://bucket/path`` or ``gs://bucket/path``.
        shard: I/N, as for `embed`.
        files: As for `embed`.
        options: As for `embed`.
        on_progress: Called with each step.
        **changes: Single fields of `EmbedOptions`.

    Raises:
        SourceError: The store cannot be read or written.
        WorkspaceError: There are shards of another number.
        ImgclusterError: As for `embed`.
    """
    url, part = store_url(workspace), WorkShard.parse(shard)
    if url is None:
        raise UsageError(f"workspace {os.fspath(workspace)} is not in object storage; give s3://BUCKET or gs://BUCKET")
    store = ShardStore(url)
    parts = store.parts()
    refuse_other_counts(part, parts, f"{url}/shards")
    with tempfile.TemporaryDirectory(prefix="imgcluster-") as folder:
        local = Workspace(Path(folder, "workspace"))
        own = part.workspace(local)
        present = store.manifest(part) if part in parts else ""
        if present:
            # With its manifest alone it is complete, or starts over.
            local.initialize()
            own.initialize()
            own.manifest_file.write_text(present, encoding="utf-8")
        summary = embed(
            paths, workspace=local, files=files, options=options, shard=shard, on_progress=on_progress, **changes
        )
        if own.manifest_file.read_text(encoding="utf-8") != present:
            store.upload(part, local)
    return dataclasses.replace(summary, workspace=url)
