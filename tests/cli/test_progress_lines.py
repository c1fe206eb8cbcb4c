"""Progress without a terminal: a line every 30 seconds on standard error."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import imgcluster
from imgcluster.cli import progress_lines
from imgcluster.cli.progress_lines import STAGES, ProgressLines
from imgcluster.cli.screen import Screen
from imgcluster.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(clock)
    for second in range(95):
        clock.now = float(second)
        lines(Progress("embed", 10 * second, 2000))
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 3
    # The count, the total, what is counted, and the rate since the line before.
    assert [re.findall(r"[\d,]*\d", line) for line in printed] == [
        ["300", "2,000", "10"],
        ["600", "2,000", "10"],
        ["900", "2,000", "10"],
    ]
    assert all("files" in line for line in printed)


def test_a_stage_without_steps_has_lines_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clustering of millions of images takes hours."""
    monkeypatch.setattr(progress_lines, "SECONDS", 0.01)
    with Screen(False, False, False).progress() as on_progress:
        on_progress(Progress("cluster", 0))
        printed = ""
        end = time.monotonic() + 30
        while printed.count("\n") < 3 and time.monotonic() < end:
            time.sleep(0.01)
            printed += capsys.readouterr().err
    printed += capsys.readouterr().err
    assert set(printed.splitlines()) == {"imgcluster: Clustering"}
    time.sleep(0.1)
    assert not capsys.readouterr().err


def test_every_stage_has_a_title() -> None:
    files = Path(imgcluster.__file__).parent.rglob("*.py")
    stages = {stage for file in files for stage in re.findall(r'Progress\("([^"]+)"', file.read_text(encoding="utf-8"))}
    assert len(stages) > 20
    assert stages <= STAGES.keys()


def test_the_rate_is_that_of_the_current_stage(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(clock)
    lines(Progress("find", 100_000))
    clock.now = 31.0
    lines(Progress("embed", 620, 1000))
    assert re.findall(r"[\d,]*\d", capsys.readouterr().err) == ["620", "1,000", "20"]


def test_a_slow_stage_has_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(clock)
    clock.now = 30.0
    lines(Progress("figures", 12, 22))
    assert re.findall(r"[\d.]*\d", capsys.readouterr().err) == ["12", "22", "0.4"]


def test_a_short_command_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines(Clock())
    lines(Progress("embed", 5, 5))
    assert not capsys.readouterr().err
