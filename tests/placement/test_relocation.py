"""Relocation: placed files follow their clusters, also after interruptions and beside foreign files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement import (
    Journal,
    PlaceMode,
    UndoResult,
    change_placement,
    folder_name,
    place,
    plan_placement,
    read_journal,
    relocate,
    undo_placement,
)
from interruptions import killing_at

MODES = ["symlink", "copy", "hardlink", "move"]


class PlacedImages:
    """Six images of two folders with equal file names, placed in three clusters."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.mode: PlaceMode = mode  # type: ignore[assignment]
        self.folder, self.journal = folder / "out/clusters", folder / "out/placed.jsonl"
        self.folder.parent.mkdir()
        self.sources = []
        for parent in ("x", "y"):
            (folder / parent).mkdir()
            for name in ("1.jpg", "2.jpg", "3.jpg"):
                path = folder / parent / name
                path.write_text(f"{parent} {name}", encoding="utf-8")
                self.sources.append(path)
        self.locations = [to_text(path) for path in self.sources]
        place(plan_placement(self.locations, [0, 0, 1, 1, 2, -1], self.folder, self.mode), self.journal)

    def relocate(self, clusters: Sequence[int], names: Mapping[int, str] | None = None) -> int:
        journal = self.read()
        assert journal is not None
        return relocate(journal, self.journal, self.locations, clusters, names or {})

    def read(self) -> Journal | None:
        return read_journal(self.journal, self.locations)

    def undo(self) -> UndoResult:
        journal = self.read()
        assert journal is not None
        return undo_placement(journal, self.journal)

    @property
    def clusters(self) -> list[int]:
        """The cluster of each image, by the content of its file."""
        numbers = {content: int(name[len("cluster_") :][:3]) for name, content in self.found.items()}
        return [numbers[f"{path.parent.name} {path.name}"] for path in self.sources]

    @property
    def found(self) -> dict[str, str]:
        """The content of each placed file."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(self.folder.rglob("*"))
            if not path.is_dir()
        }


@pytest.fixture(params=MODES)
def placed(request: pytest.FixtureRequest, tmp_path: Path) -> PlacedImages:
    return PlacedImages(tmp_path, request.param)


def test_planning_takes_time_in_proportion_to_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def counted(text: str) -> Path:
        steps[-1] += 1
        return from_text(text)

    monkeypatch.setattr("imgcluster.placement.plan.from_text", counted)
    for count in (60, 240):
        locations, clusters = [f"/in/{number}.jpg" for number in range(count)], np.arange(count) // 4
        steps.append(0)
        current = plan_placement(locations, clusters, tmp_path, "symlink")
        changed = plan_placement(locations, (clusters + 1) % (count // 4), tmp_path, "symlink", current=current)
        assert not {*current.entries} & {*changed.entries}
    assert steps[1] <= 4 * steps[0]


def test_names_merges_and_moves(placed: PlacedImages) -> None:
    before = placed.found
    assert placed.relocate([0, 0, 2, 2, 2, 0], {0: "Sea & Söhne"}) == 5
    assert placed.found == {
        "cluster_000_sea_söhne/1.jpg": "x 1.jpg",
        "cluster_000_sea_söhne/2.jpg": "x 2.jpg",
        "cluster_000_sea_söhne/3.jpg": "y 3.jpg",
        "cluster_002/1.jpg": "y 1.jpg",
        "cluster_002/2.jpg": "y 2.jpg",
        "cluster_002/3.jpg": "x 3.jpg",
    }
    assert placed.relocate([0, 0, 1, 1, 2, -1]) == 5
    assert placed.found == before
    assert placed.undo().done == 6
    assert not placed.folder.exists()
    assert all(source.exists() for source in placed.sources)


def test_links_to_missing_files_do_not_count_as_placed(tmp_path: Path) -> None:
    images = PlacedImages(tmp_path, "symlink")
    images.sources[0].unlink()
    journal = images.read()
    assert journal is not None
    result = change_placement(journal, journal, images.journal)
    assert (result.counts, result.missing, result.broken) == ({"symlink": 5}, (), (images.locations[0],))
    # The link leads to the file again where it comes back.
    assert images.read() == journal


def test_unchanged_clusters_move_nothing(placed: PlacedImages) -> None:
    before = placed.journal.read_bytes()
    assert placed.relocate([0, 0, 1, 1, 2, -1]) == 0
    assert placed.journal.read_bytes() == before


def test_numbered_names_survive_renaming_a_merged_cluster(placed: PlacedImages) -> None:
    placed.relocate([1, 1, 1, 0, 0, 0])
    placed.relocate([0] * 6)
    before = placed.found
    placed.relocate([0] * 6, {0: "Sea"})
    placed.relocate([0] * 6)
    assert placed.found == before
    placed.relocate([1, 1, 2, 2, 3, -1])
    assert {name.rpartition("/")[2] for name in placed.found} == {"1.jpg", "2.jpg", "3.jpg"}


def test_equal_names_and_foreign_files_are_not_overwritten(placed: PlacedImages) -> None:
    (placed.folder / "cluster_001/1.jpg").rename(placed.folder / "cluster_001/mine.txt")
    (placed.folder / "cluster_000/3.jpg").write_text("foreign", encoding="utf-8")
    placed.relocate([0, 0, 0, 0, 0, 0])
    found = placed.found
    assert found["cluster_000/3.jpg"] == "foreign"
    assert found["cluster_001/mine.txt"] == "y 1.jpg"
    assert sorted(found.values()) == sorted(
        ["foreign", "x 1.jpg", "x 2.jpg", "x 3.jpg", "y 1.jpg", "y 2.jpg", "y 3.jpg"]
    )
    journal = placed.read()
    assert journal is not None
    # A renamed file is no longer in the journal.
    assert len(journal.entries) == 5


# Renames 0 and 6 replace the journal, those between move files.
@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("then", ["again", "back", "undo"])
def test_a_kill_at_any_rename_loses_nothing(
    placed: PlacedImages, monkeypatch: pytest.MonkeyPatch, at: int, then: str
) -> None:
    before = placed.found
    after = ([1, 1, 1, 1, 1, -1], {1: "all"})
    with monkeypatch.context() as patch:
        killing_at(patch, at)
        with pytest.raises(KeyboardInterrupt):
            placed.relocate(*after)
    if then == "again":
        placed.relocate(*after)
        assert sorted(placed.found.values()) == sorted(before.values())
        assert {name.split("/")[0] for name in placed.found} == {"cluster_001_all", "noise"}
    elif then == "back":
        placed.relocate([0, 0, 1, 1, 2, -1])
        assert placed.found == before
    undone = placed.undo()
    assert (undone.done, undone.remaining) == (6, ())
    assert not placed.folder.exists()
    assert [source.read_text(encoding="utf-8") for source in placed.sources] == [
        f"{parent} {name}.jpg" for parent in "xy" for name in "123"
    ]


@pytest.mark.parametrize("then", ["again", "back", "undo"])
def test_a_kill_while_files_of_one_name_change_places(
    placed: PlacedImages, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Of the two 1.jpg, and of 2.jpg with a third folder."""
    before, after = [0, 1, 3, 1, 2, 3], [1, 2, 3, 0, 1, 3]
    placed.relocate(after)
    expected = placed.found
    placed.relocate(before)
    for at in range(20):
        with monkeypatch.context() as patch:
            calls = killing_at(patch, at)
            with suppress(KeyboardInterrupt):
                placed.relocate(after)
        if then == "undo":
            assert (placed.undo().done, placed.folder.exists()) == (6, False)
            contents = [source.read_text(encoding="utf-8") for source in placed.sources]
            assert contents == [f"{parent} {name}.jpg" for parent in "xy" for name in "123"]
            place(plan_placement(placed.locations, before, placed.folder, placed.mode), placed.journal)
        elif then == "again":
            placed.relocate(after)
            assert placed.found == expected
        placed.relocate(before)
        assert sorted(placed.found.values()) == sorted(expected.values())
        assert placed.clusters == before
        if len(calls) < at:
            return
    raise AssertionError("each of 20 renames was made")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("", "cluster_003"),
        ("Beach", "cluster_003_beach"),
        ("  Sea & Sun!  ", "cluster_003_sea_sun"),
        ("../../etc/passwd", "cluster_003_etc_passwd"),
        ("<img src=x>", "cluster_003_img_src_x"),
        ("日本 の 海", "cluster_003_日本_の_海"),
        ("ＡＢＣ①", "cluster_003_abc1"),
        ("CON", "cluster_003_con"),
        ("???", "cluster_003"),
        ("x" * 80, "cluster_003_" + "x" * 40),
        ("é" * 80, "cluster_003_" + "é" * 20),
        ("snake_case name", "cluster_003_snake_case_name"),
        ("हिन्दी फ़ोटो", "cluster_003_हिन्दी_फ़ोटो"),
        ("ชายหาดที่สวย", "cluster_003_ชายหาดที่สวย"),
    ],
)
def test_folder_names(name: str, folder: str) -> None:
    assert folder_name(3, name) == folder
    assert folder_name(-1, name) == "noise"
    assert len(os.fsencode(folder_name(3, name))) < 60
