"""Placing files and undoing it: all modes, interruptions, and files that imgcluster did not write."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgcluster
from imgcluster.errors import PlacementError, UsageError
from imgcluster.fileio.atomic import remove_temporary_files
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import (
    NOISE_FOLDER,
    PLACE_MODES,
    Journal,
    PlacementResult,
    PlaceMode,
    UndoResult,
    check_mode,
    folder_name,
    place,
    plan_placement,
    read_journal,
    undo_placement,
)

MODES: list[PlaceMode] = ["symlink", "copy", "hardlink", "move"]
LINKS_AND_COPIES: list[PlaceMode] = ["symlink", "copy", "hardlink"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the names and links here are those of POSIX")


def snapshot(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return the kind, content and modification time of each entry below a folder."""
    seen: dict[bytes, tuple[object, ...]] = {}
    for parent, folders, names in os.walk(os.fsencode(folder)):
        for name in [*folders, *names]:
            path = os.path.join(parent, name)
            key = os.path.relpath(path, os.fsencode(folder))
            if os.path.islink(path):
                seen[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                seen[key] = ("folder",)
            else:
                with open(path, "rb") as file:
                    seen[key] = ("file", file.read(), os.stat(path).st_mtime_ns)
    return seen


class _Below:
    """The paths below a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and path.startswith(self.folder + "/")


class Scene:
    """A folder of photos, a folder for the clusters, and a journal."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.photos = base / "photos"
        self.clusters = base / "out" / "clusters"
        self.journal = base / "out" / "placed.jsonl"
        self.photos.mkdir()
        self.clusters.parent.mkdir()

    def add(self, *names: str) -> list[Path]:
        paths = [self.photos / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"pixels of " + os.fsencode(path.name) + b" in " + os.fsencode(path.parent.name))
        return paths

    def plan(self, paths: Sequence[Path], clusters: Sequence[int], mode: PlaceMode) -> Journal:
        return plan_placement([to_text(path) for path in paths], clusters, self.clusters, mode)

    def place(self, paths: Sequence[Path], clusters: Sequence[int], mode: PlaceMode) -> PlacementResult:
        return place(self.plan(paths, clusters, mode), self.journal)

    def read(self, journal: Path | None = None) -> Journal | None:
        """Return the journal; all files of the photos count as embedded."""
        return read_journal(journal or self.journal, _Below(to_text(self.photos)))

    def undo(self, path: Path | None = None, **options: Any) -> UndoResult:
        path = path or self.journal
        journal = self.read(path)
        return UndoResult(0, ()) if journal is None else undo_placement(journal, path, **options)

    def placed(self) -> list[str]:
        """Return the files in the clusters' folders."""
        return sorted(
            path.relative_to(self.clusters).as_posix() for path in self.clusters.rglob("*") if not path.is_dir()
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def refusing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> list[int]:
    """Make ``os.name`` fail with an error number; return a list that grows with every call."""
    attempts: list[int] = []

    def refuse(*arguments: object, **options: object) -> None:
        attempts.append(number)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refuse)
    return attempts


def appearing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let another program write to `path` whenever a file is copied."""
    copy = shutil.copy2

    def copy_and_write(source: Path, target: Path) -> None:
        copy(source, target)
        path.write_bytes(b"mine")

    monkeypatch.setattr(shutil, "copy2", copy_and_write)


class TestPlan:
    def test_folders_are_named_by_cluster(self) -> None:
        assert [folder_name(number) for number in (-1, 0, 7, 123, 4567)] == [
            "noise",
            "cluster_000",
            "cluster_007",
            "cluster_123",
            "cluster_4567",
        ]
        assert NOISE_FOLDER == "noise"

    def test_modes(self) -> None:
        assert PLACE_MODES == ("symlink", "copy", "hardlink", "move", "manifest", "none")
        assert all(check_mode(mode) == mode for mode in PLACE_MODES)
        with pytest.raises(UsageError, match="'teleport'.* symlink, copy, hardlink"):
            check_mode("teleport")

    def test_nothing_is_written(self, scene: Scene) -> None:
        journal = scene.plan(scene.add("a.jpg"), [0], "move")
        assert [(entry.source, entry.target) for entry in journal.entries] == [
            (to_text(scene.photos / "a.jpg"), to_text(scene.clusters / "cluster_000" / "a.jpg"))
        ]
        assert journal.folder == to_text(scene.clusters)
        assert not scene.clusters.exists()
        assert not scene.journal.exists()

    def test_equal_names_are_numbered_before_their_extension(self, scene: Scene) -> None:
        names = ["1/a.jpg", "2/a.jpg", "3/a.jpg", "4/a_2.jpg", "5/.hidden", "6/.hidden", "7/b.tar.gz", "8/b.tar.gz"]
        journal = scene.plan([scene.photos / name for name in names], [0] * 8, "copy")
        assert [Path(entry.target).name for entry in journal.entries] == [
            "a.jpg",
            "a_2.jpg",
            "a_3.jpg",
            "a_2_2.jpg",
            ".hidden",
            ".hidden_2",
            "b.tar.gz",
            "b.tar_2.gz",
        ]

    def test_equal_names_in_different_clusters_are_kept(self, scene: Scene) -> None:
        journal = scene.plan([scene.photos / "1/a.jpg", scene.photos / "2/a.jpg"], [0, -1], "copy")
        assert [Path(entry.target).relative_to(scene.clusters).as_posix() for entry in journal.entries] == [
            "cluster_000/a.jpg",
            "noise/a.jpg",
        ]

    @settings(max_examples=100, derandomize=True)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["a.jpg", "A.JPG", "a_2.jpg", "A_3.jpg", "é.jpg", "e\u0301.jpg", "straße", "STRASSE", "x" * 255]
                ),
                st.integers(-1, 1),
            ),
            max_size=12,
        )
    )
    def test_no_two_targets_are_equal_on_any_system(self, images: list[tuple[str, int]]) -> None:
        locations = [f"/photos/{number}/{name}" for number, (name, _) in enumerate(images)]
        journal = plan_placement(locations, [cluster for _, cluster in images], Path("/nowhere"), "copy")
        targets = [unicodedata.normalize("NFC", entry.target).casefold() for entry in journal.entries]
        assert len(set(targets)) == len(images)
        assert [entry.source for entry in journal.entries] == locations
        assert all(len(os.fsencode(Path(entry.target).name)) <= 255 for entry in journal.entries)


class TestPlaceAndUndo:
    @pytest.mark.parametrize("mode", MODES)
    def test_every_mode_is_undone(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("a.jpg", "sub/b.png", "c d.gif")
        before = snapshot(scene.base)
        contents = [path.read_bytes() for path in paths]
        result = scene.place(paths, [1, 0, -1], mode)
        assert result == PlacementResult({mode: 3}, ())
        assert scene.placed() == ["cluster_000/b.png", "cluster_001/a.jpg", "noise/c d.gif"]
        targets = [scene.clusters / name for name in ("cluster_001/a.jpg", "cluster_000/b.png", "noise/c d.gif")]
        assert [path.read_bytes() for path in targets] == contents
        for path, target in zip(paths, targets, strict=True):
            assert path.exists() == (mode != "move")
            assert target.is_symlink() == (mode == "symlink")
            if mode == "symlink":
                assert not os.path.isabs(os.readlink(target))
                assert target.resolve() == path.resolve()
            if mode in ("hardlink", "copy"):
                assert os.path.samefile(path, target) == (mode == "hardlink")
                assert target.stat().st_mtime_ns == path.stat().st_mtime_ns
        journal = scene.read()
        assert journal is not None
        assert journal.mode == mode

        undone = scene.undo()
        assert (undone.done, undone.remaining) == (3, ())
        assert snapshot(scene.base) == before
        assert scene.read() is None

    def test_mode_none_places_nothing(self, scene: Scene) -> None:
        paths = scene.add("a.jpg")
        assert scene.place(paths, [0], "none") == PlacementResult({}, ())
        assert scene.placed() == []

    def test_links_survive_moving_everything_together(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        scene = Scene(tmp_path / "here")
        scene.place(scene.add("a.jpg"), [0], "symlink")
        shutil.move(tmp_path / "here", tmp_path / "there")
        assert (tmp_path / "there/out/clusters/cluster_000/a.jpg").read_bytes().startswith(b"pixels of a.jpg")

    def test_links_resolve_through_linked_folders(self, scene: Scene) -> None:
        scene.add("deep/er/a.jpg")
        (scene.photos / "album").symlink_to(scene.photos / "deep" / "er")
        scene.place([scene.photos / "album" / "a.jpg"], [0], "symlink")
        assert (scene.clusters / "cluster_000" / "a.jpg").read_bytes().startswith(b"pixels of a.jpg")
        assert scene.undo().done == 1
        assert scene.placed() == []

    @pytest.mark.parametrize("mode", MODES)
    def test_equal_names_are_all_placed(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("1/a.jpg", "2/a.jpg", "3/A.JPG", "4/é.jpg", "5/e\u0301.jpg")
        before = snapshot(scene.base)
        contents = {path.read_bytes() for path in paths}
        scene.place(paths, [0] * 5, mode)
        assert {(scene.clusters / name).read_bytes() for name in scene.placed()} == contents
        assert scene.undo().done == 5
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("mode", MODES)
    def test_unusual_names(self, scene: Scene, mode: PlaceMode) -> None:
        names = ["日本.jpg", "a\nb.jpg", "-rf.jpg", '"q".jpg', r"back\x41slash.jpg", os.fsdecode(b"\xff\xfe.jpg"), "~"]
        paths = scene.add(*names)
        before = snapshot(scene.base)
        assert sum(scene.place(paths, [0] * 7, mode).counts.values()) == 7
        assert sorted(os.listdir(scene.clusters / "cluster_000")) == sorted(names)
        assert scene.undo().done == 7
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "name",
        ["n" * 251 + ".jpg", "n" * 255, "é" * 125 + ".jpg", "写" * 84, "a." + "x" * 253, "." + "h" * 254],
        ids=["ascii", "no extension", "two bytes each", "three bytes each", "all extension", "hidden"],
    )
    def test_equal_longest_names(self, scene: Scene, mode: PlaceMode, name: str) -> None:
        paths = scene.add(f"1/{name}", f"2/{name}", f"3/{name}")
        before = snapshot(scene.base)
        scene.place(paths, [0, 0, 0], mode)
        assert len(scene.placed()) == 3
        assert scene.undo().done == 3
        assert snapshot(scene.base) == before

    def test_progress(self, scene: Scene) -> None:
        steps: list[int] = []
        place(scene.plan(scene.add("a", "b", "c"), [0, 1, 0], "copy"), scene.journal, step=steps.append)
        assert steps == [1, 2, 3]
        steps.clear()
        scene.undo(step=steps.append)
        assert steps == [1, 2, 3]

    def test_a_dry_run_changes_nothing(self, scene: Scene) -> None:
        paths = scene.add("a", "b")
        scene.place(paths, [0, 0], "copy")
        (scene.clusters / "cluster_000" / "b").write_bytes(b"edited")
        before = snapshot(scene.base)
        undone = scene.undo(dry_run=True)
        assert undone.done == 1
        assert len(undone.remaining) == 1
        assert snapshot(scene.base) == before

    def test_undo_without_a_placement(self, scene: Scene) -> None:
        undone = scene.undo()
        assert (undone.done, undone.remaining) == (0, ())

    def test_an_empty_plan(self, scene: Scene) -> None:
        assert scene.place([], [], "move") == PlacementResult({}, ())
        assert scene.undo().done == 0
        assert not scene.journal.exists()

    @pytest.mark.parametrize("mode", MODES)
    def test_missing_files_are_reported(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("a.jpg", "gone.jpg", "z.jpg")
        paths[1].unlink()
        before = snapshot(scene.base)
        result = scene.place(paths, [0, 1, 0], mode)
        assert result == PlacementResult({mode: 2}, (to_text(paths[1]),))
        assert scene.placed() == ["cluster_000/a.jpg", "cluster_000/z.jpg"]
        assert scene.undo().done == 2
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("mode", ["copy", "move"])
    def test_read_only_originals(self, mode: PlaceMode, monkeypatch: pytest.MonkeyPatch) -> None:
        if mode == "move":
            refusing(monkeypatch, "rename", errno.EXDEV)
        with tempfile.TemporaryDirectory() as folder, as_an_ordinary_user(Path(folder)):
            (Path(folder) / "base").mkdir()
            monkeypatch.setenv("IMGCLUSTER_KEY", os.path.join(folder, "journal.key"))
            scene = Scene(Path(folder) / "base")
            (path,) = scene.add("a.jpg")
            path.chmod(0o444)
            before = snapshot(scene.base)
            assert scene.place([path], [0], mode) == PlacementResult({mode: 1}, ())
            assert scene.undo().done == 1
            assert snapshot(scene.base) == before


@contextmanager
def as_an_ordinary_user(folder: Path) -> Iterator[None]:
    """Run the block without the rights of root, who can write to read-only files; the user gets `folder`."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.chown(folder, nobody, -1)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


class TestLinksAmongTheOriginals:
    @pytest.mark.parametrize("mode", MODES)
    def test_a_link_is_placed_and_restored(self, scene: Scene, mode: PlaceMode) -> None:
        scene.add("real/a.jpg")
        link = scene.photos / "links" / "b.jpg"
        link.parent.mkdir()
        link.symlink_to("../real/a.jpg")
        before = snapshot(scene.base)
        scene.place([link], [0], mode)
        assert (scene.clusters / "cluster_000" / "b.jpg").read_bytes() == b"pixels of a.jpg in real"
        assert scene.undo().done == 1
        assert snapshot(scene.base) == before

    def test_a_moved_absolute_link_is_restored(self, scene: Scene) -> None:
        (real,) = scene.add("real/a.jpg")
        link = scene.photos / "b.jpg"
        link.symlink_to(real)
        before = snapshot(scene.base)
        scene.place([link], [0], "move")
        assert (scene.clusters / "cluster_000" / "b.jpg").read_bytes() == b"pixels of a.jpg in real"
        assert scene.undo().done == 1
        assert snapshot(scene.base) == before

    def test_a_link_is_moved_out_of_a_linked_folder(self, scene: Scene) -> None:
        # "../originals" is relative to the target of ~/album.
        scene.add("disk/originals/best.jpg")
        (scene.photos / "disk" / "album").mkdir()
        (scene.photos / "disk" / "album" / "best.jpg").symlink_to("../originals/best.jpg")
        (scene.photos / "home").mkdir()
        (scene.photos / "home" / "album").symlink_to(scene.photos / "disk" / "album")
        before = snapshot(scene.base)
        scene.place([scene.photos / "home" / "album" / "best.jpg"], [0], "move")
        assert (scene.clusters / "cluster_000" / "best.jpg").read_bytes() == b"pixels of best.jpg in originals"
        assert scene.undo().done == 1
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("first", ["file", "link"])
    def test_a_moved_link_and_its_moved_file_are_restored(self, scene: Scene, first: str) -> None:
        (real,) = scene.add("a.jpg")
        link = scene.photos / "b.jpg"
        link.symlink_to("a.jpg")
        before = snapshot(scene.base)
        scene.place([real, link] if first == "file" else [link, real], [0, 0], "move")
        scene.undo()
        assert snapshot(scene.base) == before


class TestForeignFiles:
    @pytest.mark.parametrize("mode", MODES)
    def test_they_are_neither_overwritten_nor_removed(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("a.jpg", "b.jpg")
        mine = scene.clusters / "cluster_000" / "A.jpg"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        (scene.clusters / "notes.txt").write_bytes(b"mine too")
        before = snapshot(scene.base)
        scene.place(paths, [0, 0], mode)
        assert scene.placed() == ["cluster_000/A.jpg", "cluster_000/a_2.jpg", "cluster_000/b.jpg", "notes.txt"]
        assert mine.read_bytes() == b"mine"
        assert scene.undo().done == 2
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("mode", MODES)
    def test_a_file_that_appears_after_planning_stops_the_placement(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("a.jpg", "b.jpg", "c.jpg")
        journal = scene.plan(paths, [0, 0, 0], mode)
        mine = scene.clusters / "cluster_000" / "b.jpg"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        before = snapshot(scene.base)
        with pytest.raises(PlacementError, match=r"b\.jpg.*imgcluster undo"):
            place(journal, scene.journal)
        assert mine.read_bytes() == b"mine"
        undone = scene.undo()
        assert undone.done == 1
        assert [target for target, _ in undone.remaining] == [to_text(mine)]
        assert mine.read_bytes() == b"mine"
        scene.journal.unlink()
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
    @pytest.mark.parametrize("mode", ["move", "copy"])
    def test_a_file_that_appears_while_its_content_is_copied(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch, mode: PlaceMode, links: bool
    ) -> None:
        """Large files are copied to another disk for minutes."""
        (path,) = scene.add("a.jpg")
        content, mine = path.read_bytes(), scene.clusters / "cluster_000" / "a.jpg"
        refusing(monkeypatch, "rename", errno.EXDEV)
        if not links:
            refusing(monkeypatch, "link", errno.EPERM)
        with monkeypatch.context() as patch:
            appearing(patch, mine)
            with pytest.raises(PlacementError, match=r"a\.jpg"):
                scene.place([path], [0], mode)
        assert (path.read_bytes(), mine.read_bytes()) == (content, b"mine")
        mine.unlink()
        scene.undo()
        if mode == "move":
            scene.place([path], [0], mode)
            with monkeypatch.context() as patch:
                appearing(patch, path)
                assert scene.undo().done == 0
            assert (path.read_bytes(), mine.read_bytes()) == (b"mine", content)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_folder_with_foreign_files_is_kept(self, scene: Scene, mode: PlaceMode) -> None:
        scene.place(scene.add("a.jpg"), [0], mode)
        (scene.clusters / "cluster_000" / "my notes.txt").write_bytes(b"mine")
        scene.undo()
        assert scene.placed() == ["cluster_000/my notes.txt"]


class TestRemainingFiles:
    def test_an_edited_copy(self, scene: Scene) -> None:
        paths = scene.add("a.jpg", "b.jpg")
        scene.place(paths, [0, 0], "copy")
        copy = scene.clusters / "cluster_000" / "a.jpg"
        copy.write_bytes(b"edited")
        undone = scene.undo()
        assert undone.done == 1
        assert [target for target, _ in undone.remaining] == [to_text(copy)]
        assert copy.read_bytes() == b"edited"
        # The entry stays in the journal, so that undoing can be repeated.
        copy.write_bytes(paths[0].read_bytes())
        assert scene.undo().done == 1
        assert not scene.clusters.exists()
        assert not scene.journal.exists()

    def test_a_copy_edited_without_a_new_modification_time(self, scene: Scene) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], "copy")
        copy = scene.clusters / "cluster_000" / "a.jpg"
        assert scene.undo(dry_run=True).done == 1
        stat = copy.stat()
        copy.write_bytes(b"P" + path.read_bytes()[1:])
        os.utime(copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert scene.undo().done == 0
        assert copy.read_bytes().startswith(b"Pixels")

    @pytest.mark.parametrize("mode", ["copy", "hardlink"])
    def test_the_last_copy_of_a_lost_original(self, scene: Scene, mode: PlaceMode) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], mode)
        path.unlink()
        undone = scene.undo()
        assert undone.done == 0
        assert ["last copy" in reason for _, reason in undone.remaining] == [True]
        assert scene.placed() == ["cluster_000/a.jpg"]

    def test_an_original_that_was_replaced_keeps_the_old_hard_link(self, scene: Scene) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], "hardlink")
        path.unlink()
        path.write_bytes(b"another picture")
        undone = scene.undo()
        assert len(undone.remaining) == 1
        assert (scene.clusters / "cluster_000" / "a.jpg").read_bytes().startswith(b"pixels")

    def test_a_link_to_another_file(self, scene: Scene) -> None:
        first, second = scene.add("a.jpg", "b.jpg")
        scene.place([first], [0], "symlink")
        link = scene.clusters / "cluster_000" / "a.jpg"
        link.unlink()
        link.symlink_to(second)
        undone = scene.undo()
        assert [target for target, _ in undone.remaining] == [to_text(link)]
        assert link.is_symlink()

    def test_a_link_to_a_lost_original_is_removed(self, scene: Scene) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], "symlink")
        path.unlink()
        assert scene.undo().done == 1
        assert not scene.clusters.exists()

    def test_a_link_replaced_by_another_file(self, scene: Scene) -> None:
        scene.place(scene.add("a.jpg"), [0], "symlink")
        link = scene.clusters / "cluster_000" / "a.jpg"
        link.unlink()
        link.write_bytes(b"a new picture")
        assert len(scene.undo().remaining) == 1
        assert link.read_bytes() == b"a new picture"

    def test_a_moved_file_whose_original_path_is_taken(self, scene: Scene) -> None:
        path, other = scene.add("a.jpg", "b.jpg")
        scene.place([path, other], [0, 0], "move")
        path.write_bytes(b"a newer picture")
        undone = scene.undo()
        assert undone.done == 1
        ((_, reason),) = undone.remaining
        assert to_text(path) in reason
        assert path.read_bytes() == b"a newer picture"
        assert other.exists()
        path.unlink()
        assert scene.undo().done == 1
        assert path.read_bytes().startswith(b"pixels of a.jpg")
        assert not scene.clusters.exists()

    @pytest.mark.parametrize("linked", [False, True])
    def test_an_identical_file_of_another_time_at_the_original_path(self, scene: Scene, linked: bool) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], "move")
        copy = scene.base / "copy.jpg" if linked else path
        shutil.copyfile(scene.clusters / "cluster_000/a.jpg", copy)
        os.utime(copy, (1577836800, 1577836800))
        if linked:
            path.symlink_to(copy)
        before = snapshot(scene.base)
        undone = scene.undo()
        assert undone.done == 0
        assert [to_text(path) in reason for _, reason in undone.remaining] == [True]
        assert {name: entry for name, entry in snapshot(scene.base).items() if name != b"out/placed.jsonl"} == {
            name: entry for name, entry in before.items() if name != b"out/placed.jsonl"
        }
        path.rename(scene.photos / "other.jpg")
        assert scene.undo().done == 1

    @pytest.mark.parametrize("kind", ["folder", "link to nowhere"])
    def test_a_moved_file_whose_original_path_is_no_file(self, scene: Scene, kind: str) -> None:
        (path,) = scene.add("a.jpg")
        scene.place([path], [0], "move")
        if kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("nowhere")
        undone = scene.undo()
        assert undone.done == 0
        assert len(undone.remaining) == 1
        assert scene.placed() == ["cluster_000/a.jpg"]

    def test_removed_folders_are_created_again(self, scene: Scene) -> None:
        (path,) = scene.add("deep/er/a.jpg")
        scene.place([path], [0], "move")
        shutil.rmtree(scene.photos)
        assert scene.undo().done == 1
        assert path.read_bytes().startswith(b"pixels of a.jpg")

    def test_no_file_returns_below_an_empty_folder_whose_disk_may_not_be_mounted(self, scene: Scene) -> None:
        paths = scene.add("disk/0.jpg", "disk/album/a.jpg", "disk/album/er/b.jpg", "disk/more/c.jpg", "home/d.jpg")
        scene.place(paths, [0] * 5, "move")
        mounted = scene.photos / "disk"
        disk = mounted.rename(scene.base / "disk")
        mounted.mkdir()
        before = snapshot(scene.base)
        assert (scene.undo(dry_run=True).done, snapshot(scene.base)) == (1, before)
        undone = scene.undo()
        assert (undone.done, [Path(target).name for target, _ in undone.remaining]) == (
            1,
            ["0.jpg", "a.jpg", "b.jpg", "c.jpg"],
        )
        assert all(to_text(mounted) in reason for _, reason in undone.remaining)
        assert not list(mounted.iterdir())
        mounted.rmdir()
        disk.rename(mounted)
        assert scene.undo().done == 4
        assert all(path.exists() for path in paths)

    def test_removed_folders_are_created_again_in_a_folder_that_is_not_empty(self, scene: Scene) -> None:
        paths = scene.add("a/1.jpg", "b/2.jpg", "b/3.jpg")
        scene.place(paths, [0, 0, 0], "move")
        for name in ("a", "b"):
            (scene.photos / name).rmdir()
        assert scene.undo(dry_run=True).done == 0
        (scene.photos / "a").mkdir()
        assert scene.undo().done == 3
        assert all(path.exists() for path in paths)

    def test_removed_links_are_ignored(self, scene: Scene) -> None:
        paths = scene.add("a.jpg", "b.jpg")
        scene.place(paths, [0, 1], "symlink")
        shutil.rmtree(scene.clusters / "cluster_000")
        undone = scene.undo()
        assert (undone.done, undone.remaining) == (1, ())
        assert not scene.journal.exists()


