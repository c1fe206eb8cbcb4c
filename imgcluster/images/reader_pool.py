"""Reader processes that share one memory budget, work in chunks of files, and are replaced if they crash or hang."""

from __future__ import annotations

import dataclasses
import json
import logging
import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from imgcluster.images.load import Content, Large, Skipped, read_image
from imgcluster.images.reader import from_plain
from imgcluster.images.reader_process import Inbox, ReaderProcess, Request, Task
from imgcluster.images.shared import REQUEST_BYTES, Layout, SharedMemory
from imgcluster.images.types import InputSpec
from imgcluster.machine import READING_SECONDS, processors, reading_memory

__all__ = ["ReaderPool", "ReaderSettings", "Results", "read_now"]

_LOG = logging.getLogger(__name__)

_LEAST_SHARE: Final = 64 << 20

# A request ends when one of these is reached.
_REQUEST_FILES: Final = 128
_REQUEST_FILE_BYTES: Final = 4 << 20
_REQUEST_PIXELS: Final = 2 << 20
# The most bytes of a character of a path in JSON, and of everything else about a file.
_BYTES_PER_CHARACTER: Final = 6
_FILE_BYTES: Final = 128

# One is read while the next waits; with one more, a slow file does not stop the other readers at once.
_REQUESTS_PER_READER: Final = 2
_BLOCKS_PER_READER: Final = 3
_CHECK_SECONDS: Final = 0.2
# So many readers in a row that end before they read anything do not work here.
_FAILURES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """How files are read.

    Attributes:
        workers: The number of processes.
        memory: The bytes that the images being decoded may take together.
        seconds: How long reading one file may take.
    """

    workers: int = field(default_factory=processors)
    memory: int = field(default_factory=reading_memory)
    seconds: float = READING_SECONDS


Results = list[tuple[Request, Content]]
"""Files with what was read; pixels are valid until the next list."""


def read_now(request: Request, spec: InputSpec | None, memory: int) -> Content:
    """Read a file in this process; an image that needs more than `memory` bytes is skipped."""
    content = read_image(request.file, spec, request.known_digest, memory=memory)
    return _too_large(content.memory, memory) if isinstance(content, Large) else content


