"""Finding files: everything that is wanted, once, in order, under its real name; nothing is opened."""

from __future__ import annotations

import fnmatch
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.images.find import Finder, read_list
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.scope import Scope

QUICK = settings(derandomize=True, database=None, max_examples=80)

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has neither FIFOs nor file names of bytes")


def tree(folder: Path, *names: str) -> Path:
    """Make files below `folder`; a name that ends in ``/`` makes an empty folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"content of " + os.fsencode(name))
    return folder


def link(path: Path, target: str | os.PathLike[str]) -> None:
    """Make a symbolic link at `path`, or skip the test where that cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target, target_is_directory=(path.parent / target).is_dir())
    except (OSError, NotImplementedError) as error:
        pytest.skip(f"no symbolic links here: {error}")


def found(finder: Finder) -> list[str]:
    """Return the paths that a walk finds, relative to their roots; nothing must be unreadable."""
    entries = list(finder.find())
    assert not [entry for entry in entries if isinstance(entry, UnreadablePath)]
    return [entry.path for entry in entries]


def contains(name: str) -> Callable[[str], bool]:
    """Return a function that tells whether a folder contains a file."""
    return lambda folder: (Path(folder) / name).exists()


def problems(finder: Finder) -> list[tuple[str, str]]:
    """Return what cannot be read, with the reason."""
    return [(entry.path, entry.reason) for entry in finder.find() if isinstance(entry, UnreadablePath)]


