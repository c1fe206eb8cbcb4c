"""`report --figures`: which files there are, and that they are never those of another clustering."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster.cli.app import app
from imgcluster.workspace import shards


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.embed([pictures], workspace=out, encoder=tiny_encoder, device="cpu")
    return out


def names(workspace: Path) -> set[str]:
    return {path.name for path in (workspace / "figures").iterdir()}


def both(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}


def contents(workspace: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workspace / "figures").iterdir()}


def test_every_figure_there_is_data_for_and_the_same_bytes_each_time(
    workspace: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imgcluster.cluster(workspace=workspace, method="hdbscan")
    imgcluster.evaluate(workspace=workspace)
    (pictures / "red/00.png").unlink()
    result = CliRunner().invoke(app, ["report", "--figures", "-w", str(workspace), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["figures"] == str(workspace / "figures")
    clusters = pages.read(workspace / "report.html").document["clusters"]
    montages = [f"cluster_{cluster['number']:03d}" if cluster["number"] >= 0 else "noise" for cluster in clusters]
    assert names(workspace) == both("map", "sizes", "silhouettes", "tree", "confusion", *montages)
    first = contents(workspace)
    # As for many vectors.
    monkeypatch.setattr(shards, "_STREAMED_FROM", 0)
    imgcluster.report_page(workspace=workspace, figures=True)
    assert contents(workspace) == first


@pytest.mark.slow
def test_they_follow_plans_and_go_with_their_clustering(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3)
    imgcluster.report_page(workspace=workspace, figures=True)
    usual = both("map", "sizes", "silhouettes", "cluster_000", "cluster_001", "cluster_002")
    assert names(workspace) == usual
    drawn = {path: path.read_bytes() for path in (workspace / "figures").iterdir()}
    (workspace / "figures/mine.png").write_bytes(b"of mine")
    identity = pages.read(workspace / "report.html").document["identity"]
    plan = workspace.parent / "plan.json"
    plan.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, "names": {"1": "Sea"}}), encoding="utf-8")
    imgcluster.apply(plan, workspace=workspace)
    assert names(workspace) == {"mine.png"}
    imgcluster.report_page(workspace=workspace, figures=True)
    assert both("cluster_001_sea") <= names(workspace)
    imgcluster.undo(workspace=workspace)
    assert names(workspace) == {"mine.png"}
    # As drawing them again would.
    for path, content in drawn.items():
        path.write_bytes(content)
    imgcluster.cluster(workspace=workspace, k=2)
    assert names(workspace) == {"mine.png"}


def test_settings_of_matplotlib_in_the_current_folder_are_ignored(workspace: Path, tmp_path: Path) -> None:
    """They can make it run LaTeX with commands of whoever wrote them."""
    imgcluster.cluster(workspace=workspace, k=3)
    folder = tmp_path / "folder of a stranger"
    folder.mkdir()
    settings = "text.usetex: True\ntext.latex.preamble: \\undefined\nfont.family: Nowhere\n"
    (folder / "matplotlibrc").write_text(settings, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "imgcluster", "report", "--figures", "-w", workspace],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "font" in done.stderr) == (0, False), done.stderr
    assert "map.png" in names(workspace)
