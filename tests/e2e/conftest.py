"""The command line, run on folders named after their case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from imgcluster.cli.app import app

Command = Callable[..., Result]


@pytest.fixture
def command(tiny_encoder: Path) -> Command:
    """Run ``imgcluster WORDS…`` in this process; `run` and `embed` get the tiny encoder on the CPU."""

    def invoke(*words: str | Path) -> Result:
        texts = [str(word) for word in words]
        if texts[0] in ("run", "embed"):
            texts += ["--encoder", str(tiny_encoder), "--device", "cpu"]
        return CliRunner().invoke(app, texts)

    return invoke
