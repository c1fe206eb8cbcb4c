"""SIGTERM and SIGHUP interrupt a command, and nothing after it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import typer

from imgcluster.cli.screen import INTERRUPTED, Screen, boundary

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals")


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_interrupts_a_command_and_its_handler_is_restored(name: str) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as stopped, boundary(Screen(False, True, False)):
        os.kill(os.getpid(), number)
    assert stopped.value.exit_code == INTERRUPTED
    assert signal.getsignal(number) == before


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    finished = False
    with boundary(Screen(False, True, False)):
        os.kill(os.getpid(), signal.SIGHUP)
        finished = True
    assert finished
