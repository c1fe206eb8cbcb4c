"""Workspaces of earlier versions are read; those of a newer format are refused with its version.

``data/workspace-format-1-627280a.zip`` was written by commit 627280a: nine pictures (their paths were
``/tmp/imgcluster-fixture/pictures/…``) in three clusters by copies, then a plan with a name, a merge and a correction.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import imgcluster
from imgcluster.cli.app import app
from imgcluster.workspace.folder import FORMAT

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=sorted(DATA.glob("workspace-*.zip")), ids=lambda path: path.stem)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a workspace of an earlier version, its pictures and its encoder."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def names(out: Path) -> dict[str, str]:
    return {row["cluster"]: row["name"] for row in imgcluster.load(out).clusters}


def test_an_earlier_workspace_is_read(earlier: Path) -> None:
    out = earlier / "out"
    collection = imgcluster.load(out)
    assert (len(collection.paths), collection.vectors.shape[1]) == (9, 48)
    assert names(out) == {"0": "first", "2": ""}
    # Older workspaces have no known clusters yet, and the originals are not where they were.
    summary = imgcluster.verify(workspace=out, quick=True)
    assert {finding.check for finding in summary.findings if finding.level == "problem"} <= {"decisions", "page"}
    imgcluster.report_page(workspace=out)
    imgcluster.export(earlier / "x.csv", workspace=out)
    assert imgcluster.outliers(workspace=out).images == 9


def test_an_earlier_workspace_can_be_repaired_and_undone(earlier: Path) -> None:
    out = earlier / "out"
    imgcluster.verify(workspace=out, repair=True)
    assert names(out) == {"0": "first", "2": ""}
    imgcluster.undo(workspace=out)
    assert names(out) == {"0": "", "1": "", "2": ""}
    imgcluster.undo(workspace=out)
    # Without their originals the copies may be the last ones.
    assert len(list((out / "clusters").rglob("*.png"))) == 9


def test_an_earlier_workspace_grows(earlier: Path) -> None:
    out = earlier / "out"
    options = {"workspace": out, "encoder": earlier / "tiny.onnx", "device": "cpu"}
    summary = imgcluster.embed(earlier / "pictures", **options)  # type: ignore[arg-type]
    # Known contents are not embedded again.
    assert (summary.embedded, summary.skipped) == (18, 2)
    assert imgcluster.assign(workspace=out).assigned == 9
    assert names(out)["0"] == "first"
    assert imgcluster.cluster(workspace=out, k=3).images == 18
    assert [step.command for step in imgcluster.history(workspace=out).steps] == ["cluster", "assign", "apply"]


COMMANDS = [
    *(["embed", "pictures", "--encoder", "tiny.onnx"], ["cluster"], ["assign"], ["report"], ["undo"], ["history"]),
    *(["apply", "plan.json"], ["duplicates"], ["outliers"], ["similar", "pictures/red/00.png"], ["evaluate"]),
    *(["export", "-o", "x.csv"], ["verify"], ["verify", "--repair"]),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_newer_format_is_refused_with_its_version(
    earlier: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(earlier)
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    Path("out/manifest.json").write_text(json.dumps(manifest | {"format": FORMAT + 7}), encoding="utf-8")
    Path("plan.json").write_text('{"imgcluster_plan": 1, "clustering": "x"}', encoding="utf-8")
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file() and path.name != ".lock"}
    result = CliRunner().invoke(app, [*words, "-w", "out"])
    assert result.exit_code == 1
    assert f"format version {FORMAT + 7}" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    after = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file() and path.name != ".lock"}
    assert after.keys() - before.keys() <= {Path("out/.imgcluster")}
    assert {path: after[path] for path in before} == before


def test_the_format_is_recorded(earlier: Path) -> None:
    imgcluster.run(earlier / "pictures", workspace=earlier / "new", encoder=earlier / "tiny.onnx", device="cpu", k=3)
    manifest = json.loads((earlier / "new/manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == FORMAT
    assert imgcluster.verify(workspace=earlier / "new", quick=True).format == FORMAT
