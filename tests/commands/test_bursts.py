"""`duplicates --bursts`: photographs taken within seconds that show the same, and the sharpest of them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

import imgcluster
from benchmarks.image_changes import second_photograph
from imgcluster import UsageError
from imgcluster.cli.app import app

PHOTOS = sorted((Path(__file__).parents[2] / "examples/photos").glob("*.jpg"))[::9][:6]


def photograph(path: Path, number: int, time: str, *, blur: float = 0, step: int = 0, camera: str = "A") -> None:
    """Save one of the photographs as if taken at a time, from a little aside, more or less sharp."""
    with Image.open(PHOTOS[number]) as opened:
        picture = opened.convert("RGB")
    if step:
        picture = second_photograph(picture, np.random.default_rng(step))
    exif = Image.Exif()
    exif[0x0110] = camera
    if time:
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:31 {time}"
    picture.filter(ImageFilter.GaussianBlur(blur)).save(path, quality=95, exif=exif)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        photograph(folder / f"first-{number}.jpg", 0, f"10:00:0{number}", step=number, blur=(1.5, 0, 1)[number])
    photograph(folder / "later.jpg", 0, "10:00:20", step=9)
    photograph(folder / "another camera.jpg", 0, "10:00:01", step=8, camera="B")
    photograph(folder / "another scene.jpg", 1, "10:00:02")
    photograph(folder / "no time.jpg", 0, "", step=7)
    photograph(folder / "second-a.jpg", 2, "11:00:00", blur=0.8)
    photograph(folder / "second-b.jpg", 2, "11:00:00", step=3)
    for number in range(3, 6):
        photograph(folder / f"single-{number}.jpg", number, f"12:00:0{number}")
    return folder


def embedded(folder: Path, out: Path, encoder: Path) -> Path:
    imgcluster.embed(folder, workspace=out, encoder=encoder, device="cpu")
    return out


def bursts(workspace: Path) -> Mapping[str, set[str]]:
    """Return the other photographs of each burst by its best one."""
    found: dict[str, set[str]] = {}
    for row in imgcluster.duplicates(workspace=workspace, bursts=True).duplicates:
        others = found.setdefault(row.best, set())
        if row.kind == "burst":
            others.add(row.path)
    return found


def test_bursts_and_their_sharpest_photograph(folder: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = embedded(folder, tmp_path / "out", tiny_encoder)
    summary = imgcluster.duplicates(workspace=out, bursts=True)
    assert bursts(out) == {"first-1.jpg": {"first-0.jpg", "first-2.jpg"}, "second-b.jpg": {"second-a.jpg"}}
    assert (summary.groups, summary.bursts, summary.near, summary.exact, summary.without_time) == (2, 3, 0, 0, 1)
    assert all(0 < row.score <= 1 for row in summary.duplicates)
    with (out / "bursts.csv").open(encoding="utf-8", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [row.path for row in summary.duplicates]
    assert not (out / "duplicates.csv").exists()


def test_bursts_do_not_depend_on_names(folder: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    before = bursts(embedded(folder, tmp_path / "out", tiny_encoder))
    names = {}
    for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        names[f"{number}.jpg"] = path.name
        path.rename(folder / f"{number}.jpg")
    after = bursts(embedded(folder, tmp_path / "other", tiny_encoder))
    assert {names[best]: {names[other] for other in others} for best, others in after.items()} == before


def test_a_missing_photograph_is_not_compared(folder: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = embedded(folder, tmp_path / "out", tiny_encoder)
    (folder / "first-1.jpg").unlink()
    assert imgcluster.duplicates(workspace=out, bursts=True).not_compared == 1
    assert bursts(out) == {"first-2.jpg": {"first-0.jpg"}, "second-b.jpg": {"second-a.jpg"}}


@pytest.mark.filterwarnings("error")
def test_without_any_photograph_nothing_is_compared(folder: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = embedded(folder, tmp_path / "out", tiny_encoder)
    shutil.rmtree(folder)
    summary = imgcluster.duplicates(workspace=out, bursts=True)
    assert (summary.groups, summary.not_compared) == (0, 12)


def test_photographs_without_a_time_make_no_burst(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = embedded(pictures, tmp_path / "out", tiny_encoder)
    summary = imgcluster.duplicates(workspace=out, bursts=True)
    assert (summary.groups, summary.without_time) == (0, 24)
    result = CliRunner().invoke(app, ["duplicates", "--bursts", "-w", str(out)])
    assert result.exit_code == 0
    assert "24 images" in result.stdout
    assert "no bursts" in result.stdout
    with pytest.raises(UsageError, match="--exact"):
        imgcluster.duplicates(workspace=out, bursts=True, exact=True)
