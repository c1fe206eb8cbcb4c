"""The command line, run on folders named after their case."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from imgcluster.cli.app import app

Command = Callable[..., Result]


@pytest.fixture(scope="module", autouse=True)
def _few_fits(few_fits: None) -> None:
    """How often k-means is fitted is tested where it is."""


@pytest.fixture
def command(tiny_encoder: Path) -> Command:
    """Run ``imgcluster WORDS…`` in this process; `run` and `embed` get the tiny encoder on the CPU."""

    def invoke(*words: str | Path) -> Result:
        texts = [str(word) for word in words]
        if texts[0] in ("run", "embed"):
            texts += ["--encoder", str(tiny_encoder), "--device", "cpu"]
        return CliRunner().invoke(app, texts)

    return invoke


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB, where this process may mount one."""
    disk, mount = tmp_path / "disk", shutil.which("mount")
    disk.mkdir()
    command = [mount or "", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if mount is None or os.name == "nt" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
