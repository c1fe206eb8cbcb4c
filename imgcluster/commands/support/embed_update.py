"""What `embed` changes in a workspace: archived results, removed images, tables and the manifest."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, Protocol

from imgcluster._version import versions
from imgcluster.commands.support.embed_request import EmbedRequest
from imgcluster.commands.support.embed_run import EmbedRun
from imgcluster.commands.support.embed_summary import EmbedSummary, embedded_record, history_text, summarize
from imgcluster.commands.support.last_clustering import is_outdated
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.errors import NoImagesError
from imgcluster.fileio.path_text import absolute_path, common_base, join
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.readers import ReaderSettings
from imgcluster.images.scope import Scope, is_below
from imgcluster.progress import OnProgress
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.index import Index, is_gone
from imgcluster.workspace.shard_writer import ShardWriter, remove_shards
from imgcluster.workspace.shards import all_shards, summarize_shards
from imgcluster.workspace.skipped_images import read_skipped, write_skipped
from imgcluster.workspace.states import archive_of, begin_state

__all__ = [
    "WorkspaceUpdate",
    "all_skipped",
    "base_of",
    "no_images",
    "notes_about_empty",
    "readable_scope",
    "run_update",
]


class Update(Protocol):
    """The changes of one `embed` to a workspace."""

    index: Index
    writer: ShardWriter
    base: str
    finder: Finder

    def begin(self) -> None:
        """Prepare the workspace for new rows; called before each batch of them."""

    def finish(self, run: EmbedRun, watch: Stopwatch) -> EmbedSummary:
        """Write everything else, and return the summary."""


def run_update(
    update: Update, request: EmbedRequest, moved: list[FoundFile], watch: Stopwatch, on_progress: OnProgress
) -> EmbedSummary:
    """Embed what is new or has changed, and finish the update.

    Args:
        update: The update.
        request: What to embed.
        moved: The files that ``--place move`` moved.
        watch: Measures the steps.
        on_progress: Called with each step.
    """
    options = request.options
    run = EmbedRun(
        update.index,
        update.writer,
        request.model,
        batch_size=request.batch_size,
        base=update.base,
        begin=update.begin,
        moved=moved,
    )
    settings = ReaderSettings(workers=request.workers, memory=options.memory_bytes, seconds=options.read_timeout)
    try:
        with quiet_decoders():
            run.run(update.finder, settings, on_progress)
    except BaseException:
        # Keep the vectors that were computed before the interruption.
        with contextlib.suppress(OSError):
            update.writer.flush()
        raise
    watch.lap("embed")
    return update.finish(run, watch)


class WorkspaceUpdate:
    """The changes of one `embed` to the workspace: archived results, removed images, tables and the manifest.

    Args:
        request: What to embed. With `fresh` the workspace starts over, unless the same command was interrupted before:
            then it continues.
        before: The manifest of the workspace, which is locked.
    """

    def __init__(self, request: EmbedRequest, before: dict[str, Any]) -> None:
        self._request = request
        self._workspace = workspace = request.workspace
        self._model = model = request.model
        self._unfinished = {"paths": request.paths, "listing": request.files_digest}
        unfinished = before.get("state") == "embedding" and before.get("fresh") == self._unfinished
        same_encoder = before.get("encoder", {}).get("identity") == model.identity
        self._fresh = request.options.fresh and not (unfinished and same_encoder)
        self._before = {} if self._fresh else before
        self.finder = request.finder
        self.base = base_of(request, self._before)
        self._begun = False
        self.index = Index(workspace.embeddings, model.identity, fresh=self._fresh)
        self.writer = ShardWriter(workspace.embeddings, model.identity, archive=archive_of(workspace))

    def begin(self) -> None:
        """Save the present state for `undo`, once.

        It is called before the first new row is written, so that a mistyped path changes nothing.
        """
        if self._begun:
            return
        begin_state(self._workspace, "embed", "")
        record = {**versions(), "state": "embedding", "encoder": self._request.encoder_record, "base": self.base}
        if self._fresh:
            record["fresh"] = self._unfinished
        # Shards that were being joined are not there any more.
        before = {key: value for key, value in self._before.items() if key != "joining"}
        self._workspace.write_manifest(before | record)
        if self._fresh:
            remove_shards(all_shards(self._workspace.embeddings), archive_of(self._workspace))
            self._workspace.remove_caches()
        self._begun = True

    def finish(self, run: EmbedRun, watch: Stopwatch) -> EmbedSummary:
        """Remove vanished images, write the tables and the manifest, and return the summary.

        Raises:
            NoImagesError: No image was found; the workspace is unchanged.
        """
        if run.new + run.changed + run.unchanged == 0:
            raise no_images(run, self._request)
        scope = readable_scope(self.finder, run)
        dropped = self.index.drop_unseen(scope)
        elsewhere = self._drop_renamed(Counter(run.reused) - Counter(dropped))
        dropped += elsewhere
        renamed = (Counter(dropped) & Counter(run.reused)).total()
        vanished = len(dropped) - renamed
        if self.index.has_outdated_rows:
            self.begin()
        # New rows must be on disk before those they replace are removed.
        self.writer.flush()
        self.index.compact(self.writer, archive_of(self._workspace))

        folder, identity = self._workspace.embeddings, self._model.identity
        current = summarize_shards(folder, identity)
        skipped, skipped_roots = all_skipped(run, scope, self._workspace, self._before, gone=bool(elsewhere))
        roots = skipped_roots | set(current.roots)
        if not any(common_base([root, self.base]) == self.base for root in roots):
            # The whole collection was renamed.
            self.base = common_base(sorted(roots))
        write_skipped(self._workspace, skipped, self.base)
        watch.lap("store")
        summary = summarize(
            self._request,
            run,
            watch,
            embedded=current.images,
            skipped=len(skipped),
            vanished=vanished,
            renamed=renamed,
            roots=roots,
            notes=notes_about_empty(scope, self.index),
            outdated=is_outdated(self._workspace, current.fingerprint),
        )
        record = {
            **versions(),
            "encoder": self._request.encoder_record,
            "fingerprint": current.fingerprint,
            "base": self.base,
            **embedded_record(summary, self._request.record | {"seconds": watch.stages}),
        }
        manifest = {key: value for key, value in self._workspace.manifest.items() if key != "fresh"}
        self._workspace.write_manifest(manifest | record)
        if self._begun:
            begin_state(self._workspace, "embed", history_text(summary))
        return summary

    def _drop_renamed(self, found: Counter[bytes]) -> list[bytes]:
        """Drop images outside the named folders that were renamed; return their digests."""
        if self._workspace.metrics.exists() and not self._workspace.known_clusters.exists():
            # An earlier version clustered them, which recorded their paths only.
            return []
        return self.index.drop_renamed(list(found.elements()))


def base_of(request: EmbedRequest, before: dict[str, Any]) -> str:
    """Return the folder that stored paths are relative to; it stays that of the first embed when folders are added."""
    return str(before["base"]) if "base" in before else common_base(request.finder.roots())


def readable_scope(finder: Finder, run: EmbedRun) -> Scope:
    """Return what was searched, without folders that are not readable now: images in them may still exist."""
    unreadable = [entry for entry, _ in run.skipped if isinstance(entry, UnreadablePath)]
    return finder.scope().without(entry.location for entry in unreadable if entry.is_folder)


def notes_about_empty(scope: Scope, index: Index) -> tuple[str, ...]:
    """Return a sentence about each empty folder of `scope`, whose images stay in the workspace."""
    unseen = index.unseen() if scope.empty else ()
    kept = {folder for location in unseen for folder in scope.empty if is_below(location, [folder])}
    stay = (
        ". Its images stay in the workspace, because its disk may not be mounted. Where they were removed, start over "
        "with --fresh on the other folders"
    )
    return tuple(f"{folder} is empty{stay if folder in kept else ''}." for folder in sorted(scope.empty))


def all_skipped(
    run: EmbedRun, scope: Scope, workspace: Workspace, before: dict[str, Any], *, gone: bool = False
) -> tuple[dict[str, str], set[str]]:
    """Return the reason of each skipped path, and the roots of these paths.

    Images outside `scope` that were skipped by earlier runs in `workspace`, with the manifest `before`, are included;
    if a folder is `gone`, because it was renamed, only those that still exist.
    """
    skipped = {entry.location: reason for entry, reason in run.skipped}
    roots = {entry.root for entry, _ in run.skipped}
    if before and workspace.skipped.exists():
        for row in read_skipped(workspace.skipped):
            location = absolute_path(before["base"], row["path"])
            if location not in scope and not (gone and is_gone(location)):
                skipped.setdefault(location, row["reason"])
                roots.update(root for root in before.get("roots", ()) if location.startswith(join(root, "")))
    return skipped, roots


def no_images(run: EmbedRun, request: EmbedRequest) -> NoImagesError:
    """Return the error that says why there is no image to embed."""
    where = ", ".join(request.paths) or "the list of files"
    if run.skipped:
        entry, reason = run.skipped[0]
        return NoImagesError(
            f"no readable image in {where}: {counted(len(run.skipped), 'file')} cannot be read; the first is "
            f"{entry.location}: {reason}"
        )
    hint = "it contains other files only" if run.ignored else "there are no files, or all of them are excluded"
    flat = "" if request.options.recursive else "; --no-recursive leaves out the folders inside"
    return NoImagesError(f"no image found in {where}: {hint}{flat}")
