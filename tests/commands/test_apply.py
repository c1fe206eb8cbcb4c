"""`apply`: folders, tables, metrics and page after a plan, `undo`, and later clusterings."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import PlanError, UsageError, WorkspaceError
from imgcluster.cli.app import app
from interruptions import interrupt_at, killing_at
from samples import paint


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=4)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plan(workspace: Path, **values: Any) -> Path:
    identity = pages.read(workspace / "report.html").document["identity"]
    path = workspace.parent / "plan.json"
    path.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **values}), encoding="utf-8")
    return path


def state(workspace: Path) -> dict[str, bytes]:
    """Return the content of every result and of every placed file."""
    results = ("assignments.csv", "clusters.csv", "metrics.json", "decisions.json", "report.html", "changes.csv")
    results += ("confusion.csv", "confusion.png")
    found = {name: (workspace / name).read_bytes() for name in results if (workspace / name).exists()}
    for path in sorted((workspace / "clusters").rglob("*")):
        if not path.is_dir():
            found[path.relative_to(workspace).as_posix()] = path.read_bytes()
    return found


def test_all_results_are_updated(workspace: Path) -> None:
    imgcluster.evaluate(workspace=workspace)
    before = rows(workspace / "assignments.csv")
    lost = next(row["path"] for row in before if row["cluster"] == "0")
    summary = imgcluster.apply(
        plan(
            workspace,
            names={"0": "Sea"},
            merges=[{"from": 3, "into": 2}],
            misplaced=[{"path": lost, "to": "noise"}],
        ),
        workspace=workspace,
    )
    assert (summary.named, summary.merged, summary.misplaced, summary.noise) == (1, 1, 1, 1)
    after = {row["path"]: row for row in rows(workspace / "assignments.csv")}
    for row in before:
        moved = {"3": "2"}.get(row["cluster"], row["cluster"])
        new = after[row["path"]]
        assert new["cluster"] == ("-1" if row["path"] == lost else moved)
        if row["path"] != lost:
            assert new["confidence"] == row["confidence"]
    assert after[lost]["confidence"] == "0.0000"
    table = {row["cluster"]: row for row in rows(workspace / "clusters.csv")}
    assert list(table) == ["0", "1", "2"]
    assert table["0"]["name"] == "Sea"
    assert sum(int(row["size"]) for row in table.values()) == 23
    assert list(table["0"])[-1] == "name"
    for number, row in table.items():
        members = [entry for entry in after.values() if entry["cluster"] == number]
        assert int(row["size"]) == len(members)
        assert [entry["path"] for entry in members if entry["is_medoid"] == "true"] == [row["medoid"]]
        assert float(row["mean_confidence"]) == pytest.approx(
            np.mean([float(entry["confidence"]) for entry in members]), abs=2e-4
        )
    metrics = json.loads((workspace / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["clusters"], metrics["noise"]) == (3, 1)
    assert "scores" not in metrics
    assert not (workspace / "confusion.csv").exists()
    placed = {path.name: len(list(path.iterdir())) for path in (workspace / "clusters").iterdir()}
    assert placed == {
        "cluster_000_sea": int(table["0"]["size"]),
        "cluster_001": int(table["1"]["size"]),
        "cluster_002": int(table["2"]["size"]),
        "noise": 1,
    }
    page = pages.read(workspace / "report.html").document
    assert [(cluster["number"], cluster["name"]) for cluster in page["clusters"]] == [
        (0, "Sea"),
        (1, ""),
        (2, ""),
        (-1, ""),
    ]
    # A second plan is based on the first, and the clustering can be evaluated again.
    assert imgcluster.apply(plan(workspace, names={"1": "Sky"}), workspace=workspace).named == 1
    assert imgcluster.evaluate(workspace=workspace).noise == 1


def test_names_change_no_numbers(workspace: Path) -> None:
    imgcluster.evaluate(workspace=workspace)
    before = state(workspace)
    imgcluster.apply(plan(workspace, names={"2": "Sky"}), workspace=workspace)
    after = state(workspace)
    assert after["assignments.csv"] == before["assignments.csv"]
    assert after["metrics.json"] == before["metrics.json"]
    named = {row.pop("cluster"): row.pop("name") for row in rows(workspace / "clusters.csv")}
    assert named == {"0": "", "1": "", "2": "Sky", "3": ""}


def test_plans_are_undone_one_by_one_and_then_the_placement(workspace: Path) -> None:
    imgcluster.evaluate(workspace=workspace)
    imgcluster.report_page(workspace=workspace)
    states = [state(workspace)]
    for values in ({"names": {"0": "Sea"}}, {"merges": [{"from": 1, "into": 0}]}, {"names": {"0": "", "2": "Sky"}}):
        imgcluster.apply(plan(workspace, **values), workspace=workspace)
        states.append(state(workspace))
    for expected in states[-2::-1]:
        assert imgcluster.undo(workspace=workspace, dry_run=True).what == "plan"
        assert imgcluster.undo(workspace=workspace).what == "plan"
        assert state(workspace) == expected
    summary = imgcluster.undo(workspace=workspace)
    assert (summary.what, summary.taken_back) == ("placing", 24)
    with pytest.raises(WorkspaceError, match=str(workspace)):
        imgcluster.undo(workspace=workspace)


def test_a_dry_run_changes_nothing(workspace: Path) -> None:
    before = state(workspace)
    summary = imgcluster.apply(
        plan(workspace, names={"0": "Sea"}, merges=[{"from": 1, "into": 0}]), workspace=workspace, dry_run=True
    )
    assert (summary.dry_run, summary.report, len(summary.clusters)) == (True, "", 3)
    assert state(workspace) == before
    assert not (workspace / "applied").exists()


def test_the_chosen_layer_follows_the_plan(workspace: Path) -> None:
    imgcluster.apply(plan(workspace, merges=[{"from": 1, "into": 0}]), workspace=workspace)
    metrics = json.loads((workspace / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["layers"][metrics["layer"]] == metrics["clusters"]
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row[f"layer_{metrics['layer']}"] for row in table] == [row["cluster"] for row in table]


@pytest.mark.parametrize("mode", ["move", "copy", "none"])
def test_placement_modes(mode: str, pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place=mode)
    summary = imgcluster.apply(plan(out, names={"0": "Sea"}, merges=[{"from": 1, "into": 0}]), workspace=out)
    assert summary.moved == (0 if mode == "none" else 16)
    page = pages.read(out / "report.html")
    assert len(page.pictures()) == 24
    assert any(link.startswith("clusters/cluster_000_sea/") for link in page.links) == (mode == "move")
    imgcluster.undo(workspace=out)
    if mode != "none":
        assert imgcluster.undo(workspace=out).taken_back == 24
    assert len(list(pictures.rglob("*.png"))) == 24


def test_new_clusters_splits_and_decisions_about_images(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place="move")
    imgcluster.report_page(workspace=out)
    states = [state(out)]
    before = {row["path"]: row["cluster"] for row in rows(out / "assignments.csv")}
    zeros, ones, twos = ([path for path in before if before[path] == number] for number in "012")
    file = plan(
        out,
        new_clusters=[{"name": "Boats", "images": [zeros[0], ones[0]]}],
        split=[{"cluster": 2, "into": 3}],
        unsorted=[zeros[1]],
        pinned=[twos[0]],
    )
    dry = imgcluster.apply(file, workspace=out, dry_run=True)
    assert state(out) == states[0]
    summary = imgcluster.apply(file, workspace=out)
    assert summary.clusters == dry.clusters
    assert (summary.created, summary.split, summary.misplaced, summary.unsorted, summary.pinned) == (1, 1, 2, 1, 1)
    states.append(state(out))
    table = {row["path"]: row for row in rows(out / "assignments.csv")}
    assert {path: table[path]["cluster"] for path in (zeros[0], ones[0], zeros[1], twos[0])} == {
        zeros[0]: "3",
        ones[0]: "3",
        zeros[1]: "-1",
        twos[0]: "2",
    }
    assert {table[path]["cluster"] for path in twos} == {"2", "4", "5"}
    assert {path: row["decision"] for path, row in table.items() if row["decision"]} == {
        zeros[0]: "corrected",
        ones[0]: "corrected",
        zeros[1]: "unsorted",
        twos[0]: "pinned",
    }
    assert (table[zeros[0]]["confidence"], table[zeros[1]]["confidence"]) == ("1.0000", "0.0000")
    clusters = {row["cluster"]: row for row in rows(out / "clusters.csv")}
    assert clusters["3"]["name"] == "Boats"
    assert all(clusters[number]["medoid"] in before for number in "012345")
    placed = {path.name: len(list(path.iterdir())) for path in (out / "clusters").iterdir()}
    assert placed["cluster_003_boats"] == 2
    assert placed["noise"] == 1
    assert sum(placed.values()) == 24

    # Numbers are never used again, and earlier decisions stay until the plan decides again.
    imgcluster.apply(plan(out, merges=[{"from": 5, "into": 2}]), workspace=out)
    states.append(state(out))
    imgcluster.apply(plan(out, new_clusters=[{"name": "", "images": [ones[1]]}], pinned=[zeros[0]]), workspace=out)
    table = {row["path"]: row for row in rows(out / "assignments.csv")}
    assert table[ones[1]]["cluster"] == "6"
    assert [table[path]["decision"] for path in (zeros[0], zeros[1], ones[1])] == ["pinned", "unsorted", "corrected"]
    for expected in states[::-1]:
        assert imgcluster.undo(workspace=out).what == "plan"
        assert state(out) == expected
    imgcluster.undo(workspace=out)
    assert len(list(pictures.rglob("*.png"))) == 24


def test_a_cluster_of_equal_images_is_not_split(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "pictures", per_folder=2)
    for number in range(6):
        shutil.copy(tmp_path / "pictures/red/00.png", tmp_path / f"pictures/red/copy{number}.png")
    out = tmp_path / "out"
    imgcluster.run([tmp_path / "pictures"], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    table = rows(out / "assignments.csv")
    number = next(int(row["cluster"]) for row in table if row["path"] == "red/copy0.png")
    before = state(out)
    with pytest.raises(PlanError, match=f"cluster {number} into 5"):
        imgcluster.apply(plan(out, split=[{"cluster": number, "into": 5}]), workspace=out)
    assert state(out) == before


def renames(workspace: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of renames while applying a plan, and undo it."""
    with monkeypatch.context() as patch:
        calls = killing_at(patch, None)
        imgcluster.apply(file, workspace=workspace)
    imgcluster.undo(workspace=workspace)
    return len(calls)


