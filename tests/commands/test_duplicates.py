"""`duplicates` finds copies in a workspace; it changes no file."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
from benchmarks.image_changes import changed
from imgcluster import UsageError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.images import readers
from interruptions import children, interrupt_at

PHOTOS = sorted((Path(__file__).parents[2] / "examples/photos").glob("*.jpg"))[:12]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photographs, an exact copy of one, and copies of three that were changed."""
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    for path in PHOTOS:
        shutil.copy2(path, folder / path.name)
    shutil.copy2(PHOTOS[0], folder / "more/same.jpg")
    os.utime(folder / "more/same.jpg", (2e9, 2e9))
    for number, kind in ((1, "size"), (1, "quality"), (2, "orientation"), (3, "crop")):
        with Image.open(PHOTOS[number]) as picture:
            data, suffix = changed(picture.convert("RGB"), kind, 1, np.random.default_rng(number))
        (folder / f"more/{number}-{kind}{suffix}").write_bytes(data)
    return folder


@pytest.fixture
def out(folder: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    imgcluster.embed(folder, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    return tmp_path / "out"


def groups(rows: tuple[imgcluster.DuplicateRow, ...]) -> dict[str, dict[str, str]]:
    """Return the kind of each copy by its best image."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.best, {})[row.path] = row.kind
    return found


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_exact_and_near_copies_are_found(folder: Path, out: Path) -> None:
    before = snapshot(folder)
    summary = imgcluster.duplicates(workspace=out)
    assert snapshot(folder) == before
    assert (summary.images, summary.exact, summary.near, summary.not_compared) == (17, 1, 4, 0)
    found = groups(summary.duplicates)
    assert summary.groups == len(found) == 4
    assert found[PHOTOS[0].name] == {PHOTOS[0].name: "best", "more/same.jpg": "exact"}
    assert found[PHOTOS[3].name] == {PHOTOS[3].name: "best", "more/3-crop.jpg": "near"}
    (copies,) = [kinds for kinds in found.values() if "more/1-size.jpg" in kinds]
    assert sorted(copies.values()) == ["best", "near", "near"]
    assert copies["more/1-size.jpg"] == "near"
    assert summary.bytes == sum(row.bytes for row in summary.duplicates if row.kind != "best")
    for row in summary.duplicates:
        assert row.bytes == (folder / row.path).stat().st_size
        assert summary.threshold <= row.score <= 1
        assert row.score == 1 or row.kind == "near"


def test_the_table_holds_the_summary(out: Path) -> None:
    summary = imgcluster.duplicates(workspace=out)
    with (out / "duplicates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["group", "path", "kind", "best", "score", "width", "height", "bytes"]
    assert [(row["path"], row["kind"], row["best"]) for row in rows] == [
        (row.path, row.kind, row.best) for row in summary.duplicates
    ]
    assert len(rows) == summary.groups + summary.exact + summary.near


def test_only_exact_copies(folder: Path, out: Path) -> None:
    summary = imgcluster.duplicates(workspace=out, exact=True)
    assert groups(summary.duplicates) == {PHOTOS[0].name: {PHOTOS[0].name: "best", "more/same.jpg": "exact"}}
    assert not (out / "signatures.parquet").exists()


def test_only_near_copies_with_a_score(out: Path) -> None:
    scores = {row.path: row.score for row in imgcluster.duplicates(workspace=out).duplicates if row.kind == "near"}
    least = max(scores.values())
    summary = imgcluster.duplicates(workspace=out, threshold=least - 1e-4)
    assert summary.threshold == least - 1e-4
    assert {row.score for row in summary.duplicates if row.kind == "near"} == {least}
    assert imgcluster.duplicates(workspace=out, threshold=0.5).near >= len(scores)
    for wrong in (0.4, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"0\.5 to 1"):
            imgcluster.duplicates(workspace=out, threshold=wrong)
    with pytest.raises(UsageError, match="--exact"):
        imgcluster.duplicates(workspace=out, threshold=0.9, exact=True)


def test_near_copies_of_an_earlier_run_are_not_lost_silently(folder: Path, out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    said = CliRunner().invoke(app, ["duplicates", "-w", str(out)]).stdout
    assert f"Page: {out / 'report.html'}" in said
    assert f"imgcluster apply imgcluster-plan.json -w {out}" in said
    summary = imgcluster.duplicates(workspace=out, exact=True)
    assert (summary.exact, summary.near, summary.unlisted) == (1, 0, 4)
    imgcluster.duplicates(workspace=out)
    said = CliRunner().invoke(app, ["duplicates", "--exact", "-w", str(out)]).stdout
    assert "4 near-copies" in said
    assert f"imgcluster duplicates -w {out}" in said


def test_the_original_is_the_best(tmp_path: Path, tiny_encoder: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 18:30:05"
    for number, path in enumerate(PHOTOS[:3]):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        picture.save(folder / f"{number}.jpg", quality=70, exif=exif if number == 0 else Image.Exif())
        os.utime(folder / f"{number}.jpg", (1e9 + number, 1e9 + number))
    with Image.open(folder / "0.jpg") as original:
        original.convert("RGB").rotate(90, expand=True).save(folder / "0 turned.png")
        os.utime(folder / "0 turned.png", (1e8, 1e8))  # older, but not the camera's
    with Image.open(folder / "1.jpg") as original:
        original.save(folder / "1 again.jpg", quality=95)
    with Image.open(folder / "2.jpg") as original:
        original.resize((original.width // 2, original.height // 2)).save(folder / "2 small.jpg", exif=exif)
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert groups(imgcluster.duplicates(workspace=out).duplicates) == {
        "0.jpg": {"0.jpg": "best", "0 turned.png": "near"},
        "1.jpg": {"1.jpg": "best", "1 again.jpg": "near"},
        "2.jpg": {"2.jpg": "best", "2 small.jpg": "near"},
    }


def test_images_are_read_once(folder: Path, out: Path) -> None:
    first = imgcluster.duplicates(workspace=out)
    shutil.rmtree(folder)
    assert imgcluster.duplicates(workspace=out).duplicates == first.duplicates


def test_a_damaged_cache_is_made_again(out: Path) -> None:
    first = imgcluster.duplicates(workspace=out)
    (out / "signatures.parquet").write_bytes(b"PAR1 and more")
    assert imgcluster.duplicates(workspace=out).duplicates == first.duplicates


def test_missing_and_changed_files_are_not_compared(folder: Path, out: Path) -> None:
    (folder / "more/3-crop.jpg").unlink()
    (folder / PHOTOS[2].name).write_bytes(PHOTOS[5].read_bytes())
    summary = imgcluster.duplicates(workspace=out)
    assert summary.not_compared == 2
    assert {row.path for row in summary.duplicates}.isdisjoint({"more/3-crop.jpg", PHOTOS[2].name})


def test_a_missing_file_is_compared_by_its_copy(folder: Path, out: Path, tiny_encoder: Path) -> None:
    with Image.open(PHOTOS[0]) as picture:
        data, _ = changed(picture.convert("RGB"), "quality", 1, np.random.default_rng(0))
    (folder / "more/worse.jpg").write_bytes(data)
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    (folder / PHOTOS[0].name).unlink()
    summary = imgcluster.duplicates(workspace=out)
    assert summary.not_compared == 0
    assert groups(summary.duplicates)[PHOTOS[0].name] == {
        PHOTOS[0].name: "best",
        "more/same.jpg": "exact",
        "more/worse.jpg": "near",
    }


def test_imported_vectors(folder: Path, out: Path, tmp_path: Path) -> None:
    names = sorted(snapshot(folder))
    (tmp_path / "paths.txt").write_text("\n".join([*names, "missing 1.jpg", "missing 2.jpg"]) + "\n")
    # Equal vectors do not make exact copies.
    np.save(tmp_path / "vectors.npy", np.ones((len(names) + 2, 3), np.float32))
    workspace = tmp_path / "imported"
    imgcluster.import_vectors(tmp_path / "vectors.npy", tmp_path / "paths.txt", workspace=workspace, root=folder)
    summary = imgcluster.duplicates(workspace=workspace)
    assert summary.not_compared == 2
    assert groups(summary.duplicates) == groups(imgcluster.duplicates(workspace=out).duplicates)
    assert imgcluster.duplicates(workspace=workspace, exact=True).exact == 1


def test_groups_do_not_depend_on_names(folder: Path, out: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    # In reverse order, under other names.
    names = {}
    for number, path in enumerate(sorted(snapshot(folder), reverse=True)):
        names[f"{number:03d}{Path(path).suffix}"] = path
    for name, path in names.items():
        (tmp_path / "renamed").mkdir(exist_ok=True)
        shutil.copy2(folder / path, tmp_path / "renamed" / name)
    imgcluster.embed(tmp_path / "renamed", workspace=tmp_path / "other", encoder=tiny_encoder, device="cpu")
    here = groups(imgcluster.duplicates(workspace=out).duplicates)
    there = groups(imgcluster.duplicates(workspace=tmp_path / "other").duplicates)
    assert {names[best]: {names[path]: kind for path, kind in kinds.items()} for best, kinds in there.items()} == here


def test_new_images_are_found_by_the_next_call(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.duplicates(workspace=out)
    shutil.copy(PHOTOS[4], folder / "new.jpg")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    assert imgcluster.duplicates(workspace=out).exact == 2


def test_a_clustering_and_its_page_are_kept(out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    before = (out / "assignments.csv").read_bytes()
    summary = imgcluster.duplicates(workspace=out)
    assert summary.report == str(out / "report.html")
    assert (out / "assignments.csv").read_bytes() == before
    imgcluster.cluster(workspace=out, k=4)
    assert (out / "duplicates.csv").exists()


def test_images_without_copies(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(pictures, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    assert imgcluster.duplicates(workspace=tmp_path / "out").duplicates == ()
    single = pictures / "red/00.png"
    imgcluster.embed(single, workspace=tmp_path / "one", encoder=tiny_encoder, device="cpu")
    assert imgcluster.duplicates(workspace=tmp_path / "one").duplicates == ()


def test_without_embeddings_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="embed"):
        imgcluster.duplicates(workspace=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_line(out: Path) -> None:
    result = CliRunner().invoke(app, ["duplicates", "-w", str(out)])
    assert result.exit_code == 0, result.output
    assert "more/same.jpg" in result.stdout
    assert "1 exact copy" in result.stdout
    result = CliRunner().invoke(app, ["duplicates", "-w", str(out), "--json"])
    assert json.loads(result.stdout)["near"] == 4


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed as on Linux")
def test_an_interruption_leaves_no_process(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "FEW_FILES", 0)

    with pytest.raises(KeyboardInterrupt) as interruption:
        imgcluster.duplicates(workspace=out, on_progress=interrupt_at("signatures", 1))

    assert interruption.value.__traceback__ is not None
    assert children() == []