class TestAside:
    def test_remaining_files_are_moved_and_the_journal_is_removed(self, scene: Scene) -> None:
        paths = scene.add("a.jpg", "b.jpg", "c.jpg")
        scene.place(paths, [0, 0, -1], "copy")
        (scene.clusters / "cluster_000" / "a.jpg").write_bytes(b"edited")
        paths[2].unlink()
        aside = scene.base / "out" / "outdated" / "clusters"
        undone = scene.undo(aside=aside)
        assert undone.done == 1
        assert [Path(target).name for target, _ in undone.remaining] == ["a.jpg", "c.jpg"]
        assert (aside / "cluster_000" / "a.jpg").read_bytes() == b"edited"
        assert (aside / "noise" / "c.jpg").read_bytes().startswith(b"pixels of c.jpg")
        assert not scene.clusters.exists()
        assert not scene.journal.exists()

    def test_earlier_remaining_files_are_not_overwritten(self, scene: Scene) -> None:
        aside = scene.base / "out" / "aside"
        for text in (b"first", b"second", b"third"):
            scene.place(scene.add("a.jpg"), [0], "copy")
            (scene.clusters / "cluster_000" / "a.jpg").write_bytes(text)
            scene.undo(aside=aside)
        assert {path.name: path.read_bytes() for path in (aside / "cluster_000").iterdir()} == {
            "a.jpg": b"first",
            "a_2.jpg": b"second",
            "a_3.jpg": b"third",
        }

    def test_a_moved_link_still_points_to_its_file(self, scene: Scene) -> None:
        first, second = scene.add("a.jpg", "b.jpg")
        scene.place([first], [0], "symlink")
        link = scene.clusters / "cluster_000" / "a.jpg"
        link.unlink()
        link.symlink_to(os.path.relpath(second, link.parent))
        scene.undo(aside=scene.base / "out" / "b" / "c")
        assert (scene.base / "out/b/c/cluster_000/a.jpg").resolve() == second.resolve()

    def test_no_folder_is_created_if_nothing_remains(self, scene: Scene) -> None:
        scene.place(scene.add("a.jpg"), [0], "symlink")
        scene.undo(aside=scene.base / "out" / "aside")
        assert not (scene.base / "out" / "aside").exists()


