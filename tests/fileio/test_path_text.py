"""Paths as text: valid Unicode, reversible, and one text for each path."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgcluster.fileio.path_text import absolute_path, common_base, from_text, join, relative_path, relative_to, to_text

QUICK = settings(derandomize=True, database=None, max_examples=100)

posix_only = pytest.mark.skipif(os.name == "nt", reason="on Windows file names are not bytes, and \\ is the separator")

# Characters that could be mistaken for a part of an escape.
_TRICKY = st.lists(st.sampled_from([b"\\", b"x", b"u", b"5", b"c", b"d", b"8", b"\xff", b"\x80", b"a"])).map(b"".join)
NAMES = (st.binary(min_size=1) | _TRICKY).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
NAMES = NAMES.filter(lambda name: name not in (b"", b".", b".."))
PARTS = st.text("abc \\", min_size=1, max_size=3)


@posix_only
class TestRoundTrip:
    @QUICK
    @given(st.lists(NAMES, min_size=1, max_size=4))
    @example([b"\\xff"])
    @example([b"\xff"])
    @example([b"\\\xff"])
    @example([b"\\x5cx41"])
    @example([b"caf\xe9 \\u00e9"])
    def test_any_bytes_are_restored(self, names: list[bytes]) -> None:
        path = os.fsdecode(b"/".join(names))

        assert os.fsencode(from_text(to_text(path))) == os.fsencode(path)

    @QUICK
    @given(NAMES)
    def test_the_text_is_valid_unicode(self, name: bytes) -> None:
        assert to_text(os.fsdecode(name)).encode("utf-8")

    @QUICK
    @given(NAMES, NAMES)
    def test_two_paths_never_share_a_text(self, one: bytes, other: bytes) -> None:
        assert (to_text(os.fsdecode(one)) == to_text(os.fsdecode(other))) == (one == other)

    @QUICK
    @given(st.text().filter(lambda text: text not in ("", ".", "..") and not set(text) & {"/", "\0"}))
    def test_lone_surrogates_on_windows_are_restored(self, name: str) -> None:
        assert str(from_text(to_text(name))) == name

    @QUICK
    @given(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]))
    def test_every_surrogate_is_restored(self, character: str) -> None:
        text = to_text(character)

        assert text.isascii()
        assert str(from_text(text)) == character


class TestToText:
    @pytest.mark.parametrize(
        "name",
        ["plain.jpg", "with space.jpg", 'quote".jpg', "comma,.jpg", "line\nbreak.jpg", "<script>.jpg", "ü漢🙂.jpg"],
    )
    def test_ordinary_names_are_unchanged(self, name: str) -> None:
        assert to_text(name) == name

    @posix_only
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (b"caf\xe9.jpg", "caf\\xe9.jpg"),
            (b"\\xe9.jpg", "\\x5cxe9.jpg"),
            (b"\\u12ab", "\\x5cu12ab"),
            (b"a\\b", "a\\b"),
            (b"\\xE9", "\\xE9"),
            (b"\\x", "\\x"),
        ],
    )
    def test_escapes(self, path: bytes, text: str) -> None:
        assert to_text(os.fsdecode(path)) == text

    def test_a_lone_surrogate_that_is_not_a_byte(self) -> None:
        assert to_text("a\ud800b") == "a\\ud800b"

    def test_takes_path_objects(self) -> None:
        assert to_text(Path("a") / "b.jpg") == "a/b.jpg"

    @pytest.mark.skipif(sys.platform != "win32", reason="only Windows separates with backslashes")
    def test_separators_of_windows_become_slashes(self) -> None:
        assert to_text("C:\\a\\b.jpg") == "C:/a/b.jpg"


class TestJoin:
    @pytest.mark.parametrize(
        ("root", "path", "whole"), [("/a", "b/c", "/a/b/c"), ("/", "b", "/b"), ("C:/", "b", "C:/b"), ("/a", "", "/a/")]
    )
    def test_join(self, root: str, path: str, whole: str) -> None:
        assert join(root, path) == whole


class TestCommonBase:
    @pytest.mark.parametrize(
        ("roots", "base"),
        [
            ([], ""),
            (["/a/b"], "/a/b"),
            (["/a/b", "/a/c"], "/a"),
            (["/a/b", "/a/b/c"], "/a/b"),
            (["/a/bc", "/a/b"], "/a"),
            (["/a", "/b"], "/"),
            (["/", "/a"], "/"),
            (["/"], "/"),
            (["C:/a", "D:/a"], ""),
            (["C:/a/b", "C:/a/c"], "C:/a"),
            (["s3://a", "s3://b"], ""),
            (["https://h", "https://k/x"], ""),
            (["https://h", "http://h"], ""),
            (["s3://a/x", "/a/x"], ""),
            (["s3://a/x", "s3://a/y/z"], "s3://a"),
            (["https://h/a//b", "https://h/a//c"], "https://h/a"),
            (["//server/share", "//other/share"], ""),
        ],
    )
    def test_known(self, roots: list[str], base: str) -> None:
        assert common_base(roots) == base

    @QUICK
    @given(st.lists(st.lists(PARTS, max_size=4), min_size=1, max_size=4))
    def test_it_is_the_deepest_folder_that_contains_every_root(self, parts: list[list[str]]) -> None:
        roots = ["/" + "/".join(names) for names in parts]

        base = PurePosixPath(common_base(roots))

        assert all(PurePosixPath(root).is_relative_to(base) for root in roots)
        deeper = {base.joinpath(*PurePosixPath(root).relative_to(base).parts[:1]) for root in roots}
        assert len(deeper) > 1 or deeper == {base}


class TestRelativeTo:
    @QUICK
    @given(st.lists(PARTS, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
    def test_undoes_join(self, base: list[str], path: list[str]) -> None:
        root = "/" + "/".join(base)

        assert relative_to(join(root, "/".join(path)), root) == "/".join(path)

    def test_unchanged_where_there_is_no_common_base(self) -> None:
        assert relative_to("D:/a/b.jpg", "") == "D:/a/b.jpg"

    @pytest.mark.parametrize("path", ["/a", "/"])
    def test_the_base_itself(self, path: str) -> None:
        assert relative_to(path, path) == "."

    @pytest.mark.parametrize("path", ["/ab/c", "/b", "/"])
    def test_a_path_outside_is_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match=f"'{path}'.*'/a'"):
            relative_to(path, "/a")


class TestRelativePath:
    @pytest.mark.parametrize(
        ("location", "base", "path"),
        [
            ("/a/b.png", "/a", "b.png"),
            ("/b.png", "/a/c", "../../b.png"),
            ("/a/C:/b.png", "/a", "/a/C:/b.png"),
            ("/C:/b.png", "/a", "../C:/b.png"),
            ("C:/b.png", "D:/a", "C:/b.png"),
            ("s3://a/../b.png", "s3://a", "s3://a/../b.png"),
            ("https://h//b.png", "https://h", "https://h//b.png"),
            ("https://h/s3://b.png", "https://h", "https://h/s3://b.png"),
            ("s3://b/x.png", "s3://a/in", "../../b/x.png"),
            ("//server/a/b.png", "//server/c", "../a/b.png"),
        ],
    )
    def test_known(self, location: str, base: str, path: str) -> None:
        assert relative_path(location, base) == path

    @QUICK
    @given(
        st.sampled_from(["/", "C:/", "//server/", "s3://bucket/", "https://host/"]),
        st.sampled_from(["/", "C:/", "//server/", "s3://bucket/", "s3://other/", "https://host/"]),
        st.lists(st.sampled_from(["a", "b", "C:", "s3:", "x.png"]), max_size=3),
        st.lists(st.sampled_from(["a", "b", "C:", "s3:", "", ".."]), max_size=3),
    )
    def test_absolute_path_is_the_inverse(self, base_root: str, root: str, base: list[str], folders: list[str]) -> None:
        folder, location = base_root + "/".join(base), root + "/".join([*folders, "x.png"])
        assert absolute_path(folder, relative_path(location, folder)) == location
