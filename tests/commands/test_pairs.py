"""A camera raw file and its JPEG are one picture with two files, neither of which is ever left behind or lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster.fileio.csv_tables import read_table
from imgcluster.images import decode, optional_decoders
from imgcluster.images.exif import Header
from imgcluster.images.types import NO_EXIF
from imgcluster.workspace.folder import Workspace
from pictures import encoded, flat
from raw_files import dng
from samples import paint

RAW_BYTES = dng(flat((90, 30, 30), (24, 16)))

Run = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve PNG files, and in ``red`` the pair IMG_1."""
    folder = tmp_path / "photos"
    paint(folder, per_folder=4)
    add_pair(folder / "red", "IMG_1")
    return folder


@pytest.fixture
def run(photos: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # Nothing here needs the decoder, because vectors come from the JPEG.
    monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)

    def start(**options: Any) -> Any:
        return imgcluster.run(photos, workspace=tmp_path / "out", encoder=str(tiny_encoder), device="cpu", **options)

    return start


def add_pair(folder: Path, stem: str, color: tuple[int, int, int] = (200, 30, 30)) -> None:
    (folder / f"{stem}.JPG").write_bytes(encoded(flat(color), "JPEG"))
    (folder / f"{stem.lower()}.dng").write_bytes(RAW_BYTES + stem.encode())


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def placed(out: Path, stem: str = "img_1") -> dict[str, str]:
    """Return the folder of each placed file of a picture, by its ending."""
    found = (path for path in (out / "clusters").rglob("*") if path.name.lower().startswith(stem))
    return {path.suffix.lower(): path.parent.name for path in found}


def assignments(out: Path) -> dict[str, dict[str, str]]:
    return {row["path"]: row for row in read_table(out / "assignments.csv", ("path", "cluster"))}


