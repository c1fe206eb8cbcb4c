"""One run of `embed` at work: found files go in, rows of the workspace come out, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from imgcluster.encoders import Encoder
from imgcluster.fileio.path_text import relative_path
from imgcluster.images.find import Finder, FoundFile, UnreadablePath
from imgcluster.images.load import Loaded, NotAnImage, Skipped, Unchanged, in_order, read_image
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.index import Index, Known
from imgcluster.workspace.shards import Row, ShardWriter

__all__ = ["Intake"]

_COUNTED_BETWEEN_REPORTS: Final = 1000

_Answer = tuple[Known | None, Loaded | Unchanged | Skipped | NotAnImage]


class Intake:
    """Takes found files, embeds those that the index does not know, and counts what becomes of each.

    Args:
        index: What the workspace holds; it learns which of it is still there.
        writer: Takes the new rows.
        model: The encoder.
        batch_size: Images that go through the encoder at once.
        base: The folder that stored paths are relative to.
        begin: Called before each batch of new rows is written.

    Attributes:
        new: Images embedded that the index did not know.
        changed: Images embedded again because their content is another.
        unchanged: Images that are as the index knows them.
        ignored: Other files.
        skipped: Images that cannot be embedded, each with the reason.
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
    ) -> None:
        self.new = self.changed = self.unchanged = self.ignored = 0
        self.skipped: list[tuple[FoundFile | UnreadablePath, str]] = []
        self._index = index
        self._writer = writer
        self._model = model
        self._batch_size = batch_size
        self._base = base
        self._begin = begin
        self._batch: list[tuple[FoundFile, Loaded, Known | None]] = []

    def take_all(self, finder: Finder, workers: int, on_progress: OnProgress) -> None:
        """Find, read and embed everything, `workers` threads reading ahead of the encoder."""
        total = _count(finder, on_progress)
        on_progress(Progress("embed", 0, total))
        answers = in_order(self._read, self._files(finder), workers)
        for done, (file, answer) in enumerate(answers, start=1):
            self._take(file, answer)
            on_progress(Progress("embed", done, max(done, total)))
        self._encode_batch()

    def _files(self, finder: Finder) -> Iterator[FoundFile]:
        for entry in finder.find():
            if isinstance(entry, UnreadablePath):
                self.skipped.append((entry, entry.reason))
            else:
                yield entry

    def _read(self, file: FoundFile) -> _Answer:
        known = self._index.find(file.location)
        if known and (file.size, file.mtime_ns) == (known.size, known.mtime_ns):
            return known, Unchanged()
        # Only a file of the same size can have the same content.
        digest = known.digest if known and known.size == file.size else None
        return known, read_image(file, self._model.info.input_spec, digest)

    def _take(self, file: FoundFile, answer: _Answer) -> None:
        known, content = answer
        if isinstance(content, Loaded):
            self._batch.append((file, content, known))
            if len(self._batch) >= self._batch_size:
                self._encode_batch()
        elif isinstance(content, Skipped):
            if known is not None:
                self._index.drop(known)
            self.skipped.append((file, content.reason))
        elif known is not None and isinstance(content, Unchanged):
            self._index.keep(known, file.mtime_ns)
            self.unchanged += 1
        else:
            self.ignored += 1

    def _encode_batch(self) -> None:
        if not self._batch:
            return
        vectors = self._model.encode(np.stack([loaded.image.pixels for _, loaded, _ in self._batch]))
        rows = []
        for (file, loaded, known), vector in zip(self._batch, vectors, strict=True):
            if not np.isfinite(vector).all():
                self.skipped.append((file, f"encoder {self._model.info.name} gives no finite numbers for it"))
                continue
            if known is None:
                self.new += 1
            else:
                self._index.drop(known)
                self.changed += 1
            rows.append(
                Row(
                    path=relative_path(file.location, self._base),
                    root=self._base,
                    source=file.root,
                    size=file.size,
                    mtime_ns=file.mtime_ns,
                    digest=loaded.digest,
                    width=loaded.image.width,
                    height=loaded.image.height,
                    embedding=vector,
                    brightness=loaded.image.brightness,
                    colour=loaded.image.color,
                )
            )
        self._batch.clear()
        if rows:
            self._begin()
            self._writer.add(rows)


def _count(finder: Finder, on_progress: OnProgress) -> int:
    """Walk once without opening anything, so that the real walk can say how far it is."""
    count = 0
    for count, _ in enumerate(finder.find(), start=1):
        if count % _COUNTED_BETWEEN_REPORTS == 0:
            on_progress(Progress("find", count))
    return count
