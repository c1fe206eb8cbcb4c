"""The main loop of `embed`: find, read and encode files, and write rows, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from imgcluster.encoders import Encoder, Started
from imgcluster.errors import ImgclusterError
from imgcluster.fileio.path_text import relative_path
from imgcluster.images.find import Finder, FoundFile, UnreadablePath
from imgcluster.images.load import Content, Loaded, Skipped, Unchanged
from imgcluster.images.readers import ReaderSettings, Request, read_files
from imgcluster.progress import OnProgress, Progress
from imgcluster.types import Pixels
from imgcluster.workspace.index import Index, StoredImage
from imgcluster.workspace.shards import Row, ShardWriter

__all__ = ["EmbedRun"]

_LOG = logging.getLogger(__name__)

_FILES_PER_STEP: Final = 1000
_FILES_PER_LOOKUP: Final = 256
_SECONDS_AFTER_INTERRUPTION: Final = 1.0
_TAKEN: Final = "an earlier image with this path was moved to the clusters; rename this file"

# A file, what was read, and the stored image that it replaces.
_Image = tuple[FoundFile, Loaded, StoredImage | None]


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
        self._done = self._uncounted = 0
        # The stored images of the files that are being read, in their order.
        self._reading: deque[StoredImage | None] = deque()
        self._batch: list[_Image] = []
        self._pixels = self._new_pixels()
        self._started: deque[tuple[Started, list[_Image]]] = deque()

    def run(self, finder: Finder, settings: ReaderSettings, on_progress: OnProgress) -> None:
        """Find, read and embed all files."""
        total = _count(finder, on_progress) + len(self._moved)

        def count(files: int) -> None:
            self._done += files + self._uncounted
            self._uncounted = 0
            on_progress(Progress("embed", self._done, max(self._done, total)))

        count(0)
        requests = self._requests(finder, count)
        try:
            # Closed at once after an interruption, so that no reader outlives it.
            with contextlib.closing(read_files(requests, self._model.info.input_spec, settings)) as results:
                for some in results:
                    for request, content in some:
                        self._process(request.file, self._reading.popleft(), content)
                    count(len(some))
            self._start_batch()
            while self._started:
                self._finish_batch()
        except BaseException:
            self._finish_what_is_nearly_done()
            raise

    def _requests(self, finder: Finder, count: Callable[[int], None]) -> Iterator[Request]:
        """Yield the files to read, and mark those that did not change."""
        files = self._files(finder)
        while group := list(itertools.islice(files, _FILES_PER_LOOKUP)):
            unchanged = 0
            for file, stored in zip(group, self._index.find_all([file.location for file in group]), strict=True):
                if stored is not None and (file.size, file.mtime_ns) == (stored.size, stored.mtime_ns):
                    self._index.mark_unchanged(stored, file.mtime_ns)
                    unchanged += 1
                    continue
                self._reading.append(stored)
                # Only a file of the same size can have the same content.
                yield Request(file, stored.digest if stored and stored.size == file.size else None)
            self.unchanged += unchanged
            self._uncounted += unchanged
            # Files before these may still be read.
            if not self._reading:
                count(0)

    def _files(self, finder: Finder) -> Iterator[FoundFile]:
        for entry in finder.find():
            if isinstance(entry, UnreadablePath):
                self.skipped.append((entry, entry.reason))
            elif entry.location in self._moved:
                self.skipped.append((entry, _TAKEN))
            else:
                yield entry
        yield from self._moved.values()

    def _process(self, file: FoundFile, stored: StoredImage | None, content: Content) -> None:
        if isinstance(content, Loaded):
            known = self._index.row_with_content(content.digest)
            if known is not None:
                self._store([(stored, self._located(known, file))])
                if stored is None:
                    self.reused.append(content.digest)
                return
            self._pixels[len(self._batch)] = content.image.pixels
            self._batch.append((file, content, stored))
            if len(self._batch) == self._batch_size:
                self._start_batch()
        elif isinstance(content, Skipped):
            if stored is not None:
                self._index.mark_outdated(stored)
            self.skipped.append((file, content.reason))
        elif stored is not None and isinstance(content, Unchanged):
            self._index.mark_unchanged(stored, file.mtime_ns)
            self.unchanged += 1
        else:
            self.ignored += 1

    def _start_batch(self) -> None:
        """Give a batch to the encoder, and finish earlier ones if it has enough to do."""
        if not self._batch:
            return
        self._started.append((self._model.start(self._pixels[: len(self._batch)]), self._batch))
        self._batch, self._pixels = [], self._new_pixels()
        ahead = max(self._model.images_ahead, self._batch_size)
        while self._started[0][0].done() or sum(len(images) for _, images in self._started) > ahead:
            self._finish_batch()
            if not self._started:
                return

    def _finish_batch(self, seconds: float | None = None) -> None:
        started, images = self._started[0]
        vectors = started.result(seconds)
        self._started.popleft()
        finite = [True] * len(images)
        if not np.isfinite(vectors).all():
            finite = [bool(np.isfinite(vector).all()) for vector in vectors]
        rows = []
        for (file, loaded, stored), vector, is_finite in zip(images, vectors, finite, strict=True):
            if not is_finite:
                self.skipped.append((file, f"encoder {self._model.info.name} returns values that are not finite"))
                continue
            image = loaded.image
            row = Row(
                path=relative_path(file.location, self._base),
                root=self._base,
                source=file.root,
                size=file.size,
                mtime_ns=file.mtime_ns,
                digest=loaded.digest,
                width=image.width,
                height=image.height,
                embedding=vector,
                brightness=image.brightness,
                color=image.color,
                contrast=image.contrast,
                sharpness=image.sharpness,
                exif=image.exif,
            )
            rows.append((stored, row))
        self._store(rows)

    def _finish_what_is_nearly_done(self) -> None:
        """After an interruption, take the vectors that are computed within a second, and end the encoder."""
        end = time.monotonic() + _SECONDS_AFTER_INTERRUPTION
        try:
            while self._started:
                self._finish_batch(max(0.0, end - time.monotonic()))
        except (TimeoutError, ImgclusterError, OSError) as error:
            _LOG.debug("batches lost: %s", error)
        finally:
            self._model.stop()

    def _located(self, row: Row, file: FoundFile) -> Row:
        return dataclasses.replace(
            row,
            path=relative_path(file.location, self._base),
            root=self._base,
            source=file.root,
            size=file.size,
            mtime_ns=file.mtime_ns,
        )

    def _store(self, rows: Sequence[tuple[StoredImage | None, Row]]) -> None:
        if not rows:
            return
        for stored, _ in rows:
            if stored is None:
                self.new += 1
            else:
                self._index.mark_outdated(stored)
                self.changed += 1
        self._begin()
        self._writer.add([row for _, row in rows])

    def _new_pixels(self) -> Pixels:
        spec = self._model.info.input_spec
        return np.empty((self._batch_size, spec.height, spec.width, spec.channels), dtype=np.uint8)


def _count(finder: Finder, on_progress: OnProgress) -> int:
    """Count the files without opening them, so that progress has a total."""
    count = 0
    for count, _ in enumerate(finder.find(sizes=False), start=1):
        if count % _FILES_PER_STEP == 0:
            on_progress(Progress("find", count))
    return count
