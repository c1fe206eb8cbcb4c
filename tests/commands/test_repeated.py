"""A command that is repeated after a kill completes what it did, and does not do it twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import imgcluster
import pages
from interruptions import Kills

KILLS = Kills()
TABLES = ("assignments.csv", "clusters.csv", "metrics.json", "decisions.json", "report.html", "changes.csv")
RESULTS = (*TABLES, "manifest.json")


def state(folder: Path, results: tuple[str, ...] = RESULTS) -> dict[str, bytes]:
    """Return the results, the placed files and the originals."""
    found = {name: (folder / "out" / name).read_bytes() for name in results if (folder / "out" / name).exists()}
    for name in ("pictures", "out/clusters"):
        for path in sorted((folder / name).rglob("*")):
            if not path.is_dir():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def steps(folder: Path) -> list[str]:
    return [f"{step.step} {step.command}" for step in imgcluster.history(workspace=folder / "out").steps]


def repeat_after_kills(
    folder: Path,
    command: Callable[[Path], object],
    *,
    last: int | None = None,
    results: tuple[str, ...] = RESULTS,
) -> None:
    """Kill a command at each change of files, or the `last` ones, repeat it, and compare with an undisturbed run."""
    saved = folder.with_name("saved")
    shutil.copytree(folder, saved, symlinks=True)
    with KILLS.after(None):
        command(folder)
    total, expected = KILLS.count, (state(folder, results), steps(folder))
    first = 0 if last is None else max(0, total - last)
    for number in range(first, total + 1):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder, symlinks=True)
        with KILLS.after(number):
            command(folder)
            assert number == total
        if number < total:
            command(folder)
        now = state(folder, results)
        different = [name for name in {*now, *expected[0]} if now.get(name) != expected[0].get(name)]
        assert (different, steps(folder)) == ([], expected[1]), f"after a kill at change {number} of {total}"


@pytest.fixture
def folder(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> Path:
    """A folder with pictures and a workspace that is clustered."""
    base = tmp_path / "base"
    base.mkdir()
    pictures.rename(base / "pictures")
    imgcluster.run([base / "pictures"], workspace=base / "out", encoder=tiny_encoder, device="cpu", k=3)
    return base


@pytest.mark.parametrize("last", [3, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("first", [True, False])
def test_cluster(folder: Path, tiny_encoder: Path, first: bool, last: int | None) -> None:
    """Also of a first clustering, which has no step, and of one with decisions."""
    if first:
        shutil.rmtree(folder / "out")
        imgcluster.embed([folder / "pictures"], workspace=folder / "out", encoder=tiny_encoder, device="cpu")
    else:
        identity = pages.read(folder / "out/report.html").document["identity"]
        plan = {"imgcluster_plan": 1, "clustering": identity, "names": {"0": "Sea"}}
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        imgcluster.apply(folder / "plan.json", workspace=folder / "out")
    before = steps(folder)
    # The manifest has the time that the command took.
    repeat_after_kills(
        folder, lambda folder: imgcluster.cluster(workspace=folder / "out", k=4), last=last, results=TABLES
    )
    assert steps(folder) == [*([] if first else ["2 cluster"]), *before]


def test_a_step_that_changes_nothing_is_not_recorded(folder: Path, tiny_encoder: Path) -> None:
    imgcluster.cluster(workspace=folder / "out", k=4)
    done = state(folder, TABLES)
    next((folder / "out/clusters").rglob("*.png")).unlink()
    imgcluster.cluster(workspace=folder / "out", k=4)
    assert (state(folder, TABLES), steps(folder)) == (done, ["1 cluster"])
    for same in ({"level": "fine"}, {"assign_noise": True}, {"seed": 0, "n_init": 9}):
        imgcluster.cluster(workspace=folder / "out", k=4, **same)
        assert steps(folder) == ["1 cluster"]
    imgcluster.cluster(workspace=folder / "out", k=4, place="copy")
    assert steps(folder) == ["2 cluster", "1 cluster"]
    (folder / "pictures/red/00.png").rename(folder / "pictures/red/new.png")
    imgcluster.embed([folder / "pictures"], workspace=folder / "out", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=folder / "out", k=4)
    assert steps(folder)[0] == "3 cluster"


def test_a_step_that_takes_back_a_plan_is_recorded(folder: Path) -> None:
    identity = pages.read(folder / "out/report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "misplaced": [{"path": "red/00.png", "to": 1}]}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    before = state(folder, TABLES[:2])
    imgcluster.apply(folder / "plan.json", workspace=folder / "out")
    imgcluster.cluster(workspace=folder / "out", k=3, discard_decisions=True)
    assert steps(folder) == ["2 cluster", "1 apply"]
    imgcluster.undo(workspace=folder / "out")
    imgcluster.undo(workspace=folder / "out")
    assert state(folder, TABLES[:2]) == before


def undo(folder: Path) -> None:
    imgcluster.undo(workspace=folder / "out")


@pytest.mark.parametrize("last", [4, pytest.param(None, marks=pytest.mark.slow)])
def test_undo_of_a_step(folder: Path, last: int | None) -> None:
    for k in (2, 4):
        imgcluster.cluster(workspace=folder / "out", k=k)
    repeat_after_kills(folder, undo, last=last)
    assert steps(folder) == ["1 cluster"]


@pytest.mark.parametrize("last", [4, pytest.param(None, marks=pytest.mark.slow)])
def test_undo_of_a_move(folder: Path, last: int | None) -> None:
    imgcluster.undo(workspace=folder / "out")
    imgcluster.cluster(workspace=folder / "out", k=2, place="move")
    imgcluster.undo(workspace=folder / "out")
    imgcluster.cluster(workspace=folder / "out", k=3, place="move")
    repeat_after_kills(folder, undo, last=last)


@pytest.mark.parametrize("last", [4, pytest.param(None, marks=pytest.mark.slow)])
def test_undo_of_the_placement(folder: Path, tiny_encoder: Path, last: int | None) -> None:
    shutil.rmtree(folder / "out")
    source = folder / "pictures"
    imgcluster.run([source], workspace=folder / "out", encoder=tiny_encoder, device="cpu", k=3, place="move")
    repeat_after_kills(folder, undo, last=last)
    assert len(list(source.rglob("*.png"))) == 24
    with pytest.raises(imgcluster.WorkspaceError, match="nothing to undo"):
        undo(folder)


@pytest.mark.parametrize("last", [3, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("values", [{"merges": [{"from": 2, "into": 0}]}, {"names": {"0": "Sea"}}])
def test_apply(folder: Path, values: dict[str, object], last: int | None) -> None:
    identity = pages.read(folder / "out/report.html").document["identity"]
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **values}), encoding="utf-8")
    repeat_after_kills(folder, lambda folder: imgcluster.apply(plan, workspace=folder / "out"), last=last)
    assert steps(folder) == ["1 apply"]
    summary = imgcluster.apply(plan, workspace=folder / "out")
    assert summary.repeated
    assert len(summary.clusters) == len(pages.read(folder / "out/report.html").document["clusters"])
    undo(folder)
    assert not imgcluster.apply(plan, workspace=folder / "out").repeated


def test_another_command_ends_an_undo_that_was_killed(folder: Path) -> None:
    for k in (2, 4):
        imgcluster.cluster(workspace=folder / "out", k=k)
    with KILLS.after(None):
        undo(folder)
    imgcluster.cluster(workspace=folder / "out", k=4)
    with KILLS.after(KILLS.count - 1):
        undo(folder)
    imgcluster.cluster(workspace=folder / "out", k=5)
    undo(folder)
    assert steps(folder) == ["1 cluster"]