class TestWalk:
    def test_in_sorted_order_by_folder(self, tmp_path: Path) -> None:
        tree(tmp_path, "b.jpg", "a/2.jpg", "a/10.jpg", "a/sub/x.jpg", "c/1.jpg", "B.jpg", "a.jpg")

        assert found(Finder(paths=[tmp_path])) == [
            "B.jpg", "a/10.jpg", "a/2.jpg", "a/sub/x.jpg", "a.jpg", "b.jpg", "c/1.jpg",
        ]  # fmt: skip

    def test_what_is_known_of_a_file(self, tmp_path: Path) -> None:
        tree(tmp_path, "sub/a.jpg")
        facts = (tmp_path / "sub" / "a.jpg").stat()

        (file,) = Finder(paths=[tmp_path]).find()

        assert file == FoundFile(to_text(tmp_path), "sub/a.jpg", facts.st_size, facts.st_mtime_ns)
        assert file.location == to_text(tmp_path / "sub" / "a.jpg")

    def test_files_of_every_name_are_found(self, tmp_path: Path) -> None:
        names = ["a.txt", "b", "c.jpg", "d.JPG"]
        tree(tmp_path, *names)

        assert found(Finder(paths=[tmp_path])) == names

    def test_an_empty_folder_holds_nothing(self, tmp_path: Path) -> None:
        tree(tmp_path, "empty/", "also/empty/")

        assert found(Finder(paths=[tmp_path])) == []

    def test_nothing_is_looked_for_in_no_paths(self) -> None:
        assert found(Finder()) == []

    @pytest.mark.parametrize("name", ["gone", "gone/deeper.jpg"])
    def test_a_path_that_is_not_there_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UsageError, match=f"no such file or folder: .*{name}"):
            Finder(paths=[tmp_path, tmp_path / name])

    @posix_only
    def test_the_message_about_a_missing_path_is_valid_text(self) -> None:
        with pytest.raises(UsageError, match=r"no such file or folder: /gone\\xff"):
            Finder(paths=[os.fsdecode(b"/gone\xff")])

    def test_not_recursive(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "sub/b.jpg", "elsewhere/c.jpg")
        link(tmp_path / "sub2", "elsewhere")
        link(tmp_path / "z.jpg", "sub/b.jpg")

        assert found(Finder(paths=[tmp_path], recursive=False)) == ["a.jpg", "z.jpg"]

    def test_not_recursive_but_named_themselves(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg")

        assert found(Finder(paths=[tmp_path, tmp_path / "sub"], recursive=False)) == ["a.jpg", "b.jpg"]

    def test_relative_paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree(tmp_path, "photos/a.jpg", "b.jpg")
        monkeypatch.chdir(tmp_path)

        entries = list(Finder(paths=["photos", "./photos/../b.jpg"]).find())

        assert [entry.location for entry in entries] == [
            to_text(tmp_path / "photos" / "a.jpg"),
            to_text(tmp_path / "b.jpg"),
        ]

    def test_folders_nest_deeper_than_python_recurses(self, tmp_path: Path) -> None:
        parents = [tmp_path]
        try:
            while len(parents) <= 1500:
                path = parents[-1] / "d"
                path.mkdir()
                parents.append(path)
            (parents[-1] / "a.jpg").write_bytes(b"deep")
        except OSError as error:
            if len(parents) < 150:
                pytest.skip(f"folders cannot nest deeply here: {error}")
            (parents[-2] / "a.jpg").write_bytes(b"deep")

        try:
            (path_found,) = found(Finder(paths=[tmp_path]))
            assert path_found.count("/") >= len(parents) - 2
            assert path_found.endswith("d/a.jpg")
        finally:
            # What clears the temporary folder may itself recurse.
            for folder in reversed(parents[1:]):
                (folder / "a.jpg").unlink(missing_ok=True)
                folder.rmdir()


class TestLeftOut:
    @pytest.mark.parametrize(
        "folder", [".git", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".x"]
    )
    def test_hidden_and_system_folders(self, tmp_path: Path, folder: str) -> None:
        tree(tmp_path, f"{folder}/a.jpg", f"sub/{folder}/b.jpg", "c.jpg")

        assert found(Finder(paths=[tmp_path])) == ["c.jpg"]

    def test_hidden_files(self, tmp_path: Path) -> None:
        tree(tmp_path, ".hidden.jpg", "._resource.jpg", "..odd", "a.jpg")

        assert found(Finder(paths=[tmp_path])) == ["a.jpg"]

    @pytest.mark.parametrize("folder", [".hidden", "@eaDir"])
    def test_but_not_where_the_user_names_them(self, tmp_path: Path, folder: str) -> None:
        tree(tmp_path, f"{folder}/a.jpg", f"{folder}/.b.jpg")

        assert found(Finder(paths=[tmp_path / folder])) == ["a.jpg"]
        assert found(Finder(paths=[tmp_path / folder / ".b.jpg"])) == [to_text((tmp_path / folder / ".b.jpg").name)]

    def test_folders_with_the_marker(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "out/mine.txt", "out/b.jpg", "out/sub/c.jpg", "sub/d.jpg")

        assert found(Finder(paths=[tmp_path], skips=contains("mine.txt"))) == ["a.jpg", "sub/d.jpg"]
        assert len(found(Finder(paths=[tmp_path], skips=contains("other.txt")))) == 5

    def test_a_hidden_marker_counts(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "out/.mine", "out/b.jpg")

        assert found(Finder(paths=[tmp_path], skips=contains(".mine"))) == ["a.jpg"]

    def test_the_marked_folder_itself_can_be_named(self, tmp_path: Path) -> None:
        tree(tmp_path, "out/.mine", "out/b.jpg", "out/sub/.mine", "out/sub/c.jpg")

        assert found(Finder(paths=[tmp_path / "out"], skips=contains(".mine"))) == ["b.jpg"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_marked_folder_can_be_named_beside_the_one_around_it(self, tmp_path: Path, order: int) -> None:
        tree(tmp_path, "a.jpg", "out/.mine", "out/b.jpg")

        assert sorted(found(Finder(paths=[tmp_path, tmp_path / "out"][::order], skips=contains(".mine")))) == [
            "a.jpg",
            "b.jpg",
        ]

    def test_a_file_named_from_a_marked_folder_is_found(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "out/.mine", "out/b.jpg")

        names = found(Finder(paths=[tmp_path, tmp_path / "out" / "b.jpg"], skips=contains(".mine")))

        assert [name.rpartition("/")[2] for name in names] == ["a.jpg", "b.jpg"]

    @pytest.mark.parametrize(
        ("exclude", "left"),
        [
            (["*.png"], ["a.jpg", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["raw"], ["a.jpg", "b.png", "x/raw.jpg"]),
            (["raw/*"], ["a.jpg", "b.png", "x/raw.jpg"]),
            (["raw/deep"], ["a.jpg", "b.png", "raw/c.jpg", "x/raw.jpg"]),
            (["raw/deep/"], ["a.jpg", "b.png", "raw/c.jpg", "x/raw.jpg"]),
            (["*/*.jpg"], ["a.jpg", "b.png", "raw/deep/d.jpg"]),
            (["**/*.jpg"], ["b.png"]),
            (["deep/"], ["a.jpg", "b.png", "raw/c.jpg", "x/raw.jpg"]),
            (["a.jpg/"], ["a.jpg", "b.png", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["/b.png", "/d.jpg"], ["a.jpg", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["*.jpg", "!c.jpg"], ["b.png", "raw/c.jpg"]),
            (["raw/*", "!raw/deep/"], ["a.jpg", "b.png", "raw/deep/d.jpg", "x/raw.jpg"]),
            ([""], ["a.jpg", "b.png", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["?.*", "raw"], ["x/raw.jpg"]),
            (["*.JPG"], ["a.jpg", "b.png", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["[ab].*", "nothing"], ["raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg"]),
            (["*"], []),
        ],
    )
    def test_exclude(self, tmp_path: Path, exclude: list[str], left: list[str]) -> None:
        tree(tmp_path, "a.jpg", "b.png", "raw/c.jpg", "raw/deep/d.jpg", "x/raw.jpg")

        assert found(Finder(paths=[tmp_path], exclude=exclude)) == left

    def test_a_pattern_with_a_slash_does_not_match_in_subfolders(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/x.png", "a/b/z.png", "c/a/y.png")

        assert found(Finder(paths=[tmp_path], exclude=["a/*.png"])) == ["a/b/z.png", "c/a/y.png"]

    def test_a_pattern_that_ends_in_a_slash_matches_folders_at_any_depth(self, tmp_path: Path) -> None:
        tree(tmp_path, "b/1.jpg", "a/b/2.jpg", "a/c/b/3.jpg", "a/4.jpg")

        assert found(Finder(paths=[tmp_path], exclude=["b/"])) == ["a/4.jpg"]

    def test_patterns_are_relative_to_each_folder_that_is_named(self, tmp_path: Path) -> None:
        tree(tmp_path, "one/a/x.png", "two/a/y.png")

        assert found(Finder(paths=[tmp_path / "one", tmp_path / "two"], exclude=["/a"])) == []
        assert len(found(Finder(paths=[tmp_path], exclude=["/a"]))) == 2

    def test_one_path_and_one_pattern_need_no_list(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "b.png")

        assert found(Finder(paths=str(tmp_path), exclude="*.png")) == ["a.jpg"]
        assert found(Finder(paths=str(tmp_path), exclude="*.jpg")) == ["b.png"]

    def test_a_name_that_starts_with_a_hash_is_no_comment(self, tmp_path: Path) -> None:
        tree(tmp_path, "#old/a.jpg", "b.jpg")

        assert found(Finder(paths=[tmp_path], exclude=["#old"])) == ["b.jpg"]

    @posix_only
    def test_names_that_are_not_text_are_excluded(self, tmp_path: Path) -> None:
        tree(tmp_path, os.fsdecode(b"\xff.jpg"), "b.jpg")

        assert found(Finder(paths=[tmp_path], exclude=[os.fsdecode(b"\xff*")])) == ["b.jpg"]

    @pytest.mark.parametrize("pattern", ["!", "[a", "a\\", "/"])
    def test_an_invalid_pattern_is_wrong_usage(self, tmp_path: Path, pattern: str) -> None:
        with pytest.raises(UsageError) as error:
            Finder(paths=[tmp_path], exclude=["*.png", pattern])

        assert "--exclude" in str(error.value)
        assert repr(pattern) in str(error.value)

    def test_excluded_folders_are_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree(tmp_path, "a.jpg", "raw/b.jpg", "x/raw/c.jpg", "x/raw/deep/d.jpg")
        read: list[str] = []
        scan = os.scandir

        def record(path: str) -> object:
            read.append(os.path.relpath(path, tmp_path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", record)

        assert found(Finder(paths=[tmp_path], exclude=["raw/"])) == ["a.jpg"]
        assert read == [".", "x"]

    @pytest.mark.parametrize("pattern", ["skip", "skip/"])
    def test_excluded_links_are_not_followed(self, tmp_path: Path, pattern: str) -> None:
        tree(tmp_path, "photos/a.jpg", "elsewhere/b.jpg")
        link(tmp_path / "photos" / "skip", "../elsewhere")

        assert found(Finder(paths=[tmp_path / "photos"], exclude=[pattern])) == ["a.jpg"]

    @pytest.mark.parametrize("pattern", ["b.jpg", "raw/*"])
    def test_what_is_excluded_by_one_name_is_found_by_another(self, tmp_path: Path, pattern: str) -> None:
        tree(tmp_path, "raw/b.jpg")
        link(tmp_path / "chosen.jpg", "raw/b.jpg")

        assert found(Finder(paths=[tmp_path], exclude=[pattern])) == ["chosen.jpg"]

    @posix_only
    @pytest.mark.parametrize("how", ["in the folder", "named", "listed", "linked"])
    def test_a_fifo_is_never_opened(self, tmp_path: Path, how: str) -> None:
        # Opening it for reading would wait for a writer for ever.
        os.mkfifo(tmp_path / "pipe.jpg")
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "link.jpg").symlink_to("../pipe.jpg")
        finder = {
            "in the folder": Finder(paths=[tmp_path]),
            "named": Finder(paths=[tmp_path / "pipe.jpg"]),
            "listed": Finder(listed=[tmp_path / "pipe.jpg"]),
            "linked": Finder(paths=[tmp_path / "photos"]),
        }[how]

        entries = list(finder.find())
        assert {entry.location.rpartition("/")[2] for entry in entries} <= {"pipe.jpg", "link.jpg"}
        assert {entry.reason for entry in entries if isinstance(entry, UnreadablePath)} == {"a named pipe, not a file"}

    @posix_only
    def test_pipes_and_sockets_are_told_from_images_by_their_names(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "null.png").symlink_to(os.devnull)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(tmp_path / "socket.jpg"))
        entries = [entry for entry in Finder(paths=[tmp_path]).find() if isinstance(entry, UnreadablePath)]
        assert {(entry.path, entry.reason, entry.is_image) for entry in entries} == {
            ("pipe", "a named pipe, not a file", False),
            ("socket.jpg", "a socket, not a file", True),
            ("null.png", "a device, not a file", True),
        }


class TestOnce:
    def test_the_same_folder_twice(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "sub/b.jpg")

        assert found(Finder(paths=[tmp_path, tmp_path, tmp_path / "sub" / ".."])) == ["a.jpg", "sub/b.jpg"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_folder_and_one_inside_it(self, tmp_path: Path, order: int) -> None:
        tree(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg")

        entries = list(Finder(paths=[tmp_path, tmp_path / "sub"][::order]).find())

        assert sorted(entry.location for entry in entries) == [
            to_text(tmp_path / name) for name in ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg")
        ]

    def test_a_file_twice(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg")

        assert found(Finder(paths=[tmp_path / "a.jpg"] * 2, listed=[tmp_path / "a.jpg"])) == ["a.jpg"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_file_and_its_folder(self, tmp_path: Path, order: int) -> None:
        tree(tmp_path, "a.jpg", "b.jpg")

        assert found(Finder(paths=[tmp_path, tmp_path / "b.jpg"][::order])) == ["a.jpg", "b.jpg"]

    def test_a_link_beside_the_file(self, tmp_path: Path) -> None:
        tree(tmp_path, "sub/m.jpg")
        link(tmp_path / "a.jpg", "sub/m.jpg")
        link(tmp_path / "z.jpg", "sub/m.jpg")

        assert found(Finder(paths=[tmp_path])) == ["sub/m.jpg"]

    def test_two_links_to_a_file_elsewhere(self, tmp_path: Path) -> None:
        tree(tmp_path, "elsewhere/m.jpg", "photos/b.jpg")
        link(tmp_path / "photos" / "z.jpg", "../elsewhere/m.jpg")
        link(tmp_path / "photos" / "a.jpg", "../elsewhere/m.jpg")

        assert found(Finder(paths=[tmp_path / "photos"])) == ["b.jpg", "a.jpg"]

    def test_a_linked_folder_elsewhere(self, tmp_path: Path) -> None:
        tree(tmp_path, "elsewhere/m.jpg", "elsewhere/sub/n.jpg", "photos/b.jpg")
        link(tmp_path / "photos" / "a", "../elsewhere")
        link(tmp_path / "photos" / "c", "../elsewhere/sub")

        assert found(Finder(paths=[tmp_path / "photos"])) == ["b.jpg", "a/m.jpg", "a/sub/n.jpg"]

    def test_a_file_by_a_link_of_its_own_and_in_a_linked_folder(self, tmp_path: Path) -> None:
        tree(tmp_path, "elsewhere/m.jpg", "photos/b.jpg")
        link(tmp_path / "photos" / "a.jpg", "../elsewhere/m.jpg")
        link(tmp_path / "photos" / "z", "../elsewhere")

        names = found(Finder(paths=[tmp_path / "photos"]))

        assert names[0] == "b.jpg"
        assert len(names) == 2

    @pytest.mark.parametrize("how", ["paths", "listed"])
    def test_a_named_file_in_a_linked_folder(self, tmp_path: Path, how: str) -> None:
        tree(tmp_path, "elsewhere/m.jpg", "photos/b.jpg")
        link(tmp_path / "photos" / "z", "../elsewhere")
        named = tmp_path / "elsewhere" / "m.jpg"

        finder = Finder(paths=[tmp_path / "photos", *([named] if how == "paths" else [])], listed=[named])

        assert [entry.location for entry in finder.find()] == [to_text(tmp_path / "photos" / "b.jpg"), to_text(named)]

    def test_hard_links_are_two_files(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg")
        try:
            os.link(tmp_path / "a.jpg", tmp_path / "b.jpg")
        except (OSError, NotImplementedError) as error:
            pytest.skip(f"no hard links here: {error}")

        assert found(Finder(paths=[tmp_path])) == ["a.jpg", "b.jpg"]

    @pytest.mark.parametrize("target", [".", "..", "../..", "sub"])
    def test_loops_end(self, tmp_path: Path, target: str) -> None:
        tree(tmp_path, "photos/a.jpg", "photos/sub/b.jpg")
        link(tmp_path / "photos" / "sub" / "loop", target)

        assert found(Finder(paths=[tmp_path / "photos" / "sub"]))[0] == "b.jpg"
        names = found(Finder(paths=[tmp_path / "photos"]))
        assert names == ["a.jpg", "sub/b.jpg"]

    def test_two_folders_that_link_to_each_other(self, tmp_path: Path) -> None:
        tree(tmp_path, "one/a.jpg", "two/b.jpg")
        link(tmp_path / "one" / "other", "../two")
        link(tmp_path / "two" / "other", "../one")

        assert found(Finder(paths=[tmp_path / "one"])) == ["a.jpg", "other/b.jpg"]

    def test_a_hidden_file_can_be_reached_by_a_link(self, tmp_path: Path) -> None:
        tree(tmp_path, ".store/m.jpg", ".n.jpg")
        link(tmp_path / "a.jpg", ".store/m.jpg")
        link(tmp_path / "b.jpg", ".n.jpg")

        assert found(Finder(paths=[tmp_path])) == ["a.jpg", "b.jpg"]

    def test_a_folder_given_by_a_link(self, tmp_path: Path) -> None:
        tree(tmp_path, "real/a.jpg")
        link(tmp_path / "way", "real")

        entries = list(Finder(paths=[tmp_path / "way", tmp_path / "real"]).find())

        assert [entry.path for entry in entries] == ["a.jpg"]


class TestUnreadable:
    def test_broken_links_with_the_name_of_an_image(self, tmp_path: Path) -> None:
        link(tmp_path / "a.jpg", "gone.jpg")
        link(tmp_path / "notes.txt", "gone.txt")
        link(tmp_path / "folder", "gone")

        assert problems(Finder(paths=[tmp_path])) == [("a.jpg", "a symbolic link to a file that does not exist")]

    def test_a_link_to_itself(self, tmp_path: Path) -> None:
        link(tmp_path / "a.jpg", "a.jpg")
        tree(tmp_path, "b.jpg")

        names = [(type(entry), entry.path) for entry in Finder(paths=[tmp_path]).find()]

        assert names == [(FoundFile, "b.jpg"), (UnreadablePath, "a.jpg")]

    @pytest.mark.parametrize("how", ["paths", "listed"])
    def test_a_broken_link_that_is_named(self, tmp_path: Path, how: str) -> None:
        link(tmp_path / "a", "gone")

        assert [reason for _, reason in problems(Finder(**{how: [tmp_path / "a"]}))] == [
            "a symbolic link to a file that does not exist"
        ]

    def test_a_broken_link_that_is_named_beside_its_folder_is_reported_once(self, tmp_path: Path) -> None:
        link(tmp_path / "a.jpg", "gone")

        assert len(problems(Finder(paths=[tmp_path, tmp_path / "a.jpg"]))) == 1

    def test_listed_files_that_are_missing(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg")

        entries = list(Finder(listed=[tmp_path / "gone.jpg", tmp_path / "a.jpg"]).find())

        assert [type(entry) for entry in entries] == [UnreadablePath, FoundFile]
        assert entries[0] == UnreadablePath(to_text(tmp_path), "gone.jpg", "No such file or directory")

    def test_a_missing_file_that_is_listed_twice_is_reported_once(self, tmp_path: Path) -> None:
        assert len(problems(Finder(listed=[tmp_path / "gone.jpg"] * 2))) == 1

    def test_a_listed_folder(self, tmp_path: Path) -> None:
        assert problems(Finder(listed=[tmp_path])) == [(tmp_path.name, "a folder, where a file was expected")]

    @pytest.mark.parametrize("folder", ["photos", "photos/closed"])
    def test_a_folder_that_cannot_be_read(self, tmp_path: Path, folder: str, refuse: Callable[[Path], None]) -> None:
        tree(tmp_path, "photos/a.jpg", "photos/closed/b.jpg", "photos/d.jpg")
        refuse(tmp_path / folder)

        entries = list(Finder(paths=[tmp_path / "photos"]).find())

        (problem,) = [entry for entry in entries if isinstance(entry, UnreadablePath)]
        assert problem.reason == "the folder cannot be read: Permission denied"
        assert problem.location == to_text(tmp_path / folder)
        others = [entry.path for entry in entries if isinstance(entry, FoundFile)]
        assert others == ([] if folder == "photos" else ["a.jpg", "d.jpg"])

    def test_a_file_named_from_a_folder_that_cannot_be_listed(
        self, tmp_path: Path, refuse: Callable[[Path], None]
    ) -> None:
        tree(tmp_path, "closed/b.jpg")
        refuse(tmp_path / "closed")

        entries = list(Finder(paths=[tmp_path, tmp_path / "closed" / "b.jpg"]).find())

        assert [type(entry) for entry in entries] == [UnreadablePath, FoundFile]

    def test_a_folder_that_vanishes_on_the_way(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg", "b/")

        entries = Finder(paths=[tmp_path]).find()
        next(entries)
        (tmp_path / "b").rmdir()

        (problem,) = entries
        reason = "the folder cannot be read: No such file or directory"
        assert problem == UnreadablePath(to_text(tmp_path), "b", reason, is_folder=True)

    @pytest.fixture
    def refuse(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
        """Make a folder unreadable, even for root."""
        scandir = os.scandir

        def close(folder: Path) -> None:
            def guarded(path: str) -> Iterator[os.DirEntry[str]]:
                if Path(path) == folder:
                    raise PermissionError(13, "Permission denied")
                return scandir(path)

            monkeypatch.setattr(os, "scandir", guarded)

        return close


class TestOddNames:
    NAMES = (
        b"with space.jpg", b"quote'\".jpg", b"comma,semi;.jpg", b"line\nbreak\r.jpg", b"<script>alert(1)<",
        b"\xff\xfe.jpg", b"caf\xe9.jpg", "café.jpg".encode(), b"\\xff.jpg", b"\\", b"*?[x].jpg", b"-rf", b" ",
        b"\x7f\x01", "漢字🙂.jpg".encode(), b"a" * 255,
    )  # fmt: skip

    @posix_only
    def test_all_are_found_and_lead_back_to_their_files(self, tmp_path: Path) -> None:
        contents = {}
        for name in self.NAMES:
            path = tmp_path / os.fsdecode(name)
            try:
                path.write_bytes(name)
            except OSError:
                continue  # macOS takes UTF-8 only
            contents[name] = path
        assert len(contents) >= 10

        files = [entry for entry in Finder(paths=[tmp_path]).find() if isinstance(entry, FoundFile)]

        assert {from_text(file.location).read_bytes() for file in files} == set(contents)
        assert len({file.location for file in files}) == len(contents)
        assert all(file.location.encode("utf-8") for file in files)

    @posix_only
    @pytest.mark.parametrize("folder", [b"caf\xe9", b"\\xe9", b"new\nline"])
    def test_folders_with_odd_names(self, tmp_path: Path, folder: bytes) -> None:
        try:
            tree(tmp_path / os.fsdecode(folder), "sub/a.jpg")
        except OSError as error:
            pytest.skip(f"this file system takes no such name: {error}")

        for root in (tmp_path, tmp_path / os.fsdecode(folder)):
            (file,) = Finder(paths=[root]).find()
            assert from_text(file.location).read_bytes() == b"content of sub/a.jpg"
            assert file.location == to_text(tmp_path / os.fsdecode(folder) / "sub" / "a.jpg")


class TestListed:
    def test_files_under_the_current_folder_keep_their_way_from_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tree(tmp_path, "here/sub/a.jpg", "elsewhere/b.jpg")
        monkeypatch.chdir(tmp_path / "here")

        entries = list(Finder(listed=["sub/a.jpg", "../elsewhere/b.jpg"]).find())

        assert [(entry.root, entry.path) for entry in entries] == [
            (to_text(tmp_path / "here"), "sub/a.jpg"),
            (to_text(tmp_path / "elsewhere"), "b.jpg"),
        ]

    def test_a_folder_whose_name_only_begins_like_the_current_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tree(tmp_path, "here/", "heretic/b.jpg")
        monkeypatch.chdir(tmp_path / "here")

        (entry,) = Finder(listed=[tmp_path / "heretic" / "b.jpg"]).find()

        assert (entry.root, entry.path) == (to_text(tmp_path / "heretic"), "b.jpg")

    def test_excludes_do_not_touch_what_is_named(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.jpg")

        assert found(Finder(listed=[tmp_path / "a.jpg"], exclude=["*.jpg"])) == ["a.jpg"]


class TestReadList:
    @pytest.mark.parametrize(
        ("data", "names"),
        [
            (b"", []),
            (b"\n\n", []),
            (b"a.jpg", ["a.jpg"]),
            (b"a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
            (b"a.jpg\r\nb.jpg\r\n", ["a.jpg", "b.jpg"]),
            (b"a.jpg\n\nb.jpg", ["a.jpg", "b.jpg"]),
            (b" a.jpg \n", [" a.jpg "]),
            (b"a\nb.jpg\0c\r\0", ["a\nb.jpg", "c\r"]),
            (b"a.jpg\0", ["a.jpg"]),
            ("ü.jpg\n".encode(), ["ü.jpg"]),
            (b"https://host/a//b.jpg\n", ["https://host/a//b.jpg"]),
        ],
    )
    def test_known(self, data: bytes, names: list[str]) -> None:
        assert read_list([data]) == names

    @posix_only
    @QUICK
    @given(st.lists(st.binary(min_size=1, max_size=9).filter(lambda name: b"\0" not in name), min_size=1), st.data())
    def test_nul_bytes_separate_any_names_however_they_arrive(self, names: list[bytes], data: st.DataObject) -> None:
        whole = b"".join(name + b"\0" for name in names)
        cut = data.draw(st.integers(0, len(whole)))

        assert read_list([whole[:cut], whole[cut:]]) == [os.fsdecode(name) for name in names]

    def test_what_a_file_object_gives(self, tmp_path: Path) -> None:
        (tmp_path / "list").write_bytes(b"a.jpg\r\nb.jpg")

        with (tmp_path / "list").open("rb") as lines:
            assert read_list(lines) == ["a.jpg", "b.jpg"]


class TestScope:
    def test_what_a_walk_looked_at(self, tmp_path: Path) -> None:
        tree(tmp_path, "photos/a.jpg", "b.jpg")

        scope = Finder(paths=[tmp_path / "photos", tmp_path / "b.jpg"], listed=[tmp_path / "gone.jpg"]).scope()

        assert to_text(tmp_path / "photos" / "a.jpg") in scope
        assert to_text(tmp_path / "photos" / "deep" / "vanished.jpg") in scope
        assert to_text(tmp_path / "b.jpg") in scope
        assert to_text(tmp_path / "gone.jpg") in scope
        assert to_text(tmp_path / "c.jpg") not in scope
        assert to_text(tmp_path / "photos2" / "a.jpg") not in scope

    def test_the_root_folder_holds_everything(self) -> None:
        assert "/a/b.jpg" in Scope(frozenset({"/"}), frozenset())

    def test_only_texts_are_locations(self) -> None:
        assert 7 not in Scope(frozenset({"/"}), frozenset())


# A tree as nested dictionaries: None is a file, a text is a link to one of its paths, chosen when it is built.
FILE_NAMES = st.sampled_from(["a.jpg", "b.png", "c", ".h.jpg", "skip.jpg", "é,\n.jpg"])
FOLDER_NAMES = st.sampled_from(["d", "e", ".hid", "@eaDir", "skipped", "f g"])
LINK_NAMES = st.sampled_from(["l", "m.jpg", "0.jpg", ".n", "zz", "skip.l"])
FOLDERS = st.recursive(
    st.dictionaries(FILE_NAMES, st.none(), max_size=3),
    lambda inner: st.builds(
        lambda files, links, folders: {**files, **links, **folders},
        st.dictionaries(FILE_NAMES, st.none(), max_size=3),
        st.dictionaries(LINK_NAMES, st.integers(-1, 60), max_size=3),
        st.dictionaries(FOLDER_NAMES, inner, max_size=3),
    ),
    max_leaves=10,
)


@posix_only
class TestAnyTree:
    @settings(QUICK, max_examples=100)
    @given(FOLDERS, st.lists(st.integers(0, 20), min_size=1, max_size=3), st.booleans())
    def test_every_wanted_file_is_found_once(self, content: dict[str, object], picks: list[int], exclude: bool) -> None:
        with tempfile.TemporaryDirectory() as name:
            top = Path(name).resolve() / "top"
            folders = build(top, content)
            roots = [folders[pick % len(folders)] for pick in picks]
            patterns = ["skip*"] if exclude else []

            entries = list(Finder(paths=roots, exclude=patterns).find())

            locations = [entry.location for entry in entries]
            assert len(set(locations)) == len(locations)
            reached = [os.path.realpath(from_text(e.location)) for e in entries if isinstance(e, FoundFile)]
            files, plain, broken = expected(roots, patterns)
            assert sorted(reached) == sorted(files)
            assert {to_text(path) for path in plain} <= set(locations)
            assert {e.location for e in entries if isinstance(e, UnreadablePath)} == {to_text(path) for path in broken}
            assert list(Finder(paths=roots, exclude=patterns).find()) == entries


def build(top: Path, content: dict[str, object]) -> list[Path]:
    """Make the tree, links last, and return its folders."""
    paths: list[Path] = []
    folders: list[Path] = []
    links: list[tuple[Path, int]] = []

    def make(folder: Path, inside: dict[str, object]) -> None:
        folder.mkdir()
        folders.append(folder)
        for name, what in inside.items():
            path = folder / name
            if isinstance(what, dict):
                make(path, what)
            elif isinstance(what, int):
                links.append((path, what))
            else:
                path.write_bytes(b"")
            paths.append(path)

    make(top, content)
    targets = [*folders, *paths, top / "gone"]
    for path, pick in links:
        path.symlink_to(targets[pick % len(targets)])
    return folders


def expected(roots: list[Path], patterns: list[str]) -> tuple[set[str], set[str], set[str]]:
    """Return the real files that can be reached, those among them that no link is needed for, and broken links.

    A naive search with the definition in hand: everything visible below the roots, through every visible link.
    """

    def visible(name: str) -> bool:
        hidden = name.startswith(".") or name == "@eaDir"
        return not hidden and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    def search(starts: list[str], links: bool) -> tuple[set[str], set[str]]:
        seen: set[str] = set()
        files: set[str] = set()
        broken: set[tuple[str, str]] = set()
        while starts:
            folder = starts.pop(0)
            if os.path.realpath(folder) in seen:
                continue
            seen.add(os.path.realpath(folder))
            for name in sorted(filter(visible, os.listdir(folder))):
                path = os.path.join(folder, name)
                if os.path.islink(path) and not links:
                    continue
                if os.path.isdir(path):
                    starts.append(os.path.realpath(path))
                elif os.path.exists(path):
                    files.add(os.path.realpath(path))
                elif name.endswith((".jpg", ".png")):
                    broken.add((os.path.realpath(folder), name))
        return files, {os.path.join(folder, name) for folder, name in broken}

    files, broken = search([str(root) for root in roots], links=True)
    plain, _ = search([str(root) for root in roots], links=False)
    return files, plain, broken
