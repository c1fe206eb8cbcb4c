"""Joining: the rows of shards, or of other workspaces, become rows of one workspace."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Sequence
from contextlib import ExitStack
from typing import Any

from imgcluster._version import versions
from imgcluster.commands.support.change_placed import return_interrupted_move
from imgcluster.commands.support.embed_summary import EmbedSummary, embedded_record, history_text
from imgcluster.commands.support.last_clustering import is_outdated
from imgcluster.commands.support.placed_files import moved_files, read_placement
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.errors import NoImagesError, WorkspaceError
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, common_base
from imgcluster.fileio.schema import check
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.index import Index
from imgcluster.workspace.shapes import SHARD, SOURCE
from imgcluster.workspace.shard_file import count_rows, locations_of, read_files, read_keys
from imgcluster.workspace.shard_writer import ShardWriter
from imgcluster.workspace.shards import list_shards, summarize_shards
from imgcluster.workspace.skipped_images import read_skipped, write_skipped
from imgcluster.workspace.states import archive_of, begin_state
from imgcluster.workspace.work_shards import (
    REMOVED,
    WorkShard,
    discard_joined,
    every_shard,
    refuse_unjoined,
    state_of_embeddings,
)

__all__ = ["identity_of", "is_complete", "join"]

# A source and its manifest.
_Source = tuple[Workspace, dict[str, Any]]


def join(workspace: Workspace, sources: Sequence[Workspace], command: str, on_progress: OnProgress) -> EmbedSummary:
    """Add the rows of `sources` to a workspace, for a step of `command`, and remove its own shards.

    Args:
        workspace: The workspace.
        sources: All shards of one request, or other workspaces, which are not changed.
        command: The command of the step.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: A source is incomplete or damaged, or does not belong to the others or to the workspace.
        NoImagesError: The sources contain no image; the workspace is unchanged.
    """
    watch = Stopwatch()
    with ExitStack() as locks:
        before = locks.enter_context(workspace.locked())
        read = [(source, locks.enter_context(source.locked(read_only=True))) for source in sources]
        refuse_unjoined(workspace, joining=[source.path for source in sources])
        shards = "shard" in read[0][1]
        _refuse_incomplete(read)
        _refuse_other_encoders(workspace, before, read)
        if shards:
            _refuse_gaps(read)
            _refuse_other_requests(workspace, before, read)
        else:
            _refuse_moved_originals(read)
        if not sum(manifest["counts"]["embedded"] for _, manifest in read):
            raise NoImagesError(f"no image found by {len(read)} shards or workspaces; {workspace.path} is unchanged")
        before = recover(workspace, before, on_progress=on_progress)
        journal, _ = return_interrupted_move(workspace, read_placement(workspace))
        joined = _Join(workspace, before, read, moved_files(workspace, journal))
        joined.begin(command)
        joined.add_rows(on_progress)
        summary = joined.finish(command, watch)
        if shards and os.name != "nt":
            # While they are locked: a process that begins one again must not lose its folder.
            discard_joined(workspace)
    if shards and os.name == "nt":  # where a folder with an open lock cannot be renamed
        discard_joined(workspace)
    return summary


def identity_of(manifest: dict[str, Any]) -> str:
    """Return the identity of the encoder in a manifest; "" without one."""
    return str(manifest.get("encoder", {}).get("identity", ""))


def is_complete(manifest: dict[str, Any]) -> bool:
    """Return whether everything was embedded that was requested."""
    return manifest.get("state") == "embedded"


class _Join:
    """The addition of rows to a workspace.

    Rows of the workspace are removed when those that replace them are in it, so that an interruption loses nothing,
    and repeating the command completes it.

    Args:
        workspace: The workspace, locked.
        before: Its manifest.
        sources: The sources, checked.
        moved: The original paths of the files that were moved to folders of the workspace.
    """

    def __init__(
        self, workspace: Workspace, before: dict[str, Any], sources: Sequence[_Source], moved: Container[str]
    ) -> None:
        self._workspace = workspace
        self._sources = sources
        self._moved = moved
        self._first = sources[0][1]
        self._shards = "shard" in self._first
        self._fresh = bool(self._first.get("request", {}).get("fresh"))
        self._before = {} if self._fresh else before
        bases = sorted({manifest["base"] for _, manifest in sources})
        self._base = str(self._before.get("base", bases[0] if len(bases) == 1 else common_base(bases)))
        identity = identity_of(self._first)
        self._index = Index(workspace.embeddings, identity, fresh=self._fresh)
        self._writer = ShardWriter(workspace.embeddings, identity, archive=archive_of(workspace))
        self._skipped = self._read_skipped()
        self._new = self._changed = self._removed = self._renamed = 0
        # Of workspaces, which can share images; shards cannot.
        self._counted: set[str] = set()

    def begin(self, command: str) -> None:
        """Save the present state for `undo`, and record that the workspace is being changed."""
        begin_state(self._workspace, command, "")
        record = {**versions(), "state": "embedding", "encoder": self._first["encoder"], "base": self._base}
        record["joining"] = self._first.get("request", {}).get("before", "")
        self._workspace.write_manifest(self._before | record)
        if self._fresh:
            self._workspace.remove_caches()

    def add_rows(self, on_progress: OnProgress) -> None:
        """Add the rows of all sources, and remove those that they replace and the removed ones."""
        vanished = self._remove()
        identity = identity_of(self._first)
        for number, (source, _) in enumerate(self._sources):
            on_progress(Progress("join", number, len(self._sources)))
            for shard in list_shards(source.embeddings, identity):
                self._add(read_keys(shard), vanished)
                self._writer.adopt(shard)
        self._index.compact(self._writer, archive_of(self._workspace))

    def _remove(self) -> Counter[bytes]:
        """Drop the removed images from the index, and return their digests."""
        vanished: Counter[bytes] = Counter()
        for source, manifest in self._sources:
            table = source.removed_table
            for row in read_table(table, REMOVED) if table.exists() else ():
                location = absolute_path(manifest["base"], row["path"])
                stored = self._index.find(location)
                if stored is not None:
                    self._index.mark_outdated(stored)
                    if location not in self._skipped:
                        vanished[stored.digest] += 1
        self._removed = vanished.total()
        return vanished

    def _add(self, table: Any, vanished: Counter[bytes]) -> None:
        locations, digests = locations_of(table), table.column("digest").to_pylist()
        for location, digest, stored in zip(locations, digests, self._index.find_all(locations), strict=True):
            if stored is not None:
                self._index.mark_outdated(stored)
            if not self._shards:
                self._skipped.pop(location, None)
                if location in self._counted:
                    continue
                self._counted.add(location)
            if stored is not None:
                self._changed += stored.digest != digest
                continue
            self._new += 1
            if vanished[digest] > 0:
                vanished[digest] -= 1
                self._renamed += 1

    def finish(self, command: str, watch: Stopwatch) -> EmbedSummary:
        """Write the table of skipped images and the manifest, and return the summary."""
        workspace, manifests = self._workspace, [manifest for _, manifest in self._sources]
        if self._skipped and not self._shards:
            self._drop_embedded_from_skipped()
        write_skipped(workspace, self._skipped, self._base)
        current = summarize_shards(workspace.embeddings, identity_of(self._first))
        watch.lap("join")

        def total(name: str) -> int:
            return sum(manifest.get("embed", {}).get(name, 0) for manifest in manifests)

        old = () if self._shards else self._before.get("roots", ())
        embedded = sum(manifest["counts"]["embedded"] for manifest in manifests)
        summary = EmbedSummary(
            workspace=workspace.name,
            encoder=self._first["encoder"]["name"],
            device=", ".join(dict.fromkeys(manifest.get("embed", {}).get("device", "") for manifest in manifests)),
            found=current.images + len(self._skipped),
            embedded=current.images,
            skipped=len(self._skipped),
            new=self._new - self._renamed,
            changed=self._changed,
            unchanged=(embedded if self._shards else len(self._counted)) - self._new - self._changed,
            vanished=self._removed - self._renamed,
            renamed=self._renamed,
            ignored=total("ignored"),
            paired=total("paired"),
            roots=tuple(
                sorted({*current.roots, *old, *(root for manifest in manifests for root in manifest["roots"])})
            ),
            seconds=watch.seconds,
            images_per_second=0.0,
            notes=tuple(dict.fromkeys(note for each in manifests for note in each.get("summary", {}).get("notes", ()))),
            outdated=is_outdated(workspace, current.fingerprint),
        )
        paths = list(dict.fromkeys(path for each in manifests for path in each.get("embed", {}).get("paths", ())))
        options = self._first.get("embed", {}) | {"paths": paths, "seconds": watch.stages, "joined": len(manifests)}
        record = {
            **versions(),
            "encoder": self._first["encoder"],
            "fingerprint": current.fingerprint,
            "base": self._base,
            # Repeated after an interruption, before the shards were removed, the command changes nothing.
            "joined": {"before": self._first.get("request", {}).get("before", ""), "after": current.fingerprint},
            **embedded_record(summary, options),
        }
        manifest = {key: value for key, value in workspace.manifest.items() if key not in ("fresh", "joining")}
        workspace.write_manifest(manifest | record)
        begin_state(workspace, command, history_text(summary))
        return summary

    def _drop_embedded_from_skipped(self) -> None:
        """Remove the files of images from the skipped ones: what one workspace skipped, another may have embedded."""
        for shard in list_shards(self._workspace.embeddings, identity_of(self._first)):
            for location, _, _, companion in read_files(shard):
                for file in (location, companion):
                    # At the path of a moved original it is a new file that was skipped.
                    if file not in self._moved:
                        self._skipped.pop(file, None)

    def _read_skipped(self) -> dict[str, str]:
        """Return the reason of each skipped path; shards have read those of the workspace."""
        skipped: dict[str, str] = {}
        tables = list(self._sources) if self._shards else [(self._workspace, self._before), *self._sources]
        for source, manifest in tables:
            if manifest and source.skipped.exists():
                for row in read_skipped(source.skipped):
                    skipped[absolute_path(manifest["base"], row["path"])] = row["reason"]
        return skipped


def _refuse_incomplete(sources: Sequence[_Source]) -> None:
    for source, manifest in sources:
        if not is_complete(manifest):
            again = (
                f"run {_command(manifest)} again" if "shard" in manifest else "run the same embed command again there"
            )
            raise WorkspaceError(f"{source.path} is not complete: {again}, then repeat this command")
        try:
            check(manifest, SHARD if "shard" in manifest else SOURCE)
        except ValueError as error:
            raise WorkspaceError(
                f"{source.manifest_file} is damaged ({error}): run its embed command again, or copy the folder again"
            ) from None
        expected = manifest.get("rows", manifest["counts"]["embedded"])
        present = sum(count_rows(shard) for shard in list_shards(source.embeddings, identity_of(manifest)))
        if present < expected:
            raise WorkspaceError(
                f"{source.path} has {present} of its {expected} rows: copy it again, or delete it and embed it again"
            )


def _refuse_other_encoders(workspace: Workspace, before: dict[str, Any], sources: Sequence[_Source]) -> None:
    first, fresh = sources[0], sources[0][1].get("request", {}).get("fresh")
    compared = [*sources, *([(workspace, before)] if identity_of(before) and not fresh else [])]
    for source, manifest in compared:
        if identity_of(manifest) != identity_of(first[1]):
            one, other = (
                f"{entry['encoder']['name']} {entry['encoder'].get('precision') or 'fp32'}"
                for entry in (first[1], manifest)
            )
            raise WorkspaceError(
                f"{first[0].path} was made with encoder {one}, {source.path} with {other} or other weights or options; "
                "their vectors cannot be mixed: embed one of them again with the --encoder and --precision of the other"
            )


def _refuse_gaps(sources: Sequence[_Source]) -> None:
    if any("shard" not in manifest for _, manifest in sources):
        raise WorkspaceError("shards cannot be joined together with workspaces that have none; merge them one by one")
    parts = [_part(manifest) for _, manifest in sources]
    counts = sorted({part.count for part in parts})
    if len(counts) > 1:
        examples = {part.count: source.path for part, (source, _) in zip(parts, sources, strict=True)}
        found = " and ".join(f"shards of {count}, such as {path}" for count, path in sorted(examples.items()))
        raise WorkspaceError(f"there are {found}; delete the folders of those that are not wanted")
    missing = sorted({*every_shard(parts)} - {*parts})
    if missing:
        raise WorkspaceError(
            f"{len(missing)} of {counts[0]} shards are missing: {', '.join(map(str, missing[:10]))}; run "
            f"imgcluster embed with --shard {missing[0]}, then repeat this command"
        )
    repeated = [part for part, count in Counter(parts).items() if count > 1]
    if repeated:
        raise WorkspaceError(f"shard {repeated[0]} is there {parts.count(repeated[0])} times; name only one of them")


def _refuse_other_requests(workspace: Workspace, before: dict[str, Any], sources: Sequence[_Source]) -> None:
    first = sources[0][1]["request"]
    for source, manifest in sources:
        differing = [name for name, value in manifest["request"].items() if value != first.get(name)]
        if differing:
            raise WorkspaceError(
                f"{source.path} and {sources[0][0].path} were embedded with different {differing[0]!r}: "
                f"run {_command(manifest)} again with the same paths and options as the others"
            )
        # Which files belong to a shard follows from their paths below this folder.
        if manifest["base"] != sources[0][1]["base"]:
            raise WorkspaceError(
                f"the images of {source.path} are in {manifest['base']} and those of {sources[0][0].path} in "
                f"{sources[0][1]['base']}, so that some are in no shard: run {_command(manifest)} again in the same "
                "current folder as the others, where the folders of the images have the same paths"
            )
    started = before.get("joining") if before.get("state") == "embedding" else None
    done = before.get("joined", {})
    finished = done.get("before") if done.get("after") == before.get("fingerprint") else None
    if first["before"] not in (state_of_embeddings(workspace), started, finished):
        raise WorkspaceError(
            f"the embeddings in {workspace.path} have changed since its shards were embedded: run all of them again"
        )


def _refuse_moved_originals(sources: Sequence[_Source]) -> None:
    for source, _ in sources:
        if moved_files(source, read_placement(source)):
            raise WorkspaceError(
                f"originals were moved to folders of {source.path}; first move them back with {source.command('undo')}"
            )


def _command(manifest: dict[str, Any]) -> str:
    return f"imgcluster embed with --shard {_part(manifest)}"


def _part(manifest: dict[str, Any]) -> WorkShard:
    return WorkShard(manifest["shard"]["number"], manifest["shard"]["count"])
