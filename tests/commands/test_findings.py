"""The page shows similar images, duplicates, bursts and outliers, and nothing about files that have changed since."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import numpy as np
import pytest

import imgcluster
import pages

PHOTOS = sorted((Path(__file__).parents[2] / "examples/photos").glob("*.jpg"))[:12]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in PHOTOS:
        shutil.copy2(path, folder / path.name)
    for name in ("a.jpg", "b.jpg"):
        shutil.copy2(PHOTOS[0], folder / name)
    return folder


@pytest.fixture
def out(folder: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    imgcluster.embed(folder, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=tmp_path / "out", k=2)
    return tmp_path / "out"


def findings(out: Path) -> dict[str, list[list[object]]]:
    found: dict[str, list[list[object]]] = pages.read(out / "report.html").document["findings"]
    return found


def test_similar_images_are_those_of_the_command(out: Path) -> None:
    page = pages.read(out / "report.html").document
    names = page["images"]["names"]
    count = page["findings"]["neighbors"]["count"]
    packed = base64.b64decode(page["findings"]["neighbors"]["images"], validate=True)
    neighbors = np.frombuffer(packed, "<i4").reshape(-1, count)
    assert count == 8
    for row in (0, 5):
        (query,) = imgcluster.similar(names[row], workspace=out, limit=count).queries
        scores = {found.path: found.score for found in query.results}
        shown = [names[other] for other in neighbors[row]]
        assert set(shown) == set(scores)
        assert [scores[name] for name in shown] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-3)


def test_a_damaged_cache_of_similar_images_is_made_again(out: Path) -> None:
    before = findings(out)["neighbors"]
    (out / "neighbors.parquet").write_bytes(b"PAR1")
    imgcluster.report_page(workspace=out)
    assert findings(out)["neighbors"] == before


def test_duplicates_and_outliers_are_shown(out: Path) -> None:
    assert findings(out)["duplicates"] == findings(out)["outliers"] == []
    imgcluster.duplicates(workspace=out)
    imgcluster.outliers(workspace=out)
    assert [[copy[1] for copy in group] for group in findings(out)["duplicates"]] == [["best", "exact", "exact"]]
    assert {reason for _, reasons, _ in findings(out)["outliers"] for reason in reasons} >= {"atypical"}


def test_rows_about_changed_files_are_left_out(folder: Path, out: Path, tiny_encoder: Path) -> None:
    imgcluster.duplicates(workspace=out)
    shutil.copyfile(PHOTOS[5], folder / "b.jpg")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=2)
    (group,) = findings(out)["duplicates"]
    names = pages.read(out / "report.html").document["images"]["names"]
    assert "b.jpg" not in {names[copy[0]] for copy in group}
    assert len(group) == 2


def test_edited_tables_do_not_break_the_page(out: Path) -> None:
    imgcluster.duplicates(workspace=out)
    for text in ("no table", "group,path,kind,best,score,width,height,bytes\n1,a.jpg,best,a.jpg,x,,,\n"):
        (out / "duplicates.csv").write_text(text)
        (out / "outliers.csv").write_text(text)
        imgcluster.report_page(workspace=out)
        assert findings(out)["duplicates"] == findings(out)["outliers"] == []


def test_copies_appear_once_among_typical_images(folder: Path, out: Path, tiny_encoder: Path) -> None:
    for number in range(6):
        shutil.copyfile(PHOTOS[number], folder / f"copy {number}.jpg")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=1)
    page = pages.read(out / "report.html").document
    (cluster,) = page["clusters"]
    contents = [(folder / page["images"]["names"][row]).read_bytes() for row in cluster["representatives"]]
    assert len(contents) == len(set(contents)) == 12


@pytest.mark.slow
def test_many_images_have_no_lists_of_similar_ones(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(10_001, 2)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    (tmp_path / "paths.txt").write_text("".join(f"{number}.png\n" for number in range(len(vectors))))
    imgcluster.import_vectors(tmp_path / "vectors.npy", tmp_path / "paths.txt", workspace=tmp_path / "out")
    imgcluster.cluster(workspace=tmp_path / "out", k=2, method="kmeans")
    assert findings(tmp_path / "out")["neighbors"] is None