class TestFallbacks:
    @pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
    def test_hard_links_instead_of_symbolic_links(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        paths = scene.add("a.jpg", "b.jpg", "c.jpg")
        before = snapshot(scene.base)
        attempts = refusing(monkeypatch, "symlink", number)
        assert scene.place(paths, [0, 0, 0], "symlink") == PlacementResult({"hardlink": 3}, ())
        assert len(attempts) == 1, "a failed mode is not tried for every file"
        assert os.path.samefile(paths[0], scene.clusters / "cluster_000" / "a.jpg")
        assert scene.undo().done == 3
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
    def test_copies_instead_of_hard_links(self, scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        paths = scene.add("a.jpg", "b.jpg")
        before = snapshot(scene.base)
        refusing(monkeypatch, "link", number)
        assert scene.place(paths, [0, 0], "hardlink") == PlacementResult({"copy": 2}, ())
        assert not os.path.samefile(paths[0], scene.clusters / "cluster_000" / "a.jpg")
        assert scene.undo().done == 2
        assert snapshot(scene.base) == before

    def test_copies_instead_of_any_links(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = scene.add("a.jpg", "b.jpg")
        before = snapshot(scene.base)
        refusing(monkeypatch, "symlink", errno.EPERM)
        refusing(monkeypatch, "link", errno.EXDEV)
        assert scene.place(paths, [0, 0], "symlink") == PlacementResult({"copy": 2}, ())
        assert (scene.clusters / "cluster_000" / "a.jpg").read_bytes() == paths[0].read_bytes()
        assert scene.undo().done == 2
        assert snapshot(scene.base) == before

    def test_windows_without_the_privilege_for_links(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object, **options: object) -> None:
            error = OSError(errno.EINVAL, "A required privilege is not held by the client")
            error.winerror = 1314  # type: ignore[attr-defined]
            raise error

        monkeypatch.setattr(os, "symlink", refuse)
        assert scene.place(scene.add("a.jpg"), [0], "symlink").counts == {"hardlink": 1}

    def test_other_errors_are_raised(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = scene.add("a.jpg")
        refusing(monkeypatch, "symlink", errno.ENOSPC)
        message = r"a\.jpg.*cluster_000/a\.jpg: No space left on device; imgcluster undo -w"
        with pytest.raises(PlacementError, match=message):
            scene.place(paths, [0], "symlink")
        monkeypatch.undo()
        assert scene.undo().done == 0
        assert not scene.clusters.exists()

    def test_a_move_to_another_disk(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = scene.add("a.jpg", "sub/a.jpg")
        before = snapshot(scene.base)
        attempts = refusing(monkeypatch, "rename", errno.EXDEV)
        assert scene.place(paths, [0, 0], "move") == PlacementResult({"move": 2}, ())
        assert attempts
        assert scene.placed() == ["cluster_000/a.jpg", "cluster_000/a_2.jpg"]
        assert not paths[0].exists()
        assert scene.undo().done == 2
        assert snapshot(scene.base) == before

    def test_hard_links_that_are_lost_on_another_disk_are_counted(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = scene.add("a.jpg", "b.jpg", "c.jpg")
        for path in paths[:2]:
            os.link(path, scene.base / f"linked {path.name}")
        here = scene.place(paths[:1], [0], "move")
        assert (here.unlinked, here.about_hard_links) == (0, "")
        scene.undo()
        refusing(monkeypatch, "rename", errno.EXDEV)
        elsewhere = scene.place(paths, [0, 0, 0], "move")
        assert elsewhere.unlinked == 2
        assert "disk: 2." in elsewhere.about_hard_links
        assert (scene.base / "linked a.jpg").read_bytes() == (scene.clusters / "cluster_000/a.jpg").read_bytes()

    def test_a_failed_move_keeps_the_original(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        (path,) = scene.add("a.jpg")
        refusing(monkeypatch, "rename", errno.EACCES)
        with pytest.raises(PlacementError, match="Permission denied"):
            scene.place([path], [0], "move")
        assert path.exists()
        assert scene.placed() == []


class Killed(BaseException):
    pass


class TestInterrupted:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("after", [1, 2, 3, 4])
    def test_undo_restores_everything(self, scene: Scene, mode: PlaceMode, after: int) -> None:
        paths = scene.add("1/a.jpg", "2/a.jpg", "b.jpg", "c.jpg")
        before = snapshot(scene.base)

        def kill(done: int) -> None:
            if done == after:
                raise Killed

        with pytest.raises(Killed):
            place(scene.plan(paths, [0, 0, 1, -1], mode), scene.journal, step=kill)
        assert len(scene.placed()) == after
        assert scene.undo().done == after
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("mode", MODES)
    def test_an_interrupted_undo_can_be_repeated(self, scene: Scene, mode: PlaceMode) -> None:
        paths = scene.add("a.jpg", "b.jpg", "c.jpg")
        before = snapshot(scene.base)
        scene.place(paths, [0, 1, 0], mode)

        def kill(done: int) -> None:
            raise Killed

        for _ in range(2):
            with pytest.raises(Killed):
                scene.undo(step=kill)
        scene.undo()
        assert snapshot(scene.base) == before

    def test_the_journal_is_written_before_the_first_file(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = scene.add("a.jpg")
        seen: list[bool] = []
        rename = os.rename

        def watch(source: str, target: str) -> None:
            seen.append(scene.journal.exists())
            rename(source, target)

        monkeypatch.setattr(os, "rename", watch)
        scene.place(paths, [0], "move")
        assert seen == [True]

    def test_between_the_copy_to_another_disk_and_the_removal(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (path,) = scene.add("a.jpg")
        before = snapshot(scene.base)
        unlink = Path.unlink

        def kill(self: Path, missing_ok: bool = False) -> None:
            if self == path:
                raise Killed
            unlink(self, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            refusing(patch, "rename", errno.EXDEV)
            patch.setattr(Path, "unlink", kill)
            with pytest.raises(Killed):
                scene.place([path], [0], "move")
        assert path.exists()
        assert scene.placed() == ["cluster_000/a.jpg"]
        assert scene.undo().done == 1
        assert snapshot(scene.base) == before

    @pytest.mark.parametrize("step", ["times", "rename", "removal"])
    def test_a_kill_while_a_file_returns_to_another_disk(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        (path,) = scene.add("a.jpg")
        before = snapshot(scene.base)
        scene.place([path], [0], "move")
        placed, unlink = scene.clusters / "cluster_000/a.jpg", Path.unlink

        def kill(*arguments: object, **options: object) -> None:
            raise Killed

        def kill_at_removal(self: Path, missing_ok: bool = False) -> None:
            if self == placed:
                raise Killed
            unlink(self, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            refusing(patch, "rename", errno.EXDEV)
            if step == "removal":
                patch.setattr(Path, "unlink", kill_at_removal)
            elif step == "times":
                patch.setattr(shutil, "copystat", kill)
            else:
                patch.setattr(os, "link", kill)
            with pytest.raises(Killed):
                scene.undo()
        assert path.exists() == (step == "removal")
        assert scene.undo().done == 1
        assert snapshot(scene.base) == before

    def test_an_exception_in_the_middle_of_a_copy(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = scene.add("a.jpg")
        before = snapshot(scene.base)

        def half(source: Path, target: Path) -> None:
            Path(target).write_bytes(Path(source).read_bytes()[:3])
            raise Killed

        monkeypatch.setattr(shutil, "copy2", half)
        with pytest.raises(Killed):
            scene.place(paths, [0], "copy")
        assert scene.placed() == []
        scene.undo()
        assert snapshot(scene.base) == before

    def test_undo_after_a_kill_in_the_middle_of_a_copy(self, scene: Scene) -> None:
        (path,) = scene.add("a.jpg")
        before = snapshot(scene.base)
        script = (
            "import os, pathlib, shutil, sys\n"
            "from imgcluster.placement import place, plan_placement\n"
            "def half(source, target):\n"
            "    pathlib.Path(target).write_bytes(b'pix')\n"
            "    os._exit(9)\n"
            "shutil.copy2 = half\n"
            "source, folder, journal = sys.argv[1:]\n"
            "place(plan_placement([source], [0], pathlib.Path(folder), 'copy'), pathlib.Path(journal))\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(imgcluster.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", script, str(path), str(scene.clusters), str(scene.journal)],
            env=environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 9
        # As every command does first.
        remove_temporary_files(scene.journal.parent)
        scene.undo()
        assert snapshot(scene.base) == before


class TestJournal:
    def test_there_is_none_without_a_placement(self, scene: Scene) -> None:
        assert scene.read() is None

    def test_it_reads_back(self, scene: Scene) -> None:
        journal = scene.plan(scene.add("ä\n.jpg", os.fsdecode(b"\xff.jpg"), "\u2028.jpg"), [0, 1, -1], "symlink")
        place(journal, scene.journal)
        assert scene.read() == journal

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"garbage",
            b"[]\n",
            b'{"mode": "copy"}\n',
            b'{"mode": "teleport", "folder": "/f"}\n',
            b'{"mode": "copy", "folder": "/f"}\n{"source": "/a", "tar',
            b'{"mode": "copy", "folder": "/f"}\n{"source": "/a"}\n',
            b'{"mode": "copy", "folder": "/f"}\n{"source": 1, "target": 2}\n',
            b'{"mode": "copy", "folder": null}\n{"source": "/a", "target": "/b"}\n',
            b'{"mode": "copy", "folder": "/f"}\n\xff\n',
            b'{"mode": "copy", "folder": "clusters"}\n\xff\n',
            b'{"mode": "copy", "folder": "clusters"}\n{"source": 1, "target": 2}\n',
            b'{"mode": "copy", "folder": "clusters"}\n' + b"[" * 100_000 + b"\n",
        ],
    )
    def test_a_damaged_journal_is_an_error(self, scene: Scene, data: bytes) -> None:
        scene.journal.write_bytes(data)
        message = rf"{re.escape(str(scene.journal))}.* nothing was changed"
        with pytest.raises(PlacementError, match=message):
            scene.undo()
        assert scene.journal.read_bytes() == data

    def test_it_is_one_line_of_json_for_each_file(self, scene: Scene) -> None:
        scene.place(scene.add("a.jpg", "b.jpg"), [0, 0], "copy")
        head, *entries = [json.loads(line) for line in scene.journal.read_text(encoding="utf-8").splitlines()]
        assert head == {"mode": "copy", "folder": scene.clusters.name}
        assert [Path(entry["source"]).name for entry in entries] == ["a.jpg", "b.jpg"]


def test_undo_in_a_renamed_workspace(scene: Scene) -> None:
    paths = scene.add("a.jpg", "b.jpg")
    before = snapshot(scene.photos)
    scene.place(paths, [0, 1], "move")
    renamed = scene.journal.parent.rename(scene.base / "renamed")
    assert scene.undo(renamed / scene.journal.name).done == 2
    assert snapshot(scene.photos) == before


def test_moved_images_in_a_renamed_folder_remain_in_the_journal(scene: Scene) -> None:
    paths = scene.add("a.jpg", "b.jpg")
    before = snapshot(scene.photos)
    scene.place(paths, [0, 1], "move")
    (scene.clusters / "cluster_001").rename(scene.clusters / "hats")
    undone = scene.undo()
    assert undone.done == 1
    assert ["missing" in reason for _, reason in undone.remaining] == [True]
    (scene.clusters / "hats").rename(scene.clusters / "cluster_001")
    assert scene.undo().done == 1
    assert snapshot(scene.photos) == before


NAMES = [
    "a.jpg",
    "A.jpg",
    "b.png",
    "é.jpg",
    "e\u0301.jpg",
    "no extension",
    "日本\n.gif",
    r"\x41.jpg",
    "a_2.jpg",
    "n" * 255,
]
images = st.tuples(
    st.sampled_from(["", "sub/", "sub/deeper/", "other/"]),
    st.sampled_from(NAMES),
    st.sampled_from(["file", "file", "file", "link"]),
    st.integers(-1, 2),
)


@settings(max_examples=40, derandomize=True)
@given(
    found=st.lists(images, max_size=8, unique_by=lambda image: image[0] + image[1]),
    foreign=st.lists(
        st.tuples(st.sampled_from(["", "cluster_000/", "cluster_001/", "noise/", "own/"]), st.sampled_from(NAMES)),
        max_size=4,
        unique=True,
    ),
    mode=st.sampled_from(MODES),
    no_rename=st.booleans(),
    no_links=st.booleans(),
    stop=st.none() | st.integers(1, 6),
)
def test_undo_restores_any_placement(
    found: list[tuple[str, str, str, int]],
    foreign: list[tuple[str, str]],
    mode: PlaceMode,
    no_rename: bool,
    no_links: bool,
    stop: int | None,
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(os, "fsync", lambda descriptor: None)
        scene = Scene(Path(folder))
        (scene.photos / "target.bin").write_bytes(b"target of links")
        paths = []
        for number, (parent, name, kind, _) in enumerate(found):
            path = scene.photos / parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                path.symlink_to(os.path.relpath(scene.photos / "target.bin", path.parent))
            else:
                path.write_bytes(b"image %d" % number)
                os.utime(path, ns=(0, 1_600_000_000_000_000_000 + number))
            paths.append(path)
        for parent, name in foreign:
            path = scene.clusters / parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"foreign " + os.fsencode(parent + name))
        before = snapshot(scene.base)
        journal = scene.plan(paths, [cluster for *_, cluster in found], mode)

        def kill(done: int) -> None:
            if done == stop:
                raise Killed

        step: Callable[[int], None] = kill
        with pytest.MonkeyPatch.context() as refusals:
            if no_rename:
                refusing(refusals, "rename", errno.EXDEV)
            if no_links and mode != "move":
                refusing(refusals, "symlink", errno.EPERM)
                refusing(refusals, "link", errno.EXDEV)
            try:
                result = place(journal, scene.journal, step=step)
            except Killed:
                done = stop
            else:
                done = len(paths)
                assert sum(result.counts.values()) == done
                assert result.missing == ()
                for entry, path in zip(journal.entries, paths, strict=True):
                    expected = before[os.path.relpath(os.fsencode(path), os.fsencode(scene.base))]
                    content = b"target of links" if expected[0] == "link" else expected[1]
                    assert Path(os.fsdecode(from_text_bytes(entry.target))).read_bytes() == content
            # All earlier files still exist, except moved ones.
            now = snapshot(scene.base)
            moved = {os.path.relpath(os.fsencode(path), os.fsencode(scene.base)) for path in paths}
            assert all(now.get(key) == value for key, value in before.items() if mode != "move" or key not in moved)
        undone = scene.undo()
        assert (undone.done, undone.remaining) == (done, ())
        assert snapshot(scene.base) == before


def from_text_bytes(text: str) -> bytes:
    from imgcluster.fileio.path_text import from_text

    return os.fsencode(from_text(text))
