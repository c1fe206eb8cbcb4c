"""``--help`` lists every clustering method of the table."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from imgcluster.cli.app import app
from imgcluster.clustering import METHODS


@pytest.mark.parametrize("command", ["cluster", "run"])
def test_help_lists_the_methods(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    assert {"auto", *METHODS} <= set(re.findall(r"\w+", text))
