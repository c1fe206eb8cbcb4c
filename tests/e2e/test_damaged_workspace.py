"""A damaged file of a workspace ends a command in one line that names the file and the remedy."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import imgcluster
from imgcluster.cli.app import app
from samples import paint
from tiny_models import mean_colour

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("damaged")
    paint(base / "pictures", per_folder=4)
    encoder = mean_colour(base / "tiny.onnx")
    imgcluster.run([base / "pictures"], workspace=base / "out", encoder=encoder, device="cpu", k=3)
    imgcluster.cluster(workspace=base / "out", k=2)
    return base / "out"


def changed(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")

    return edit


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content, encoding="utf-8") and None


def cell(column: str, value: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        rows[0][column] = value
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    return edit


def rows(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join([first, *change(others)]), encoding="utf-8")

    return edit


CASES = {
    "manifest deep": ("manifest.json", text(f'{{"format": 1, "encoder": {DEEP}}}'), "report"),
    "encoder a list": ("manifest.json", changed(lambda value: value.update(encoder=["x"])), "report"),
    "encoder without a name": ("manifest.json", changed(lambda value: value["encoder"].pop("name")), "cluster"),
    "base a number": ("manifest.json", changed(lambda value: value.update(base=5)), "cluster"),
    "unknown metric": ("manifest.json", changed(lambda value: value["encoder"].update(metric="taxi")), "cluster"),
    "roots a text": ("manifest.json", changed(lambda value: value.update(roots="/")), "cluster"),
    "a large version": ("manifest.json", changed(lambda value: value.update(format=10**400)), "report"),
    "metrics deep": ("metrics.json", text(DEEP), "report"),
    "no such layer": ("metrics.json", changed(lambda value: value.update(layer=99)), "report"),
    "a negative seed": ("metrics.json", changed(lambda value: value["options"].update(seed=-1)), "report"),
    "no method": ("metrics.json", changed(lambda value: value.pop("method")), "report"),
    "metrics empty": ("metrics.json", text(""), "report"),
    "cluster x": ("clusters.csv", cell("cluster", "x"), "report"),
    "an unknown cluster": ("clusters.csv", cell("cluster", "77"), "report"),
    "size without end": ("clusters.csv", cell("size", "9" * 5000), "report"),
    "silhouette": ("clusters.csv", cell("silhouette", "nan"), "report"),
    "assigned to x": ("assignments.csv", cell("cluster", "x"), "report"),
    "assigned to 10^30": ("assignments.csv", cell("cluster", str(10**30)), "report"),
    "assigned to -7": ("assignments.csv", cell("cluster", "-7"), "report"),
    "confidence": ("assignments.csv", cell("confidence", "high"), "report"),
    "a row missing": ("assignments.csv", rows(lambda rows: rows[1:]), "report"),
    "a row missing for outliers": ("assignments.csv", rows(lambda rows: rows[1:]), "outliers"),
    "a row twice": ("assignments.csv", rows(lambda rows: [*rows, rows[0]]), "report"),
    "rows in another order": ("assignments.csv", rows(lambda rows: rows[::-1]), "outliers"),
    "journal deep": ("placed.jsonl", text(DEEP), "undo"),
    "journal line deep": ("placed.jsonl", text(f'{{"mode": "copy", "folder": "clusters"}}\n{DEEP}\n'), "undo"),
    "journal mode a list": ("placed.jsonl", text('{"mode": [], "folder": "clusters"}'), "undo"),
    "state": ("applied/001/step.json", changed(lambda value: value.update(shards=5)), "undo"),
    "state deep": ("applied/001/metrics.json", text(DEEP), "undo"),
    "decisions": ("decisions.json", text('{"imgcluster_decisions": 1, "names": 5}'), "cluster"),
    "decisions deep": ("decisions.json", text(f'{{"imgcluster_decisions": {DEEP}}}'), "cluster"),
    "undoing": ("undoing.json", text('{"what": 5}'), "undo"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_names_the_file(original: Path, tmp_path: Path, case: str) -> None:
    name, edit, command = CASES[case]
    shutil.copytree(original, tmp_path / "out", symlinks=True)
    edit(tmp_path / "out" / name)
    result = CliRunner().invoke(app, [command, "-w", str(tmp_path / "out")])
    assert result.exit_code == 1, result.exception
    (line,) = result.stderr.splitlines()
    assert str(tmp_path / "out" / name) in line
    assert "damaged" in line
    assert ";" in line
    assert len(line) < 600
    _, found, words = line.rpartition("run imgcluster verify")
    if found:
        result = CliRunner().invoke(app, ["verify", *shlex.split(words.partition(", or ")[0])])
        assert not [line for line in result.stdout.splitlines() if "damaged" in line], result.stdout
        assert CliRunner().invoke(app, [command, "-w", str(tmp_path / "out")]).exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="files have no holes")
@pytest.mark.parametrize(
    "name", ["manifest.json", "metrics.json", "decisions.json", "assignments.csv", "clusters.csv", "placed.jsonl"]
)
def test_files_that_do_not_fit_into_memory(original: Path, tmp_path: Path, name: str) -> None:
    """A file of a terabyte of holes takes a few bytes in an archive."""
    shutil.copytree(original, tmp_path / "out", symlinks=True)
    with (tmp_path / "out" / name).open("ab") as file:
        file.truncate(1 << 40)
    result = CliRunner().invoke(app, ["report" if name != "decisions.json" else "cluster", "-w", str(tmp_path / "out")])
    assert result.exit_code == 1, result.exception
    (line,) = result.stderr.splitlines()
    assert str(tmp_path / "out" / name) in line


@pytest.mark.parametrize("change", [lambda rows: rows[1:], lambda rows: rows[::-1]])
def test_clusters_are_not_taken_for_those_of_other_images(
    original: Path, tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    shutil.copytree(original, tmp_path / "out", symlinks=True)
    rows(change)(tmp_path / "out/assignments.csv")
    for read in (imgcluster.load, lambda workspace: imgcluster.export(tmp_path / "all.npy", workspace=workspace)):
        with pytest.raises(imgcluster.WorkspaceError, match="verify --repair"):
            read(tmp_path / "out")


@pytest.mark.parametrize("depth", [10_000])
def test_a_deeply_nested_recipe(tmp_path: Path, depth: int) -> None:
    pytest.importorskip("imgcluster_training")
    recipe = tmp_path / "deep.toml"
    recipe.write_text(f"x = {'[' * depth}{']' * depth}\n", encoding="utf-8")
    words = ["train-encoder", "--dataset", "mnist", "--recipe", str(recipe), "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.exception
    (line,) = result.stderr.splitlines()
    assert "deep.toml" in line
