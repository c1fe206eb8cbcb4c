"""Interruptions at a chosen point of a command, and the processes that one leaves; nothing here is a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from imgcluster.progress import Progress


def children(process: int | str = "self") -> list[int]:
    """Return the processes that any thread of a process has started."""
    numbers: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        # A thread may end while the others are looked at.
        with suppress(FileNotFoundError, ProcessLookupError):
            numbers += map(int, (thread / "children").read_text(encoding="ascii").split())
    return numbers


def interrupt_at(stage: str, done: int = 0) -> Callable[[Progress], None]:
    """Return an `on_progress` that interrupts a command when `done` items of a stage are done."""

    def on_progress(step: Progress) -> None:
        if step.stage == stage and step.done >= done:
            raise KeyboardInterrupt

    return on_progress


def killing_at(patch: pytest.MonkeyPatch, number: int | None) -> list[str]:
    """Interrupt the process instead of its rename with this number, from 0; return a list that grows with each."""
    calls: list[str] = []

    def interrupting(real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: str, target: str) -> None:
            if len(calls) == number:
                raise KeyboardInterrupt
            calls.append(os.fspath(target))
            real(source, target)

        return rename

    patch.setattr(os, "replace", interrupting(os.replace))
    patch.setattr(os, "rename", interrupting(os.rename))
    return calls


class Killed(BaseException):
    """Stands for a kill: nothing can be written after it."""


_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "shutil.rmtree"}


class Kills:
    """Fails all changes of files from a chosen one on, as after a kill, also those of ``finally`` blocks."""

    def __init__(self) -> None:
        self.count = 0
        self._left: int | None = None
        self._active = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._active:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        # The lock is freed by the operating system.
        if not (event in _CHANGES or writes) or str(arguments[0]).endswith(".lock"):
            return
        if self._left is not None and self.count >= self._left:
            raise Killed
        self.count += 1

    @contextmanager
    def after(self, changes: int | None) -> Iterator[None]:
        """Kill the block after so many changes of files; with None only count them."""
        self.count, self._left, self._active = 0, changes, True
        try:
            yield
        except Killed:
            pass
        finally:
            self._active = False
