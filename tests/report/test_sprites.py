"""Sheets of small pictures: each in its place, within the budget, none lost to a file that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcluster.report.sprites import Sheet, sheets, tile_side


def save(path: Path, size: tuple[int, int], colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def pixels(sheet: Sheet) -> np.ndarray:
    picture = Image.open(io.BytesIO(sheet.webp))
    assert picture.format == "WEBP"
    return np.asarray(picture.convert("RGB")).astype(int)


def tile(sheet: Sheet, place: int) -> np.ndarray:
    top, left = place // sheet.columns * sheet.side, place % sheet.columns * sheet.side
    return pixels(sheet)[top : top + sheet.side, left : left + sheet.side]


@pytest.mark.parametrize(
    ("count", "largest", "side"),
    [
        (1, 4000, 128),
        (1500, 4000, 128),
        (1501, 4000, 96),
        (4001, 4000, 64),
        (10_000, 28, 28),
        (5, 1, 8),
        (50, 100, 100),
    ],
)
def test_more_pictures_are_smaller_ones_and_none_is_enlarged(count: int, largest: int, side: int) -> None:
    assert tile_side(count, largest) == side


def test_each_picture_lies_in_its_place(tmp_path: Path) -> None:
    colours = [(number * 9 % 256, 255 - number * 5 % 256, number * 40 % 256) for number in range(40)]
    paths = [save(tmp_path / f"{number}.png", (40, 30), colour) for number, colour in enumerate(colours)]
    (sheet,) = sheets(paths, 64)
    assert sheet.columns == 16
    for place, colour in enumerate(colours):
        assert np.abs(tile(sheet, place)[20:40, 20:40].mean(axis=(0, 1)) - colour).max() < 12


def test_pictures_that_need_several_sheets(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (8, 8))
    found = list(sheets([path] * 70, 128))
    assert [sheet.columns for sheet in found] == [8, 8]
    assert [pixels(sheet).shape for sheet in found] == [(1024, 1024, 3), (128, 768, 3)]


def test_the_largest_centred_square_is_shown_upright(tmp_path: Path) -> None:
    canvas = np.zeros((30, 90, 3), np.uint8)
    canvas[:, 30:60] = (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(canvas).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (sheet,) = sheets([tmp_path / "a.jpg"], 32)
    assert np.abs(tile(sheet, 0)[6:26, 6:26].mean(axis=(0, 1)) - (0, 0, 254)).max() < 15


def test_what_cannot_be_read_is_missing_and_costs_no_other(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", (30, 30))
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:40])
    (tmp_path / "empty.jpg").touch()
    paths = [good, broken, tmp_path / "empty.jpg", tmp_path / "missing.jpg", tmp_path, good]
    (sheet,) = sheets(paths, 32)
    assert sheet.missing == (1, 2, 3, 4)
    assert np.abs(tile(sheet, 0)[8:24, 8:24].mean(axis=(0, 1)) - (200, 30, 30)).max() < 12
    assert np.abs(tile(sheet, 5)[8:24, 8:24].mean(axis=(0, 1)) - (200, 30, 30)).max() < 12


def test_a_budget_is_kept_by_quality(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    paths = [tmp_path / "noise.png"] * 100
    (free,) = sheets(paths, 64)
    (tight,) = sheets(paths, 64, budget=60_000)
    assert len(free.webp) > 100_000
    assert len(tight.webp) <= 60_000


def test_steps_are_told_and_bytes_are_the_same(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.png", (20, 20)) for name in ("日本", "a\nb", "<script>")]
    told: list[int] = []
    first = list(sheets(paths, 16, step=told.append))
    assert told == [1, 2, 3]
    assert list(sheets(paths, 16)) == first


def test_no_files() -> None:
    assert list(sheets([], 64)) == []
