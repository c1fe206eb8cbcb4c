"""The README is true: its commands exist and run, its files are there, its Python works."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import imgcluster
from imgcluster.cli.app import app

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Return every `imgcluster …` line of the README's code blocks, without comments."""
    blocks = re.findall(r"```\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("imgcluster ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def names() -> set[str]:
    return {str(command.name) for command in app.registered_commands} | {"encoders list", "encoders info"}


def test_every_command_is_in_the_readme() -> None:
    for name in names():
        assert f"imgcluster {name}" in README, name


def test_every_option_is_in_the_readme_or_obvious() -> None:
    help_only = {
        "--count",
        "--steps-per-epoch",
        "--spread",
        "--workers",
        "--batch-size",
        "--verbose",
        "--quiet",
        "--workspace",
        "--no-recursive",
        "--version",
    }
    texts = [CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "300"}).stdout for name in names()]
    options = {option for text in texts for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    missing = {option for option in options - help_only if option not in README and option != "--help"}
    assert missing == set()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_is_understood(words: list[str]) -> None:
    """Parsed with --help at the end, which stops before the work but after unknown options are refused."""
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    shown = {option for option in words if option.startswith("--")}
    for option in shown:
        assert option in CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "300"}).stdout


def test_the_session_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/some").mkdir(parents=True)
    for number, path in enumerate(sorted((TOP / "examples/photos").glob("*.jpg"))[:24]):
        shutil.copy(path, tmp_path / ("photos" if number % 2 else "photos/some"))
    for line in (
        "embed ./photos",
        "cluster --k 10",
        "run ./photos --k 10",
        "run ./photos",
        "evaluate --labels folders",
        "undo",
    ):
        assert f"imgcluster {line}" in README
        result = CliRunner().invoke(app, line.split())
        assert result.exit_code == 0, result.output


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/first", "photos/second"):
        shutil.copytree(TOP / "examples/photos", tmp_path / name)
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(block, "README", "exec"), {})


def test_what_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (TOP / target).exists(), target
    for name in re.findall(r"python -m (benchmarks\.\w+)", README):
        assert (TOP / f"{name.replace('.', '/')}.py").exists(), name


def test_the_public_functions_are_named_and_documented() -> None:
    for name in imgcluster.__all__:
        public = getattr(imgcluster, name)
        if callable(public):
            assert public.__doc__, name
        if callable(public) and not isinstance(public, type):
            assert f"`{name}`" in README, name