def correct(out: Path, path: str, cluster: int) -> None:
    """Apply a plan that moves an image to another cluster."""
    plan = {
        "imgcluster_plan": 1,
        "clustering": pages.read(out / "report.html").document["identity"],
        "misplaced": [{"path": path, "to": cluster}],
    }
    (out.parent / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(out.parent / "plan.json", workspace=out)


def counts_add_up(out: Path, images: int, skipped: int = 0) -> None:
    counts = Workspace(out).manifest["counts"]
    assert counts == {"found": images + skipped, "embedded": images, "skipped": skipped}
    assert len(assignments(out)) == images
    assert len(list(read_table(out / "skipped.csv", ("path",)))) == skipped


@pytest.mark.parametrize("place", ["symlink", "copy", "hardlink", "move"])
def test_both_files_are_placed_together_and_undone_together(run: Run, photos: Path, tmp_path: Path, place: str) -> None:
    before = files(photos)
    summary = run(k=3, place=place)
    out = tmp_path / "out"
    counts_add_up(out, 13)
    assert (summary.embed.new, summary.embed.paired, summary.cluster.placed) == (13, 1, {place: 14})
    assert assignments(out)["red/IMG_1.JPG"]["companion"] == "red/img_1.dng"
    assert assignments(out)["red/00.png"]["companion"] == ""
    found = placed(out)
    assert set(found) == {".jpg", ".dng"}
    assert len(set(found.values())) == 1
    assert ((photos / "red/img_1.dng").exists(), (photos / "red/IMG_1.JPG").exists()) == (place != "move",) * 2

    imgcluster.undo(workspace=out)
    assert files(photos) == before
    assert not (out / "clusters").exists()


@pytest.mark.parametrize("place", ["symlink", "copy", "move"])
def test_corrections_and_new_clusterings_take_both_along(run: Run, photos: Path, tmp_path: Path, place: str) -> None:
    before = files(photos)
    run(k=3, place=place)
    out = tmp_path / "out"
    first = placed(out)
    target = next(row["cluster"] for path, row in assignments(out).items() if path.startswith("blue/"))
    correct(out, "red/IMG_1.JPG", int(target))
    assert set(placed(out).values()) == {f"cluster_{int(target):03d}"}
    imgcluster.undo(workspace=out)
    assert placed(out) == first
    imgcluster.cluster(workspace=out, k=2)
    assert set(placed(out)) == {".jpg", ".dng"}
    assert len(set(placed(out).values())) == 1
    for _ in range(2):
        imgcluster.undo(workspace=out)
    assert files(photos) == before


@pytest.mark.parametrize("place", ["symlink", "move"])
def test_a_partner_that_comes_later_joins_the_picture(run: Run, photos: Path, tmp_path: Path, place: str) -> None:
    (photos / "red/img_1.dng").unlink()
    out = tmp_path / "out"
    run(k=3, place=place)
    cluster = assignments(out)["red/IMG_1.JPG"]["cluster"]
    before = files(photos), files(out / "clusters")
    (photos / "red/img_1.dng").write_bytes(RAW_BYTES)
    summary = run()
    counts_add_up(out, 13)
    assert (summary.embed.new, summary.embed.changed, summary.embed.paired) == (0, 0, 1)
    assert assignments(out)["red/IMG_1.JPG"]["cluster"] == cluster
    assert set(placed(out)) == {".jpg", ".dng"}
    assert len(set(placed(out).values())) == 1
    # Nothing changed since, and undo returns the partner.
    assert run().embed.unchanged == 13
    imgcluster.undo(workspace=out)
    assert files(out / "clusters") == before[1]
    assert files(photos) == before[0] | {"red/img_1.dng": RAW_BYTES}


def test_a_jpeg_that_comes_later_joins_the_raw_file_in_the_workspace(
    photos: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    if not optional_decoders.can_decode("RAW"):
        pytest.skip("rawpy is not installed")
    (photos / "red/IMG_1.JPG").unlink()
    out = tmp_path / "out"
    options: dict[str, Any] = {"workspace": out, "encoder": str(tiny_encoder), "device": "cpu"}
    imgcluster.run(photos, k=3, **options)
    row = assignments(out)["red/img_1.dng"]
    (photos / "red/IMG_1.JPG").write_bytes(encoded(flat((9, 9, 9)), "JPEG"))
    summary = imgcluster.run(photos, **options)
    counts_add_up(out, 13)
    assert (summary.embed.new, summary.embed.paired) == (0, 1)
    assert assignments(out)["red/img_1.dng"]["cluster"] == row["cluster"]
    assert set(placed(out)) == {".jpg", ".dng"}


@pytest.mark.parametrize("name", ["IMG_1.JPG", "img_1.dng"])
def test_one_file_alone_keeps_the_pair(run: Run, photos: Path, tmp_path: Path, tiny_encoder: Path, name: str) -> None:
    run(k=3)
    out = tmp_path / "out"
    before = (out / "assignments.csv").read_bytes()
    summary = imgcluster.embed(photos / "red" / name, workspace=out, encoder=str(tiny_encoder), device="cpu")
    assert (summary.new, summary.unchanged, summary.embedded) == (0, 1, 13)
    assert run().embed.unchanged == 13
    assert (out / "assignments.csv").read_bytes() == before
    assert set(placed(out)) == {".jpg", ".dng"}


@pytest.mark.parametrize("place", ["symlink", "move"])
def test_a_deleted_raw_file_leaves_the_picture(run: Run, photos: Path, tmp_path: Path, place: str) -> None:
    run(k=3, place=place)
    out = tmp_path / "out"
    row = assignments(out)["red/IMG_1.JPG"]
    gone = photos / "red/img_1.dng" if place == "symlink" else next((out / "clusters").rglob("img_1.dng"))
    gone.unlink()
    summary = run()
    counts_add_up(out, 13)
    assert (summary.embed.paired, summary.embed.vanished) == (0, 0)
    assert assignments(out)["red/IMG_1.JPG"]["cluster"] == row["cluster"]
    assert set(placed(out)) == {".jpg"}


@pytest.mark.parametrize("place", ["symlink", "move"])
def test_a_deleted_jpeg_leaves_the_raw_file(run: Run, photos: Path, tmp_path: Path, place: str) -> None:
    run(k=3, place=place)
    out = tmp_path / "out"
    gone = photos / "red/IMG_1.JPG" if place == "symlink" else next((out / "clusters").rglob("IMG_1.JPG"))
    gone.unlink()
    summary = run()
    # Without the decoder it is skipped, with the remedy; its file stays or returns.
    counts_add_up(out, 12, 1)
    assert summary.embed.vanished == 1
    assert (photos / "red/img_1.dng").read_bytes().startswith(RAW_BYTES)
    assert placed(out) == {}


@pytest.mark.parametrize("renamed", ["folder", "both files", "both files, dragged", "the jpeg"])
def test_a_moved_pair_that_is_renamed_by_hand_stays_a_pair(
    run: Run, photos: Path, tmp_path: Path, renamed: str
) -> None:
    before, out = files(photos), tmp_path / "out"
    run(k=3, place="move")
    jpeg = next((out / "clusters").rglob("IMG_1.JPG"))
    if renamed == "folder":
        jpeg.parent.rename(out / "clusters/Beach")
    elif renamed == "the jpeg":
        jpeg.rename(jpeg.with_name("sunset.JPG"))
    else:
        folder = (
            jpeg.parent
            if renamed == "both files"
            else next(path for path in (out / "clusters").iterdir() if path != jpeg.parent)
        )
        jpeg.with_name("img_1.dng").rename(folder / "sunset.dng")
        jpeg.rename(folder / "sunset.JPG")
    summary = run()
    counts_add_up(out, 13)
    assert (summary.embed.paired, summary.embed.unchanged) == (1, 13)
    assert not [one for one in imgcluster.verify(workspace=out).findings if "folder of another" not in one.message]
    imgcluster.cluster(workspace=out, k=2)
    assert len(list((out / "clusters").rglob("*.dng"))) == 1
    while (out / "placed.jsonl").exists():
        imgcluster.undo(workspace=out)
    assert files(photos) == before
    assert not (out / "clusters").exists()


def test_another_raw_file_beside_a_moved_pair_is_not_taken(run: Run, photos: Path, tmp_path: Path) -> None:
    before, out = files(photos), tmp_path / "out"
    run(k=3, place="move")
    raw = next((out / "clusters").rglob("img_1.dng"))
    # The user moves the raw file back, and the folder has another one.
    raw.rename(photos / "red/img_1.dng")
    (raw.parent / "IMG_1.dng").write_bytes(b"another")
    assert run().embed.paired == 1
    while (out / "placed.jsonl").exists():
        imgcluster.undo(workspace=out)
    assert files(photos) == before
    assert (raw.parent / "IMG_1.dng").read_bytes() == b"another"


def test_a_raw_file_of_a_damaged_jpeg_counts_by_itself(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "red/IMG_1.JPG").write_bytes(b"\xff\xd8\xff damaged")
    run(k=3)
    counts_add_up(tmp_path / "out", 12, 2)


def test_a_raw_file_of_a_damaged_jpeg_is_embedded_once(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (24, 16), (90, 30, 30))
    monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: True)
    monkeypatch.setattr(decode, "read_raw", lambda *_: (picture, Header(24, 16, NO_EXIF)))
    # The damaged JPEG is found first: its name comes before that of the raw file.
    (photos / "a.JPG").write_bytes(encoded(flat((1, 2, 3)), "JPEG")[:50])
    (photos / "a.dng").write_bytes(RAW_BYTES)
    first = run().embed
    # From now on the picture is that of the raw file, with the damaged JPEG as its second file.
    again = run().embed
    assert (first.new, first.skipped) == (14, 1)
    assert (again.new, again.changed, again.unchanged, again.skipped) == (0, 0, 14, 0)


def test_only_one_raw_file_and_one_jpeg_of_a_folder_are_a_pair(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "red/IMG_1.nef").write_bytes(RAW_BYTES)
    (photos / "blue/img_1.dng").write_bytes(RAW_BYTES)
    (photos / "green/IMG_1.jpeg").write_bytes(encoded(flat((30, 180, 40)), "JPEG"))
    (photos / "red/IMG_1.jpeg").write_bytes(encoded(flat((200, 30, 30)), "JPEG"))
    summary = run(k=3)
    counts_add_up(tmp_path / "out", 15, 1)
    assert summary.embed.paired == 2


def test_the_imagefolder_has_both_files(run: Run, photos: Path, tmp_path: Path) -> None:
    run(k=3)
    imgcluster.export(tmp_path / "exported", format="imagefolder", workspace=tmp_path / "out")
    found = {path.suffix: path.parent.name for path in (tmp_path / "exported").rglob("*") if "1" in path.stem}
    assert found[".JPG"] == found[".dng"]
    assert imgcluster.load(tmp_path / "out").companions.count(str(photos / "red/img_1.dng")) == 1


def test_both_files_are_set_aside_together(run: Run, photos: Path, tmp_path: Path) -> None:
    run()
    out, before = tmp_path / "out", files(photos)
    identity = pages.read(out / "report.html").document["identity"]
    path = next(name for name, row in assignments(out).items() if row["companion"])
    plan = {"imgcluster_plan": 1, "clustering": identity, "set_aside": [path]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert imgcluster.apply(tmp_path / "plan.json", workspace=out).set_aside == 1
    aside = {file.name: file.read_bytes() for file in (out / "duplicates").rglob("*") if file.is_file()}
    assert len(aside) == 2
    assert {Path(name).name: content for name, content in (before.items() - files(photos).items())} == aside
    run()
    imgcluster.cluster(workspace=out, k=2)
    while imgcluster.history(workspace=out).steps:
        imgcluster.undo(workspace=out)
    assert files(photos) == before
