"""`outliers` ranks all images, names reasons, and changes no file."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

import imgcluster
import pictures as samples
from imgcluster import UsageError, WorkspaceError
from imgcluster.cli.app import app
from interruptions import killing_at

PHOTOS = sorted((Path(__file__).parents[2] / "examples/photos").glob("*.jpg"))[:12]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photographs, and one with each problem of quality."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in PHOTOS:
        with Image.open(path) as opened:
            opened.convert("RGB").save(folder / f"{path.stem}.png")
    with Image.open(PHOTOS[0]) as opened:
        photo = opened.convert("RGB").resize((400, 300))
    photo.filter(ImageFilter.GaussianBlur(10)).save(folder / "blurred.png")
    photo.point(lambda value: value // 12).save(folder / "dark.png")
    photo.point(lambda value: 235 + value // 13).save(folder / "bright.png")
    photo.point(lambda value: 110 + value // 7).save(folder / "low-contrast.png")
    photo.resize((50, 40)).save(folder / "tiny.png")
    samples.flat((70, 90, 110), (200, 200)).save(folder / "single-color.png")
    return folder


@pytest.fixture
def out(folder: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    imgcluster.embed(folder, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    return tmp_path / "out"


def imported(folder: Path, vectors: np.ndarray) -> Path:
    """Return a workspace of vectors without files."""
    np.save(folder / "vectors.npy", vectors.astype(np.float32))
    (folder / "paths.txt").write_text("".join(f"{number:03d}.png\n" for number in range(len(vectors))))
    imgcluster.import_vectors(
        folder / "vectors.npy", folder / "paths.txt", workspace=folder / "out", root=folder, metric="euclidean"
    )
    return folder / "out"


def test_quality_problems_are_reasons(out: Path) -> None:
    summary = imgcluster.outliers(workspace=out)
    reasons = {row.path: row.reasons for row in summary.outliers}
    for name in ("blurred", "dark", "bright", "low-contrast", "tiny", "single-color"):
        assert name in reasons[f"{name}.png"], name
        assert summary.reasons[name] == sum(name in found for found in reasons.values())
    assert "low-contrast" not in reasons["single-color.png"]
    assert not {f"{path.stem}.png" for path in PHOTOS} & reasons.keys()


def test_the_table_has_every_image(out: Path) -> None:
    summary = imgcluster.outliers(workspace=out, only=["dark"])
    assert [row.path for row in summary.outliers] == ["dark.png"]
    assert summary.found == 1
    with (out / "outliers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["path"] for row in rows}) == len(rows) == summary.images == 18
    assert [int(row["rank"]) for row in rows] == list(range(1, 19))
    # Images with a reason come first.
    has_reason = [bool(row["reasons"]) for row in rows]
    assert has_reason == sorted(has_reason, reverse=True)


def test_the_worst_image_is_first_with_a_single_problem(folder: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    with Image.open(PHOTOS[0]) as opened:
        photo = opened.convert("RGB")
    for radius in (8, 16):
        photo.filter(ImageFilter.GaussianBlur(radius)).save(folder / f"blurred-{radius}.png")
    imgcluster.embed(folder, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    found = imgcluster.outliers(workspace=tmp_path / "out", only=["blurred"]).outliers
    paths = [row.path for row in found]
    assert paths.index("blurred-16.png") < paths.index("blurred-8.png")
    assert imgcluster.outliers(workspace=tmp_path / "out", only=["quality"], limit=2).found == 8


def test_images_far_from_all_others_are_first(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (120, 6))
    vectors[7] = 30
    # A copy of an outlier is one as well.
    vectors[[60, 61]] = -30
    out = imported(tmp_path, vectors)
    summary = imgcluster.outliers(workspace=out)
    assert {row.path for row in summary.outliers[:3]} == {"007.png", "060.png", "061.png"}
    assert all(row.reasons == ("far",) for row in summary.outliers[:3])
    assert summary.reasons["far"] < 12
    assert summary.not_measured == 120


def test_the_least_typical_images_of_each_cluster(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = np.concatenate([random.normal(center, 0.1, (40, 4)) for center in (-3, 0, 3)])
    vectors[5] += 0.8
    vectors[100] -= 0.8
    out = imported(tmp_path, vectors)
    imgcluster.cluster(workspace=out, k=3, reduce="none")
    summary = imgcluster.outliers(workspace=out)
    atypical = [row for row in summary.outliers if "atypical" in row.reasons]
    assert {row.path for row in atypical[:2]} == {"005.png", "100.png"}
    assert len(atypical) == 9
    assert sorted({row.cluster for row in atypical}) == [0, 1, 2]


def test_a_property_of_the_collection_is_no_reason(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(pictures, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    summary = imgcluster.outliers(workspace=tmp_path / "out")
    assert summary.common["tiny"] == 24
    assert summary.reasons["tiny"] == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images(tmp_path: Path, count: int) -> None:
    summary = imgcluster.outliers(workspace=imported(tmp_path, np.eye(3)[:count]))
    assert (summary.images, summary.found) == (count, 0)


def test_equal_images(tmp_path: Path) -> None:
    assert imgcluster.outliers(workspace=imported(tmp_path, np.ones((20, 3)))).found == 0


def test_outdated_clusters_are_not_used(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.cluster(workspace=out, k=2)
    assert any(row.cluster is not None for row in imgcluster.outliers(workspace=out).outliers)
    (folder / "tiny.png").unlink()
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    summary = imgcluster.outliers(workspace=out)
    assert summary.outdated
    assert all(row.cluster is None for row in summary.outliers)
    assert f"imgcluster assign -w {out}" in CliRunner().invoke(app, ["outliers", "-w", str(out)]).stdout


@pytest.mark.parametrize("command", [imgcluster.outliers, imgcluster.duplicates])
def test_an_interrupted_step_is_completed_first(out: Path, command: Callable[..., object]) -> None:
    imgcluster.cluster(workspace=out, k=2)
    with pytest.MonkeyPatch.context() as patch:
        killing_at(patch, 20)
        with pytest.raises(KeyboardInterrupt):
            imgcluster.cluster(workspace=out, k=3)
    with pytest.raises(WorkspaceError, match="the last step was interrupted in"):
        command(workspace=out)
    imgcluster.undo(workspace=out)
    command(workspace=out)


def test_wrong_requests(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="'unsharp'"):
        imgcluster.outliers(workspace=out, only=["unsharp"])
    with pytest.raises(UsageError, match="0"):
        imgcluster.outliers(workspace=out, limit=0)
    with pytest.raises(WorkspaceError, match="embed"):
        imgcluster.outliers(workspace=tmp_path / "none")


def test_how_to_measure_the_quality(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vectors").mkdir()
    other = imported(tmp_path / "vectors", np.ones((20, 3)))
    advice = CliRunner().invoke(app, ["outliers", "-w", str(other)]).stdout
    # --fresh would replace the imported vectors.
    assert "imgcluster embed FOLDER -w OTHER" in advice
    assert "--fresh" not in advice
    earlier = dataclasses.replace(imgcluster.outliers(workspace=out), not_measured=3)
    monkeypatch.setattr("imgcluster.commands.outliers.outliers", lambda **_: earlier)
    advice = CliRunner().invoke(app, ["outliers", "-w", str(out)]).stdout
    assert f"imgcluster embed PATH --fresh -w {out}" in advice


def test_the_command_line(out: Path) -> None:
    result = CliRunner().invoke(app, ["outliers", "-w", str(out), "-n", "30"])
    assert result.exit_code == 0, result.output
    assert "single-color.png" in result.stdout
    assert f"imgcluster cluster -w {out}" in result.stdout
    none = CliRunner().invoke(app, ["outliers", "-w", str(out), "--only", "atypical"]).stdout
    assert "none is atypical" in none
    assert "far" not in none
    result = CliRunner().invoke(app, ["outliers", "-w", str(out), "--only", "tiny", "--json"])
    answer = json.loads(result.stdout)
    assert [row["path"] for row in answer["outliers"]] == ["tiny.png"]