@pytest.mark.parametrize(
    "share", [0.0, 0.4, 0.8, 1.0, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.2, 0.6, 0.9))]
)
@pytest.mark.parametrize("then", ["apply", "undo"])
def test_after_a_kill_at_any_rename_the_plan_can_be_applied_or_undone(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, share: float, then: str
) -> None:
    before = state(workspace)
    file = plan(workspace, names={"0": "Sea"}, merges=[{"from": 1, "into": 0}])
    imgcluster.apply(file, workspace=workspace)
    after = state(workspace)
    imgcluster.undo(workspace=workspace)
    count = renames(workspace, file, monkeypatch)
    with monkeypatch.context() as patch:
        killing_at(patch, round(share * (count - 1)))
        with pytest.raises(KeyboardInterrupt):
            imgcluster.apply(file, workspace=workspace)
    started = not (workspace / "metrics.json").exists()
    if then == "apply":
        imgcluster.apply(file, workspace=workspace)
        assert state(workspace) == after
        imgcluster.undo(workspace=workspace)
    elif started:
        with pytest.raises(WorkspaceError, match="imgcluster undo|verify --repair"):
            imgcluster.report_page(workspace=workspace)
        assert imgcluster.undo(workspace=workspace).what == "plan"
    assert state(workspace) == before
    assert imgcluster.undo(workspace=workspace).what == "placing"


