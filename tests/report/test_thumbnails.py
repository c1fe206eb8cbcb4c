"""Thumbnails: one data URI for each file, in order; none where it cannot be read."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcluster.report.thumbnails import thumbnails


def picture_of(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert picture.format == "WEBP"
    return picture


def save(path: Path, size: tuple[int, int], colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((800, 400), (192, 96)),
        ((300, 900), (64, 192)),
        ((192, 192), (192, 192)),
        ((40, 20), (40, 20)),
        ((1, 1), (1, 1)),
        ((4000, 1), (192, 1)),
    ],
)
def test_they_fit_into_192_pixels_and_are_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    (uri,) = thumbnails([save(tmp_path / "a.png", size)])
    assert picture_of(uri).size == expected


def test_they_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{number}.png", (20 + number, 10)) for number in range(40)]
    uris = list(thumbnails(paths[::-1]))
    assert [picture_of(uri).width for uri in uris] == [59 - number for number in range(40)]


def test_the_colours_are_those_of_the_picture(tmp_path: Path) -> None:
    (uri,) = thumbnails([save(tmp_path / "a.png", (400, 300), (10, 180, 60))])
    colours = np.asarray(picture_of(uri).convert("RGB")).reshape(-1, 3)
    assert np.abs(colours.astype(int) - [10, 180, 60]).max() <= 12


def test_pictures_on_their_side_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "a.jpg", exif=exif)
    (uri,) = thumbnails([tmp_path / "a.jpg"])
    assert picture_of(uri).size == (50, 100)


def test_what_cannot_be_read_is_empty_and_costs_no_other(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", (30, 30))
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:40])
    empty = tmp_path / "empty.jpg"
    empty.touch()
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    paths = [good, broken, empty, text, tmp_path / "missing.jpg", tmp_path, good]
    uris = list(thumbnails(paths))
    assert [bool(uri) for uri in uris] == [True, False, False, False, False, False, True]
    assert uris[0] == uris[-1]


def test_any_name(tmp_path: Path) -> None:
    paths = [save(tmp_path / name, (8, 8)) for name in ("日本.png", "a\nb.png", "<script>.png")]
    assert all(thumbnails(paths))


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (500, 300))
    assert list(thumbnails([path])) == list(thumbnails([path]))


def test_no_files() -> None:
    assert list(thumbnails([])) == []


def test_they_are_made_as_they_are_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (20, 20))
    stream = thumbnails([path] * 500)
    assert next(stream)
    stream.close()
