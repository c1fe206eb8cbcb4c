"""Signals interrupt a command, whatever a library makes of the exception, and nothing after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from PIL import Image

from imgcluster.cli.first_signals import INTERRUPTED, MESSAGE
from imgcluster.cli.screen import Screen, boundary

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals")


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
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


def _import_that_fails() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None


def _callback() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        return


@pytest.mark.parametrize("work", [_import_that_fails, _callback])
def test_an_interruption_that_a_library_hides_counts(
    work: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as stopped, boundary(Screen(False, True, False)):
        work()
    assert stopped.value.exit_code == INTERRUPTED
    assert capsys.readouterr().err.splitlines() == [f"imgcluster: {MESSAGE}"]


OUTSIDE = "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
SWALLOWED = """
with signals_interrupt():
    for _ in range(2):
        try:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            time.sleep(60)
        except KeyboardInterrupt:
            continue
    time.sleep(60)
"""


@pytest.mark.parametrize("words", [[], ["--json"]])
@pytest.mark.parametrize("work", [OUTSIDE, SWALLOWED])
def test_a_process_ends_with_one_line_and_an_object(work: str, words: list[str]) -> None:
    program = (
        "import os, signal, threading, time\n"
        "from imgcluster.cli.first_signals import end_at_signals\n"
        "from imgcluster.cli.interruption import run_interruptibly, signals_interrupt\n"
        "end_at_signals()\n"
        f"run_interruptibly(lambda: exec({work!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    process = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == INTERRUPTED
    assert process.stderr.splitlines() == [f"imgcluster: {MESSAGE}"]
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert answers == [{"error": MESSAGE, "exit_code": INTERRUPTED}] * len(words)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_closed_streams_are_opened(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    """Without that the first file that is written could have the number that libraries print to."""
    words = ["embed", pictures, "-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    shell = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "imgcluster", *map(str, words)]
    assert subprocess.run(shell, env=environment, check=False).returncode == 0
    assert (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_the_first_imports(name: str) -> None:
    # What Python itself imports before a program starts cannot be interrupted cleanly.
    program = (
        "import os, signal, sys\n"
        "sent = []\n"
        "def send(event, arguments):\n"
        "    if event == 'import' and arguments[0] in ('typing', 'contextlib', 'threading') and not sent:\n"
        "        sent.append(arguments[0])\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "sys.modules.pop('imgcluster', None)\n"
        "for module in ('typing', 'contextlib', 'threading'): sys.modules.pop(module, None)\n"
        "sys.addaudithook(send)\n"
        "from imgcluster.__main__ import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert process.returncode == INTERRUPTED, process.stderr
    assert process.stderr.splitlines() == [f"imgcluster: {MESSAGE}"]


def test_what_libraries_print_is_hidden_and_python_is_heard() -> None:
    program = (
        "import os, sys\n"
        "from imgcluster.cli.screen import Screen, boundary\n"
        "for verbose in (False, True):\n"
        "    with boundary(Screen(False, False, verbose)):\n"
        "        os.write(2, f'library {verbose}\\n'.encode())\n"
        "        sys.stderr.write(f'python {verbose}\\n')\n"
        "os.write(2, b'after\\n')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert process.stderr.splitlines() == ["python False", "library True", "python True", "after"]


def test_an_interrupted_training_says_that_the_same_command_continues(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for number in range(8):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
    words = ["train-encoder", "--dataset", str(tmp_path), "--epochs", "100000", "--name", "x", "--output", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "imgcluster", *words, "--fresh", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = tmp_path / "out" / "x.training" / "checkpoint.pt"
    try:
        while process.poll() is None and not checkpoint.exists():
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED, errors
    assert errors.splitlines()[-1] == f"imgcluster: {MESSAGE}"
