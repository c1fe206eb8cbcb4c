"""Every option can be set by an environment variable, which ``--help`` shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from imgcluster.cli.app import app


@pytest.mark.parametrize("name", ["embed", "cluster", "run", "evaluate", "report", "apply", "undo"])
def test_every_option_has_its_variable(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = [entry for entry in command.params if entry.param_type_name == "option" and entry.name != "help"]
    assert options
    for entry in options:
        flag = next(word for word in reversed(entry.opts) if word.startswith("--"))
        # What --output is differs between commands.
        expected = "--output-page" if (name, flag) == ("report", "--output") else flag
        assert entry.envvar == "IMGCLUSTER_" + expected.lstrip("-").replace("-", "_").upper()
        assert entry.show_envvar


def test_variables_are_read(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "WORKSPACE": str(tmp_path / "out"),
        "ENCODER": str(tiny_encoder),
        "DEVICE": "cpu",
        "K": "3",
        "PLACE": "none",
        "EXCLUDE": "red/",
        "JSON": "1",
    }.items():
        monkeypatch.setenv(f"IMGCLUSTER_{name}", value)
    done = CliRunner().invoke(app, ["run", str(pictures)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["embed"]["embedded"], len(answer["cluster"]["clusters"]), answer["cluster"]["place"]) == (
        16,
        3,
        "none",
    )
