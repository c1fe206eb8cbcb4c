"""Files as tiles: cropped, upright, and None for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcluster import machine
from imgcluster.commands.support.thumbnails import read_tiles
from imgcluster.images.thumbnail import make_thumbnail


def test_the_largest_centered_square_is_upright(tmp_path: Path) -> None:
    canvas = np.zeros((30, 90, 3), np.uint8)
    canvas[:, 30:60] = (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(canvas).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (tile,) = read_tiles([tmp_path / "a.jpg"], 32)
    assert tile is not None
    assert tile.shape == (32, 32, 3)
    assert np.abs(tile[6:26, 6:26].mean(axis=(0, 1)) - (0, 0, 254)).max() < 15


def test_unreadable_files_are_none_and_cost_no_other(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.new("RGB", (30, 30), (200, 30, 30)).save(good)
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:40])
    (tmp_path / "empty.jpg").touch()
    tiles = list(read_tiles([good, broken, tmp_path / "empty.jpg", tmp_path / "missing.jpg", tmp_path, good], 32))
    assert [tile is None for tile in tiles] == [False, True, True, True, True, False]
    assert (tiles[0] == tiles[5]).all()


def test_images_that_need_too_much_memory_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (3000, 3000)).save(tmp_path / "large.png")
    Image.new("RGB", (30, 30)).save(tmp_path / "small.png")
    monkeypatch.setattr(machine, "memory_bytes", lambda: 8 << 23)
    tiles = read_tiles([tmp_path / "large.png", tmp_path / "small.png"], 32)
    assert [tile is None for tile in tiles] == [True, False]


def test_stored_thumbnails_and_files_in_any_order(tmp_path: Path) -> None:
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    for number, color in enumerate(colors):
        Image.new("RGB", (30, 30), color).save(tmp_path / f"{number}.png")
    stored = [b"", make_thumbnail(Image.new("RGB", (30, 30), colors[1])), b"", b"damaged"]
    *tiles, damaged = read_tiles([tmp_path / f"{number}.png" for number in range(4)], 32, stored)
    for tile, color in zip(tiles, colors, strict=False):
        assert tile is not None
        assert np.abs(tile.mean(axis=(0, 1)) - color).max() < 5
    assert damaged is None


def test_no_files() -> None:
    assert list(read_tiles([], 32)) == []
