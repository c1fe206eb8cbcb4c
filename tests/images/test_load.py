"""Reading found files: every answer about one file, and many files in their order."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import pictures
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.path_text import to_text
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile
from imgcluster.images.load import Loaded, NotAnImage, Skipped, Unchanged, read_image
from imgcluster.images.types import InputSpec
from pictures import encoded, flat, noise

QUICK = settings(derandomize=True, database=None, max_examples=50)
SPEC = InputSpec(width=16, height=16, channels=3)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet_decoders():
        yield


def stored(folder: Path, name: str, data: bytes) -> FoundFile:
    """Write a file, and return it as a walk finds it."""
    path = folder / name
    path.write_bytes(data)
    facts = path.stat()
    return FoundFile(to_text(folder), to_text(name), facts.st_size, facts.st_mtime_ns)


class TestReadImage:
    def test_an_image_comes_with_the_digest_of_its_file(self, tmp_path: Path) -> None:
        picture = noise(16, 16)
        data = encoded(picture, "PNG")

        loaded = read_image(stored(tmp_path, "a.png", data), SPEC)

        assert isinstance(loaded, Loaded)
        np.testing.assert_array_equal(loaded.image.pixels, np.asarray(picture))
        assert loaded.digest == hashlib.blake2b(data, digest_size=16).digest()

    @pytest.mark.parametrize("name", ["a.jpg", "a", "a.txt", "a.PNG"])
    def test_the_content_decides_and_not_the_name(self, tmp_path: Path, name: str) -> None:
        assert isinstance(read_image(stored(tmp_path, name, encoded(noise(), "PNG")), SPEC), Loaded)

    def test_known_content_is_not_decoded_again(self, tmp_path: Path) -> None:
        data = encoded(noise(), "PNG")
        file = stored(tmp_path, "a.png", data)
        digest = hashlib.blake2b(data, digest_size=16).digest()

        assert read_image(file, SPEC, digest) == Unchanged()
        assert isinstance(read_image(file, SPEC, bytes(16)), Loaded)

    def test_other_files_are_no_images(self, tmp_path: Path) -> None:
        assert read_image(stored(tmp_path, "notes.txt", b"hello"), SPEC) == NotAnImage()
        assert read_image(stored(tmp_path, "empty", b""), SPEC) == NotAnImage()

    @pytest.mark.parametrize(
        ("name", "data", "reason"),
        [
            ("a.jpg", b"", "the file is empty"),
            ("a.jpg", b"hello, I am text", 'named .jpg but its content is not an image (it starts with "hello, I")'),
            ("a.svg", b"<svg/>", "vector drawings (SVG) are not supported; export it as PNG"),
            ("a.png", b"\x89PNG\r\n\x1a\n", "damaged: the header cannot be read"),
        ],
    )
    def test_an_image_file_that_cannot_be_read_says_why(
        self, tmp_path: Path, name: str, data: bytes, reason: str
    ) -> None:
        assert read_image(stored(tmp_path, name, data), SPEC) == Skipped(reason)

    @pytest.mark.parametrize("keep", [100, 1000, 4000])
    def test_a_truncated_file_is_skipped(self, tmp_path: Path, keep: int) -> None:
        skipped = read_image(stored(tmp_path, "a.jpg", encoded(noise(96, 96), "JPEG")[:keep]), SPEC)

        assert isinstance(skipped, Skipped)
        assert skipped.reason.startswith("damaged")

    def test_a_decompression_bomb_is_skipped(self, tmp_path: Path) -> None:
        skipped = read_image(stored(tmp_path, "a.png", pictures.bomb()), SPEC)

        assert isinstance(skipped, Skipped)
        assert skipped.reason.startswith("too large to decode safely")

    def test_a_file_beyond_the_limit_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(noise(), "PNG"))

        skipped = read_image(FoundFile(to_text(tmp_path), "a.png", 3 << 30, 0), SPEC)

        assert skipped == Skipped("the file is too large: 3221225472 bytes, the limit is 2147483648")

    def test_a_file_that_has_vanished_is_skipped(self, tmp_path: Path) -> None:
        assert read_image(FoundFile(to_text(tmp_path), "gone.jpg", 9, 0), SPEC) == Skipped("No such file or directory")

    @pytest.mark.skipif(
        os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="this user may read every file"
    )
    def test_a_file_that_may_not_be_read_is_skipped(self, tmp_path: Path) -> None:
        file = stored(tmp_path, "a.png", encoded(noise(), "PNG"))
        (tmp_path / "a.png").chmod(0)

        assert read_image(file, SPEC) == Skipped("Permission denied")

    def test_a_read_error_is_skipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        file = stored(tmp_path, "a.png", encoded(noise(), "PNG"))
        monkeypatch.setattr(Path, "open", refuse)

        assert read_image(file, SPEC) == Skipped("Permission denied")

    @pytest.mark.parametrize(
        "name", [b"caf\xe9\xff.png", b"line\nbreak.png", b"<script>'\",.png", b"\\xff.png", b" .png", b"-n.png"]
    )
    def test_odd_names_are_opened(self, tmp_path: Path, name: bytes) -> None:
        try:
            stored(tmp_path, os.fsdecode(name), encoded(noise(), "PNG"))
        except OSError as error:
            pytest.skip(f"this file system takes no such name: {error}")

        (found,) = Finder(paths=[tmp_path]).find()

        assert isinstance(found, FoundFile)
        assert isinstance(read_image(found, SPEC), Loaded)


def test_good_and_bad_files_side_by_side(tmp_path: Path) -> None:
    good = [stored(tmp_path, f"{n:02}.png", encoded(flat((n, n, n)), "PNG")) for n in range(0, 30, 2)]
    bad = [stored(tmp_path, f"{n:02}.png", encoded(noise(), "PNG")[: n * 9]) for n in range(1, 30, 2)]
    files = sorted(good + bad, key=lambda file: file.path)

    results = list(in_order(lambda file: read_image(file, SPEC), files, workers=3))

    assert [file for file, _ in results] == files
    values = [result.image.pixels[0, 0, 0] for _, result in results if isinstance(result, Loaded)]
    assert values == list(range(0, 30, 2))
    assert [type(result) for _, result in results] == [Loaded, Skipped] * 15


def test_a_file_system_may_return_less_than_was_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = stored(tmp_path, "a.png", encoded(noise(60, 40), "PNG"))
    expected = read_image(file, SPEC)

    class Slow(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size if size is None or size < 0 else min(size, 1000)) or b""

    monkeypatch.setattr(Path, "open", lambda path, *_, **__: Slow(path))

    content = read_image(file, SPEC)

    assert isinstance(expected, Loaded)
    assert isinstance(content, Loaded)
    assert content.digest == expected.digest
