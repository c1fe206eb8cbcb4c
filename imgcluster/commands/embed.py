"""`embed`: every image under the given paths becomes a vector in the workspace."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgcluster._version import versions
from imgcluster.commands.intake import Intake
from imgcluster.commands.retire import require_not_moved, retire_results
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.encoders import Encoder
from imgcluster.errors import NoImagesError, UsageError, WorkspaceError
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import absolute_path, common_base, from_text, join, relative_path, to_text
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, Scope, UnreadablePath
from imgcluster.images.load import default_workers
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions, with_changes
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.workspace.folder import MARKER, Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shards import ShardWriter, all_shards, contents, discard
from imgcluster.workspace.tables import SKIPPED

__all__ = ["EmbedSummary", "embed", "refuse_own_output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSummary:
    """What `embed` did, and what the workspace holds now.

    Attributes:
        workspace: The workspace folder.
        encoder: Name of the encoder.
        device: The device it really ran on.
        found: Images that the workspace knows of: `embedded` and `skipped` together.
        embedded: Images with a vector.
        skipped: Images that could not be read; ``skipped.csv`` says why.
        new: Images embedded now that were not there before.
        changed: Images embedded again because their content changed.
        unchanged: Images found as they were.
        vanished: Images that left: their files are gone from `paths`, or are left out now.
        ignored: Other files that lie among the images.
        roots: The folders that hold the workspace's images.
        seconds: Wall-clock time.
        images_per_second: Images embedded now, per second; 0 where none was.
        passed_over: Better devices that do not run here, with the reason.
        notes: What the user should know of choices made by default, in sentences.
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
    ignored: int
    roots: tuple[str, ...]
    seconds: float
    images_per_second: float
    passed_over: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def embed(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    files: Sequence[str | os.PathLike[str]] = (),
    options: EmbedOptions | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> EmbedSummary:
    """Embed the images under `paths` that the workspace does not hold yet.

    Images whose size and modification time, or whose content, are unchanged are not embedded again; those that are
    gone from `paths` are removed from the workspace; images under other paths stay in it. Where anything changes, the
    results made from the old embeddings are retired: tables and page move into ``outdated/``, placed links and copies
    are removed.

    Args:
        paths: A folder or file, or several. Folders are searched recursively, in sorted order.
        workspace: The workspace folder; created where it is missing.
        files: More files, from a list; one that is missing is skipped, not an error.
        options: See `EmbedOptions`.
        on_progress: Called with each step.
        **changes: Single fields of `EmbedOptions`, as in ``embed("photos", device="cpu")``.

    Raises:
        UsageError: A path is missing, or an option is not understood.
        NoImagesError: Nothing under `paths` is an image that can be read; the workspace is unchanged.
        WorkspaceError: The workspace is locked, not ours, was made with another encoder, or its images are moved.
        EncoderError: The encoder cannot be used.
        DeviceError: The requested device does not run here.
    """
    watch = Stopwatch()
    chosen = with_changes(options or EmbedOptions(), changes)
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not paths and not files:
        raise UsageError("nothing to embed: give folders or files, or a list with --files-from")
    space = Workspace(workspace)
    requested = [to_text(os.path.abspath(path)) for path in paths]
    refuse_own_output(requested, space)
    finder = Finder(paths=paths, listed=files, exclude=chosen.exclude, recursive=chosen.recursive, marker=MARKER)
    model = Encoder(chosen.encoder, device=chosen.device, options=chosen.encoder_options)
    watch.lap("encoder")
    workers = chosen.workers or default_workers()
    with space.locked():
        require_not_moved(space)
        _refuse_other_encoder(space, model, chosen.fresh)
        job = _Job(space, model, finder.roots(), requested, _listing(files), fresh=chosen.fresh)
        intake = Intake(job.index, job.writer, model, batch_size=chosen.batch_size, base=job.base, begin=job.begin)
        try:
            with quiet_decoders():
                intake.take_all(finder, workers, on_progress)
        except BaseException:
            # Interrupted or failed: what was computed so far need not be computed again.
            with contextlib.suppress(OSError):
                job.writer.flush()
            raise
        watch.lap("embed")
        given = asdict(chosen.encoder_options)
        record = {
            "device_asked": chosen.device,
            "batch_size": chosen.batch_size,
            "workers": workers,
            "exclude": list(chosen.exclude),
            "recursive": chosen.recursive,
            "listed": len(files),
            "options": {key: value for key, value in given.items() if value is not None},
        }
        return job.finish(intake, finder.scope(), watch, record)


class _Job:
    """The workspace's side of one `embed`: when its old results go, what it holds in the end, what is on record.

    Args:
        space: The workspace, locked.
        model: The encoder.
        roots: The folders that are searched.
        asked: The paths to embed, absolute texts.
        listing: What tells the list of more files from another one.
        fresh: Whether to start over. Where this same job was interrupted before, it goes on instead.
    """

    def __init__(
        self, space: Workspace, model: Encoder, roots: list[str], asked: list[str], listing: str, *, fresh: bool
    ) -> None:
        self._space = space
        self._model = model
        self._asked = asked
        self._job = {"paths": asked, "listing": listing}
        before = space.manifest
        unfinished = before.get("state") == "embedding" and before.get("fresh") == self._job
        same_encoder = before.get("encoder", {}).get("identity") == model.identity
        self._fresh = fresh and not (unfinished and same_encoder)
        self._before = {} if self._fresh else before
        # The first embed decides what paths are relative to, so that they stay the same as folders are added.
        self.base: str = self._before["base"] if "base" in self._before else common_base(roots)
        self._begun = False
        self.index = Index(space.embeddings, model.identity, forget=self._fresh)
        self.writer = ShardWriter(space.embeddings, model.identity)

    def begin(self) -> None:
        """Make the workspace ready for other embeddings than those its results were made from; once.

        Not before the first new row is there: a mistyped path costs nothing.
        """
        if self._begun:
            return
        retire_results(self._space)
        record = {**versions(), "state": "embedding", "encoder": self._encoder_record(), "base": self.base}
        if self._fresh:
            record["fresh"] = self._job
        # What it says of the clustering has gone with the results.
        before = {key: value for key, value in self._before.items() if key != "cluster"}
        self._space.write_manifest(before | record)
        if self._fresh:
            discard(all_shards(self._space.embeddings))
            # On another device the same images get other last digits.
            remove(self._space.layers)
            remove(self._space.layout)
        self._begun = True

    def finish(self, intake: Intake, scope: Scope, watch: Stopwatch, options: dict[str, Any]) -> EmbedSummary:
        """Let go of what vanished, complete the tables and the manifest, and sum up.

        Raises:
            NoImagesError: No image was found; nothing has changed then.
        """
        if intake.new + intake.changed + intake.unchanged == 0:
            raise _nothing_found(intake, self._asked)
        # What lies in a folder that cannot be read just now is not gone for that.
        unreadable = [entry for entry, _ in intake.skipped if isinstance(entry, UnreadablePath)]
        vanished = self.index.forget_unseen(scope.without(entry.location for entry in unreadable if entry.is_folder))
        if self.index.has_outdated_rows:
            self.begin()
        # The new rows first: what they replace must not go before they are on disk.
        self.writer.flush()
        self.index.compact(self.writer)

        folder, identity = self._space.embeddings, self._model.identity
        holdings = contents(folder, identity)
        skipped, skipped_roots = self._all_skipped(intake, scope)
        roots = sorted(skipped_roots | set(holdings.roots))
        rows = ((relative_path(location, self.base), reason) for location, reason in sorted(skipped.items()))
        write_table(self._space.skipped, SKIPPED, rows)
        watch.lap("store")
        seconds = watch.seconds
        done_now = intake.new + intake.changed
        summary = EmbedSummary(
            workspace=to_text(self._space.path),
            encoder=self._model.info.name,
            device=self._model.device,
            found=holdings.images + len(skipped),
            embedded=holdings.images,
            skipped=len(skipped),
            new=intake.new,
            changed=intake.changed,
            unchanged=intake.unchanged,
            vanished=vanished,
            ignored=intake.ignored,
            roots=tuple(roots),
            seconds=seconds,
            images_per_second=round(done_now / seconds, 1) if done_now else 0.0,
            passed_over=self._model.rejected_devices,
            notes=self._model.notes,
        )
        kept = ("device", "new", "changed", "unchanged", "vanished", "ignored")
        record = {
            **versions(),
            "state": "embedded",
            "encoder": self._encoder_record(),
            "fingerprint": holdings.fingerprint,
            "base": self.base,
            "roots": roots,
            "counts": {"found": summary.found, "embedded": summary.embedded, "skipped": summary.skipped},
            "embed": {
                "paths": self._asked,
                **options,
                **{name: getattr(summary, name) for name in kept},
                "seconds": watch.stages,
            },
        }
        manifest = {key: value for key, value in self._space.manifest.items() if key != "fresh"}
        self._space.write_manifest(manifest | record)
        return summary

    def _all_skipped(self, intake: Intake, scope: Scope) -> tuple[dict[str, str], set[str]]:
        """Return the reason for each skipped location, and the roots they lie under.

        Those of earlier runs under other paths, which this run did not look at, stay on record.
        """
        skipped = {entry.location: reason for entry, reason in intake.skipped}
        roots = {entry.root for entry, _ in intake.skipped}
        if self._before and self._space.skipped.exists():
            for row in read_table(self._space.skipped, SKIPPED):
                location = absolute_path(self.base, row["path"])
                if location not in scope:
                    skipped.setdefault(location, row["reason"])
                    roots.update(root for root in self._before.get("roots", ()) if location.startswith(join(root, "")))
        return skipped, roots

    def _encoder_record(self) -> dict[str, Any]:
        return {"identity": self._model.identity, "file": to_text(self._model.path), **asdict(self._model.info)}


def _listing(files: Sequence[str | os.PathLike[str]]) -> str:
    """Return a digest of a list of files; "" where there is none."""
    if not files:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(to_text(os.path.abspath(file)).encode() + b"\0")
    return digest.hexdigest()


def _nothing_found(intake: Intake, asked: Sequence[str]) -> NoImagesError:
    where = ", ".join(asked) or "the list"
    if intake.skipped:
        entry, reason = intake.skipped[0]
        return NoImagesError(
            f"no image in {where} can be read ({len(intake.skipped)} tried); the first, {entry.location}: {reason}"
        )
    hint = "it holds other files only" if intake.ignored else "nothing is there, or all of it is left out"
    return NoImagesError(f"no image found in {where}: {hint}")


def refuse_own_output(paths: Sequence[str], space: Workspace) -> None:
    """Refuse to embed what lies in the workspace itself; `paths` are absolute texts.

    Raises:
        UsageError: One of them does.
    """
    own, real_own = to_text(space.path), to_text(os.path.realpath(space.path))
    for path in paths:
        real = to_text(os.path.realpath(from_text(path)))
        if path.startswith(join(own, "")) or join(real, "").startswith(join(real_own, "")):
            raise UsageError(f"{path} lies in the workspace {space.path} itself; choose another workspace with -w DIR")


def _refuse_other_encoder(space: Workspace, model: Encoder, fresh: bool) -> None:
    made_with = space.manifest.get("encoder", {})
    if fresh or not made_with or made_with.get("identity") == model.identity:
        return
    raise WorkspaceError(
        f"{space.path} was made with encoder {made_with.get('name')!r}, asked for is {model.info.name!r}"
        f"{' with other weights or options' if made_with.get('name') == model.info.name else ''}, and their vectors "
        "cannot be mixed; start over with --fresh, or choose another folder with -w DIR"
    )
