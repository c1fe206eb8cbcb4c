"""The request of `embed`, and what it changes in a workspace: archived results, removed images, tables, manifest."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from imgcluster._version import versions
from imgcluster.commands.embed_run import EmbedRun
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.encoders import Encoder
from imgcluster.errors import NoImagesError
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import absolute_path, common_base, join, relative_path, to_text
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, Scope
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.optional_decoders import OptionalDecoder
from imgcluster.images.readers import ReaderSettings
from imgcluster.options import EmbedOptions
from imgcluster.progress import OnProgress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shards import ShardWriter, all_shards, contents, remove_shards
from imgcluster.workspace.states import archive_of, begin_state
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["EmbedRequest", "EmbedSummary", "NodeFigures", "WorkspaceUpdate", "run_update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """What one node of a Ray cluster did.

    Attributes:
        node: Its identifier in the cluster.
        host: Its name.
        device: The device that ran.
        workers: The workers that completed shards there.
        shards: The shards that they completed.
        images: The images that were embedded there by those that completed their shards.
        skipped: The images that could not be read.
        seconds: The time that all workers took for these shards together.
        images_per_second: The images per second of all its workers together.
    """

    node: str
    host: str
    device: str
    workers: int
    shards: int
    images: int
    skipped: int
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSummary:
    """What `embed` did, and what the workspace contains now; the counts are numbers of images.

    Attributes:
        workspace: The workspace folder.
        encoder: The encoder's name.
        device: The device that ran.
        found: All images of the workspace: `embedded` plus `skipped`.
        embedded: With a vector.
        skipped: Not readable; ``skipped.csv`` has the reasons.
        new: Embedded for the first time.
        changed: Embedded again because their content changed.
        unchanged: Not changed since they were embedded.
        vanished: Removed because their file no longer exists in `paths` or is excluded now.
        renamed: Stored under another path than before, without being embedded again.
        ignored: Files that are not images.
        paired: Embedded images with two files, a JPEG and a camera raw file, in the searched folders.
        roots: The folders that contain the workspace's images.
        seconds: Wall-clock time.
        images_per_second: Newly embedded images per second; 0 if there were none.
        passed_over: Preferred devices that are not available, each with the reason.
        notes: Sentences about choices made by default that the user should know.
        shard: The shard that was embedded, as I/N; then all counts are those of its images. "" for all images.
        nodes: The nodes of the Ray cluster that embedded images; none without ``--ray``.
    """

    workspace: str
    encoder: str
    device: str
    found: int
    embedded: int
    skipped: int
    new: int
    changed: int
    unchanged: int
    vanished: int
    renamed: int
    ignored: int
    roots: tuple[str, ...]
    seconds: float
    images_per_second: float
    passed_over: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    paired: int = 0
    shard: str = ""
    nodes: tuple[NodeFigures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """What `embed` is to do.

    Attributes:
        workspace: The workspace.
        finder: The search for files.
        model: The encoder.
        options: The options.
        paths: The requested paths, as absolute texts.
        listed: The number of further files.
        files_digest: The digest of their list; "" for an empty list.
        workers: The number of images that are read at the same time.
    """

    workspace: Workspace
    finder: Finder
    model: Encoder
    options: EmbedOptions
    paths: list[str]
    listed: int
    files_digest: str
    workers: int

    @property
    def batch_size(self) -> int:
        """The number of images that are encoded at once."""
        return self.model.batch_size if self.options.batch_size is None else self.options.batch_size

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest records of the options."""
        options = self.options
        encoder_options = asdict(options.encoder_options)
        return {
            "paths": self.paths,
            "device_asked": options.device,
            "precision_asked": options.precision,
            "batch_size": self.batch_size,
            "workers": self.workers,
            "exclude": list(options.exclude),
            "recursive": options.recursive,
            "listed": self.listed,
            "options": {key: value for key, value in encoder_options.items() if value is not None},
        }

    @property
    def encoder_record(self) -> dict[str, Any]:
        """What the manifest records of the encoder."""
        return {"identity": self.model.identity, "file": to_text(self.model.path), **asdict(self.model.info)}


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
        self._workspace.write_manifest(self._before | record)
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
            raise _no_images(run, self._request.paths)
        scope = readable_scope(self.finder, run)
        dropped = self.index.drop_unseen(scope)
        renamed = (Counter(dropped) & Counter(run.reused)).total()
        vanished = len(dropped) - renamed
        if self.index.has_outdated_rows:
            self.begin()
        # New rows must be on disk before those they replace are removed.
        self.writer.flush()
        self.index.compact(self.writer, archive_of(self._workspace))

        folder, identity = self._workspace.embeddings, self._model.identity
        current = contents(folder, identity)
        skipped, skipped_roots = all_skipped(run, scope, self._workspace, self._before)
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
            roots=skipped_roots | set(current.roots),
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
            renames = f", {renamed} renamed" if renamed else ""
            begin_state(
                self._workspace, "embed", f"{summary.new} new, {run.changed} changed, {vanished} removed{renames}"
            )
        return summary


