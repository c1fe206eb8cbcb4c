"""Collections whose originals were moved grow, change and shrink, and every original exists exactly once."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import imgcluster
from samples import paint


@pytest.fixture
def moved(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place="move")
    return out


@pytest.fixture
def embed(moved: Path, pictures: Path, tiny_encoder: Path) -> Callable[..., imgcluster.EmbedSummary]:
    def embed(**options: Any) -> imgcluster.EmbedSummary:
        return imgcluster.embed([pictures], workspace=moved, encoder=tiny_encoder, device="cpu", **options)

    return embed


def originals(*folders: Path) -> Counter[str]:
    """Return how often each content exists."""
    files = [path for folder in folders for path in folder.rglob("*.png")]
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def clusters(workspace: Path) -> dict[str, int]:
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: int(row["cluster"]) for row in csv.DictReader(file)}


def test_new_images_join_the_moved_ones(moved: Path, pictures: Path, embed: Any) -> None:
    before, known = originals(pictures, moved / "clusters"), clusters(moved)
    paint(pictures / "more", per_folder=2, seed=7)
    added = originals(pictures)
    assert (embed().new, embed().unchanged) == (6, 30)
    assert imgcluster.assign(workspace=moved).assigned == 6
    assert not originals(pictures)
    assert originals(moved / "clusters") == before + added
    assert known.items() <= clusters(moved).items()
    assert len(list((moved / "clusters").rglob("*.png"))) == 30
    # Each step is undone, and the images of the last `embed` return.
    assert imgcluster.undo(workspace=moved).what == "assign"
    assert (originals(pictures), originals(moved / "clusters")) == (added, before)
    assert clusters(moved) == known
    assert imgcluster.undo(workspace=moved).what == "placing"
    assert originals(pictures) == before + added


def test_moved_images_are_clustered_again_and_embedded_afresh(moved: Path, pictures: Path, embed: Any) -> None:
    before = originals(moved / "clusters")
    imgcluster.cluster(workspace=moved, k=2)
    assert originals(moved / "clusters") == before
    assert embed(fresh=True).new == 24
    imgcluster.cluster(workspace=moved, k=3, place="symlink")
    assert originals(pictures) == before
    for _ in range(2):
        imgcluster.undo(workspace=moved)
    assert originals(moved / "clusters") == before
    assert not originals(pictures)


def test_a_new_file_with_the_path_of_a_moved_one_is_reported(moved: Path, pictures: Path, embed: Any) -> None:
    Image.new("RGB", (9, 9), "white").save(pictures / "red/00.png")
    before = originals(pictures, moved / "clusters")
    summary = embed()
    assert (summary.found, summary.unchanged, summary.skipped) == (25, 24, 1)
    assert "rename" in (moved / "skipped.csv").read_text(encoding="utf-8")
    imgcluster.cluster(workspace=moved, k=2)
    assert originals(pictures, moved / "clusters") == before
    (pictures / "red/00.png").rename(pictures / "red/00 new.png")
    assert (embed().new, imgcluster.assign(workspace=moved).assigned) == (1, 1)
    while originals(moved / "clusters"):
        imgcluster.undo(workspace=moved)
    assert originals(pictures) == before


def test_images_that_the_user_deletes_or_edits_in_their_folders(moved: Path, pictures: Path, embed: Any) -> None:
    first, second = sorted((moved / "clusters").rglob("*.png"))[:2]
    first.unlink()
    Image.new("RGB", (9, 9), "white").save(second)
    summary = embed()
    assert (summary.vanished, summary.changed, summary.unchanged) == (1, 1, 22)
    # An edited image is a new one.
    assigned = imgcluster.assign(workspace=moved)
    assert (assigned.removed, assigned.assigned) == (2, 1)
    assert len(list((moved / "clusters").rglob("*.png"))) == 23
    assert not originals(pictures)


def test_a_dry_run_of_moved_images(moved: Path, pictures: Path, tiny_encoder: Path) -> None:
    paint(pictures / "more", per_folder=1, seed=7)
    before = {path: path.lstat().st_mtime_ns for folder in (moved, pictures) for path in folder.rglob("*.*")}
    options: dict[str, Any] = {"workspace": moved, "encoder": tiny_encoder, "device": "cpu", "dry_run": True}
    preview = imgcluster.run([pictures], **options)
    assert (preview.embed.new, preview.embed.unchanged, preview.cluster.placed) == (3, 24, {"move": 27})
    assert imgcluster.run([pictures], recluster=True, **options).cluster.placed == {"move": 27}
    assert {path: path.lstat().st_mtime_ns for folder in (moved, pictures) for path in folder.rglob("*.*")} == before


def rename_by_hand(workspace: Path) -> tuple[Path, Path]:
    """Rename a moved original, and move another one to the folder of another cluster; return their new paths."""
    folders = sorted((workspace / "clusters").iterdir())
    first, second = sorted(folders[0].glob("*.png"))[:2]
    return first.rename(folders[0] / "my name.png"), second.rename(folders[1] / "dragged.png")


def test_originals_renamed_by_hand_return(moved: Path, pictures: Path) -> None:
    before = originals(moved / "clusters")
    rename_by_hand(moved)
    assert imgcluster.undo(workspace=moved).returned == 24
    assert originals(pictures) == before
    assert not (moved / "clusters").exists()


def test_originals_renamed_by_hand_stay_in_their_clusters(
    moved: Path, pictures: Path, embed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before, known = originals(moved / "clusters"), clusters(moved)
    renamed, dragged = rename_by_hand(moved)
    assert (embed().vanished, embed().unchanged) == (0, 24)
    assert "2 originals" in caplog.text
    paint(pictures / "more", per_folder=1, seed=7)
    embed()
    assert imgcluster.assign(workspace=moved).removed == 0
    assert known.items() <= clusters(moved).items()
    assert renamed.exists()
    # A folder of a cluster contains its images only.
    assert not dragged.exists()
    while (moved / "placed.jsonl").exists():
        imgcluster.undo(workspace=moved)
    assert before <= originals(pictures)


def test_of_originals_with_one_content_each_is_found(moved: Path, pictures: Path, embed: Any) -> None:
    path = min((moved / "clusters").rglob("*.png"))
    for name in "ab":
        (pictures / f"{name}.png").write_bytes(path.read_bytes())
    embed()
    imgcluster.assign(workspace=moved)
    before = originals(moved / "clusters")
    copies = [other for other in sorted(path.parent.iterdir()) if other.read_bytes() == path.read_bytes()]
    assert len(copies) == 3
    for number, copy in enumerate(copies):
        copy.rename(copy.with_name(f"renamed {number}.png"))
    assert embed().vanished == 0
    imgcluster.assign(workspace=moved, place="symlink")
    assert originals(pictures) == before


def test_a_renamed_original_and_a_new_file_at_its_original_path(moved: Path, pictures: Path, embed: Any) -> None:
    before = originals(moved / "clusters")
    renamed = next((moved / "clusters").rglob("00.png"))
    source = next(path for path in clusters(moved) if path.endswith("00.png"))
    for path in (moved / "clusters").rglob("00*.png"):
        path.rename(path.with_name(f"mine {path.name}"))
    Image.new("RGB", (9, 9), "white").save(pictures / source)
    assert (embed().changed, embed().vanished) == (0, 0)
    assert not renamed.exists()
    assert before <= originals(pictures, moved / "clusters")
    undone = imgcluster.undo(workspace=moved)
    assert (undone.returned, len(undone.left)) == (23, 1)
    assert before <= originals(pictures, moved / "clusters")


def test_other_files_in_the_folders_of_clusters_are_named(
    moved: Path, pictures: Path, embed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = min((moved / "clusters").iterdir())
    Image.new("RGB", (9, 9), "white").save(folder / "dropped.png")
    found = [finding for finding in imgcluster.verify(workspace=moved).findings if finding.check == "placement"]
    assert [(one.level, [Path(path).name for path in one.paths]) for one in found] == [("note", ["dropped.png"])]
    imgcluster.undo(workspace=moved)
    assert (folder / "dropped.png").exists()
    assert "dropped.png" in caplog.text


def test_undo_names_moved_originals_that_are_gone(
    moved: Path, pictures: Path, embed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    next((moved / "clusters").rglob("00.png")).unlink()
    embed()
    imgcluster.assign(workspace=moved)
    imgcluster.undo(workspace=moved)
    assert "00.png" in caplog.text
