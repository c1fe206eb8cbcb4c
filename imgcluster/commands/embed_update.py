"""The changes of `embed` to a workspace: archived results, removed images, tables, the manifest and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgcluster._version import versions
from imgcluster.commands.embed_run import EmbedRun
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.encoders import Encoder
from imgcluster.errors import NoImagesError
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.fileio.path_text import absolute_path, common_base, join, relative_path, to_text
from imgcluster.images.find import Scope, UnreadablePath
from imgcluster.images.optional_decoders import OptionalDecoder
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shards import ShardWriter, all_shards, contents, remove_shards
from imgcluster.workspace.states import archive_of, begin_state
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["EmbedSummary", "WorkspaceUpdate"]


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


class WorkspaceUpdate:
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
