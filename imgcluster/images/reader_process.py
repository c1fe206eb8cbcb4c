"""One reader as the process that starts it sees it: it gets tasks and answers them in their order."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from imgcluster.images.found import FoundFile
from imgcluster.images.load import Content
from imgcluster.images.reader import request_text
from imgcluster.images.shared import SharedMemory

__all__ = ["Inbox", "ReaderProcess", "Request", "Task"]

_LOG = logging.getLogger(__name__)

# The path of modules comes first: a reader imports what this process would, and nothing from the current folder.
_PROGRAM: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from imgcluster.images.reader import main; main()"
)
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True)
class Request:
    """A file to read; one with the digest `known_digest` is not decoded."""

    file: FoundFile
    known_digest: bytes | None = None


@dataclass(eq=False, slots=True)
class Task:
    """Some files that one reader reads, and the results so far; a large image is a task of its own.

    Attributes:
        requests: The files.
        block: The block of shared memory with their pixels.
        positions: The positions of their pixels in the block.
        memory: The bytes that one image may take.
        parent: The task of which a large image was a part.
    """

    requests: list[Request]
    block: int
    positions: list[int]
    memory: int
    results: dict[int, Content] = field(default_factory=dict)
    first: int = 0
    parent: Task | None = None

    @property
    def missing(self) -> list[int]:
        return [position for position in self.positions if position not in self.results]

    def record(self, position: int, content: Content) -> None:
        (self.parent or self).results[position] = content
        self.results[position] = content


class ReaderProcess:
    """A process that reads files, and the tasks it was given."""

    def __init__(self, number: int, description: dict[str, Any], memory: SharedMemory, inbox: Inbox) -> None:
        self.number = number
        self.tasks: deque[Task] = deque()
        self.too_slow = False
        memory.status[number] = (0.0, -1)
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            options = {"creationflags": flags}
        elif isinstance(memory.key, int):
            options["pass_fds"] = (memory.key,)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
            **options,
        )
        self._send(json.dumps(_module_path()))
        self._send(json.dumps({**description, "number": number}))
        self._thread = threading.Thread(target=self._listen, args=(inbox,), name="imgcluster-reader", daemon=True)
        self._thread.start()

    def give(self, task: Task, memory: SharedMemory) -> None:
        """Give the reader a task; it answers once per task, in their order."""
        entries = [
            (position, request.file, request.known_digest)
            for position, request in zip(task.positions, task.requests, strict=True)
            if position not in task.results
        ]
        text = request_text(task.first, entries)
        memory.request(task.block)[: len(text)] = memoryview(text)
        self.tasks.append(task)
        self._send(f"{task.block} {len(text)} {task.memory}")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError as error:  # something was not sent yet
            _LOG.debug("reader %d: %s", self.number, error)

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            # The process has ended, which the other thread reports.
            _LOG.debug("reader %d: %s", self.number, error)

    def _listen(self, inbox: Inbox) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as answers:
            for line in answers:
                inbox.put((self, line))
        inbox.put((self, b""))


Inbox = queue.SimpleQueue[tuple[ReaderProcess, bytes]]
"""Answers, each with its reader; an empty one says that the process has ended."""


def _module_path() -> list[str]:
    """Return where this process finds modules, without the current folder."""
    package = str(Path(__file__).parents[2])
    return [package, *(entry for entry in sys.path if entry and entry != package)]
