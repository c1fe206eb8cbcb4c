"""`embed`: every image under the given paths becomes a vector in the workspace."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster._version import __version__
from imgcluster.encoders import DEFAULT_ENCODER, Encoder, EncoderOptions
from imgcluster.errors import NoImagesError, UsageError, WorkspaceError
from imgcluster.files import Finder, FoundFile, Scope, UnreadablePath
from imgcluster.images import quiet_decoders
from imgcluster.pathtext import common_base, join, relative_to, to_text
from imgcluster.pipeline.results import require_not_moved, retire_results
from imgcluster.progress import Progress, Report, silent
from imgcluster.reading import Loaded, NotAnImage, Skipped, Unchanged, default_workers, in_order, read_image
from imgcluster.store.index import Index, Known
from imgcluster.store.shards import Row, ShardWriter, fingerprint
from imgcluster.store.tables import SKIPPED, read_table, write_table
from imgcluster.store.workspace import MARKER, Workspace

__all__ = ["DEFAULT_BATCH_SIZE", "DEFAULT_WORKSPACE", "EmbedSummary", "embed"]

DEFAULT_BATCH_SIZE: Final = 32
DEFAULT_WORKSPACE: Final = "imgcluster-out"


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
        vanished: Images that left because their files did.
        ignored: Other files that lie among the images.
        roots: The folders that hold the workspace's images.
        seconds: Wall-clock time.
        images_per_second: Images embedded now, per second; 0 where none was.
        passed_over: Better devices that do not run here, with the reason.
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


def embed(
    paths: Sequence[str | os.PathLike[str]] = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    encoder: str | os.PathLike[str] = DEFAULT_ENCODER,
    options: EncoderOptions | None = None,
    device: str = "auto",
    batch_size: int = DEFAULT_BATCH_SIZE,
    workers: int | None = None,
    exclude: Sequence[str] = (),
    recursive: bool = True,
    files: Sequence[str | os.PathLike[str]] = (),
    fresh: bool = False,
    report: Report = silent,
) -> EmbedSummary:
    """Embed the images under `paths` that the workspace does not hold yet.

    Images whose size and time of change are as before, or whose content is, are not embedded again; those that
    vanished from `paths` leave the workspace; images under other paths stay in it. Where anything changes, the
    results that were made from the old embeddings go: tables and page into ``outdated/``, placed links and copies
    altogether.

    Args:
        paths: Folders, walked recursively in sorted order, and files.
        workspace: The workspace folder; made where it is missing.
        encoder: The name of an encoder, or an ``.onnx`` file.
        options: What a foreign ONNX file cannot say about itself.
        device: ``auto``, ``cpu``, ``cuda``, …; see `devices.DEVICES`.
        batch_size: Images that go through the encoder at once. It changes no result on the CPU.
        workers: Threads that read and decode; all processors without it.
        exclude: Globs of files and folders to leave out.
        recursive: Whether folders inside `paths` count.
        files: More files, from a list; one that is missing is skipped, not an error.
        fresh: Whether to start over instead of adding to the workspace.
        report: Called with each step.

    Raises:
        UsageError: A path is missing, or an option is not understood.
        NoImagesError: Nothing under `paths` is an image that can be read; the workspace is as it was.
        WorkspaceError: The workspace is locked, not ours, was made with another encoder, or its images are moved.
        EncoderError: The encoder cannot be used.
        DeviceError: The device asked for by name does not run here.
    """
    started = time.monotonic()
    if batch_size < 1:
        raise UsageError(f"a batch size of {batch_size} is not possible; at least 1 is needed")
    if not paths and not files:
        raise UsageError("nothing to embed: give folders or files, or a list with --files-from")
    space = Workspace(workspace)
    _refuse_own_output(paths, space)
    finder = Finder(paths=paths, listed=files, exclude=exclude, recursive=recursive, marker=MARKER)
    require_not_moved(space)
    model = Encoder(encoder, device=device, options=options)
    with space.locked():
        _refuse_other_encoder(space, model, fresh)
        run = _Run(space, model, batch_size=batch_size, workers=workers or default_workers(), fresh=fresh)
        try:
            with quiet_decoders():
                run.embed_all(finder, report)
        except BaseException:
            # Interrupted or failed: what was computed so far need not be computed again.
            with contextlib.suppress(OSError):
                run.writer.flush()
            raise
        return run.finish(finder, started, {"paths": [to_text(Path(path)) for path in paths]})


class _Run:
    """The state of one `embed`: what was found so far, and the batch that fills."""

    def __init__(self, space: Workspace, model: Encoder, *, batch_size: int, workers: int, fresh: bool) -> None:
        self.space = space
        self.model = model
        self.batch_size = batch_size
        self.workers = workers
        self.fresh = fresh
        self.index = Index(space.embeddings, model.identity, forget=fresh)
        self.writer = ShardWriter(space.embeddings, model.identity)
        self.before = {} if fresh else space.manifest
        self.begun = False
        self.batch: list[tuple[FoundFile, Loaded, Known | None]] = []
        self.skipped: list[tuple[FoundFile | UnreadablePath, str]] = []
        self.new = self.changed = self.unchanged = self.ignored = 0

    def embed_all(self, finder: Finder, report: Report) -> None:
        total = sum(1 for _ in finder.find())
        done = 0
        report(Progress("embed", done, total))
        for file, result in in_order(self._read, self._files(finder), self.workers):
            self._take(file, result)
            done += 1
            report(Progress("embed", done, max(done, total)))
        self._encode_batch()

    def _files(self, finder: Finder) -> Iterator[FoundFile]:
        for entry in finder.find():
            if isinstance(entry, UnreadablePath):
                self.skipped.append((entry, entry.reason))
            else:
                yield entry

    def _read(self, file: FoundFile) -> tuple[Known | None, Loaded | Unchanged | Skipped | NotAnImage]:
        known = self.index.find(file.location)
        if known and (file.size, file.mtime_ns) == (known.size, known.mtime_ns):
            return known, Unchanged()
        same_size = known is not None and known.size == file.size
        return known, read_image(file, self.model.info.input_spec, known.digest if known and same_size else None)

    def _take(self, file: FoundFile, result: tuple[Known | None, Loaded | Unchanged | Skipped | NotAnImage]) -> None:
        known, answer = result
        if isinstance(answer, Unchanged):
            assert known is not None
            self.index.keep(known, file.mtime_ns)
            self.unchanged += 1
        elif isinstance(answer, Skipped):
            self.skipped.append((file, answer.reason))
        elif isinstance(answer, NotAnImage):
            self.ignored += 1
        else:
            self.batch.append((file, answer, known))
            if len(self.batch) >= self.batch_size:
                self._encode_batch()

    def _encode_batch(self) -> None:
        if not self.batch:
            return
        vectors = self.model.encode(np.stack([loaded.image.pixels for _, loaded, _ in self.batch]))
        rows = []
        for (file, loaded, known), vector in zip(self.batch, vectors, strict=True):
            if not np.isfinite(vector).all():
                reason = f"encoder {self.model.info.name} gives no finite numbers for it"
                self.skipped.append((file, reason))
                continue
            if known is not None:
                self.index.drop(known)
                self.changed += 1
            else:
                self.new += 1
            image = loaded.image
            rows.append(
                Row(
                    path=file.path,
                    root=file.root,
                    size=file.size,
                    mtime_ns=file.mtime_ns,
                    digest=loaded.digest,
                    width=image.width,
                    height=image.height,
                    embedding=vector,
                )
            )
        self.batch.clear()
        if rows:
            self._begin()
            self.writer.add(rows)

    def _begin(self) -> None:
        """Make the workspace ready for other embeddings than those its results were made from; once."""
        if self.begun:
            return
        retire_results(self.space)
        manifest = {} if self.fresh else dict(self.before)
        manifest |= {"imgcluster": __version__, "state": "embedding", "encoder": self._encoder_record()}
        self.space.write_manifest(manifest)
        self.begun = True

    def finish(self, finder: Finder, started: float, asked: dict[str, Any]) -> EmbedSummary:
        found_now = self.new + self.changed + self.unchanged
        if found_now == 0:
            self._raise_nothing_found(asked)
        scope = finder.scope()
        vanished = 0 if self.fresh else self.index.forget_unseen(scope)
        if self.index.has_outdated_rows or vanished:
            self._begin()
        # The new rows first: what they replace must not go before they are on disk.
        self.writer.flush()
        self.index.compact(self.writer)

        identity, folder = self.model.identity, self.space.embeddings
        roots, embedded = _contents(folder, identity)
        elsewhere = self._skipped_elsewhere(scope)
        skipped = elsewhere | {entry.location: reason for entry, reason in self.skipped}
        skipped_roots = {entry.root for entry, _ in self.skipped} | {
            root for root in self.before.get("roots", ()) if any(_under(location, root) for location in elsewhere)
        }
        roots = sorted({*roots, *skipped_roots})
        base = common_base(roots)
        write_table(
            self.space.skipped,
            SKIPPED,
            ((relative_to(location, base), reason) for location, reason in sorted(skipped.items())),
        )
        seconds = time.monotonic() - started
        done_now = self.new + self.changed
        summary = EmbedSummary(
            workspace=to_text(self.space.path),
            encoder=self.model.info.name,
            device=self.model.device,
            found=embedded + len(skipped),
            embedded=embedded,
            skipped=len(skipped),
            new=self.new,
            changed=self.changed,
            unchanged=self.unchanged,
            vanished=vanished,
            ignored=self.ignored,
            roots=tuple(roots),
            seconds=round(seconds, 3),
            images_per_second=round(done_now / seconds, 1) if done_now else 0.0,
            passed_over=self.model.passed_over,
        )
        self.space.write_manifest(
            self.space.manifest
            | {
                "imgcluster": __version__,
                "state": "embedded",
                "encoder": self._encoder_record(),
                "fingerprint": fingerprint(folder, identity),
                "base": base,
                "roots": roots,
                "counts": {"found": summary.found, "embedded": embedded, "skipped": len(skipped)},
                "embed": {
                    **asked,
                    "device": self.model.device,
                    "batch_size": self.batch_size,
                    "workers": self.workers,
                    "new": self.new,
                    "changed": self.changed,
                    "unchanged": self.unchanged,
                    "vanished": vanished,
                    "ignored": self.ignored,
                    "seconds": summary.seconds,
                },
            }
        )
        return summary

    def _skipped_elsewhere(self, scope: Scope) -> dict[str, str]:
        """Return the skipped images of earlier runs under other paths, which this run did not look at."""
        if self.fresh or not self.space.skipped.exists():
            return {}
        base = str(self.before.get("base", ""))
        rows = read_table(self.space.skipped, SKIPPED)
        earlier = ((join(base, row["path"]) if base else row["path"], row["reason"]) for row in rows)
        return {location: reason for location, reason in earlier if location not in scope}

    def _encoder_record(self) -> dict[str, Any]:
        return {"identity": self.model.identity, "file": to_text(self.model.path), **asdict(self.model.info)}

    def _raise_nothing_found(self, asked: dict[str, Any]) -> None:
        where = ", ".join(asked["paths"]) or "the list"
        if self.skipped:
            entry, reason = self.skipped[0]
            raise NoImagesError(
                f"none of the {len(self.skipped)} images in {where} can be read; the first, {entry.location}: {reason}"
            )
        hint = "it holds other files only" if self.ignored else "nothing is there, or all of it is left out"
        raise NoImagesError(f"no image found in {where}: {hint}")


def _contents(folder: Path, identity: str) -> tuple[list[str], int]:
    """Return the distinct roots, sorted, and the number of images."""
    from imgcluster.store.shards import list_shards, read_keys

    roots: set[str] = set()
    count = 0
    for shard in list_shards(folder, identity):
        table = read_keys(shard)
        roots.update(table.column("root").unique().to_pylist())
        count += len(table)
    return sorted(roots), count


def _under(location: str, root: str) -> bool:
    return location.startswith(join(root, ""))


def _refuse_own_output(paths: Sequence[str | os.PathLike[str]], space: Workspace) -> None:
    for path in paths:
        real = Path(os.path.abspath(path))
        if real == space.path or space.path in real.parents:
            raise UsageError(f"{path} lies in the workspace {space.path} itself; choose another workspace with -w DIR")


def _refuse_other_encoder(space: Workspace, model: Encoder, fresh: bool) -> None:
    made_with = space.manifest.get("encoder", {})
    if fresh or not made_with or made_with.get("identity") == model.identity:
        return
    raise WorkspaceError(
        f"{space.path} was made with encoder {made_with.get('name')!r} or other options of it, asked for is "
        f"{model.info.name!r}, and their vectors cannot be mixed; start over with --fresh, or choose another folder "
        "with -w DIR"
    )
