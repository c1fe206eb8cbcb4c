"""Moved originals: renaming, interruptions, dry runs and undo lose nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import ImgclusterError, UsageError, WorkspaceError
from imgcluster.cli.app import app
from interruptions import interrupt_at
from samples import paint
from tiny_models import TINY, mean_colour


@pytest.fixture
def moved(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place="move")
    assert not list(pictures.rglob("*.png"))
    return out


def test_undo_in_a_renamed_workspace(moved: Path, pictures: Path) -> None:
    renamed = moved.rename(moved.with_name("sorted"))
    imgcluster.cluster(workspace=renamed, k=2, place="move")
    assert imgcluster.undo(workspace=renamed).what == "cluster"
    assert imgcluster.undo(workspace=renamed).taken_back == 24
    assert len(list(pictures.rglob("*.png"))) == 24


def test_the_page_follows_an_undo(moved: Path) -> None:
    imgcluster.undo(workspace=moved)
    links = pages.read(moved / "report.html").links
    assert "../pictures/red/00.png" in links
    assert not any(link.startswith("clusters/") for link in links)


def test_originals_in_a_renamed_cluster_folder_return(moved: Path, pictures: Path) -> None:
    (moved / "clusters/cluster_000").rename(moved / "clusters/mine")
    summary = imgcluster.undo(workspace=moved)
    assert (summary.taken_back, len(summary.left)) == (24, 0)
    assert len(list(pictures.rglob("*.png"))) == 24


def test_a_cluster_folder_that_was_moved_away_keeps_its_entries(moved: Path, pictures: Path) -> None:
    (moved / "clusters/cluster_000").rename(moved.parent / "mine")
    summary = imgcluster.undo(workspace=moved)
    assert (summary.taken_back, len(summary.left)) == (16, 8)
    # Clustering is possible, and the journal of the others is archived.
    imgcluster.cluster(workspace=moved, k=2, place="symlink")
    assert len((moved / "outdated/placed.jsonl").read_text(encoding="utf-8").splitlines()) == 9
    assert len(list(pictures.rglob("*.png"))) == 16


def test_an_interrupted_move_is_undone_by_the_same_command(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"

    def command(**more: Any) -> object:
        options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu", "k": 3, "place": "move"}
        return imgcluster.run([pictures], **options, **more)

    with pytest.raises(KeyboardInterrupt):
        command(on_progress=interrupt_at("report"))
    assert not list(pictures.rglob("*.png"))
    command()
    assert len(list((out / "clusters").rglob("*.png"))) == 24
    assert imgcluster.undo(workspace=out).taken_back == 24
    assert len(list(pictures.rglob("*.png"))) == 24


def test_an_interrupted_step_is_reported_and_its_files_are_found(moved: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        imgcluster.cluster(workspace=moved, k=6, on_progress=interrupt_at("place", 1))
    commands = (
        imgcluster.load,
        lambda out: imgcluster.export(tmp_path / "out.csv", workspace=out),
        lambda out: imgcluster.duplicates(workspace=out),
    )
    for command in commands:
        with pytest.raises(WorkspaceError, match="interrupted"):
            command(moved)
    assert not (tmp_path / "out.csv").exists()
    journal = (moved / "placed.jsonl").read_text(encoding="utf-8")
    assert len(journal.splitlines()) > 25
    (query,) = imgcluster.similar("red/00.png", workspace=moved).queries
    assert query.results
    assert all(Path(found.file).is_file() for found in query.results)


@pytest.mark.parametrize("links", [True, False])
def test_a_dry_run_of_everything_changes_nothing(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    out = tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu", "k": 3}
    assert imgcluster.run([pictures], dry_run=True, **options).cluster.placed == {"symlink": 24}  # type: ignore[arg-type]
    assert not out.exists()
    imgcluster.run([pictures], place="copy", **options)  # type: ignore[arg-type]
    Image.new("RGB", (8, 8), "white").save(pictures / "new.png")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    if not links:
        monkeypatch.setattr("os.symlink", refuse)
    summary = imgcluster.run([pictures], dry_run=True, fresh=True, **options)  # type: ignore[arg-type]
    assert (summary.embed.new, summary.embed.unchanged, summary.cluster.images) == (25, 0, 25)
    summary = imgcluster.run([pictures], dry_run=True, **options)  # type: ignore[arg-type]
    assert (summary.embed.new, summary.embed.unchanged, summary.cluster.images) == (1, 24, 25)
    assert summary.embed.workspace == summary.cluster.workspace == str(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_dry_run_links_to_the_shards_and_locks_the_workspace(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"workspace": tmp_path / "out", "encoder": tiny_encoder, "device": "cpu"}
    imgcluster.embed([pictures], **options)  # type: ignore[arg-type]
    links, refusals = [], []
    link = os.symlink

    def linked(source: str, target: str, *rest: object) -> None:
        links.append(Path(source))
        link(source, target)

    def meanwhile(_: object) -> None:
        with pytest.raises(WorkspaceError, match="another imgcluster"):
            imgcluster.embed([pictures], fresh=True, **options)  # type: ignore[arg-type]
        refusals.append(1)

    monkeypatch.setattr("os.symlink", linked)
    imgcluster.run([pictures], k=3, dry_run=True, on_progress=meanwhile, **options)  # type: ignore[arg-type]
    assert links == sorted((tmp_path / "out" / "embeddings").iterdir())
    assert refusals
    assert imgcluster.embed([pictures], fresh=True, **options).new == 24  # type: ignore[arg-type]


def refuse(*_: object, **__: object) -> None:
    raise OSError("links are not allowed here")


def snapshot(*folders: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the time and content of every file except the lock."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_dry_run_reports_an_interrupted_move_and_changes_nothing(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu", "k": 3}
    with pytest.raises(KeyboardInterrupt):
        imgcluster.run([pictures], place="move", on_progress=interrupt_at("report"), **options)  # type: ignore[arg-type]
    (out / ".imgcluster-1-0.tmp").write_bytes(b"of a killed process")
    before = snapshot(pictures, out)
    note = "24 images .*clusters.*--dry-run"
    with pytest.raises(WorkspaceError, match=rf"{note}.*imgcluster undo -w .*out$"):
        imgcluster.run([pictures], dry_run=True, **options)  # type: ignore[arg-type]
    summary = imgcluster.cluster(workspace=out, k=3, dry_run=True)
    assert [bool(re.match(note, warning)) for warning in summary.warnings].count(True) == 1
    assert imgcluster.undo(workspace=out, dry_run=True).taken_back == 24
    assert snapshot(pictures, out) == before
    # The real command moves them back and reports nothing.
    summary = imgcluster.run([pictures], **options).cluster  # type: ignore[arg-type]
    assert len(list(pictures.rglob("*.png"))) == 24
    assert not any(re.match(note, warning) for warning in summary.warnings)


def test_a_dry_run_refuses_the_same_as_the_command(moved: Path, pictures: Path, tiny_encoder: Path) -> None:
    before = snapshot(moved)
    with pytest.raises(UsageError, match=str(moved / "clusters")):
        imgcluster.run([moved / "clusters"], workspace=moved, encoder=tiny_encoder, dry_run=True)
    assert snapshot(moved) == before


def test_a_dry_run_shows_the_matched_names(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu", "k": 3}
    imgcluster.run([pictures], **options)  # type: ignore[arg-type]
    plan = {"imgcluster_plan": 1, "names": {"0": "Sea", "1": "Sky"}}
    plan["clustering"] = pages.read(out / "report.html").document["identity"]
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(tmp_path / "plan.json", workspace=out)
    before = snapshot(pictures, out)
    dry_run = imgcluster.run([pictures], dry_run=True, seed=5, **options)  # type: ignore[arg-type]
    assert snapshot(pictures, out) == before
    assert {row.name for row in dry_run.cluster.clusters} == {"Sea", "Sky", ""}
    assert dry_run.cluster.clusters == imgcluster.run([pictures], seed=5, **options).cluster.clusters  # type: ignore[arg-type]


def test_an_error_of_a_dry_run_names_the_workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.embed([pictures], workspace=out, encoder=tiny_encoder, device="cpu")
    other = mean_colour(tmp_path / "other.onnx", dataclasses.replace(TINY, name="other"))
    with pytest.raises(WorkspaceError, match=rf"^{re.escape(str(out))} .*'tiny'.*'other'"):
        imgcluster.run([pictures], workspace=out, encoder=other, dry_run=True)


def test_one_folder_gives_no_labels(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    imgcluster.run([pictures / "red"], workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", k=2)
    with pytest.raises(UsageError, match="--labels"):
        imgcluster.evaluate(workspace=tmp_path / "out")


def test_an_option_of_another_method_is_refused(moved: Path) -> None:
    with pytest.raises(ImgclusterError, match="--min-cluster-size.*hdbscan"):
        imgcluster.cluster(workspace=moved, k=2, min_cluster_size=5, dry_run=True)


def test_links_to_a_folder_that_was_removed(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    shutil.rmtree(pictures)
    for _ in range(2):
        done = imgcluster.cluster(workspace=out, k=3)
        assert (done.placed, done.missing) == ({}, 24)
        assert sum("--fresh" in warning and str(pictures) in warning for warning in done.warnings) == 1
    (finding,) = imgcluster.verify(workspace=out, quick=True).findings
    assert "--fresh" in finding.remedy


def test_originals_return_only_if_all_of_them_can(moved: Path, pictures: Path) -> None:
    taken = pictures / "red/00.png"
    Image.new("RGB", (9, 9), "white").save(taken)
    before = snapshot(pictures, moved)
    for attempt in range(3):
        with pytest.raises(WorkspaceError, match=rf"{re.escape(str(taken))}.*repeat the command"):
            imgcluster.cluster(workspace=moved, k=3, place="symlink", dry_run=attempt == 2)
        assert snapshot(pictures, moved) == before
        assert imgcluster.history(workspace=moved).steps == ()
    taken.rename(pictures / "other.png")
    imgcluster.cluster(workspace=moved, k=3, place="symlink")
    assert len(list(pictures.rglob("*.png"))) == 25


def test_originals_that_return_are_counted(moved: Path, pictures: Path, tiny_encoder: Path) -> None:
    folders = tuple(str(pictures / name) for name in ("blue", "green", "red"))
    embedding: dict[str, Any] = {"workspace": moved, "encoder": tiny_encoder, "device": "cpu"}
    for place in ("symlink", "none"):
        for dry_run in (True, False):
            done = imgcluster.cluster(workspace=moved, k=3, place=place, dry_run=dry_run)
            assert (done.returned, done.returned_to) == (24, folders)
            done = imgcluster.run([pictures], place=place, dry_run=True, **embedding).cluster
            assert (done.returned, done.returned_to) == ((24, folders) if dry_run else (0, ()))
        for dry_run in (True, False):
            undone = imgcluster.undo(workspace=moved, dry_run=dry_run)
            assert (undone.moved, undone.returned) == (24, 0)
            assert undone.taken_back == (24 if place == "symlink" else 0)
    assert not list(pictures.rglob("*.png"))
    # Originals that only change their cluster are not counted.
    assert imgcluster.cluster(workspace=moved, k=2).returned == 0
    undone = imgcluster.undo(workspace=moved)
    assert (undone.returned, undone.moved, undone.taken_back) == (0, 0, 16)
    paint(pictures / "more", per_folder=2, seed=7)
    assert imgcluster.run([pictures], **embedding).cluster.placed == {"move": 30}
    for dry_run in (True, False):
        undone = imgcluster.undo(workspace=moved, dry_run=dry_run)
        assert (undone.what, undone.returned, undone.taken_back) == ("assign", 6, 6)
    for dry_run in (True, False):
        undone = imgcluster.undo(workspace=moved, dry_run=dry_run)
        assert (undone.what, undone.returned, undone.returned_to) == ("placing", 24, folders)


def test_undo_of_a_move_returns_all_originals_or_none(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    imgcluster.cluster(workspace=out, k=3, place="move")
    taken = pictures / "red/00.png"
    taken.mkdir()
    before = snapshot(pictures, out)
    for dry_run in (False, True, False):
        with pytest.raises(WorkspaceError, match=rf"{re.escape(str(taken))}.*repeat the command"):
            imgcluster.undo(workspace=out, dry_run=dry_run)
        assert snapshot(pictures, out) == before
    taken.rmdir()
    assert imgcluster.undo(workspace=out).what == "cluster"
    assert len(list(pictures.rglob("*.png"))) == 24


def test_undo_says_in_one_line_that_a_disk_is_not_mounted(moved: Path, pictures: Path) -> None:
    mounted = pictures.rename(pictures.with_name("unmounted"))
    pictures.mkdir()
    for words in (("--dry-run",), ()):
        done = CliRunner().invoke(app, ["undo", "-w", str(moved), *words])
        (line,) = (line for line in done.output.splitlines() if "mount" in line)
        assert "23 other files" in line
        assert done.exit_code == 1
    assert not list(pictures.iterdir())
    pictures.rmdir()
    mounted.rename(pictures)
    assert imgcluster.undo(workspace=moved).returned == 24


@pytest.mark.parametrize("problem", ["another file", "disk not mounted"])
@pytest.mark.parametrize("interrupted", [False, True])
def test_undo_of_a_later_move_returns_all_originals_or_none(
    moved: Path, pictures: Path, tiny_encoder: Path, problem: str, interrupted: bool
) -> None:
    disk = pictures.parent / "disk"
    paint(disk / "more", per_folder=2, seed=7)
    added = sorted(disk.rglob("*.png"))
    options: dict[str, Any] = {"workspace": moved, "encoder": tiny_encoder, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt) if interrupted else nullcontext():
        imgcluster.run([pictures, disk], on_progress=interrupt_at("report" if interrupted else ""), **options)
    assert not any(path.exists() for path in added)
    if problem == "another file":
        Image.new("RGB", (9, 9), "white").save(added[0])
    else:
        mounted = disk.rename(disk.with_name("unmounted"))
        disk.mkdir()
    before = snapshot(pictures, disk, moved / "clusters")
    commands = [imgcluster.undo, *([imgcluster.assign] if interrupted else []), imgcluster.undo]
    for command in (partial(imgcluster.undo, dry_run=True), *commands):
        with pytest.raises(WorkspaceError, match=re.escape(str(disk))):
            command(workspace=moved)
        assert snapshot(pictures, disk, moved / "clusters") == before
    assert not (moved / "outdated").exists()
    if problem == "another file":
        added[0].rename(disk / "mine.png")
    else:
        disk.rmdir()
        mounted.rename(disk)
    imgcluster.undo(workspace=moved)
    assert all(path.exists() for path in added)
    assert imgcluster.verify(workspace=moved).consistent


def test_a_folder_that_cannot_be_created_stops_all_originals(moved: Path, pictures: Path) -> None:
    (pictures / "blue").rename(pictures / "empty")
    (pictures / "blue").write_text("a file in place of the folder", encoding="utf-8")
    before = snapshot(pictures, moved)
    with pytest.raises(WorkspaceError, match=re.escape(str(pictures / "blue"))):
        imgcluster.cluster(workspace=moved, k=3, place="none")
    assert snapshot(pictures, moved) == before


@pytest.mark.parametrize("place", ["copy", "hardlink"])
@pytest.mark.parametrize("command", ["assign", "cluster"])
def test_copies_of_edited_originals_are_replaced(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, place: str, command: str
) -> None:
    out, options = tmp_path / "out", {"encoder": tiny_encoder, "device": "cpu"}
    imgcluster.run(pictures, workspace=out, k=3, place=place, **options)
    edited, touched, mine = (pictures / f"red/0{number}.png" for number in range(3))
    before = {path.read_bytes() for path in pictures.rglob("*.png")}
    (changed_by_user,) = (path for path in placed(out) if path.read_bytes() == mine.read_bytes())
    changed_by_user.unlink()
    changed_by_user.write_bytes(b"changed by the user")
    # Editors write a new file.
    for path in (edited, touched):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    Image.new("RGB", (12, 10), (190, 40, 40)).save(edited)
    imgcluster.embed(pictures, workspace=out, **options)
    getattr(imgcluster, command)(workspace=out)
    present = {path.read_bytes() for path in pictures.rglob("*.png")}
    assert {path.read_bytes() for path in placed(out)} == present - {mine.read_bytes()} | {b"changed by the user"}
    # The earlier content may be the last copy.
    assert before - present <= {path.read_bytes() for path in (out / "outdated").rglob("*.png")}
    assert len(before - present) == 1
    imgcluster.undo(workspace=out)
    assert before - present <= {path.read_bytes() for path in out.rglob("*.png")}


@pytest.mark.parametrize("place", ["copy", "hardlink"])
def test_copies_of_renamed_originals_stay(pictures: Path, tmp_path: Path, tiny_encoder: Path, place: str) -> None:
    out, options = tmp_path / "out", {"encoder": tiny_encoder, "device": "cpu"}
    imgcluster.run(pictures, workspace=out, k=3, place=place, **options)
    before = {path.stat().st_ino for path in placed(out)}
    (pictures / "red").rename(pictures / "renamed")
    # Two exchange their names.
    for source, target in (("00", "x"), ("01", "00"), ("x", "01"), ("02", "new")):
        (pictures / f"blue/{source}.png").rename(pictures / f"blue/{target}.png")
    assert imgcluster.run(pictures, workspace=out, **options).embed.renamed == 9
    assert {path.stat().st_ino for path in placed(out)} == before
    assert len([path for path in placed(out) if path.name == "new.png"]) == 1
    assert not (out / "outdated").exists()
    assert not imgcluster.verify(workspace=out).findings
    # One takes the path of another one.
    lost = (pictures / "green/01.png").read_bytes()
    (pictures / "green/00.png").replace(pictures / "green/01.png")
    imgcluster.run(pictures, workspace=out, **options)
    assert lost in {path.read_bytes() for path in (out / "outdated").rglob("*.png")}
    assert len(placed(out)) == 23
    assert not imgcluster.verify(workspace=out).findings
    while imgcluster.history(workspace=out).steps:
        imgcluster.undo(workspace=out)
    imgcluster.undo(workspace=out)
    assert not placed(out)


def placed(out: Path) -> list[Path]:
    return sorted((out / "clusters").rglob("*.png"))
