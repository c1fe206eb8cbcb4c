"""The main loop of `embed`: find, read and encode files, and write rows, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from imgcluster.encoders import Encoder
from imgcluster.fileio.path_text import relative_path
from imgcluster.images.find import Finder, FoundFile, UnreadablePath
from imgcluster.images.load import Loaded, NotAnImage, Skipped, Unchanged, in_order, read_image
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.index import Index, StoredImage
from imgcluster.workspace.shards import Row, ShardWriter

__all__ = ["EmbedRun"]

_FILES_PER_STEP: Final = 1000
_TAKEN: Final = "an earlier image with this path was moved to the clusters; rename this file"

_Content = Loaded | Unchanged | Skipped | NotAnImage


class EmbedRun:
    """Embeds the found files that are new or have changed, and counts all files.

    Args:
        index: The stored images; they are marked as unchanged or outdated.
        writer: The writer of new rows.
        model: The encoder.
        batch_size: The number of images that are encoded at once.
        base: The folder that stored paths are relative to.
        begin: Called before each batch of new rows is written.
        moved: The files that ``--place move`` moved; they are read where they are now, wherever the search looks.

    Attributes:
        new: The number of images embedded for the first time.
        changed: The number of images embedded again because their content changed.
        unchanged: The number of stored images that did not change.
        ignored: The number of files that are not images.
        skipped: The images that cannot be embedded, each with the reason.
        reused: The digests of new images whose content was embedded before, under another path.
    """

    def __init__(
        self,
        index: Index,
        writer: ShardWriter,
        model: Encoder,
        *,
        batch_size: int,
        base: str,
        begin: Callable[[], None],
        moved: Sequence[FoundFile] = (),
    ) -> None:
        self.new = self.changed = self.unchanged = self.ignored = 0
        self.skipped: list[tuple[FoundFile | UnreadablePath, str]] = []
        self.reused: list[bytes] = []
        self._index = index
        self._writer = writer
        self._model = model
        self._batch_size = batch_size
        self._base = base
        self._begin = begin
        self._moved = {file.location: file for file in moved}
        self._batch: list[tuple[FoundFile, Loaded, StoredImage | None]] = []

    def run(self, finder: Finder, workers: int, on_progress: OnProgress) -> None:
        """Find, read and embed all files; `workers` threads read ahead of the encoder."""
        total = _count(finder, on_progress) + len(self._moved)
        on_progress(Progress("embed", 0, total))
        files = in_order(self._read, self._files(finder), workers)
        for done, (file, (stored, content)) in enumerate(files, start=1):
            self._process(file, stored, content)
            on_progress(Progress("embed", done, max(done, total)))
        self._encode_batch()

    def _files(self, finder: Finder) -> Iterator[FoundFile]:
        for entry in finder.find():
            if isinstance(entry, UnreadablePath):
                self.skipped.append((entry, entry.reason))
            elif entry.location in self._moved:
                self.skipped.append((entry, _TAKEN))
            else:
                yield entry
        yield from self._moved.values()

    def _read(self, file: FoundFile) -> tuple[StoredImage | None, _Content]:
        stored = self._index.find(file.location)
        if stored and (file.size, file.mtime_ns) == (stored.size, stored.mtime_ns):
            return stored, Unchanged()
        # Only a file of the same size can have the same content.
        digest = stored.digest if stored and stored.size == file.size else None
        return stored, read_image(file, self._model.info.input_spec, digest)

    def _process(self, file: FoundFile, stored: StoredImage | None, content: _Content) -> None:
        if isinstance(content, Loaded):
            known = self._index.row_with_content(content.digest)
            if known is not None:
                self._store([(file, stored, known)])
                if stored is None:
                    self.reused.append(content.digest)
                return
            self._batch.append((file, content, stored))
            if len(self._batch) >= self._batch_size:
                self._encode_batch()
        elif isinstance(content, Skipped):
            if stored is not None:
                self._index.mark_outdated(stored)
            self.skipped.append((file, content.reason))
        elif stored is not None and isinstance(content, Unchanged):
            self._index.mark_unchanged(stored, file.mtime_ns)
            self.unchanged += 1
        else:
            self.ignored += 1

    def _encode_batch(self) -> None:
        if not self._batch:
            return
        vectors = self._model.encode(np.stack([loaded.image.pixels for _, loaded, _ in self._batch]))
        rows = []
        for (file, loaded, stored), vector in zip(self._batch, vectors, strict=True):
            if not np.isfinite(vector).all():
                self.skipped.append((file, f"encoder {self._model.info.name} returns values that are not finite"))
                continue
            row = Row(
                path="",
                root="",
                size=0,
                mtime_ns=0,
                digest=loaded.digest,
                width=loaded.image.width,
                height=loaded.image.height,
                embedding=vector,
                brightness=loaded.image.brightness,
                color=loaded.image.color,
                contrast=loaded.image.contrast,
                sharpness=loaded.image.sharpness,
                exif=loaded.image.exif,
            )
            rows.append((file, stored, row))
        self._batch.clear()
        self._store(rows)

    def _store(self, rows: Sequence[tuple[FoundFile, StoredImage | None, Row]]) -> None:
        """Write the row of each file, which gets the file's path, size and time."""
        if not rows:
            return
        for _, stored, _ in rows:
            if stored is None:
                self.new += 1
            else:
                self._index.mark_outdated(stored)
                self.changed += 1
        self._begin()
        self._writer.add(
            [
                dataclasses.replace(
                    row,
                    path=relative_path(file.location, self._base),
                    root=self._base,
                    source=file.root,
                    size=file.size,
                    mtime_ns=file.mtime_ns,
                )
                for file, _, row in rows
            ]
        )


def _count(finder: Finder, on_progress: OnProgress) -> int:
    """Count the files without opening them, so that progress has a total."""
    count = 0
    for count, _ in enumerate(finder.find(), start=1):
        if count % _FILES_PER_STEP == 0:
            on_progress(Progress("find", count))
    return count
