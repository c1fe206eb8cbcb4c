"""Sheets of thumbnails: each in its place, within the number of bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imgcluster.report.sprites import Sheet, Tile, make_sheets, tile_side


def flat(color: tuple[int, int, int], side: int = 32) -> Tile:
    return np.full((side, side, 3), color, np.uint8)


def pixels(sheet: Sheet) -> np.ndarray:
    picture = Image.open(io.BytesIO(sheet.webp))
    assert picture.format == "WEBP"
    return np.asarray(picture.convert("RGB")).astype(int)


def center_color(sheet: Sheet, position: int) -> np.ndarray:
    top, left = position // sheet.columns * sheet.side, position % sheet.columns * sheet.side
    inner = slice(sheet.side // 4, -sheet.side // 4)
    return pixels(sheet)[top : top + sheet.side, left : left + sheet.side][inner, inner].mean(axis=(0, 1))


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
def test_more_tiles_are_smaller_and_none_is_enlarged(count: int, largest: int, side: int) -> None:
    assert tile_side(count, largest) == side


def test_each_tile_is_in_its_place() -> None:
    colors = [(number * 6, 255 - number * 5, number * 40 % 256) for number in range(40)]
    (sheet,) = make_sheets([flat(color) for color in colors], 40, 32)
    assert sheet.columns == 32
    for position, color in enumerate(colors):
        assert np.abs(center_color(sheet, position) - color).max() < 12


def test_tiles_that_need_several_sheets() -> None:
    found = list(make_sheets([flat((0, 0, 0), 128)] * 70, 70, 128))
    assert [sheet.columns for sheet in found] == [8, 8]
    assert [pixels(sheet).shape for sheet in found] == [(1024, 1024, 3), (128, 768, 3)]


def test_missing_tiles_are_blank() -> None:
    red = flat((200, 30, 30))
    (sheet,) = make_sheets([red, None, None, red], 4, 32)
    assert sheet.missing == (1, 2)
    for position, color in enumerate([(200, 30, 30), (128, 128, 128), (128, 128, 128), (200, 30, 30)]):
        assert np.abs(center_color(sheet, position) - color).max() < 12


def test_the_quality_falls_until_the_bytes_suffice() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (free,) = make_sheets([noise] * 100, 100, 64)
    (tight,) = make_sheets([noise] * 100, 100, 64, max_bytes=60_000)
    assert len(free.webp) > 100_000
    assert len(tight.webp) <= 60_000


def test_the_same_tiles_give_the_same_bytes() -> None:
    tiles = [flat((number, 0, 0), 16) for number in range(3)]
    assert list(make_sheets(tiles, 3, 16)) == list(make_sheets(iter(tiles), 3, 16))


def test_no_tiles() -> None:
    assert list(make_sheets([], 0, 64)) == []
