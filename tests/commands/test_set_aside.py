"""Plans that set duplicates aside: originals move to the folder of duplicates, and `undo` brings them back."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import PlacementError, PlanError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.workspace import states
from interruptions import killing_at
from samples import paint

COPIES = ("red/copy 1.png", "blue/copy 2.png")


@pytest.fixture
def folder(pictures: Path) -> Path:
    for name in COPIES:
        shutil.copyfile(pictures / "red/00.png", pictures / name)
    return pictures


@pytest.fixture
def out(folder: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    imgcluster.embed(folder, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=tmp_path / "out", k=3)
    imgcluster.duplicates(workspace=tmp_path / "out")
    return tmp_path / "out"


def plan(out: Path, *paths: str) -> Path:
    identity = pages.read(out / "report.html").document["identity"]
    file = out.parent / "plan.json"
    file.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, "set_aside": paths}))
    return file


def contents(*folders: Path) -> Counter[bytes]:
    """Return the contents of all originals, without links."""
    files = (path for folder in folders for path in folder.rglob("*"))
    return Counter(path.read_bytes() for path in files if path.is_file() and not path.is_symlink())


def placed(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in (out / "clusters").rglob("*.png")}


def test_originals_move_and_return(folder: Path, out: Path) -> None:
    before, links, table = contents(folder), placed(out), (out / "assignments.csv").read_bytes()
    summary = imgcluster.apply(plan(out, *COPIES), workspace=out)
    assert summary.set_aside == 2
    assert not any((folder / name).exists() for name in COPIES)
    assert contents(folder, out / "duplicates") == before
    assert {path.name for path in (out / "duplicates").rglob("*.png")} == {"copy 1.png", "copy 2.png"}
    # They stay in the table, but are not placed.
    assert (out / "assignments.csv").read_bytes() == table
    assert len(placed(out)) == len(links) - 2
    assert all(path.exists() for path in (out / "clusters").rglob("*.png"))
    page = pages.read(out / "report.html").document["findings"]
    assert len(page["setAside"]) == 2
    assert page["duplicates"] == []
    # The page lets nobody set the last one aside, which `apply` refuses.
    paths = pages.read(out / "report.html").paths
    assert [[paths[image] for image in group] for group in page["remaining"]] == [["red/00.png"]]
    with pytest.raises(PlanError, match=r"red/00\.png"):
        imgcluster.apply(plan(out, "red/00.png"), workspace=out)
    imgcluster.undo(workspace=out)
    assert contents(folder) == before
    assert placed(out) == links
    assert not (out / "duplicates").exists()
    assert all((folder / name).exists() for name in COPIES)


def test_one_image_of_each_group_stays(folder: Path, out: Path) -> None:
    before = contents(folder)
    with pytest.raises(PlanError, match=r"duplicates\.csv"):
        imgcluster.apply(plan(out, "red/00.png", *COPIES), workspace=out)
    assert contents(folder) == before
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    with pytest.raises(PlanError, match=r"duplicates\.csv"):
        imgcluster.apply(plan(out, "red/00.png"), workspace=out)


def test_a_dry_run_changes_nothing(folder: Path, out: Path) -> None:
    before = contents(folder)
    assert imgcluster.apply(plan(out, *COPIES), workspace=out, dry_run=True).set_aside == 2
    assert contents(folder) == before


def test_the_output_says_where_the_originals_are(folder: Path, out: Path) -> None:
    def output(*words: object) -> str:
        done = CliRunner().invoke(app, [*map(str, words), "-w", str(out)])
        assert done.exit_code == 0, done.output
        return done.output

    file, duplicates = plan(out, *COPIES), str(out / "duplicates")
    assert imgcluster.apply(file, workspace=out, dry_run=True).set_aside_to == duplicates
    assert duplicates in output("apply", file, "--dry-run")
    assert duplicates in output("apply", file)
    for dry_run in (True, False):
        undone = imgcluster.undo(workspace=out, dry_run=dry_run)
        assert (undone.returned, undone.returned_to) == (2, (str(folder / "blue"), str(folder / "red")))
        assert undone.taken_back >= 2
    renaming = json.loads(file.read_text()) | {"set_aside": [], "names": {"0": "Sea"}}
    file.write_text(json.dumps(renaming))
    assert imgcluster.apply(file, workspace=out).set_aside_to == ""


def test_an_undo_that_cannot_return_a_duplicate_changes_nothing(folder: Path, out: Path) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    (folder / COPIES[0]).write_bytes(b"another file")
    before = contents(folder, out / "duplicates"), placed(out)
    with pytest.raises(WorkspaceError, match=r"copy 1\.png"):
        imgcluster.undo(workspace=out)
    assert (contents(folder, out / "duplicates"), placed(out)) == before
    (folder / COPIES[0]).unlink()
    assert imgcluster.undo(workspace=out).returned == 2


def test_what_is_set_aside_represents_no_cluster(out: Path) -> None:
    def medoids() -> list[str]:
        rows = csv.DictReader((out / "assignments.csv").read_text(encoding="utf-8").splitlines())
        found = [row["path"] for row in rows if row["is_medoid"] == "true"]
        table = csv.DictReader((out / "clusters.csv").read_text(encoding="utf-8").splitlines())
        assert sorted(row["medoid"] for row in table) == sorted(found)
        return found

    imgcluster.evaluate(workspace=out)
    before, metrics = medoids(), (out / "metrics.json").read_bytes()
    imgcluster.apply(plan(out, *before), workspace=out)
    after = medoids()
    assert len(after) == 3
    assert not set(after) & set(before)
    # The clusters are the same, and so are their scores.
    assert (out / "metrics.json").read_bytes() == metrics
    page = pages.read(out / "report.html")
    shown = {page.paths[row] for one in page.document["clusters"] for row in one["representatives"]}
    assert not shown & set(before)
    imgcluster.cluster(workspace=out, k=2)
    assert not set(medoids()) & set(before)
    for _ in range(2):
        imgcluster.undo(workspace=out)
    assert medoids() == before


@pytest.mark.parametrize("mode", ["none", "copy", "hardlink"])
def test_every_placement(folder: Path, out: Path, mode: str) -> None:
    imgcluster.cluster(workspace=out, k=3, place=mode)
    links = placed(out)
    imgcluster.apply(plan(out, COPIES[0]), workspace=out)
    assert len(placed(out)) == max(0, len(links) - 1)
    imgcluster.undo(workspace=out)
    assert (folder / COPIES[0]).exists()
    assert placed(out) == links


def test_moved_originals_are_refused(folder: Path, out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3, place="move")
    with pytest.raises(PlanError, match="moved to"):
        imgcluster.apply(plan(out, COPIES[0]), workspace=out)
    assert not (out / "duplicates").exists()


def test_later_commands_know_where_they_are(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.apply(plan(out, COPIES[0]), workspace=out)
    summary = imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert (summary.embedded, summary.new, summary.vanished) == (26, 0, 0)
    imgcluster.cluster(workspace=out, k=2)
    assert not any("copy 1" in name for name in placed(out))
    # The other copy is still a duplicate.
    assert imgcluster.duplicates(workspace=out).exact == 1
    (query,) = imgcluster.similar(COPIES[0], workspace=out, limit=1).queries
    assert query.results[0].score == pytest.approx(1, abs=1e-4)
    # Set aside again, or together with others, they stay where they are.
    assert imgcluster.apply(plan(out, *COPIES), workspace=out).set_aside == 1
    imgcluster.cluster(workspace=out, k=3, place="move")
    assert sum(contents(folder, out / "clusters", out / "duplicates").values()) == 26
    for _ in range(4):
        imgcluster.undo(workspace=out)
    assert sum(contents(folder).values()) == 26


def test_dry_runs_count_no_files_that_are_set_aside(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu"}
    assert imgcluster.cluster(workspace=out, k=2, dry_run=True).placed == {"symlink": 24}
    assert imgcluster.assign(workspace=out, place="copy", dry_run=True).placed == {"copy": 24}
    assert imgcluster.run(folder, k=2, dry_run=True, **options).cluster.placed == {"symlink": 24}
    shutil.copyfile(folder / "red/01.png", folder / "new.png")
    assert imgcluster.run(folder, dry_run=True, **options).cluster.placed == {"symlink": 25}
    assert imgcluster.run(folder, **options).cluster.placed == {"symlink": 25}


def test_duplicates_that_the_user_deletes_leave_the_workspace(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    shutil.rmtree(out / "duplicates")
    summary = imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert (summary.embedded, summary.vanished) == (24, 2)
    imgcluster.assign(workspace=out)
    assert imgcluster.duplicates(workspace=out).exact == 0


@pytest.fixture
def one_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST_STATES", 1)


def make_steps(out: Path) -> None:
    for number in (2, 4):
        imgcluster.cluster(workspace=out, k=number)


@pytest.mark.usefixtures("one_state")
@pytest.mark.parametrize("key", ["present", "lost"])
def test_many_steps_after_duplicates_were_deleted(
    folder: Path, out: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    shutil.rmtree(out / "duplicates")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=out)
    if key == "lost":
        monkeypatch.setenv("IMGCLUSTER_KEY", str(out.parent / "lost.key"))
    make_steps(out)
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert not [finding.message for finding in imgcluster.verify(workspace=out).findings]
    for what in ("cluster", "placing"):
        assert imgcluster.undo(workspace=out).what == what
    assert len(contents(folder)) == 24
    assert not placed(out)


@pytest.mark.usefixtures("one_state")
@pytest.mark.parametrize("damaged", [False, True])
def test_originals_return_after_many_steps(folder: Path, out: Path, tiny_encoder: Path, damaged: bool) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    if damaged:
        # It leaves the workspace, but its file stays.
        next((out / "duplicates").rglob("copy 1.png")).write_bytes(b"damaged")
    before = contents(folder, out / "duplicates")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=out)
    make_steps(out)
    assert not [finding.message for finding in imgcluster.verify(workspace=out).findings]
    assert [imgcluster.undo(workspace=out).returned for _ in range(2)] == [0, 2]
    assert contents(folder) == before
    assert all((folder / name).exists() for name in COPIES)


def test_an_original_that_the_user_moves_back_is_placed_again(folder: Path, out: Path, tiny_encoder: Path) -> None:
    before = contents(folder)
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    (back,) = (out / "duplicates").rglob("copy 1.png")
    back.rename(folder / COPIES[0])
    assert [row.kind for row in imgcluster.duplicates(workspace=out, exact=True).duplicates] == ["best", "exact"]
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert imgcluster.cluster(workspace=out, k=2).placed == {"symlink": 25}
    assert not [finding.message for finding in imgcluster.verify(workspace=out).findings]
    imgcluster.undo(workspace=out)
    assert (folder / COPIES[0]).exists()
    # A plan can set it aside again.
    assert imgcluster.apply(plan(out, COPIES[0]), workspace=out).set_aside == 1
    for _ in range(2):
        imgcluster.undo(workspace=out)
    assert contents(folder) == before


def test_an_original_that_the_user_moves_back_stays_there(folder: Path, out: Path) -> None:
    imgcluster.apply(plan(out, COPIES[0]), workspace=out)
    (back,) = (out / "duplicates").rglob("copy 1.png")
    back.rename(folder / COPIES[0])
    imgcluster.apply(plan(out, COPIES[1]), workspace=out)
    assert [(folder / name).exists() for name in COPIES] == [True, False]
    imgcluster.undo(workspace=out)
    assert [(folder / name).exists() for name in COPIES] == [True, True]
    assert not (out / "set_aside.jsonl").exists()


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_nothing(folder: Path, out: Path, step: int) -> None:
    before, file = contents(folder), plan(out, *COPIES)
    with pytest.MonkeyPatch.context() as patch:
        calls = killing_at(patch, None)
        imgcluster.apply(file, workspace=out)
    imgcluster.undo(workspace=out)
    for number in range(0, len(calls), step):
        with pytest.MonkeyPatch.context() as patch:
            killing_at(patch, number)
            with pytest.raises(KeyboardInterrupt):
                imgcluster.apply(file, workspace=out)
        assert contents(folder, out / "duplicates") == before, number
        imgcluster.apply(file, workspace=out)
        assert len(contents(out / "duplicates")) == 1
        imgcluster.undo(workspace=out)
        assert contents(folder) == before, number


def test_forged_journals_are_refused(folder: Path, out: Path) -> None:
    imgcluster.apply(plan(out, COPIES[0]), workspace=out)
    journal, other = out / "set_aside.jsonl", out.parent / "other.png"
    other.write_bytes(b"another file")
    head, line = journal.read_text().splitlines()
    for forged in (
        {"target": "../out.png"},
        {"source": "/elsewhere/x.png"},
        {"target": "clusters/a/b.png"},
        {"source": str(other), "target": "duplicates/a/b.png"},
    ):
        journal.write_text(f"{head}\n{json.dumps(json.loads(line) | forged)}\n")
        with pytest.raises(PlacementError, match="damaged"):
            imgcluster.undo(workspace=out)


def test_wrong_plans(out: Path) -> None:
    with pytest.raises(PlanError, match=r"nothing\.png"):
        imgcluster.apply(plan(out, "nothing.png"), workspace=out)


def test_undo_without_a_record_of_the_step(folder: Path, out: Path) -> None:
    before = contents(folder)
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    shutil.rmtree(out / "applied")
    assert (imgcluster.undo(workspace=out).taken_back, contents(folder)) == (2, before)
    assert imgcluster.undo(workspace=out).what == "placing"
    assert contents(folder) == before


def test_exact_copies_are_set_aside_without_the_page(folder: Path, out: Path) -> None:
    before, links, table = contents(folder), placed(out), (out / "assignments.csv").read_bytes()
    best = next(row.path for row in imgcluster.duplicates(workspace=out, exact=True).duplicates if row.kind == "best")
    summary = imgcluster.duplicates(workspace=out, exact=True, set_aside=True)
    assert (summary.set_aside, summary.not_set_aside) == (2, 0)
    assert (folder / best).exists()
    assert contents(folder, out / "duplicates") == before
    assert len(contents(out / "duplicates")) == 1
    assert (out / "assignments.csv").read_bytes() == table
    assert len(pages.read(out / "report.html").document["findings"]["setAside"]) == 2
    # Repeated, it finds none.
    assert imgcluster.duplicates(workspace=out, exact=True, set_aside=True).set_aside == 0
    assert imgcluster.undo(workspace=out).what == "plan"
    assert contents(folder) == before
    assert placed(out) == links


def test_of_an_original_that_changed_no_copy_is_set_aside(folder: Path, out: Path) -> None:
    rows = imgcluster.duplicates(workspace=out, exact=True).duplicates
    (folder / rows[0].path).write_bytes(b"another content")
    before = contents(folder)
    summary = imgcluster.duplicates(workspace=out, exact=True, set_aside=True)
    assert (summary.set_aside, summary.not_set_aside) == (0, 2)
    assert contents(folder) == before
    assert not (out / "duplicates").exists()


def test_hard_links_are_not_set_aside(folder: Path, out: Path, tiny_encoder: Path) -> None:
    (folder / "hard link.png").hardlink_to(folder / "blue/01.png")
    imgcluster.run([folder], workspace=out, encoder=tiny_encoder, device="cpu")
    summary = imgcluster.duplicates(workspace=out, exact=True, set_aside=True)
    assert (summary.set_aside, summary.not_set_aside) == (2, 1)
    assert (folder / "hard link.png").samefile(folder / "blue/01.png")


@pytest.mark.parametrize("raw", [("red/00",), ("blue/01",), ("red/00", "blue/01"), ("red/00", "other/02")])
def test_the_raw_file_of_a_copy_is_not_set_aside(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, raw: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    (pictures / "other").mkdir()
    for name in ("red/00", "blue/01", "other/02"):
        Image.new("RGB", (8, 8), "green").save(pictures / f"{name}.jpg")
    for name in raw:
        (pictures / f"{name}.nef").write_bytes(f"raw {name}".encode())
    before = contents(pictures)
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    summary = imgcluster.duplicates(workspace=out, exact=True, set_aside=True)
    assert (summary.set_aside, summary.exact, summary.near) == (3 - len(raw), 3 - len(raw), len(raw) - 1)
    for name in raw:
        assert (pictures / f"{name}.jpg").is_file()
        assert (pictures / f"{name}.nef").is_file()
    imgcluster.undo(workspace=out)
    assert contents(pictures) == before


def test_a_copy_with_its_raw_file_is_set_aside_where_the_best_image_has_both(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "out"
    shutil.copyfile(pictures / "red/00.png", pictures / "red/a.png")
    for name in ("red/00", "red/b"):
        Image.new("RGB", (8, 8), "green").save(pictures / f"{name}.jpg")
        (pictures / f"{name}.nef").write_bytes(b"raw")
    before = contents(pictures)
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    assert imgcluster.duplicates(workspace=out, exact=True, set_aside=True).set_aside == 2
    assert sorted(path.suffix for path in (out / "duplicates").rglob("*") if path.is_file()) == [".jpg", ".nef", ".png"]
    assert contents(pictures, out / "duplicates") == before


def test_setting_exact_copies_aside_needs_a_clustering(
    folder: Path, out: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    before = contents(folder)
    imgcluster.embed(folder, workspace=tmp_path / "other", encoder=tiny_encoder, device="cpu")
    with pytest.raises(WorkspaceError, match="imgcluster cluster"):
        imgcluster.duplicates(workspace=tmp_path / "other", exact=True, set_aside=True)
    imgcluster.assign(workspace=out, place="move")
    with pytest.raises(PlanError, match="--place symlink"):
        imgcluster.duplicates(workspace=out, exact=True, set_aside=True)
    assert contents(out / "clusters") == before


def test_setting_exact_copies_aside_on_the_command_line(folder: Path, out: Path) -> None:
    run = CliRunner().invoke
    result = run(app, ["duplicates", "--exact", "-w", str(out)])
    assert f"duplicates --exact --set-aside -w {out}" in result.stdout
    for options in (["--set-aside"], ["--set-aside", "--bursts"]):
        result = run(app, ["duplicates", *options, "-w", str(out)])
        assert (result.exit_code, "--exact" in result.output) == (2, True)
    result = run(app, ["duplicates", "--exact", "--set-aside", "-w", str(out)])
    assert result.exit_code == 0
    assert "Moved 2 originals" in result.stdout
    assert "No file was changed" not in result.stdout
    assert f"undo -w {out}" in result.stdout


def test_a_dry_run_places_nothing_that_is_set_aside(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.apply(plan(out, *COPIES), workspace=out)
    paint(folder / "more", per_folder=1, seed=7)
    options: dict[str, Any] = {"workspace": out, "encoder": tiny_encoder, "device": "cpu"}
    previews = [imgcluster.run([folder], recluster=again, dry_run=True, **options).cluster for again in (False, True)]
    assert previews[0].placed == imgcluster.run([folder], **options).cluster.placed == {"symlink": 27}
    assert previews[1].placed == {"symlink": 27}
    assert imgcluster.cluster(workspace=out, k=2, dry_run=True).placed == {"symlink": 27}
    assert imgcluster.assign(workspace=out, place="copy", dry_run=True).placed == {"copy": 27}
