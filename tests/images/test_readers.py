"""Reading many files in processes: the same results as in this one, and a process that is lost costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcluster.fileio.path_text import to_text
from imgcluster.images import reader_process, readers
from imgcluster.images.decode import quiet_decoders, read_header
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile, found_file
from imgcluster.images.load import Content, Loaded, NotAnImage, Skipped, Unchanged, read_image
from imgcluster.images.readers import ReaderSettings, Request, read_each, read_files, read_headers
from imgcluster.images.types import InputSpec
from interruptions import children
from pictures import encoded, flat, noise

SPEC = InputSpec(width=16, height=16, channels=3)
# A reader that waits for a pipe where another file would take its decoder very long.
STUCK = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline())\n"
    "from imgcluster.images import reader\n"
    "read_image = reader.read_image\n"
    "def wait(file, *args, **options):\n"
    "    'stuck' in file.path and open(file.file).read()\n"
    "    return read_image(file, *args, **options)\n"
    "reader.read_image = wait\n"
    "reader.main()"
)
GIGABYTE = 1 << 30
LINUX = sys.platform == "linux"


@pytest.fixture(autouse=True)
def _always_in_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(readers, "FEW_FILES", 0)
    with quiet_decoders():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hundred images of different kinds, and a few other files."""
    for number in range(90):
        (tmp_path / f"{number:03}.png").write_bytes(encoded(flat((number, 2 * number, 255 - number)), "PNG"))
    for number in range(90, 100):
        (tmp_path / f"{number:03}.jpg").write_bytes(encoded(noise(60, 40), "JPEG"))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(encoded(noise(96, 96), "JPEG")[:900])
    (tmp_path / os.fsdecode("größe\n.png".encode())).write_bytes(encoded(noise(), "PNG"))
    return tmp_path


def found(folder: Path) -> list[FoundFile]:
    return [entry for entry in Finder(paths=[folder]).find() if isinstance(entry, FoundFile)]


def settings(workers: int = 2, memory: int = GIGABYTE, seconds: float = 60.0) -> ReaderSettings:
    return ReaderSettings(workers=workers, memory=memory, seconds=seconds)


def read(files: list[FoundFile], how: ReaderSettings, digest: bytes | None = None) -> list[tuple[FoundFile, Content]]:
    """Return files with what was read; pixels are copied, because they are valid for a moment only."""
    results = []
    for some in read_files((Request(file, digest) for file in files), SPEC, how):
        for request, content in some:
            if isinstance(content, Loaded):
                pixels = content.image.pixels.copy()
                image = content.image
                facts = [getattr(image, name) for name in image.__slots__ if name != "pixels"]
                content = Loaded(type(image)(pixels, *facts), content.digest)
            results.append((request.file, content))
    return results


def same(first: Content, second: Content) -> bool:
    if not isinstance(first, Loaded) or not isinstance(second, Loaded):
        return first == second
    ours, others = (
        [repr(getattr(image, name)) for name in image.__slots__ if name != "pixels"]
        for image in (first.image, second.image)
    )
    return bool((first.image.pixels == second.image.pixels).all()) and ours == others and first.digest == second.digest


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_give_the_same_results_in_the_same_order(folder: Path, workers: int) -> None:
    files = found(folder)
    results = read(files, settings(workers))
    assert [file for file, _ in results] == files
    assert {type(content) for _, content in results} == {Loaded, Skipped, NotAnImage}
    for file, content in results:
        here = read_image(file, SPEC)
        assert same(content, here), file.path  # type: ignore[arg-type]


def test_the_pixels_of_each_stay_valid(folder: Path) -> None:
    files = [found_file(file.file) for file in found(folder)]
    for file, content in zip(files, list(read_each(files, SPEC, settings())), strict=True):
        assert same(content, read_image(file, SPEC)), file.path  # type: ignore[arg-type]


def test_a_missing_file_has_its_reason(tmp_path: Path) -> None:
    assert list(read_each([found_file(tmp_path / "missing.png")], SPEC)) == [Skipped("No such file or directory")]