def test_a_dry_run_after_an_interruption_changes_nothing(workspace: Path) -> None:
    file = plan(workspace, names={"0": "Sea"}, merges=[{"from": 1, "into": 0}])
    with pytest.raises(KeyboardInterrupt):
        imgcluster.apply(file, workspace=workspace, on_progress=interrupt_at("report"))
    before = state(workspace)
    with pytest.raises(WorkspaceError, match="interrupted .*--dry-run.*imgcluster undo -w "):
        imgcluster.apply(file, workspace=workspace, dry_run=True)
    assert imgcluster.undo(workspace=workspace, dry_run=True).what == "plan"
    assert state(workspace) == before
    assert not (workspace / "metrics.json").exists()


def test_an_interrupted_undo_can_be_repeated(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(workspace)
    imgcluster.apply(plan(workspace, merges=[{"from": 1, "into": 0}]), workspace=workspace)
    with pytest.raises(KeyboardInterrupt):
        imgcluster.undo(workspace=workspace, on_progress=interrupt_at("undo", done=3))
    imgcluster.undo(workspace=workspace)
    assert state(workspace) == before


class TestLaterClusterings:
    def test_keep_the_names_of_matching_clusters(self, workspace: Path) -> None:
        names = {str(number): f"name {number}" for number in range(4)}
        imgcluster.apply(plan(workspace, names=names), workspace=workspace)
        before = {row["path"]: row["cluster"] for row in rows(workspace / "assignments.csv")}
        summary = imgcluster.cluster(workspace=workspace, k=4, seed=5)
        named = {row.cluster: row.name for row in summary.clusters}
        for row in rows(workspace / "assignments.csv"):
            assert named[int(row["cluster"])] == f"name {before[row['path']]}"
        assert {path.name for path in (workspace / "clusters").iterdir()} == {
            f"cluster_{number:03d}_{name.replace(' ', '_')}" for number, name in named.items()
        }
        # Names without a matching cluster stay stored.
        assert all(row.name == "" for row in imgcluster.cluster(workspace=workspace, k=1).clusters)
        assert {row.name for row in imgcluster.cluster(workspace=workspace, k=4).clusters} == set(names.values())

    def test_also_after_new_images(self, workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
        summary = imgcluster.cluster(workspace=workspace, k=3)
        imgcluster.apply(plan(workspace, names={"0": "first"}), workspace=workspace)
        paint(pictures / "more", per_folder=20, seed=3)
        imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
        again = imgcluster.cluster(workspace=workspace, k=3)
        (named,) = [row for row in again.clusters if row.name]
        assert named.name == "first"
        assert named.size == 28
        assert summary.clusters[0].medoid.split("/")[0] in named.medoid

    def test_are_undone_before_the_plans(self, workspace: Path) -> None:
        states = [state(workspace)]
        imgcluster.apply(plan(workspace, names={"0": "first"}), workspace=workspace)
        states.append(state(workspace))
        imgcluster.cluster(workspace=workspace, k=3)
        assert imgcluster.undo(workspace=workspace).what == "cluster"
        assert state(workspace) == states[1]
        assert imgcluster.undo(workspace=workspace).what == "plan"
        assert state(workspace) == states[0]
        assert imgcluster.undo(workspace=workspace).what == "placing"


class TestRefused:
    def test_no_file(self, workspace: Path) -> None:
        with pytest.raises(UsageError, match=r"none\.json"):
            imgcluster.apply(workspace / "none.json", workspace=workspace)

    def test_not_text(self, workspace: Path) -> None:
        file = workspace.parent / "plan.json"
        file.write_bytes(b"\xff\xfe\x00{")
        with pytest.raises(PlanError, match="UTF-8"):
            imgcluster.apply(file, workspace=workspace)

    def test_an_earlier_plan(self, workspace: Path) -> None:
        file = plan(workspace, merges=[{"from": 1, "into": 0}])
        imgcluster.apply(file, workspace=workspace)
        before = state(workspace)
        assert imgcluster.apply(file, workspace=workspace).repeated
        assert state(workspace) == before
        file.write_bytes(file.read_bytes() + b" ")
        with pytest.raises(PlanError, match="another clustering"):
            imgcluster.apply(file, workspace=workspace)
        assert state(workspace) == before

    def test_a_workspace_without_clusters(self, workspace: Path, tmp_path: Path) -> None:
        file = plan(workspace)
        (workspace / "metrics.json").unlink()
        with pytest.raises(WorkspaceError, match="run imgcluster cluster"):
            imgcluster.apply(file, workspace=workspace)
        with pytest.raises(WorkspaceError, match="nowhere"):
            imgcluster.apply(file, workspace=tmp_path / "nowhere")
        assert not (tmp_path / "nowhere").exists()

    def test_on_the_command_line_in_one_line(self, workspace: Path) -> None:
        file = workspace.parent / "plan.json"
        file.write_text('{"imgcluster_plan": 1, "a\\nb": []}', encoding="utf-8")
        result = CliRunner().invoke(app, ["apply", str(file), "-w", str(workspace), "--json"])
        assert result.exit_code == 1
        assert "a\\nb" in json.loads(result.stdout)["error"]
        assert len(result.stderr.splitlines()) == 1


def test_additional_columns_are_kept(workspace: Path) -> None:
    """Tables may have more columns; the runner-up follows merges."""
    assigned = rows(workspace / "assignments.csv")
    with (workspace / "assignments.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*assigned[0], "note"], lineterminator="\n")
        writer.writeheader()
        others = ({"runner_up": "1" if row["cluster"] != "1" else "0", "note": "7"} for row in assigned)
        writer.writerows(row | other for row, other in zip(assigned, others, strict=True))
    clusters = rows(workspace / "clusters.csv")
    with (workspace / "clusters.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(clusters[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"stability": "0.9"} for row in clusters)
    imgcluster.report_page(workspace=workspace)
    page = pages.read(workspace / "report.html")
    assert page.document["clusters"][0]["stability"] == 0.9
    assert set(page.array("runnerUp", "<i4").tolist()) == {0, 1}
    imgcluster.apply(plan(workspace, names={"0": "Sea"}, merges=[{"from": 1, "into": 2}]), workspace=workspace)
    after = rows(workspace / "assignments.csv")
    assert list(after[0]) == [*assigned[0], "note"]
    assert {row["note"] for row in after} == {"7"}
    assert {(row["cluster"], row["runner_up"]) for row in after} >= {("0", "2"), ("3", "2")}
    assert all(row["runner_up"] != row["cluster"] for row in after)
    stability = {row["cluster"]: row["stability"] for row in rows(workspace / "clusters.csv")}
    assert stability == {"0": "0.9", "2": "", "3": "0.9"}


def test_the_confusion_matrix_follows_names(workspace: Path) -> None:
    imgcluster.evaluate(workspace=workspace)
    imgcluster.report_page(workspace=workspace)
    before = state(workspace)
    imgcluster.apply(plan(workspace, names={"0": "Sea", "2": "Sky"}), workspace=workspace)
    after = state(workspace)
    columns = ["label", "cluster_000_sea", "cluster_001", "cluster_002_sky", "cluster_003"]
    assert list(rows(workspace / "confusion.csv")[0]) == columns
    assert json.loads(after["metrics.json"])["scores"] == json.loads(before["metrics.json"])["scores"]
    # Evaluating again writes the same.
    assert after["confusion.png"] != before["confusion.png"]
    imgcluster.evaluate(workspace=workspace)
    assert state(workspace) == after
    # New names replace earlier ones; an empty name removes one.
    imgcluster.apply(plan(workspace, names={"0": "Lake", "2": ""}), workspace=workspace)
    columns[1:4] = ["cluster_000_lake", "cluster_001", "cluster_002"]
    assert list(rows(workspace / "confusion.csv")[0]) == columns
    imgcluster.undo(workspace=workspace)
    assert state(workspace) == after
    imgcluster.undo(workspace=workspace)
    assert state(workspace) == before


def test_an_invalid_confusion_matrix_is_refused_before_anything_changes(workspace: Path) -> None:
    imgcluster.evaluate(workspace=workspace)
    (workspace / "confusion.csv").write_text("label,mine\nred,8\n", encoding="utf-8")
    before = state(workspace)
    with pytest.raises(WorkspaceError, match=r"confusion\.csv.*run imgcluster evaluate"):
        imgcluster.apply(plan(workspace, names={"0": "Sea"}), workspace=workspace)
    assert state(workspace) == before


@pytest.mark.parametrize("case", ["misplaced", "merged into noise", "merged, then misplaced"])
def test_no_runner_up_is_a_removed_cluster(workspace: Path, case: str) -> None:
    before = rows(workspace / "assignments.csv")
    removed = next(row["runner_up"] for row in before if row["runner_up"])
    into, last = sorted({row["cluster"] for row in before} - {removed})[:2]
    members = [row["path"] for row in before if row["cluster"] in (removed, into)]
    values: dict[str, Any] = {
        "misplaced": {
            "misplaced": [{"path": row["path"], "to": int(into)} for row in before if row["cluster"] == removed]
        },
        "merged into noise": {"merges": [{"from": int(removed), "into": "noise"}]},
        "merged, then misplaced": {
            "merges": [{"from": int(removed), "into": int(into)}],
            "misplaced": [{"path": path, "to": int(last)} for path in members],
        },
    }
    imgcluster.apply(plan(workspace, **values[case]), workspace=workspace)
    present = {row["cluster"] for row in rows(workspace / "clusters.csv")}
    assert removed not in present
    after = rows(workspace / "assignments.csv")
    assert {row["runner_up"] for row in after} <= present | {""}
    assert all(row["runner_up"] != row["cluster"] for row in after)
    # A plan changes the chosen layer only.
    chosen = json.loads((workspace / "metrics.json").read_text(encoding="utf-8"))["layer"]
    layers = [name for name in before[0] if name.startswith("layer_") and name != f"layer_{chosen}"]
    assert len(layers) == len([name for name in before[0] if name.startswith("layer_")]) - 1
    assert [[row[name] for name in layers] for row in after] == [[row[name] for name in layers] for row in before]


def test_a_workspace_that_was_copied_elsewhere(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace, tmp_path / "copied", symlinks=True)
    file = plan(workspace, names={"0": "Sea"})
    assert imgcluster.apply(file, workspace=tmp_path / "copied").named == 1
