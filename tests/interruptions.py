"""Interruptions at a chosen point of a command; nothing here is a test."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from imgcluster.progress import Progress


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
