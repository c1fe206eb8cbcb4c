"""Digests of the files of a local copy: none is read again without need, and no change is missed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.workspace.local_digests import hash_files

OTHER = "0" * 64


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="")


def let_time_pass(folder: Path, file: Path) -> None:
    """Wait until the clock of the file system, whose steps may be long, is past the times of a file."""
    clock = folder / "clock"
    while clock.touch() or clock.stat().st_mtime_ns <= file.stat().st_mtime_ns:
        pass


def digest(folder: Path) -> str:
    return hash_files(folder, ["a"], folder / "digests.json")["a"].sha256


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    """A folder whose file `a`, which contains "one", has another digest in the record: whoever reads it finds out."""
    file, record = tmp_path / "a", tmp_path / "digests.json"
    write(file, "one")
    let_time_pass(tmp_path, file)
    assert digest(tmp_path) == sha256("one")
    write(record, record.read_text(encoding="utf-8").replace(sha256("one"), OTHER))
    return tmp_path


def test_an_unchanged_file_is_not_read_again(remembered: Path) -> None:
    assert [digest(remembered) for _ in range(2)] == [OTHER, OTHER]


def replace(file: Path) -> None:
    write(file.parent / "b", "two")
    os.replace(file.parent / "b", file)


def restore_time(file: Path, change: Callable[[Path], None]) -> None:
    before = file.stat()
    change(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell when a file was changed")
def test_another_content_of_the_same_size_and_time(remembered: Path) -> None:
    restore_time(remembered / "a", lambda file: write(file, "two"))
    assert digest(remembered) == sha256("two")


def test_another_file_of_the_same_size_and_time(remembered: Path) -> None:
    restore_time(remembered / "a", replace)
    assert digest(remembered) == sha256("two")


def test_another_size(remembered: Path) -> None:
    write(remembered / "a", "three")
    assert digest(remembered) == sha256("three")


def test_a_file_as_new_as_the_record_is_read_again(tmp_path: Path) -> None:
    """Its next change may have the same time."""
    file, record = tmp_path / "a", tmp_path / "digests.json"
    write(file, "one")
    hour_ahead = file.stat().st_mtime_ns + 3600 * 10**9
    os.utime(file, ns=(hour_ahead, hour_ahead))
    assert digest(tmp_path) == sha256("one")
    assert sha256("one") not in (record.read_text(encoding="utf-8") if record.exists() else "")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": {}}', '{"a": null}'])
def test_a_damaged_record(remembered: Path, damage: str) -> None:
    write(remembered / "digests.json", damage)
    assert digest(remembered) == sha256("one")
    assert digest(remembered) == sha256("one")


def test_files_that_are_gone_are_forgotten(remembered: Path) -> None:
    write(remembered / "b", "two")
    hash_files(remembered, ["b"], remembered / "digests.json")
    assert digest(remembered) == sha256("one")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert not hash_files(tmp_path / "gone", [], tmp_path / "gone too" / "digests.json")


STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["write", "replace", "hash", "wait"]), st.sampled_from("xyz")),
    max_size=12,
)


@settings(max_examples=25)
@given(steps=STEPS)
def test_digests_are_always_those_of_the_files(
    steps: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("digests")
    present: dict[str, str] = {}
    for name, step, text in [*steps, ("a", "hash", "")]:
        file = folder / name
        if step == "write":
            write(file, text)
            present[name] = text
        elif step == "replace":
            write(folder / "new", text)
            os.replace(folder / "new", file)
            present[name] = text
        elif step == "wait" and name in present:
            let_time_pass(folder, file)
        elif step == "hash":
            found = hash_files(folder, present, folder / "digests.json")
            assert {path: each.sha256 for path, each in found.items()} == {
                path: sha256(text) for path, text in present.items()
            }