def test_known_content_is_unchanged(folder: Path) -> None:
    file = folder / "000.png"
    content = read_image(found(folder)[0], SPEC)
    assert isinstance(content, Loaded)
    for number in range(1, 90):
        (folder / f"{number:03}.png").write_bytes(file.read_bytes())
    results = read([entry for entry in found(folder) if entry.path[:3] < "090"], settings(), content.digest)
    assert len(results) == 90
    assert {type(result) for _, result in results} == {Unchanged}


def test_without_files_no_process_is_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert read([], settings()) == []


@pytest.mark.parametrize("program", ["import sys; sys.exit(3)", "raise SystemExit", "print('hello')"])
def test_where_processes_do_not_work_files_are_read_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(reader_process, "_PROGRAM", program)
    results = read(found(folder), settings())
    assert sum(isinstance(content, Loaded) for _, content in results) == 101


def test_where_processes_cannot_be_started_files_are_read_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "no-such-python"))
    results = read(found(folder), settings())
    assert sum(isinstance(content, Loaded) for _, content in results) == 101


@pytest.fixture
def stuck(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FoundFile:
    """A file that is never read: a reader waits for a pipe that nobody writes to."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes")
    os.mkfifo(folder / "005-stuck.png")
    monkeypatch.setattr(reader_process, "_PROGRAM", STUCK)
    return FoundFile(to_text(folder), "005-stuck.png", 10, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    files = [found_file(tmp_path / name) for name in ("pipe.png", "device.png")]
    reasons = [Skipped("a named pipe, not a file"), Skipped("a device, not a file")]
    assert list(read_each(files, SPEC, settings())) == reasons
    assert [header for _, header in read_headers(files)] == [None, None]


@pytest.mark.parametrize("few", [True, False])
def test_headers_are_those_that_are_read_in_this_process(folder: Path, few: bool) -> None:
    rotated = Image.Exif()
    rotated[0x0112], rotated[0x0110] = 6, "camera"
    Image.new("RGB", (30, 20)).save(folder / "turned.jpg", exif=rotated)
    files = [*found(folder)[: 20 if few else None], found_file(folder / "turned.jpg"), found_file(folder / "missing")]
    answers = list(read_headers(files))
    assert [file for file, _ in answers] == files
    assert [header for _, header in answers] == [read_header(file.file) for file in files]
    turned = answers[-2][1]
    assert turned is not None
    assert (turned.width, turned.height, turned.exif.camera) == (20, 30, "camera")


def test_a_header_that_takes_too_long_is_none(folder: Path, stuck: FoundFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ReaderSettings", lambda: settings(seconds=1.0))
    answers = list(read_headers([stuck, *found(folder)[:20]]))
    assert [header is None for _, header in answers] == [True] + [False] * 20


@pytest.mark.parametrize("few", [True, False])
def test_a_file_that_takes_too_long_is_skipped(folder: Path, stuck: FoundFile, few: bool) -> None:
    files = found(folder)[: 20 if few else None]
    files.insert(5, stuck)
    results = read(files, settings(seconds=1.0))
    assert [file for file, _ in results] == files
    assert results[5][1] == Skipped("reading it took longer than 1 s")
    assert sum(isinstance(content, Loaded) for _, content in results) == (20 if few else 101)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_a_crash_costs_one_file(folder: Path, stuck: FoundFile) -> None:
    files = found(folder)
    files.insert(5, stuck)

    def crash() -> None:
        # Opening the other end waits until the reader has opened the file.
        with (folder / "005-stuck.png").open("wb"):
            for process in children():
                os.kill(process, signal.SIGSEGV)
            time.sleep(0.5)

    thread = threading.Thread(target=crash)
    thread.start()
    results = read(files, settings(workers=1))
    thread.join()
    assert [file for file, _ in results] == files
    assert results[5][1] == Skipped("its decoder crashed (signal 11)")
    assert sum(isinstance(content, Loaded) for _, content in results) == 101
    assert children() == []


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_no_process_outlives_an_interruption(folder: Path, stuck: FoundFile) -> None:
    files = found(folder)
    files.insert(5, stuck)
    before = set(os.listdir("/dev/shm"))
    results = read_files((Request(file) for file in files), SPEC, settings(workers=2))
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    results.close()
    assert time.monotonic() - started < 10
    assert children() == []
    assert set(os.listdir("/dev/shm")) == before


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_readers_end_with_a_killed_parent(folder: Path) -> None:
    os.mkfifo(folder / "005-stuck.png")
    program = (
        "import sys\nfrom imgcluster.images.find import *\nfrom imgcluster.images.found import *\n"
        "from imgcluster.images.readers import *\n"
        "from imgcluster.images.types import InputSpec\n"
        f"from imgcluster.images import reader_process\nreader_process._PROGRAM = {STUCK!r}\n"
        "files = [f for f in Finder(paths=[sys.argv[1]]).find() if isinstance(f, FoundFile)]\n"
        "files.insert(5, FoundFile(sys.argv[1], '005-stuck.png', 9, 0))\n"
        "for some in read_files(map(Request, files), InputSpec(width=4, height=4, channels=3), "
        "ReaderSettings(workers=1, memory=1 << 30, seconds=60)): pass\n"
    )
    path = os.pathsep.join(sys.path)
    parent = subprocess.Popen([sys.executable, "-c", program, str(folder)], env={**os.environ, "PYTHONPATH": path})
    with (folder / "005-stuck.png").open("wb"):
        reader = children(parent.pid)[0]
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while Path(f"/proc/{reader}/cmdline").exists() and Path(f"/proc/{reader}/cmdline").read_bytes():
            assert time.monotonic() < deadline, "the reader outlived its parent"
            time.sleep(0.02)


def large_image(path: Path) -> None:
    # 48 MB as RGB.
    Image.new("RGB", (4000, 3000), "red").save(path, compress_level=1)


def test_a_large_image_waits_for_the_memory_of_the_others(folder: Path) -> None:
    large_image(folder / "010-large.png")
    large_image(folder / "080-large.png")
    # Two readers with a share of 64 MB each cannot both decode one.
    results = read(found(folder), settings(memory=128 << 20))
    assert sum(isinstance(content, Loaded) for _, content in results) == 103
    red = {file.path: content for file, content in results}["010-large.png"]
    assert isinstance(red, Loaded)
    np.testing.assert_array_equal(red.image.pixels, np.full((16, 16, 3), (255, 0, 0)))


@pytest.mark.parametrize("few", [True, False])
def test_an_image_larger_than_the_memory_is_skipped_with_a_reason(folder: Path, few: bool) -> None:
    large_image(folder / "010-large.png")
    files = found(folder)[: 20 if few else None]
    results = {file.path: content for file, content in read(files, settings(memory=30 << 20))}
    large = results.pop("010-large.png")
    assert isinstance(large, Skipped)
    assert "memory" in large.reason
    assert isinstance(results["009.png"], Loaded)


def test_a_large_image_among_few_files_is_read_in_a_process(folder: Path) -> None:
    Image.new("L", (12_000, 12_000)).save(folder / "010-large.png", compress_level=1)
    results = {file.path: content for file, content in read(found(folder)[:20], settings())}
    assert len(results) == 20
    assert isinstance(results["010-large.png"], Loaded)


def test_a_program_without_a_guard_can_read(folder: Path) -> None:
    """Starting processes must not run the program of the user again, nor import from its folder."""
    (folder / "numpy.py").write_text("raise SystemExit('imported from the current folder')")
    program = folder.parent / f"{folder.name}-program.py"
    program.write_text(
        "import sys\nfrom imgcluster.images.find import *\nfrom imgcluster.images.found import *\n"
        "from imgcluster.images.readers import *\n"
        "from imgcluster.images.types import InputSpec\n"
        "files = [f for f in Finder(paths=[sys.argv[1]]).find()]\n"
        "n = sum(len(some) for some in read_files(map(Request, files), InputSpec(width=4, height=4, channels=3), "
        "ReaderSettings(workers=2, memory=1 << 30, seconds=60)))\nprint(n)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, str(program), str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("105\n", "")


@pytest.mark.skipif(not LINUX, reason="other systems do not allow paths as long as these")
def test_long_paths_of_characters_outside_the_basic_plane(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["😀" * 60] * 10)
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number:02}.png").write_bytes(encoded(flat((number, 0, 0)), "PNG"))

    contents = [content for _, content in read(found(folder), settings())]

    assert [content.image.pixels[0, 0, 0] for content in contents if isinstance(content, Loaded)] == [*range(30)]
