"""`assign`: what was decided stays, new images join, and nothing is lost when it is interrupted."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import PlanError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.commands import assign
from imgcluster.wording import counted
from interruptions import killing_at
from samples import paint


def rows(out: Path, table: str = "assignments.csv") -> dict[str, dict[str, str]]:
    with (out / table).open(encoding="utf-8", newline="") as file:
        return {row.get("path", row["cluster"]): row for row in csv.DictReader(file)}


def clusters(out: Path) -> dict[str, str]:
    return {path: row["cluster"] for path, row in rows(out).items()}


def placed(out: Path) -> list[str]:
    return sorted(path.relative_to(out / "clusters").as_posix() for path in (out / "clusters").rglob("*.png"))


def add_yellow(folder: Path, count: int) -> None:
    (folder / "yellow").mkdir()
    generator = np.random.default_rng(9)
    for number in range(count):
        pixels = np.clip(np.array((230, 220, 40)) + generator.normal(0, 12, (12, 10, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "yellow" / f"{number:02d}.png")


def test_another_placement_where_nothing_is_new(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    out, encoder = tmp_path / "out", {"encoder": tiny_encoder, "device": "cpu"}
    imgcluster.run(pictures, workspace=out, k=3, place="copy", **encoder)
    assert imgcluster.run(pictures, workspace=out, dry_run=True, **encoder).cluster.placed == {}
    assert imgcluster.run(pictures, workspace=out, dry_run=True, place="move", **encoder).cluster.placed == {"move": 24}
    files, table = placed(out), (out / "assignments.csv").read_bytes()

    def modes() -> set[str]:
        kinds = {path.is_symlink() for path in (out / "clusters").rglob("*.png")}
        return {"symlink" if kind else "copy" for kind in kinds}

    assert imgcluster.assign(workspace=out, place="symlink", dry_run=True).placed == {"symlink": 24}
    assert modes() == {"copy"}
    for _ in range(2):
        assert imgcluster.assign(workspace=out, place="symlink").place == "symlink"
        assert (placed(out), modes(), (out / "assignments.csv").read_bytes()) == (files, {"symlink"}, table)
        assert len(imgcluster.history(workspace=out).steps) == 1
    assert imgcluster.verify(workspace=out, rerun=True).reassigned == 0
    imgcluster.undo(workspace=out)
    assert modes() == {"copy"}
    assert imgcluster.run(pictures, workspace=out, place="move", **encoder).cluster.placed == {"move": 24}
    assert (placed(out), list(pictures.rglob("*.png"))) == (files, [])
    assert not imgcluster.verify(workspace=out).findings
    (pictures / "red/00.png").write_bytes(b"in the way")
    before = placed(out)
    for dry_run in (True, False):
        with pytest.raises(WorkspaceError, match=r"red/00\.png"):
            imgcluster.assign(workspace=out, place="none", dry_run=dry_run)
    assert placed(out) == before
    (pictures / "red/00.png").unlink()
    assert imgcluster.assign(workspace=out, place="none").placed == {}
    assert len(list(pictures.rglob("*.png"))) == 24


def test_new_clusters_depend_on_the_recorded_seed(tmp_path: Path, tiny_encoder: Path) -> None:
    stability = []
    paint(tmp_path / "in", per_folder=20)
    for seed in range(2):
        out = tmp_path / f"{seed}"
        imgcluster.run(tmp_path / "in", workspace=out, encoder=tiny_encoder, device="cpu", k=4, seed=seed, place="none")
    add_yellow(tmp_path / "in", 40)
    for seed in range(2):
        out = tmp_path / f"{seed}"
        imgcluster.embed(tmp_path / "in", workspace=out, encoder=tiny_encoder, device="cpu")
        created = imgcluster.assign(workspace=out, new_clusters=True).new_clusters
        stability.append([rows(out, "clusters.csv")[str(number)]["stability"] for number in created])
    assert stability[0] != stability[1]


@pytest.fixture
def grown(tmp_path: Path, tiny_encoder: Path) -> Path:
    """A workspace of 60 images, with a merge, names and a correction, then embedded with 15 more and without one."""
    out, images = tmp_path / "out", tmp_path / "in"
    paint(images, per_folder=20)
    imgcluster.run(images, workspace=out, encoder=tiny_encoder, device="cpu", k=4)
    table = clusters(out)
    numbers = {
        color: {table[f"{color}/{number:02d}.png"] for number in range(20)} for color in ("red", "green", "blue")
    }
    divided = next(color for color, found in numbers.items() if len(found) == 2)
    first, second = sorted(numbers[divided], key=int)
    other = next(next(iter(found)) for color, found in numbers.items() if color != divided)
    plan = {
        "imgcluster_plan": 1,
        "clustering": pages.read(out / "report.html").document["identity"],
        "names": {first: divided},
        "merges": [{"from": int(second), "into": int(first)}],
        "misplaced": [{"path": f"{divided}/03.png", "to": int(other)}],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(tmp_path / "plan.json", workspace=out)
    (images / "red/19.png").unlink()
    paint(images / "more", per_folder=5, seed=7)
    return out


def embed(out: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(out.parent / "in", workspace=out, encoder=tiny_encoder, device="cpu")


def test_what_was_decided_stays_and_new_images_join(grown: Path, tiny_encoder: Path) -> None:
    before, names = clusters(grown), {number: row["name"] for number, row in rows(grown, "clusters.csv").items()}
    files = placed(grown)
    embed(grown, tiny_encoder)
    summary = imgcluster.assign(workspace=grown)
    after = clusters(grown)
    assert (summary.assigned, summary.unsorted, summary.removed) == (15, 0, 1)
    assert {path: after[path] for path in before if path != "red/19.png"} | {
        "red/19.png": before["red/19.png"]
    } == before
    assert {number: row["name"] for number, row in rows(grown, "clusters.csv").items()} == names
    assert len(set(placed(grown)) & set(files)) >= 59
    for color in ("red", "green", "blue"):
        usual = statistics.mode(number for path, number in before.items() if path.startswith(color))
        assert {after[f"more/{color}/{number:02d}.png"] for number in range(5)} == {usual}
    (corrected,) = (path for path, row in rows(grown).items() if row["decision"])
    assert rows(grown)[corrected]["decision"] == "corrected"
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows(grown).values())
    assert len(rows(grown)) == 74
    imgcluster.evaluate(workspace=grown)
    imgcluster.report_page(workspace=grown)


def test_images_unlike_all_clusters_are_unsorted_and_become_a_cluster(grown: Path, tiny_encoder: Path) -> None:
    add_yellow(grown.parent / "in", 12)
    embed(grown, tiny_encoder)
    summary = imgcluster.assign(workspace=grown)
    yellow = {path for path in clusters(grown) if path.startswith("yellow")}
    assert summary.unsorted == 12
    assert {path for path, number in clusters(grown).items() if number == "-1"} == yellow
    assert sum(path.startswith("unsorted/") for path in placed(grown)) == 12
    assert any("--new-clusters" in warning for warning in summary.warnings)

    before = clusters(grown)
    summary = imgcluster.assign(workspace=grown, new_clusters=True)
    after = clusters(grown)
    assert len(summary.new_clusters) >= 1
    assert imgcluster.history(workspace=grown).steps[0].summary == counted(len(summary.new_clusters), "new cluster")
    assert {after[path] for path in yellow} == {str(number) for number in summary.new_clusters}
    # The number of the merged cluster is not used again.
    assert min(summary.new_clusters) >= 4
    assert {path: number for path, number in after.items() if path not in yellow}.items() <= before.items()


def test_images_that_the_user_put_into_no_cluster_stay_there(grown: Path, tiny_encoder: Path) -> None:
    add_yellow(grown.parent / "in", 12)
    embed(grown, tiny_encoder)
    imgcluster.assign(workspace=grown)
    identity = pages.read(grown / "report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "unsorted": ["yellow/00.png", "yellow/01.png"]}
    (grown.parent / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(grown.parent / "plan.json", workspace=grown)
    imgcluster.assign(workspace=grown, new_clusters=True)
    assert {path for path, number in clusters(grown).items() if number == "-1"} == {"yellow/00.png", "yellow/01.png"}


def test_a_plan_from_before_assign_takes_nothing_back(grown: Path, tiny_encoder: Path) -> None:
    identity, before = pages.read(grown / "report.html").document["identity"], clusters(grown)
    embed(grown, tiny_encoder)
    imgcluster.assign(workspace=grown)
    plan = grown.parent / "plan.json"

    def apply(identity: str, **changes: Any) -> None:
        plan.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **changes}), encoding="utf-8")
        imgcluster.apply(plan, workspace=grown)

    # What was saved before `assign` applies to the old images, and a name leaves them where they are.
    apply(identity, pinned=["blue/00.png"])
    apply(identity, names={before["blue/00.png"]: "Sea"})
    apply(pages.read(grown / "report.html").document["identity"], unsorted=["blue/01.png"])
    with pytest.raises(PlanError, match="another clustering"):
        apply(identity, pinned=["blue/01.png"])
    assert (rows(grown)["blue/01.png"]["decision"], clusters(grown)["blue/01.png"]) == ("unsorted", "-1")


@pytest.mark.parametrize("steps", [1, 2])
def test_a_plan_from_before_another_image_took_a_path_is_refused(
    tmp_path: Path, pictures: Path, tiny_encoder: Path, steps: int
) -> None:
    def assign() -> None:
        imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
        imgcluster.assign(workspace=out)

    out, copy, plan = tmp_path / "out", pictures / "red/copy.png", tmp_path / "plan.json"
    shutil.copyfile(pictures / "red/00.png", copy)
    imgcluster.run(pictures, workspace=out, k=3, encoder=tiny_encoder, device="cpu")
    identity = pages.read(out / "report.html").document["identity"]
    plan.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, "set_aside": ["red/copy.png"]}))
    # The copy leaves, and its plan applies to it again when it returns.
    content = copy.read_bytes()
    copy.unlink()
    assign()
    copy.write_bytes(content)
    assign()
    assert imgcluster.apply(plan, workspace=out, dry_run=True).set_aside == 1
    copy.rename(pictures / "red/old.png")
    for _ in range(steps - 1):
        assign()
    Image.new("RGB", (10, 12), (30, 200, 40)).save(copy)
    assign()
    with pytest.raises(PlanError, match="another clustering"):
        imgcluster.apply(plan, workspace=out)
    assert copy.exists()
    # A page from after that is an earlier one of the next `assign` again.
    identity = pages.read(out / "report.html").document["identity"]
    Image.new("RGB", (10, 12), (35, 200, 40)).save(pictures / "green/new.png")
    assign()
    assert pages.read(out / "report.html").document["earlierClusterings"] == [identity]


def test_a_plan_from_before_too_many_images_left_is_refused(
    tmp_path: Path, pictures: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assign, "_MOST_LEFT", 1)
    out, plan = tmp_path / "out", tmp_path / "plan.json"
    imgcluster.run(pictures, workspace=out, k=3, encoder=tiny_encoder, device="cpu")
    identity = pages.read(out / "report.html").document["identity"]
    for name in ("red/00.png", "blue/00.png"):
        (pictures / name).unlink()
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=out)
    plan.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, "set_aside": ["red/01.png"]}))
    with pytest.raises(PlanError, match="another clustering"):
        imgcluster.apply(plan, workspace=out)


def test_where_nothing_is_new_nothing_is_written(grown: Path, tiny_encoder: Path) -> None:
    embed(grown, tiny_encoder)
    imgcluster.assign(workspace=grown)
    before = {path: path.stat().st_mtime_ns for path in grown.rglob("*") if path.is_file() and path.name != ".lock"}
    summary = imgcluster.assign(workspace=grown)
    assert (summary.assigned, summary.unsorted) == (0, 0)
    assert len(summary.clusters) == 3
    after = {path: path.stat().st_mtime_ns for path in grown.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_after_a_plan_nothing_is_new(grown: Path) -> None:
    assert imgcluster.assign(workspace=grown).assigned == 0


def test_a_dry_run_writes_nothing(grown: Path, tiny_encoder: Path) -> None:
    embed(grown, tiny_encoder)
    before = {path: path.read_bytes() for path in grown.rglob("*") if path.is_file()}
    assert imgcluster.assign(workspace=grown, dry_run=True).assigned == 15
    assert {path: path.read_bytes() for path in grown.rglob("*") if path.is_file()} == before


def test_an_interrupted_assign_is_completed_by_another(
    grown: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(grown, tiny_encoder)
    with monkeypatch.context() as patch:
        total = len(killing_at(patch, None))
        imgcluster.assign(workspace=grown)
    expected = clusters(grown)
    paint(grown.parent / "in/last", per_folder=2, seed=11)
    embed(grown, tiny_encoder)
    for number in range(12):
        with monkeypatch.context() as patch:
            killing_at(patch, number)
            try:
                imgcluster.assign(workspace=grown)
            except KeyboardInterrupt:
                continue
            break
    summary = imgcluster.assign(workspace=grown)
    assert expected.items() <= clusters(grown).items()
    assert len(clusters(grown)) == 80
    assert summary.images == 80
    assert total == 0


def test_a_dry_run_of_run_refuses_where_a_step_was_interrupted(grown: Path, tiny_encoder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        killing_at(patch, 40)
        with pytest.raises(KeyboardInterrupt):
            imgcluster.cluster(workspace=grown, k=2)
    assert not (grown / "metrics.json").exists()
    with pytest.raises(WorkspaceError, match="imgcluster cluster was interrupted in"):
        imgcluster.run(grown.parent / "in", workspace=grown, encoder=tiny_encoder, device="cpu", dry_run=True)


def test_run_assigns_in_a_workspace_with_a_clustering(grown: Path, tiny_encoder: Path) -> None:
    before = clusters(grown)
    options: dict[str, Any] = {"workspace": grown, "encoder": tiny_encoder, "device": "cpu"}
    preview = imgcluster.run(grown.parent / "in", dry_run=True, **options)
    assert isinstance(preview.cluster, imgcluster.AssignSummary)
    assert preview.cluster.assigned == 15
    assert clusters(grown) == before
    summary = imgcluster.run(grown.parent / "in", **options)
    assert isinstance(summary.cluster, imgcluster.AssignSummary)
    assert summary.cluster.assigned == 15
    # Other options, and --recluster, cluster again.
    assert imgcluster.run(grown.parent / "in", k=5, **options).cluster.parameters["k"] == 5
    again = imgcluster.run(grown.parent / "in", recluster=True, **options)
    assert not isinstance(again.cluster, imgcluster.AssignSummary)


def test_what_a_dry_run_says_is_true(grown: Path, tiny_encoder: Path) -> None:
    add_yellow(grown.parent / "in", 12)
    words = ["run", str(grown.parent / "in"), "-w", str(grown), "--encoder", str(tiny_encoder), "--device", "cpu"]
    said = CliRunner().invoke(app, [*words, "--dry-run"]).stdout
    assert f"--new-clusters -w {grown}\n" in said
    assert "would hold" in said
    assert "now holds" not in said
    assert "changes.csv" not in CliRunner().invoke(app, [*words, "--k", "2", "--dry-run"]).stdout
    assert f"{grown}/changes.csv" in CliRunner().invoke(app, [*words, "--k", "2"]).stdout


def test_the_command_line(grown: Path, tiny_encoder: Path) -> None:
    embed(grown, tiny_encoder)
    result = CliRunner().invoke(app, ["assign", "-w", str(grown)])
    assert result.exit_code == 0, result.output
    assert "15" in result.output
    assert "unchanged" in CliRunner().invoke(app, ["assign", "-w", str(grown)]).output


def test_without_a_clustering(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    with pytest.raises(WorkspaceError, match="cluster"):
        imgcluster.assign(workspace=out)


def test_tables_that_do_not_belong_together_are_refused(grown: Path, tiny_encoder: Path) -> None:
    embed(grown, tiny_encoder)
    table = grown / "assignments.csv"
    table.write_text("".join(table.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"metrics\.json"):
        imgcluster.assign(workspace=grown)


def test_moved_originals_are_not_assigned(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "in", per_folder=8)
    out = tmp_path / "out"
    imgcluster.run(tmp_path / "in", workspace=out, encoder=tiny_encoder, device="cpu", k=3, place="move")
    assert imgcluster.assign(workspace=out).assigned == 0
    assert len(placed(out)) == 24


def test_images_that_return_are_in_their_cluster_again(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out, options = tmp_path / "out", {"encoder": tiny_encoder, "device": "cpu"}
    # Clusters that the images do not have by themselves.
    imgcluster.run(pictures, workspace=out, k=3, **options)
    paths = imgcluster.load(out).paths
    mixed = [path for path in paths if path[-6:-4] in ("00", "01")]
    identity = pages.read(out / "report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "new_clusters": [{"name": "mixed", "images": mixed}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(tmp_path / "plan.json", workspace=out)
    before, names = clusters(out), rows(out, "clusters.csv")
    for away in (mixed, [path for path in paths if path.startswith("red")], mixed[:1]):
        for path in away:
            (tmp_path / "away" / path).parent.mkdir(parents=True, exist_ok=True)
            (pictures / path).rename(tmp_path / "away" / path)
        for _ in range(2):
            assert imgcluster.run(pictures, workspace=out, **options).embed.embedded == 24 - len(away)
        for path in away:
            shutil.copyfile(tmp_path / "away" / path, pictures / path)
        done = imgcluster.run(pictures, workspace=out, **options).cluster
        assert (done.assigned, done.unsorted, done.warnings) == (len(away), 0, ())
        assert clusters(out) == before
        assert {number: row["name"] for number, row in rows(out, "clusters.csv").items()} == {
            number: row["name"] for number, row in names.items()
        }
        assert not imgcluster.verify(workspace=out).findings
