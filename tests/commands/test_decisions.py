"""Decisions are respected by later clusterings, and every step can be undone."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster import PlanError, WorkspaceError
from samples import paint


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=6)
    return out


def clusters(workspace: Path) -> dict[str, int]:
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: int(row["cluster"]) for row in csv.DictReader(file)}


def decisions(workspace: Path) -> dict[str, str]:
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["decision"] for row in csv.DictReader(file) if row.get("decision")}


def names(workspace: Path) -> dict[int, str]:
    with (workspace / "clusters.csv").open(encoding="utf-8", newline="") as file:
        return {int(row["cluster"]): row["name"] for row in csv.DictReader(file) if row["name"]}


def decide(workspace: Path, **values: Any) -> imgcluster.ApplySummary:
    identity = pages.read(workspace / "report.html").document["identity"]
    path = workspace.parent / "plan.json"
    path.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **values}), encoding="utf-8")
    return imgcluster.apply(path, workspace=workspace)


def snapshot(workspace: Path) -> dict[str, bytes]:
    """Return all files of a workspace but its lock, saved states, last copies and the reduction, which has a key."""
    files = [path for path in workspace.rglob("*") if path.is_file() and path.name != ".lock"]
    return {
        name: path.read_bytes()
        for path in files
        if not (name := path.relative_to(workspace).as_posix()).startswith(("applied/", "outdated/", "reduction.npz"))
    }


def test_all_decisions_survive_other_clusterings(workspace: Path) -> None:
    before = clusters(workspace)
    red = [path for path in before if path.startswith("red/")]
    chosen, lost, stray = red[:3], red[3], next(path for path in before if path.startswith("blue/"))
    target = before["green/00.png"]
    merged = sorted({before[path] for path in before if path.startswith("blue/")})
    summary = decide(
        workspace,
        names={str(target): "meadow"},
        merges=[{"from": number, "into": merged[0]} for number in merged[1:]],
        new_clusters=[{"name": "mine", "images": chosen}],
        misplaced=[{"path": stray, "to": target}],
        unsorted=[lost],
    )
    assert (summary.created, summary.unsorted, summary.merged) == (1, 1, len(merged) - 1)
    mine = next(number for number, name in names(workspace).items() if name == "mine")
    assert mine == 6
    for options in ({"k": 6, "seed": 3}, {"k": 3}, {"k": 6, "level": "coarse"}, {"k": 2}, {"k": 6}):
        imgcluster.cluster(workspace=workspace, **options)  # type: ignore[arg-type]
        after = clusters(workspace)
        assert [after[path] for path in chosen] == [mine] * 3
        assert [path for path, number in after.items() if number == mine] == chosen
        assert after[lost] == -1
        assert after[stray] == after["green/00.png"]
        assert len({after[path] for path in after if path.startswith("blue/") and path != stray}) == 1
        assert names(workspace)[mine] == "mine"
    assert names(workspace)[clusters(workspace)["green/00.png"]] == "meadow"


def test_coarse_and_back_loses_nothing(workspace: Path) -> None:
    decide(workspace, names={str(number): f"name {number}" for number in range(5)}, merges=[{"from": 5, "into": 4}])
    before = {name: (workspace / name).read_bytes() for name in ("clusters.csv", "decisions.json")}
    numbers = clusters(workspace)
    imgcluster.cluster(workspace=workspace, k=6, level="coarse")
    coarse = set(clusters(workspace).values())
    imgcluster.cluster(workspace=workspace, k=6)
    assert clusters(workspace) == numbers
    assert {row.name for row in imgcluster.cluster(workspace=workspace, k=6).clusters} == set(names(workspace).values())
    assert (workspace / "decisions.json").read_bytes() == before["decisions.json"]
    assert all(number < 6 or number not in numbers.values() for number in coarse)


def test_a_split_cluster_stays_split(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=2)
    summary = decide(out, split=[{"cluster": 0, "into": 2}])
    assert (summary.split, [row.size for row in summary.clusters]) == (1, [8, 8, 8])
    apart = clusters(out)
    assert len({(path.split("/")[0], number) for path, number in apart.items()}) == 3
    imgcluster.cluster(workspace=out, k=2)
    assert clusters(out) == apart


def test_a_later_split_leaves_decided_images_in_their_cluster(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=2)
    before = clusters(out)
    members = sorted(path for path, number in before.items() if number == 0)
    stray = next(path for path, number in before.items() if number == 1)
    decided = [members[0], members[-1], stray]
    decide(out, pinned=decided[:2], misplaced=[{"path": stray, "to": 0}])
    decide(out, split=[{"cluster": 0, "into": 3}])
    after = clusters(out)
    assert [after[path] for path in decided] == [0, 0, 0]
    assert len({after[path] for path in members}) == 3
    assert not imgcluster.verify(workspace=out).findings
    imgcluster.cluster(workspace=out, k=2, seed=5)
    assert clusters(out) == after
    # Too few images are left to split.
    decide(out, pinned=[path for path in members if after[path] == 0])
    state = snapshot(out)
    with pytest.raises(PlanError, match="cluster 0 into 2"):
        decide(out, split=[{"cluster": 0, "into": 2}])
    assert snapshot(out) == state


def test_a_pinned_image_stays(workspace: Path) -> None:
    before = clusters(workspace)
    assert decide(workspace, pinned=["red/00.png"]).pinned == 1
    assert clusters(workspace) == before
    number = before["red/00.png"]
    imgcluster.cluster(workspace=workspace, k=6, seed=4)
    after = clusters(workspace)
    if number in after.values():
        assert after["red/00.png"] == number


def test_decisions_follow_renamed_files(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    decide(workspace, new_clusters=[{"name": "mine", "images": ["red/00.png", "red/01.png"]}])
    (pictures / "red/00.png").rename(pictures / "blue/new name.png")
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=workspace, k=6)
    after = clusters(workspace)
    assert after["blue/new name.png"] == after["red/01.png"] == 6
    assert names(workspace)[6] == "mine"


def test_a_decision_about_one_of_several_copies_stays_with_it(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    def assign(folder: Path) -> None:
        imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
        imgcluster.assign(workspace=out)
        assert not imgcluster.verify(workspace=out).findings

    out, copy, away = tmp_path / "out", pictures / "red/copy.png", tmp_path / "away.png"
    shutil.copyfile(pictures / "red/00.png", copy)
    imgcluster.run(pictures, workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    before = clusters(out)
    decide(out, misplaced=[{"path": "red/copy.png", "to": before["blue/00.png"]}])
    after = before | {"red/copy.png": before["blue/00.png"]}
    # It waits while the copy is away.
    copy.rename(away)
    assign(pictures)
    assert (clusters(out), decisions(out)) == ({path: after[path] for path in after if path != "red/copy.png"}, {})
    away.rename(copy)
    assign(pictures)
    assert (clusters(out), decisions(out)) == (after, {"red/copy.png": "corrected"})
    # All copies are renamed.
    assign(pictures.rename(tmp_path / "renamed"))
    assert (clusters(out), decisions(out)) == (after, {"red/copy.png": "corrected"})
    imgcluster.cluster(workspace=out, k=3, seed=1)
    assert (clusters(out), decisions(out)) == (after, {"red/copy.png": "corrected"})


@pytest.mark.parametrize("command", ["assign", "cluster"])
def test_a_decision_does_not_pass_to_another_image_that_takes_the_name(
    workspace: Path, pictures: Path, tiny_encoder: Path, command: str
) -> None:
    def decided() -> dict[str, str]:
        imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
        imgcluster.assign(workspace=workspace) if command == "assign" else imgcluster.cluster(workspace=workspace, k=6)
        return decisions(workspace)

    before = clusters(workspace)
    decide(
        workspace,
        misplaced=[{"path": "red/00.png", "to": before["green/00.png"]}],
        pinned=["red/01.png", "blue/01.png"],
    )
    (pictures / "red/00.png").rename(pictures.parent / "taken away.png")
    (pictures / "blue/00.png").rename(pictures / "red/00.png")
    assert decided() == {"red/01.png": "pinned", "blue/01.png": "pinned"}
    assert clusters(workspace)["red/00.png"] not in {clusters(workspace)[f"green/{n:02d}.png"] for n in range(8)}
    # Its image has the decision when it returns.
    (pictures / "red/00.png").rename(pictures / "blue/00.png")
    (pictures.parent / "taken away.png").rename(pictures / "red/00.png")
    assert decided() == {"red/00.png": "corrected", "red/01.png": "pinned", "blue/01.png": "pinned"}
    assert clusters(workspace)["red/00.png"] in {clusters(workspace)[f"green/{n:02d}.png"] for n in range(8)}


def test_decisions_follow_files_that_are_edited_and_renamed_later(
    workspace: Path, pictures: Path, tiny_encoder: Path
) -> None:
    decide(workspace, pinned=["red/00.png"])
    with Image.open(pictures / "red/00.png") as picture:
        picture.rotate(90).save(pictures / "red/00.png")
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=workspace)
    (pictures / "red/00.png").rename(pictures / "blue/new name.png")
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=workspace)
    assert decisions(workspace) == {"blue/new name.png": "pinned"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_starting_over_clusters_again_and_keeps_decisions(
    workspace: Path, pictures: Path, tiny_encoder: Path, dry_run: bool
) -> None:
    before = clusters(workspace)
    stray = "green/01.png"
    decide(
        workspace,
        misplaced=[{"path": stray, "to": before["red/00.png"]}],
        new_clusters=[{"name": "mine", "images": ["green/02.png", "green/03.png"]}],
    )
    saved = snapshot(workspace)
    folders = [pictures / name for name in ("red", "green")]
    done = imgcluster.run(
        folders, workspace=workspace, encoder=tiny_encoder, device="cpu", fresh=True, k=3, dry_run=dry_run
    )
    assert (done.embed.new, done.cluster.images, len(done.cluster.clusters)) == (16, 16, 4)
    assert sum(change.removed_images for change in done.cluster.changes) == 8
    if not dry_run:
        after = clusters(workspace)
        assert after[stray] == after["red/00.png"]
        assert names(workspace) == {after["green/02.png"]: "mine"}
        assert "8 images" in json.loads((workspace / "metrics.json").read_bytes())["changes"]
        assert imgcluster.undo(workspace=workspace).what == "cluster"
    assert snapshot(workspace) == saved


def test_starting_over_without_options_is_a_new_clustering(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    options: dict[str, Any] = {"workspace": workspace, "encoder": tiny_encoder, "device": "cpu"}
    assert len(imgcluster.run([pictures], **options).cluster.clusters) == 6
    assert len(imgcluster.run([pictures], fresh=True, **options).cluster.clusters) == 3


def test_what_cannot_be_respected_needs_an_option(tmp_path: Path, tiny_encoder: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    paint(folder, per_folder=6)
    imgcluster.run([folder], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    before = clusters(out)
    decide(out, misplaced=[{"path": "red/00.png", "to": before["blue/00.png"]}])
    # A cluster of which nothing is known, as where its file was deleted.
    decisions = json.loads((out / "decisions.json").read_text(encoding="utf-8"))
    decisions["images"][0]["cluster"] = 40
    (out / "decisions.json").write_text(json.dumps(decisions), encoding="utf-8")
    state = snapshot(out)
    with pytest.raises(WorkspaceError, match=r"red/00\.png belongs in cluster 40.*--discard-dec"):
        imgcluster.cluster(workspace=out, k=2)
    assert snapshot(out) == state
    imgcluster.cluster(workspace=out, k=2, discard_decisions=True)
    assert not (out / "decisions.json").exists()
    imgcluster.undo(workspace=out)
    assert (out / "decisions.json").exists()


def test_numbers_of_clusters_are_never_used_again(workspace: Path) -> None:
    seen: dict[int, set[str]] = {}
    for k in (6, 2, 5, 3, 4, 1, 6):
        imgcluster.cluster(workspace=workspace, k=k)
        after = clusters(workspace)
        for number in set(after.values()):
            members = {path for path, other in after.items() if other == number}
            if number in seen:
                assert 2 * len(members & seen[number]) > max(len(members), len(seen[number]))
            seen[number] = members


def test_changes_are_reported(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    first = imgcluster.cluster(workspace=workspace, k=3)
    assert {change.change for change in first.changes} >= {"merged"}
    again = imgcluster.cluster(workspace=workspace, k=3)
    assert {change.change for change in again.changes} == {"kept"}
    assert again.reassigned == 0
    Image.new("RGB", (10, 12), (205, 30, 30)).save(pictures / "red/new.png")
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    grown = imgcluster.cluster(workspace=workspace, k=3)
    assert sorted(change.change for change in grown.changes) == ["grown", "kept", "kept"]
    with (workspace / "changes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["cluster"]), row["change"], int(row["size"])) for row in rows] == [
        (change.cluster, change.change, change.size) for change in grown.changes
    ]
    assert any(
        "2 kept, 1 grown" in sentence for sentence in pages.read(workspace / "report.html").document["sentences"]
    )


def test_every_step_is_undone_byte_for_byte(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    def embed() -> None:
        imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")

    states = [snapshot(workspace)]
    decide(workspace, names={"0": "first"}, merges=[{"from": 2, "into": 1}])
    states.append(snapshot(workspace))
    imgcluster.cluster(workspace=workspace, k=3, place="copy")
    states.append(snapshot(workspace))
    removed = (pictures / "red/00.png").read_bytes()
    (pictures / "red/00.png").unlink()
    Image.new("RGB", (10, 12), "white").save(pictures / "new.png")
    embed()
    imgcluster.cluster(workspace=workspace, k=4)
    states.append(snapshot(workspace))
    decide(workspace, misplaced=[{"path": "new.png", "to": "noise"}])
    commands = [step.command for step in imgcluster.history(workspace=workspace).steps]
    assert commands == ["apply", "cluster", "cluster", "apply"]
    (pictures / "red/00.png").write_bytes(removed)
    for state in reversed(states):
        imgcluster.undo(workspace=workspace)
        assert snapshot(workspace) == state
    assert imgcluster.history(workspace=workspace).steps == ()
    assert imgcluster.undo(workspace=workspace).what == "placing"


def test_an_embed_without_a_clustering_after_it_is_undone(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    before = snapshot(workspace)
    Image.new("RGB", (10, 12), "white").save(pictures / "new.png")
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    assert imgcluster.history(workspace=workspace).steps[0].summary == "1 new, 0 changed, 0 removed"
    assert imgcluster.undo(workspace=workspace).what == "embed"
    assert snapshot(workspace) == before


def test_an_interrupted_clustering_is_undone_by_the_next_command(workspace: Path) -> None:
    from interruptions import interrupt_at

    before = snapshot(workspace)
    with pytest.raises(KeyboardInterrupt):
        imgcluster.cluster(workspace=workspace, k=2, on_progress=interrupt_at("report"))
    with pytest.raises(WorkspaceError, match="interrupted"):
        imgcluster.cluster(workspace=workspace, k=2, dry_run=True)
    imgcluster.undo(workspace=workspace)
    assert snapshot(workspace) == before
