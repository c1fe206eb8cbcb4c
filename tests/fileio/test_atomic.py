"""Atomic writes: a reader sees the old file or the new one, and no temporary file remains."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import imgcluster
from imgcluster.fileio.atomic import (
    atomic_path,
    remove,
    remove_stale_files,
    sync_folder,
    temporary_path,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_missing_folders_are_created(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "new.txt"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["new.txt"]


def test_the_old_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("written", [True, False])
def test_an_error_inside_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException, written: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_path(path) as temporary:
            if written:
                temporary.write_bytes(b"half of the n")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_an_error_in_the_renaming_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(source: object, target: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError), atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import os, pathlib, sys\n"
        "from imgcluster.fileio.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os._exit(9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(imgcluster.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, timeout=60, check=False)
    assert done.returncode == 9
    assert path.read_bytes() == b"old"
    # The temporary file that remains is hidden.
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["file"]


def test_two_writers_of_one_file_use_different_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_bytes(b"outer")
        second.write_bytes(b"inner")
    assert path.read_bytes() == b"outer"
    assert names(tmp_path) == ["file"]


def test_the_longest_possible_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_text(path, "text")
    assert names(tmp_path) == ["n" * 255]


def test_a_file_that_was_never_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file"):
        pass
    assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="neither a file nor a folder") as raised:
        write_text(pipe, "new")
    assert raised.value.filename == str(pipe)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_text_is_written_unchanged(tmp_path: Path) -> None:
    text = "a\r\nb\nc\rÄ日本😀\ufeff"
    write_text(tmp_path / "file", text)
    assert (tmp_path / "file").read_bytes() == text.encode()


def test_json_reads_back(tmp_path: Path) -> None:
    value = {"path": 'ä "quoted"\n', "numbers": [1, 2.5, None, True], "nested": {"a": {}}}
    write_json(tmp_path / "file.json", value)
    data = (tmp_path / "file.json").read_bytes()
    assert json.loads(data) == value
    assert data.endswith(b"}\n")
    assert "ä".encode() in data


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"new": object()})
    assert json.loads((tmp_path / "file.json").read_bytes()) == {"old": 1}
    assert names(tmp_path) == ["file.json"]


def test_remove_accepts_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    remove(path)
    assert not path.exists()
    remove(path)


def test_a_folder_can_be_flushed(tmp_path: Path) -> None:
    sync_folder(tmp_path)


STALE = (
    "import os, pathlib, sys\n"
    "from imgcluster.fileio.atomic import atomic_path, temporary_path\n"
    "here = pathlib.Path(sys.argv[1])\n"
    "with atomic_path(here / 'a.txt') as file, temporary_path(here) as folder:\n"
    "    file.write_bytes(b'half')\n"
    "    folder.mkdir()\n"
    "    (folder / 'b.txt').write_bytes(b'half')\n"
    "    print('written', flush=True)\n"
    "    sys.stdin.read()\n"
    "    os._exit(9)\n"
)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell whether a process runs without opening it")
def test_the_next_writer_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", STALE, str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    written = sorted(tmp_path.iterdir())
    assert len(written) == 2
    parts = written[0].name.split("-")
    foreign = [
        tmp_path / name
        for name in (
            ".imgcluster-notes.tmp",
            f".imgcluster-{'0' * 8}-{parts[2]}-0.tmp",
            f".imgcluster-{parts[2]}-0.tmp",
            f"{written[0].name}.txt",
        )
    ]
    for path in foreign:
        path.write_text("mine", encoding="utf-8")
    remove_stale_files(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*written, *foreign])
    process.communicate(timeout=60)
    write_text(tmp_path / "new.txt", "new")
    assert sorted(tmp_path.iterdir()) == sorted([*foreign, tmp_path / "new.txt"])


@pytest.mark.parametrize(
    "cause", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "denied", "TEMPORARY")]
)
def test_errors_name_the_file(tmp_path: Path, cause: OSError) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "file.txt") as temporary:
            if cause.filename:
                cause.filename = os.fspath(temporary)
            raise cause

    with pytest.raises(OSError, match=r"file\.txt") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "file.txt")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "file.txt") as temporary:
        os.link(tmp_path / "missing", temporary)
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "missing"), str(tmp_path / "file.txt"))
    with pytest.raises(OSError, match="^cannot write mode P$"), atomic_path(tmp_path / "file.txt"):
        raise OSError("cannot write mode P")


def test_temporary_files_of_processes_outside_of_a_container_stay(tmp_path: Path) -> None:
    """A container can have the name of its computer; the numbers of processes outside are unknown in it."""
    program = "import sys; from pathlib import Path; from imgcluster.fileio.atomic import remove_stale_files; "
    program += "remove_stale_files(Path(sys.argv[1]))"
    unshare = ["unshare", "--pid", "--fork", sys.executable, "-c"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if not shutil.which("unshare") or subprocess.run([*unshare, ""], capture_output=True, check=False).returncode:
        pytest.skip("no process can have numbers of its own")
    with temporary_path(tmp_path) as temporary:
        temporary.write_bytes(b"written")
        subprocess.run([*unshare, program, tmp_path], env=environment, check=True)
        assert temporary.read_bytes() == b"written"


def test_the_next_temporary_file_cannot_be_guessed(tmp_path: Path) -> None:
    """Another user who can write to the folder could put a link to any file there."""
    (tmp_path / "other").write_text("only copy", encoding="utf-8")
    with temporary_path(tmp_path) as seen:
        prefix, number, _ = re.split(r"-(\d+)\.tmp", seen.name)
    for following in range(int(number), int(number) + 100):
        (tmp_path / f"{prefix}-{following}.tmp").symlink_to("other")
    for _ in range(20):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "other").read_text(encoding="utf-8") == "only copy"
