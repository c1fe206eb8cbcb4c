"""`embed --shard`: the files of one shard become rows in a workspace of their own, which are joined later."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container
from typing import Any

from imgcluster._version import versions
from imgcluster.commands.support.embed_request import EmbedRequest
from imgcluster.commands.support.embed_run import EmbedRun
from imgcluster.commands.support.embed_summary import EmbedSummary, embedded_record, summarize
from imgcluster.commands.support.embed_update import (
    all_skipped,
    base_of,
    no_images,
    notes_about_empty,
    readable_scope,
)
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import relative_path
from imgcluster.fileio.schema import check
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shapes import SHARD
from imgcluster.workspace.shard_writer import ShardWriter, remove_shards
from imgcluster.workspace.shards import all_shards, list_shards, summarize_shards
from imgcluster.workspace.skipped_images import write_skipped
from imgcluster.workspace.work_shards import REMOVED, WorkShard, state_of_embeddings

__all__ = ["ShardUpdate"]


class ShardUpdate:
    """The rows of one shard, in its own workspace; the shared one is only read.

    Interrupted work is continued if the request and the shared embeddings are the same, otherwise it starts over.

    Args:
        request: What to embed.
        part: The shard.
        before: The manifest of the shard's workspace, which is locked.
    """

    def __init__(self, request: EmbedRequest, part: WorkShard, before: dict[str, Any]) -> None:
        self._request = request
        self._part = part
        self._workspace = part.workspace(request.workspace)
        options, identity = request.options, request.model.identity
        self._shared = {} if options.fresh else request.workspace.manifest
        self._same = {
            "encoder": identity,
            "paths": request.paths,
            # A disk that is mounted on some machines only.
            "empty folders": sorted(request.finder.scope().empty),
            "listing": request.files_digest,
            "exclude": list(options.exclude),
            "recursive": options.recursive,
            "fresh": options.fresh,
            "before": _state_before(request.workspace),
        }
        self.base = base_of(request, self._shared)
        same = before.get("request") == self._same and before.get("base") == self.base
        self._stored = before if same else {}
        self.is_complete = self._stored.get("state") == "embedded" and _is_valid(self._stored)
        self.finder = dataclasses.replace(request.finder, takes=self.takes)
        self._found_files = False
        self._begun = bool(self._stored)
        below = [] if options.fresh or self.is_complete else list_shards(request.workspace.embeddings, identity)
        self.index = Index(self._workspace.embeddings, identity, fresh=not self._begun, below=below)
        self.writer = ShardWriter(self._workspace.embeddings, identity)

    def takes(self, location: str) -> bool:
        """Return whether the file at this absolute path belongs to the shard."""
        self._found_files = True
        return self._part.takes(relative_path(location, self.base))

    def begin(self) -> None:
        """Record what is being embedded, once, and remove the rows of another request.

        It is called before the first new row is written, so that a mistyped request changes nothing.
        """
        if self._begun:
            return
        record = self._record() | {"state": "embedding"}
        others = all_shards(self._workspace.embeddings)
        if others:
            # After a kill they must not be continued.
            self._workspace.write_manifest(record | {"request": {}})
            remove_shards(others)
        self._workspace.write_manifest(record)
        self._begun = True

    def completed_before(self, watch: Stopwatch) -> EmbedSummary:
        """Return the summary of a shard that is complete."""
        stored = self._stored["summary"]
        names = [field.name for field in dataclasses.fields(EmbedSummary) if field.name not in ("nodes", "outdated")]
        summary = EmbedSummary(**{name: stored[name] for name in names})
        note = f"Shard {self._part} was complete already."
        return dataclasses.replace(
            summary,
            new=0,
            changed=0,
            unchanged=summary.embedded,
            vanished=0,
            renamed=0,
            seconds=watch.seconds,
            images_per_second=0.0,
            notes=(note,),
        )

    def finish(self, run: EmbedRun, watch: Stopwatch) -> EmbedSummary:
        """Write the rows, the tables and the manifest, and return the summary.

        Raises:
            NoImagesError: There is no file, not even one of another shard; nothing is changed.
        """
        if not self._found_files:
            raise no_images(run, self._request)
        scope = readable_scope(self.finder, run)
        dropped = self.index.drop_unseen(_Part(scope, self))
        renamed = (Counter(dropped) & Counter(run.reused)).total()
        self.begin()
        self.writer.flush()
        self.index.compact(self.writer)
        skipped, roots = all_skipped(run, scope, self._request.workspace, self._shared)
        write_skipped(self._workspace, skipped, self.base)
        removed = sorted(relative_path(location, self.base) for location in set(self.index.removed))
        write_table(self._workspace.removed_table, REMOVED, ((path,) for path in removed))
        watch.lap("store")
        current = summarize_shards(self._workspace.embeddings, self._request.model.identity)
        summary = summarize(
            self._request,
            run,
            watch,
            embedded=run.new + run.changed + run.unchanged,
            skipped=len(run.skipped),
            vanished=len(dropped) - renamed,
            renamed=renamed,
            roots=roots | set(current.roots),
            shard=str(self._part),
            notes=notes_about_empty(scope, self.index),
        )
        record = self._record() | embedded_record(summary, self._request.record | {"seconds": watch.stages})
        record |= {"rows": current.images, "fingerprint": current.fingerprint, "summary": dataclasses.asdict(summary)}
        self._workspace.write_manifest(record)
        return summary

    def _record(self) -> dict[str, Any]:
        return {
            **versions(),
            "encoder": self._request.encoder_record,
            "base": self.base,
            "shard": dataclasses.asdict(self._part),
            "request": self._same,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class _Part(Container[str]):
    """The locations in a scope that belong to a shard."""

    scope: Container[str]
    update: ShardUpdate

    def __contains__(self, location: object) -> bool:
        return location in self.scope and isinstance(location, str) and self.update.takes(location)


def _state_before(shared: Workspace) -> str:
    """Return the state of the embeddings that the shards belong to, also after joining was interrupted."""
    manifest = shared.manifest
    if manifest.get("state") == "embedding" and "joining" in manifest:
        return str(manifest["joining"])
    return state_of_embeddings(shared)


def _is_valid(manifest: dict[str, Any]) -> bool:
    try:
        check(manifest, SHARD)
    except ValueError:
        return False
    return True
