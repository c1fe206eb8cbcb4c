"""Arguments that Python users give: one path, several, or an iterator."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest
import typer

import imgcluster
from imgcluster.cli.app import app


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    imgcluster.embed(pictures, workspace="out", encoder=tiny_encoder, device="cpu")
    return "out"


def test_paths_from_an_iterator(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    found = pictures.rglob("*.png")
    summary = imgcluster.run(found, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", k=3, place="none")
    assert (summary.embed.embedded, summary.embed.skipped) == (24, 0)


@pytest.mark.parametrize("kind", [str, Path])
def test_one_further_file(pictures: Path, tmp_path: Path, tiny_encoder: Path, kind: type) -> None:
    file = kind(pictures / "red/00.png")
    summary = imgcluster.embed(files=file, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    assert (summary.embedded, summary.skipped) == (1, 0)


@pytest.mark.parametrize("kind", [str, Path])
def test_one_workspace(workspace: str, kind: type) -> None:
    assert imgcluster.merge(kind(workspace), workspace="merged").new == 24
    rows = imgcluster.compare(kind("merged"), methods="kmeans", k=3).rows
    assert [(row.method, row.clusters) for row in rows] == [("kmeans", 3)]


def test_one_encoder_is_not_its_letters(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(imgcluster.UsageError, match="given: photos"):
        imgcluster.compare_encoders(pictures, "photos", folder=tmp_path / "compared")


def test_defaults_are_those_of_the_command_line() -> None:
    names = {"import": "import_vectors", "compare": "compare_encoders", "report": "report_page"}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    compared = 0
    for name, command in commands.items():
        function = getattr(imgcluster, names.get(name, name), None)
        if not inspect.isfunction(function):
            continue
        parameters = inspect.signature(function).parameters
        for option in command.params:
            default = getattr(parameters.get(option.name), "default", inspect.Parameter.empty)
            if option.default is not None and default is not inspect.Parameter.empty:
                given = os.fspath(option.default) if isinstance(option.default, Path) else option.default
                assert given == default, f"{name} {option.name}"
                compared += 1
    assert compared > 20