class ReaderPool:
    """Reader processes that share one memory budget; without `spec` they read headers."""

    def __init__(self, spec: InputSpec | None, settings: ReaderSettings) -> None:
        self._spec = spec
        self._budget = settings.memory
        self._seconds = settings.seconds
        count = max(1, min(settings.workers, settings.memory // _LEAST_SHARE))
        self._share = settings.memory // count
        height, width, channels = (spec.height, spec.width, spec.channels) if spec else (1, 1, 1)
        images = max(1, min(_REQUEST_FILES, _REQUEST_PIXELS // (height * width * channels)))
        layout = Layout(count, count * _BLOCKS_PER_READER, images, height, width, channels)
        self._images = images
        self._memory = SharedMemory.create(layout)
        self._description = {
            "memory": self._memory.key,
            "layout": dataclasses.asdict(layout),
            "spec": dataclasses.asdict(spec) if spec else None,
        }
        self._inbox: Inbox = queue.SimpleQueue()
        self._free = deque(range(layout.blocks))
        self._large: deque[Task] = deque()
        self._next_file = 0
        self._failures = 0
        self._broken = False
        self._next_check = 0.0
        self._count = count
        self._group: list[Request] | None = None
        self._readers: list[ReaderProcess] = []
        try:
            # The others are started when there is work for them; this one shows that processes can be started.
            self._readers.append(self._start(0))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once."""
        for reader in self._readers:
            reader.process.kill()
        for reader in self._readers:
            reader.close()
        self._memory.close()

    def read(self, requests: Iterable[Request]) -> Iterator[Results]:
        """Read files and yield the results in their order."""
        groups = self._groups(iter(requests))
        pending: deque[Task] = deque()
        while True:
            self._give_tasks(groups, pending)
            if not pending:
                return
            if pending[0].missing:
                self._wait()
                continue
            task = pending.popleft()
            yield [(request, task.results[number]) for number, request in enumerate(task.requests)]
            self._free.append(task.block)

    def _start(self, number: int) -> ReaderProcess:
        return ReaderProcess(number, self._description, self._memory, self._inbox)

    def _groups(self, requests: Iterator[Request]) -> Iterator[list[Request]]:
        group: list[Request] = []
        size = text = 0
        for request in requests:
            file = request.file
            length = _FILE_BYTES + _BYTES_PER_CHARACTER * (len(file.root) + len(file.path) + len(file.moved_to))
            if group and text + length > REQUEST_BYTES:
                yield group
                group, size, text = [], 0, 0
            group.append(request)
            size += request.file.size
            text += length
            if len(group) == self._images or size >= _REQUEST_FILE_BYTES:
                yield group
                group, size, text = [], 0, 0
        if group:
            yield group

    def _give_tasks(self, groups: Iterator[list[Request]], pending: deque[Task]) -> None:
        """Give readers what they can take: large images first, as soon as the budget has room for one."""
        while self._large:
            task = self._large[0]
            reader = next((reader for reader in self._readers if not reader.tasks), None)
            if reader is None or self._claimed() + task.memory > self._budget:
                return
            self._give(reader, self._large.popleft())
        while self._free:
            self._group = self._group or next(groups, None)
            reader = self._free_reader() if self._group else None
            if self._group is None or reader is None:
                return
            task = Task(self._group, self._free.popleft(), list(range(len(self._group))), self._share)
            self._group = None
            pending.append(task)
            self._give(reader, task)

    def _free_reader(self) -> ReaderProcess | None:
        """Return a reader that can take more files, or start one; None if all are busy or the budget has no room."""
        able = [reader for reader in self._readers if not any(task.parent for task in reader.tasks)]
        reader = min(able, key=lambda reader: len(reader.tasks), default=None)
        has_room = self._claimed() + self._share <= self._budget
        if (reader is None or reader.tasks) and has_room and len(self._readers) < self._count and not self._broken:
            try:
                self._readers.append(self._start(len(self._readers)))
                return self._readers[-1]
            except OSError as error:
                _LOG.debug("no further reader: %s", error)
                self._count = len(self._readers)
        if reader is None or len(reader.tasks) >= _REQUESTS_PER_READER or not (reader.tasks or has_room):
            return None
        return reader

    def _claimed(self) -> int:
        """Return the memory that the running tasks may take."""
        return sum(max(task.memory for task in reader.tasks) for reader in self._readers if reader.tasks)

    def _give(self, reader: ReaderProcess, task: Task) -> None:
        if self._broken:
            for position in task.missing:
                request = task.requests[task.positions.index(position)]
                task.record(position, read_now(request, self._spec, self._budget))
            return
        task.first = self._next_file
        self._next_file += len(task.missing)
        reader.give(task, self._memory)

    def _wait(self) -> None:
        """Wait for an answer or the end of a process, and kill readers that take too long."""
        if time.monotonic() > self._next_check and self._inbox.empty():
            self._kill_slow_readers()
            self._next_check = time.monotonic() + _CHECK_SECONDS
        try:
            reader, line = self._inbox.get(timeout=_CHECK_SECONDS)
        except queue.Empty:
            return
        if reader not in self._readers:
            return
        results = _parsed(line, reader.tasks[0]) if reader.tasks else None
        if results is None:
            self._replace(reader)
            return
        self._failures = 0
        self._accept(reader.tasks.popleft(), results)

    def _accept(self, task: Task, results: list[Any]) -> None:
        pixels = self._memory.pixels(task.block)
        for position, value in zip(task.missing, results, strict=True):
            content = from_plain(value, pixels[position])
            if not isinstance(content, Large):
                task.record(position, content)
            elif not task.memory < content.memory <= self._budget:
                task.record(position, _too_large(content.memory, self._budget))
            else:
                request = task.requests[task.positions.index(position)]
                self._large.append(Task([request], task.block, [position], content.memory, parent=task.parent or task))

    def _kill_slow_readers(self) -> None:
        for reader in self._readers:
            file, start = self._status(reader)
            if file >= 0 and time.monotonic() - start > self._seconds and self._status(reader) == (file, start):
                reader.too_slow = True
                reader.process.kill()

    def _status(self, reader: ReaderProcess) -> tuple[int, float]:
        status = self._memory.status[reader.number]
        return int(status["file"]), float(status["start"])

    def _replace(self, reader: ReaderProcess) -> None:
        """Replace a reader that has ended, and skip the file that it was reading."""
        reader.close()
        file, _ = self._status(reader)
        code = reader.process.returncode
        reason = f"reading it took longer than {self._seconds:g} s" if reader.too_slow else _crashed(code)
        blamed = False
        for task in reader.tasks:
            missing = task.missing
            if 0 <= file - task.first < len(missing):
                task.record(missing[file - task.first], Skipped(reason))
                blamed = True
        self._failures = 0 if blamed else self._failures + 1
        tasks = [task for task in reader.tasks if task.missing]
        reader.tasks.clear()
        try:
            if self._failures < _FAILURES:
                reader = self._readers[reader.number] = self._start(reader.number)
        except OSError as error:
            _LOG.debug("no new reader: %s", error)
            self._failures = _FAILURES
        if self._failures >= _FAILURES:
            _LOG.warning("the processes that read images end with exit code %s; images are read without them", code)
            self._broken = True
        for task in tasks:
            self._give(reader, task)


def _parsed(line: bytes, task: Task) -> list[Any] | None:
    """Return the results in a reader's answer; None if the reader has ended, also in the middle of it."""
    try:
        results = json.loads(line)
    except ValueError:
        return None
    return results if isinstance(results, list) and len(results) == len(task.missing) else None


def _crashed(code: int) -> str:
    return f"its decoder crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})"


def _too_large(need: int, budget: int) -> Skipped:
    megabytes = f"{need / 1e6:,.0f} MB of memory, the limit is {budget / 1e6:,.0f} MB"
    return Skipped(f"too large: decoding it needs {megabytes}; --memory of embed raises it")
