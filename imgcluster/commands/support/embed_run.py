"""The main loop of `embed`: find, read and encode files, and write rows, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from imgcluster.encoders import PixelEncoder, Started
from imgcluster.encoders.classes import top_classes
from imgcluster.errors import ImgclusterError
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import relative_path
from imgcluster.images.find import Finder
from imgcluster.images.formats import is_raw_name
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.load import Content, Loaded, Skipped, Unchanged
from imgcluster.images.optional_decoders import OptionalDecoder
from imgcluster.images.pairs import RawFiles
from imgcluster.images.readers import ReaderSettings, Request, read_files
from imgcluster.images.scope import Scope
from imgcluster.images.staging import Stage
from imgcluster.progress import OnProgress, Progress
from imgcluster.types import ClassScores, Pixels
from imgcluster.workspace.index import Index, StoredImage
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter

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
        paired: The number of images with two files: a JPEG and a camera raw file.
        missing: The number of skipped images of each decoder that is not installed.
        reused: The digests of new images whose content was embedded before, under another path.
    """

    def __init__(
        self,
        index: Index,
        writer: ShardWriter,
        model: PixelEncoder,
        *,
        batch_size: int,
        base: str,
        begin: Callable[[], None],
        moved: Sequence[FoundFile] = (),
    ) -> None:
        self.new = self.changed = self.unchanged = self.ignored = self.paired = 0
        self.skipped: list[tuple[FoundFile | UnreadablePath, str]] = []
        self.missing: Counter[OptionalDecoder] = Counter()
        self.reused: list[bytes] = []
        self._index = index
        self._writer = writer
        self._model = model
        self._batch_size = batch_size
        self._base = base
        self._begin = begin
        self._moved = {file.location: file for file in moved}
        self._raws = RawFiles()
        self._scope = Scope(frozenset(), frozenset())
        # The second file of each picture that has two, by the location of the first.
        self._companions: dict[str, FoundFile] = {}
        self._left: list[FoundFile] = []
        self._done = self._uncounted = 0
        # The stored images of the files that are being read, in their order.
        self._reading: deque[StoredImage | None] = deque()
        self._batch: list[_Image] = []
        self._pixels = self._new_pixels()
        self._started: deque[tuple[Started, list[_Image]]] = deque()

    def run(self, finder: Finder, settings: ReaderSettings, on_progress: OnProgress) -> None:
        """Find, read and embed all files."""
        self._scope = finder.scope()
        total = self._survey(finder, on_progress)

        def count(files: int) -> None:
            self._done += files + self._uncounted
            self._uncounted = 0
            on_progress(Progress("embed", self._done, max(self._done, total)))

        count(0)
        try:
            # The second time, files whose partner cannot be read.
            for found in (self._files(finder), iter(self._left)):
                requests = self._requests(found, count)
                # Closed at once after an interruption, so that no reader outlives it.
                with (
                    Stage(finder.remote, settings.seconds) as stage,
                    contextlib.closing(stage.requests(requests)) as staged,
                    contextlib.closing(read_files(staged, self._model.info.input_spec, settings)) as results,
                ):
                    for some in results:
                        for request, content in some:
                            content = stage.result(request.file, content)
                            self._process(request.file, self._reading.popleft(), content)
                        count(len(some) + sum(request.file.location in self._companions for request, _ in some))
            self._start_batch()
            while self._started:
                self._finish_batch()
        except BaseException:
            self._finish_what_is_nearly_done()
            raise

    def _requests(self, files: Iterator[FoundFile], count: Callable[[int], None]) -> Iterator[Request]:
        """Yield the files to read, and mark those that did not change."""
        while group := list(itertools.islice(files, _FILES_PER_LOOKUP)):
            unchanged = 0
            for file, stored in zip(group, self._index.find_all([file.location for file in group]), strict=True):
                if stored is not None and _is_unchanged(file, stored):
                    self._index.mark_unchanged(stored, file.mtime_ns, self._companion(file, stored))
                    unchanged += 1
                    self._uncounted += file.location in self._companions
                    continue
                self._reading.append(stored)
                # Only a file of the same size can have the same content.
                yield Request(file, stored.digest if stored and stored.size == file.size else None)
            self.unchanged += unchanged
            self._uncounted += unchanged
            # Files before these may still be read.
            if not self._reading:
                count(0)

    def _survey(self, finder: Finder, on_progress: OnProgress) -> int:
        """Count the files without opening them, so that progress has a total, and collect the camera raw files."""
        count = 0
        for count, entry in enumerate(itertools.chain(finder.find(sizes=False), self._moved.values()), start=1):
            if isinstance(entry, FoundFile) and is_raw_name(entry.path):
                # A JPEG takes its raw file before the search, which has the sizes, comes to it.
                if url_of(entry.root):
                    self._raws.add(entry)
                    continue
                with contextlib.suppress(OSError):
                    facts = os.stat(entry.file)
                    self._raws.add(dataclasses.replace(entry, size=facts.st_size, mtime_ns=facts.st_mtime_ns))
            if count % _FILES_PER_STEP == 0:
                on_progress(Progress("find", count))
        return count

    def _files(self, finder: Finder) -> Iterator[FoundFile]:
        for file in self._pictures(finder):
            first = self._index.first_files.get(file.location)
            if first is None or first in self._scope or file.location in self._companions:
                yield file
            else:
                # The second file of a stored picture whose first file was not searched for.
                self.unchanged += 1

    def _pictures(self, finder: Finder) -> Iterator[FoundFile]:
        """Yield the file that stands for each picture."""
        for entry in finder.find():
            if isinstance(entry, UnreadablePath):
                if entry.is_image:
                    self.skipped.append((entry, entry.reason))
                else:
                    self.ignored += 1
            elif entry.location in self._moved:
                self.skipped.append((entry, _TAKEN))
            elif not self._raws.add(entry):
                yield self._pair(entry)
        for file in self._moved.values():
            if not self._raws.add(file):
                yield self._pair(file)
        yield from self._raws.rest()

    def _pair(self, file: FoundFile) -> FoundFile:
        """Return the file that stands for the picture of `file`: itself, or its raw file if only that is stored."""
        raw = self._raws.take(file)
        if raw is None:
            return file
        first, second = file, raw
        if self._index.find(raw.location) is not None and self._index.find(file.location) is None:
            first, second = raw, file
        self._companions[first.location] = second
        return first

    def _process(self, file: FoundFile, stored: StoredImage | None, content: Content) -> None:
        if isinstance(content, Loaded):
            known = self._index.row_with_content(content.digest)
            if known is not None:
                self._store([(stored, dataclasses.replace(known, **self._file_facts(file, stored)))])
                if stored is None:
                    self.reused.append(content.digest)
                return
            self._pixels[len(self._batch)] = content.image.pixels
            self._batch.append((file, content, stored))
            if len(self._batch) == self._batch_size:
                self._start_batch()
        elif isinstance(content, Skipped):
            if content.detail:
                _LOG.debug("%s: %s (%s)", file.location, content.reason, content.detail)
            if stored is not None:
                self._index.mark_removed(stored, file.location)
            if file.location in self._companions:
                self._left.append(self._companions.pop(file.location))
            self.skipped.append((file, content.reason))
            if content.missing is not None:
                self.missing[content.missing] += 1
        elif stored is not None and isinstance(content, Unchanged):
            self._index.mark_unchanged(stored, file.mtime_ns, self._companion(file, stored))
            self.unchanged += 1
        else:
            self.ignored += 1

    def _start_batch(self) -> None:
        """Give a batch to the encoder, and finish earlier ones if it has enough to do."""
        if not self._batch:
            return
        self._started.append((self._model.start(self._pixels[: len(self._batch)], classes=True), self._batch))
        self._batch, self._pixels = [], self._new_pixels()
        ahead = self._model.images_ahead(self._batch_size)
        while self._started[0][0].done() or sum(len(images) for _, images in self._started) > ahead:
            self._finish_batch()
            if not self._started:
                return

    def _finish_batch(self, seconds: float | None = None) -> None:
        started, images = self._started[0]
        vectors, *further = started.result(seconds)
        self._started.popleft()
        with np.errstate(over="ignore"):
            # Of numbers above 10^19 the length is not finite either.
            finite = np.isfinite(np.linalg.norm(vectors, axis=1))
        scores = top_classes(further[0]) if further else None
        rows = []
        for position, ((file, loaded, stored), vector) in enumerate(zip(images, vectors, strict=True)):
            if not finite[position]:
                reason = f"encoder {self._model.info.name} returns values that are not finite, or too large"
                self.skipped.append((file, reason))
                continue
            image = loaded.image
            row = Row(
                **self._file_facts(file, stored),
                digest=loaded.digest,
                width=image.width,
                height=image.height,
                embedding=vector,
                brightness=image.brightness,
                color=image.color,
                contrast=image.contrast,
                sharpness=image.sharpness,
                exif=image.exif,
                thumbnail=image.thumbnail,
                scores=ClassScores(scores.classes[position], scores.probabilities[position]) if scores else None,
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

    def _file_facts(self, file: FoundFile, stored: StoredImage | None) -> dict[str, Any]:
        """Return what a row says of its file; the rest of it is about the content."""
        return {
            "path": relative_path(file.location, self._base),
            "root": self._base,
            "source": file.root,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "companion": self._companion(file, stored),
        }

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

    def _companion(self, file: FoundFile, stored: StoredImage | None) -> str:
        """Return the name of the second file of a picture, and count it; "" if there is none."""
        if file.location in self._companions:
            name = self._companions[file.location].location.rpartition("/")[2]
        else:
            name = self._index.companion(stored) if stored is not None else ""
            # A file that was not searched for may still exist.
            if name and f"{file.location.rpartition('/')[0]}/{name}" in self._scope:
                name = ""
        self.paired += name != ""
        return name

    def _new_pixels(self) -> Pixels:
        spec = self._model.info.input_spec
        return np.empty((self._batch_size, spec.height, spec.width, spec.channels), dtype=np.uint8)


def _is_unchanged(file: FoundFile, stored: StoredImage) -> bool:
    """Return whether size and time say so; a web server that tells neither ETag nor date says nothing (time 0)."""
    same = (file.size, file.mtime_ns) == (stored.size, stored.mtime_ns)
    return same and (file.mtime_ns != 0 or url_of(file.root) is None)
