"""A workspace that can only be read, as on a read-only file system: what changes nothing works."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from faults import refuse_writes
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster.cli.app import app
from samples import paint
from tiny_models import mean_colour


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, an encoder, a plan and a workspace without lock and caches."""
    folder = tmp_path_factory.mktemp("read-only")
    encoder = mean_colour(folder / "tiny.onnx")
    paint(folder / "pictures", per_folder=4)
    imgcluster.run(folder / "pictures", workspace=folder / "out", encoder=encoder, device="cpu", k=3, place="copy")
    plan = {"imgcluster_plan": 1, "clustering": pages.read(folder / "out/report.html").document["identity"]}
    (folder / "plan.json").write_text(json.dumps(plan | {"names": {"0": "first"}}), encoding="utf-8")
    for name in (".lock", "layers.parquet", "layout.parquet", "neighbors.parquet", "reduction.npz"):
        (folder / "out" / name).unlink(missing_ok=True)
    return folder


def run(folder: Path, text: str) -> tuple[int, str]:
    words = [word.replace("FOLDER", str(folder)) for word in text.split()]
    if words[0] != "evaluate" or len(words) < 5:
        words += ["-w", str(folder / "out")]
    before = files(folder / "out")
    with refuse_writes(folder / "out"):
        done = CliRunner().invoke(app, words)
    assert files(folder / "out") == before
    return done.exit_code, done.stderr


def files(out: Path) -> dict[Path, bytes]:
    # What C++ writes is not seen by `refuse_writes`, except for its renaming.
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.suffix != ".tmp"}


@pytest.mark.parametrize(
    "text",
    [
        "history",
        "verify",
        "verify --rerun",
        "similar FOLDER/pictures/red/00.png --page FOLDER/similar.html",
        "report --output FOLDER/page.html",
        "export --output FOLDER/exported.csv",
        "evaluate FOLDER/out --method kmeans --k 2 --labels folders",
        "embed --status",
        "outliers --only blurred -q",
        "cluster --k 2 --dry-run",
        "assign --dry-run",
        "apply FOLDER/plan.json --dry-run",
        "undo --dry-run",
        "run FOLDER/pictures --encoder FOLDER/tiny.onnx --device cpu --k 2 --recluster --dry-run",
    ],
)
def test_what_changes_nothing_works(folder: Path, text: str) -> None:
    assert run(folder, text) == (0, "")


@pytest.mark.parametrize("text", ["report", "cluster --k 2", "duplicates", "undo", "evaluate --labels folders"])
def test_what_changes_something_says_so(folder: Path, text: str) -> None:
    code, line = run(folder, text)
    assert code == 1
    assert line.count("\n") == 1
    assert all(fact in line for fact in (str(folder / "out"), "Read-only file system", "--output"))


def test_a_page_elsewhere(folder: Path, tmp_path: Path) -> None:
    out = folder / "out"
    for cache in ("layout.parquet", "neighbors.parquet"):
        (out / cache).unlink(missing_ok=True)

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}

    before = files()
    for _ in range(2):
        summary = imgcluster.report_page(workspace=out, output=tmp_path / "page.html")
        assert summary.report == str(tmp_path / "page.html")
    assert files() == before
    folders = [pages.read(path).document["images"]["folders"] for path in (tmp_path / "page.html", out / "report.html")]
    assert ["pictures/red" in str(found) for found in folders] == [True, True]
    assert folders[0] != folders[1]
    (tmp_path / "notes.html").write_text("<!doctype html>mine", encoding="utf-8")
    with pytest.raises(imgcluster.UsageError, match=r"notes\.html exists"):
        imgcluster.report_page(workspace=out, output=tmp_path / "notes.html")
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(imgcluster.UsageError, match=r"pipe\.html exists"):
        imgcluster.report_page(workspace=out, output=tmp_path / "pipe.html")
    with pytest.raises(imgcluster.UsageError, match="inside the workspace"):
        imgcluster.report_page(workspace=out, output=out / "other.html")
    with pytest.raises(imgcluster.UsageError, match="--figures"):
        imgcluster.report_page(workspace=out, output=tmp_path / "page.html", figures=True)