def summarize(
    request: EmbedRequest,
    run: EmbedRun,
    watch: Stopwatch,
    *,
    embedded: int,
    skipped: int,
    vanished: int,
    renamed: int,
    roots: set[str],
    shard: str = "",
) -> EmbedSummary:
    """Return the summary of a finished `embed`; its fields are those of `EmbedSummary`."""
    seconds, computed = watch.seconds, run.new + run.changed
    return EmbedSummary(
        workspace=request.workspace.name,
        encoder=request.model.info.name,
        device=request.model.device,
        found=embedded + skipped,
        embedded=embedded,
        skipped=skipped,
        new=run.new - renamed,
        changed=run.changed,
        unchanged=run.unchanged,
        vanished=vanished,
        renamed=renamed,
        ignored=run.ignored,
        paired=run.paired,
        roots=tuple(sorted(roots)),
        seconds=seconds,
        images_per_second=round(computed / seconds, 1) if computed else 0.0,
        passed_over=request.model.rejected_devices,
        notes=_notes(request.model, run),
        shard=shard,
    )


def base_of(request: EmbedRequest, before: dict[str, Any]) -> str:
    """Return the folder that stored paths are relative to; it stays that of the first embed when folders are added."""
    return str(before["base"]) if "base" in before else common_base(request.finder.roots())


def readable_scope(finder: Finder, run: EmbedRun) -> Scope:
    """Return what was searched, without folders that are not readable now: images in them may still exist."""
    unreadable = [entry for entry, _ in run.skipped if isinstance(entry, UnreadablePath)]
    return finder.scope().without(entry.location for entry in unreadable if entry.is_folder)


def all_skipped(
    run: EmbedRun, scope: Scope, workspace: Workspace, before: dict[str, Any]
) -> tuple[dict[str, str], set[str]]:
    """Return the reason of each skipped path, and the roots of these paths.

    Images outside `scope` that were skipped by earlier runs in `workspace`, with the manifest `before`, are included.
    """
    skipped = {entry.location: reason for entry, reason in run.skipped}
    roots = {entry.root for entry, _ in run.skipped}
    if before and workspace.skipped.exists():
        for row in read_table(workspace.skipped, SKIPPED):
            location = absolute_path(before["base"], row["path"])
            if location not in scope:
                skipped.setdefault(location, row["reason"])
                roots.update(root for root in before.get("roots", ()) if location.startswith(join(root, "")))
    return skipped, roots


def write_skipped(workspace: Workspace, skipped: Mapping[str, str], base: str) -> None:
    """Write the table of the skipped images, given as the reason of each absolute path."""
    rows = ((relative_path(location, base), reason) for location, reason in sorted(skipped.items()))
    write_table(workspace.skipped, SKIPPED, rows)


def embedded_record(summary: EmbedSummary, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest records of a finished `embed`."""
    recorded = ("device", "new", "changed", "unchanged", "vanished", "renamed", "ignored", "paired")
    return {
        "state": "embedded",
        "roots": list(summary.roots),
        "counts": {"found": summary.found, "embedded": summary.embedded, "skipped": summary.skipped},
        "embed": options | {name: getattr(summary, name) for name in recorded},
    }


def _notes(model: Encoder, run: EmbedRun) -> tuple[str, ...]:
    """Return the sentences about the encoder, and about decoders that are missing."""
    return (*model.notes, *(_decoder_note(*item) for item in run.missing.items()))


def _decoder_note(missing: OptionalDecoder, count: int) -> str:
    return f"{missing.files} ({count:,} skipped) need an additional decoder: {missing.remedy}"


def _no_images(run: EmbedRun, requested: Sequence[str]) -> NoImagesError:
    where = ", ".join(requested) or "the list of files"
    if run.skipped:
        entry, reason = run.skipped[0]
        return NoImagesError(
            f"none of the {len(run.skipped)} images in {where} can be read; the first is {entry.location}: {reason}"
        )
    hint = "it contains other files only" if run.ignored else "there are no files, or all of them are excluded"
    return NoImagesError(f"no image found in {where}: {hint}")
