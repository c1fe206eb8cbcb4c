"""`embed`: compute a vector for every image under the given paths and store it in the workspace."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from imgcluster._version import versions
from imgcluster.commands.embed_run import EmbedRun
from imgcluster.commands.replace_results import moved_files, read_placement, return_interrupted_move
from imgcluster.commands.steps import recover
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.encoders import Encoder
from imgcluster.encoders.registry import list_encoders, precision_files
from imgcluster.errors import NoImagesError, UsageError, WorkspaceError
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import absolute_path, common_base, from_text, join, relative_path, to_text
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, FoundFile, Scope, UnreadablePath
from imgcluster.images.load import default_workers
from imgcluster.images.optional_decoders import OptionalDecoder
from imgcluster.images.readers import ReaderSettings
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions, with_changes
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Precision
from imgcluster.workspace.folder import MARKER, Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shards import ShardWriter, all_shards, contents, remove_shards
from imgcluster.workspace.states import archive_of, begin_state
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["EmbedSummary", "embed", "refuse_own_output"]


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


def embed(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    files: Sequence[str | os.PathLike[str]] = (),
    options: EmbedOptions | None = None,
    moved: Mapping[str, str] | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> EmbedSummary:
    """Embed the images under `paths` that are new or have changed.

    An image is unchanged if its size and modification time, or its content, are. Images that no longer exist in
    `paths` are removed from the workspace; images under other paths stay. The results of an earlier clustering stay
    until `assign` or `cluster` changes them. Images of known content under a new path are not embedded again. Images
    that ``--place move`` moved stay in the workspace until they are removed from their new folders.

    Args:
        paths: A folder or file, or several. Folders are searched recursively, in sorted order.
        workspace: The workspace folder; it is created if it is missing.
        files: Further files; missing ones are skipped.
        options: See `EmbedOptions`.
        moved: Where the files are that ``--place move`` moved, by their original paths, as absolute texts; by default
            as the workspace records.
        on_progress: Called with each step.
        **changes: Single fields of `EmbedOptions`, as in ``embed("photos", device="cpu")``.

    Raises:
        UsageError: A path is missing, or an option is not allowed.
        NoImagesError: `paths` contain no readable image; the workspace is unchanged.
        WorkspaceError: The workspace is locked, another folder, or made with another encoder.
        EncoderError: The encoder cannot be used.
        DeviceError: The requested device is not available.
    """
    watch = Stopwatch()
    chosen = with_changes(options or EmbedOptions(), changes)
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not paths and not files:
        raise UsageError("no images to embed: give folders or files, or a list with --files-from")
    workspace = Workspace(workspace)
    requested = [to_text(os.path.abspath(path)) for path in paths]
    refuse_own_output(requested, workspace)
    finder = Finder(paths=paths, listed=files, exclude=chosen.exclude, recursive=chosen.recursive, marker=MARKER)
    model = Encoder(
        chosen.encoder,
        device=chosen.device,
        options=chosen.encoder_options,
        precision=chosen.precision if chosen.fresh else _precision(chosen, workspace),
        on_progress=on_progress,
    )
    watch.lap("encoder")
    workers = chosen.workers or default_workers()
    settings = ReaderSettings(workers=workers, memory=chosen.memory_bytes, seconds=chosen.read_timeout)
    with workspace.locked() as manifest:
        manifest = recover(workspace, manifest, on_progress=on_progress)
        journal, _ = return_interrupted_move(workspace, read_placement(workspace))
        _refuse_other_encoder(workspace, manifest, model, chosen.fresh)
        update = _WorkspaceUpdate(
            workspace, manifest, model, finder.roots(), requested, _digest(files), fresh=chosen.fresh
        )
        run = EmbedRun(
            update.index,
            update.writer,
            model,
            batch_size=chosen.batch_size,
            base=update.base,
            begin=update.begin,
            moved=_moved_files(moved_files(workspace, journal) if moved is None else moved, manifest),
        )
        try:
            with quiet_decoders():
                run.run(finder, settings, on_progress)
        except BaseException:
            # Keep the vectors that were computed before the interruption.
            with contextlib.suppress(OSError):
                update.writer.flush()
            raise
        watch.lap("embed")
        return update.finish(run, finder.scope(), watch, _record(chosen, workers, len(files)))


class _WorkspaceUpdate:
    """The changes of one `embed` to the workspace: archived results, removed images, tables and the manifest.

    Args:
        workspace: The workspace, locked.
        before: Its manifest.
        model: The encoder.
        roots: The folders that are searched.
        requested: The requested paths, as absolute texts.
        files_digest: The digest of the list of further files.
        fresh: Whether to start over, unless the same command was interrupted before: then it continues.
    """

    def __init__(
        self,
        workspace: Workspace,
        before: dict[str, Any],
        model: Encoder,
        roots: list[str],
        requested: list[str],
        files_digest: str,
        *,
        fresh: bool,
    ) -> None:
        self._workspace = workspace
        self._model = model
        self._requested = requested
        self._request = {"paths": requested, "listing": files_digest}
        unfinished = before.get("state") == "embedding" and before.get("fresh") == self._request
        same_encoder = before.get("encoder", {}).get("identity") == model.identity
        self._fresh = fresh and not (unfinished and same_encoder)
        self._before = {} if self._fresh else before
        # Paths stay relative to the base folder of the first embed when folders are added.
        self.base: str = self._before["base"] if "base" in self._before else common_base(roots)
        self._begun = False
        self.index = Index(workspace.embeddings, model.identity, fresh=self._fresh)
        self.writer = ShardWriter(workspace.embeddings, model.identity)

    def begin(self) -> None:
        """Save the present state for `undo`, once.

        It is called before the first new row is written, so that a mistyped path changes nothing.
        """
        if self._begun:
            return
        begin_state(self._workspace, "embed", "")
        record = {**versions(), "state": "embedding", "encoder": self._encoder_record(), "base": self.base}
        if self._fresh:
            record["fresh"] = self._request
        self._workspace.write_manifest(self._before | record)
        if self._fresh:
            remove_shards(all_shards(self._workspace.embeddings), archive_of(self._workspace))
            # Caches are valid for the exact vectors only, which can differ between devices.
            remove(self._workspace.layers)
            remove(self._workspace.layout)
        self._begun = True

    def finish(self, run: EmbedRun, scope: Scope, watch: Stopwatch, options: dict[str, Any]) -> EmbedSummary:
        """Remove vanished images, write the tables and the manifest, and return the summary.

        Raises:
            NoImagesError: No image was found; the workspace is unchanged.
        """
        if run.new + run.changed + run.unchanged == 0:
            raise _no_images(run, self._requested)
        # Images in a folder that is not readable now may still exist.
        unreadable = [entry for entry, _ in run.skipped if isinstance(entry, UnreadablePath)]
        dropped = self.index.drop_unseen(scope.without(entry.location for entry in unreadable if entry.is_folder))
        renamed = (Counter(dropped) & Counter(run.reused)).total()
        new, vanished = run.new - renamed, len(dropped) - renamed
        if self.index.has_outdated_rows:
            self.begin()
        # New rows must be on disk before those they replace are removed.
        self.writer.flush()
        self.index.compact(self.writer, archive_of(self._workspace))

        folder, identity = self._workspace.embeddings, self._model.identity
        current = contents(folder, identity)
        skipped, skipped_roots = self._all_skipped(run, scope)
        roots = sorted(skipped_roots | set(current.roots))
        rows = ((relative_path(location, self.base), reason) for location, reason in sorted(skipped.items()))
        write_table(self._workspace.skipped, SKIPPED, rows)
        watch.lap("store")
        seconds = watch.seconds
        embedded_now = run.new + run.changed
        summary = EmbedSummary(
            workspace=to_text(self._workspace.path),
            encoder=self._model.info.name,
            device=self._model.device,
            found=current.images + len(skipped),
            embedded=current.images,
            skipped=len(skipped),
            new=new,
            changed=run.changed,
            unchanged=run.unchanged,
            vanished=vanished,
            renamed=renamed,
            ignored=run.ignored,
            paired=run.paired,
            roots=tuple(roots),
            seconds=seconds,
            images_per_second=round(embedded_now / seconds, 1) if embedded_now else 0.0,
            passed_over=self._model.rejected_devices,
            notes=(*self._model.notes, *(_decoder_note(*item) for item in run.missing.items())),
        )
        recorded = ("device", "new", "changed", "unchanged", "vanished", "renamed", "ignored", "paired")
        record = {
            **versions(),
            "state": "embedded",
            "encoder": self._encoder_record(),
            "fingerprint": current.fingerprint,
            "base": self.base,
            "roots": roots,
            "counts": {"found": summary.found, "embedded": summary.embedded, "skipped": summary.skipped},
            "embed": {
                "paths": self._requested,
                **options,
                **{name: getattr(summary, name) for name in recorded},
                "seconds": watch.stages,
            },
        }
        manifest = {key: value for key, value in self._workspace.manifest.items() if key != "fresh"}
        self._workspace.write_manifest(manifest | record)
        if self._begun:
            renames = f", {renamed} renamed" if renamed else ""
            begin_state(self._workspace, "embed", f"{new} new, {run.changed} changed, {vanished} removed{renames}")
        return summary

    def _all_skipped(self, run: EmbedRun, scope: Scope) -> tuple[dict[str, str], set[str]]:
        """Return the reason of each skipped path, and the roots of these paths.

        Skipped images of earlier runs outside `scope` are included.
        """
        skipped = {entry.location: reason for entry, reason in run.skipped}
        roots = {entry.root for entry, _ in run.skipped}
        if self._before and self._workspace.skipped.exists():
            for row in read_table(self._workspace.skipped, SKIPPED):
                location = absolute_path(self.base, row["path"])
                if location not in scope:
                    skipped.setdefault(location, row["reason"])
                    roots.update(root for root in self._before.get("roots", ()) if location.startswith(join(root, "")))
        return skipped, roots

    def _encoder_record(self) -> dict[str, Any]:
        return {"identity": self._model.identity, "file": to_text(self._model.path), **asdict(self._model.info)}


def _record(options: EmbedOptions, workers: int, listed: int) -> dict[str, Any]:
    """Return what the manifest records of the options."""
    encoder_options = asdict(options.encoder_options)
    return {
        "device_asked": options.device,
        "precision_asked": options.precision,
        "batch_size": options.batch_size,
        "workers": workers,
        "exclude": list(options.exclude),
        "recursive": options.recursive,
        "listed": listed,
        "options": {key: value for key, value in encoder_options.items() if value is not None},
    }


def _moved_files(moved: Mapping[str, str], manifest: dict[str, Any]) -> list[FoundFile]:
    """Return the files that were moved and still exist."""
    found = []
    for location, target in sorted(moved.items()):
        try:
            facts = os.stat(from_text(target))
        except OSError:
            continue
        inside = [root for root in manifest.get("roots", ()) if location.startswith(join(root, ""))]
        root = max(inside, key=len, default=location.rpartition("/")[0] or "/")
        found.append(FoundFile(root, relative_path(location, root), facts.st_size, facts.st_mtime_ns, target))
    return found


def _decoder_note(missing: OptionalDecoder, count: int) -> str:
    return f"{missing.files} ({count:,} skipped) need an additional decoder: {missing.remedy}"


def _digest(files: Sequence[str | os.PathLike[str]]) -> str:
    """Return a digest of a list of files; "" for an empty list."""
    if not files:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(to_text(os.path.abspath(file)).encode() + b"\0")
    return digest.hexdigest()


def _no_images(run: EmbedRun, requested: Sequence[str]) -> NoImagesError:
    where = ", ".join(requested) or "the list of files"
    if run.skipped:
        entry, reason = run.skipped[0]
        return NoImagesError(
            f"none of the {len(run.skipped)} images in {where} can be read; the first is {entry.location}: {reason}"
        )
    hint = "it contains other files only" if run.ignored else "there are no files, or all of them are excluded"
    return NoImagesError(f"no image found in {where}: {hint}")


def refuse_own_output(paths: Sequence[str], workspace: Workspace) -> None:
    """Check that no path (absolute text) is inside the workspace.

    Raises:
        UsageError: One is.
    """
    own, real_own = to_text(workspace.path), to_text(os.path.realpath(workspace.path))
    for path in paths:
        real = to_text(os.path.realpath(from_text(path)))
        if path.startswith(join(own, "")) or join(real, "").startswith(join(real_own, "")):
            raise UsageError(f"{path} is inside the workspace {workspace.path}; choose another workspace with -w DIR")


def _precision(options: EmbedOptions, workspace: Workspace) -> str:
    """Return the requested precision; instead of ``auto`` that of the workspace, so that it can be continued."""
    present = workspace.manifest.get("encoder", {})
    if options.precision != "auto" or present.get("name") != os.fspath(options.encoder):
        return options.precision
    precision = cast(Precision, present.get("precision") or "fp32")
    path = list_encoders().get(present["name"])
    # The version that made the workspace may have had other files; it is compared later.
    return precision if path is None or precision in precision_files(path) else "auto"


def _refuse_other_encoder(workspace: Workspace, manifest: dict[str, Any], model: Encoder, fresh: bool) -> None:
    present = manifest.get("encoder", {})
    if fresh or not present or present.get("identity") == model.identity:
        return
    variant = ""
    if present.get("name") == model.info.name:
        before, now = (name or "fp32" for name in (present.get("precision"), model.info.precision))
        old, new = present.get("version"), model.info.version
        if old != new:
            variant = f" in another version ({old}, now {new})"
        else:
            variant = " with other weights or options" + (f" (precision {before}, now {now})" if before != now else "")
    raise WorkspaceError(
        f"{workspace.path} was made with encoder {present.get('name')!r}, requested is {model.info.name!r}{variant}; "
        "their vectors cannot be mixed: start over with --fresh, or choose another workspace with -w DIR"
    )
