"""`similar` finds the images that resemble others, inside and outside of the workspace."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
from imgcluster import NoImagesError, UsageError, WorkspaceError, machine
from imgcluster.cli.app import app
from imgcluster.images import readers
from interruptions import children
from tiny_models import TINY, mean_colour


@pytest.fixture
def out(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    imgcluster.embed(pictures, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    return tmp_path / "out"


def test_an_image_of_the_workspace(pictures: Path, out: Path) -> None:
    summary = imgcluster.similar(pictures / "red/00.png", workspace=out, limit=7)
    (query,) = summary.queries
    assert (query.image, query.stored) == ("red/00.png", True)
    assert {found.path.split("/")[0] for found in query.results} == {"red"}
    assert "red/00.png" not in {found.path for found in query.results}
    scores = [found.score for found in query.results]
    assert scores == sorted(scores, reverse=True)
    assert [found.rank for found in query.results] == list(range(1, 8))
    # As in the tables, from any folder.
    assert imgcluster.similar("red/00.png", workspace=out, limit=7).queries == summary.queries


def test_an_image_outside(pictures: Path, out: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    shutil.copy(pictures / "red/00.png", tmp_path / "new.png")
    summary = imgcluster.similar(tmp_path / "new.png", workspace=out, encoder=tiny_encoder, limit=3, device="cpu")
    (query,) = summary.queries
    assert (query.image, query.stored) == (str(tmp_path / "new.png"), False)
    assert query.results[0].path == "red/00.png"
    assert query.results[0].score == pytest.approx(1, abs=1e-4)
    # Nothing is stored.
    assert len(imgcluster.similar("red/00.png", workspace=out, limit=100).queries[0].results) == 23


def test_several_images(pictures: Path, out: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    shutil.copy(pictures / "blue/03.png", tmp_path / "new.png")
    summary = imgcluster.similar(
        [pictures / "red/00.png", tmp_path / "new.png", "green/01.png"], workspace=out, encoder=tiny_encoder, limit=2
    )
    assert [query.results[0].path.split("/")[0] for query in summary.queries] == ["red", "blue", "green"]


def test_moved_images_are_found_at_both_paths(pictures: Path, out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3, place="move")
    first = imgcluster.similar(pictures / "red/00.png", workspace=out).queries[0]
    moved = next((out / "clusters").rglob("*.png"))
    assert imgcluster.similar(moved, workspace=out).queries[0].stored
    assert all(Path(found.file).is_file() for found in first.results)


def test_links_lead_to_images_of_the_workspace(pictures: Path, out: Path, tmp_path: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    (tmp_path / "link").symlink_to(pictures)
    direct = imgcluster.similar(pictures / "red/00.png", workspace=out).queries
    placed = next(path for path in (out / "clusters").rglob("00.png") if path.resolve() == pictures / "red/00.png")
    for image in (tmp_path / "link/red/00.png", placed):
        assert imgcluster.similar(image, workspace=out).queries == direct


def test_euclidean_vectors_and_imports(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.array([[0.0], [1.0], [3.0]], np.float32))
    (tmp_path / "paths.txt").write_text("a.png\nb.png\nc.png\n")
    imgcluster.import_vectors(
        tmp_path / "vectors.npy", tmp_path / "paths.txt", workspace=tmp_path / "out", root=tmp_path, metric="euclidean"
    )
    (query,) = imgcluster.similar("a.png", workspace=tmp_path / "out").queries
    assert [(found.path, found.score) for found in query.results] == [("b.png", 0.5), ("c.png", 0.25)]
    Image.new("RGB", (9, 9)).save(tmp_path / "new.png")
    with pytest.raises(UsageError, match="imported"):
        imgcluster.similar(tmp_path / "new.png", workspace=tmp_path / "out")


def test_only_images_with_a_score(out: Path) -> None:
    scores = [found.score for found in imgcluster.similar("red/00.png", workspace=out).queries[0].results]
    (query,) = imgcluster.similar("red/00.png", workspace=out, threshold=scores[2]).queries
    assert [found.score for found in query.results] == [score for score in scores if score >= scores[2]]
    (query,) = imgcluster.similar("red/00.png", workspace=out, threshold=scores[2], limit=1).queries
    assert len(query.results) == 1
    result = CliRunner().invoke(app, ["similar", "red/00.png", "-w", str(out), "--threshold", "1"])
    assert (result.exit_code, "No image" in result.stdout) == (0, True)
    for threshold in (95, float("nan")):
        with pytest.raises(UsageError, match="from -1 to 1"):
            imgcluster.similar("red/00.png", workspace=out, threshold=threshold)


def test_a_single_image_resembles_nothing(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(pictures / "red/00.png", workspace=tmp_path / "one", encoder=tiny_encoder, device="cpu")
    assert imgcluster.similar(pictures / "red/00.png", workspace=tmp_path / "one").queries[0].results == ()


def test_an_image_that_needs_too_much_memory(
    out: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (3000, 3000)).save(tmp_path / "large.png")
    monkeypatch.setattr(machine, "memory_bytes", lambda: 8 << 23)
    with pytest.raises(NoImagesError, match=r"large.png cannot be read: too large"):
        imgcluster.similar(tmp_path / "large.png", workspace=out, encoder=tiny_encoder, device="cpu")


def test_the_page(pictures: Path, out: Path, tmp_path: Path) -> None:
    page = tmp_path / "similar.html"
    (pictures / "red/01.png").unlink()
    for _ in range(2):
        summary = imgcluster.similar(pictures / "red/00.png", workspace=out, limit=5, page=page)
    assert summary.page == str(page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == 6
    assert text.count("data:image/webp") == 5
    mine = tmp_path / "mine.html"
    mine.write_text("my own page")
    with pytest.raises(UsageError, match=r"mine\.html"):
        imgcluster.similar(pictures / "red/00.png", workspace=out, page=mine)
    assert mine.read_text() == "my own page"


def test_wrong_requests(pictures: Path, out: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    for images, problem in (([], "no image"), ("nothing.png", "nothing.png"), (tmp_path, "neither a file")):
        with pytest.raises(UsageError, match=problem):
            imgcluster.similar(images, workspace=out)
    with pytest.raises(UsageError, match="0"):
        imgcluster.similar("red/00.png", workspace=out, limit=0)
    (tmp_path / "text.txt").write_text("not an image")
    with pytest.raises(NoImagesError, match=r"text\.txt"):
        imgcluster.similar(tmp_path / "text.txt", workspace=out, encoder=tiny_encoder)
    shutil.copy(pictures / "red/00.png", tmp_path / "new.png")
    # The encoder is a file, which a workspace must not choose.
    with pytest.raises(UsageError, match="--encoder"):
        imgcluster.similar(tmp_path / "new.png", workspace=out)
    other = mean_colour(tmp_path / "other.onnx", dataclasses.replace(TINY, version="2"))
    with pytest.raises(WorkspaceError, match="cannot be compared"):
        imgcluster.similar(tmp_path / "new.png", workspace=out, encoder=other)
    with pytest.raises(WorkspaceError, match="embed"):
        imgcluster.similar("red/00.png", workspace=tmp_path / "none")


def test_the_command_line(pictures: Path, out: Path) -> None:
    result = CliRunner().invoke(app, ["similar", str(pictures / "red/00.png"), "-w", str(out), "-n", "2"])
    assert result.exit_code == 0, result.output
    assert "red/" in result.stdout
    result = CliRunner().invoke(app, ["similar", "red/00.png", "green/00.png", "-w", str(out), "-n", "2", "--json"])
    answer = json.loads(result.stdout)
    assert [len(query["results"]) for query in answer["queries"]] == [2, 2]


def test_copies_are_in_the_order_of_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image, copy = np.random.default_rng(0).normal(size=(2, 2688)).astype(np.float32)
    for count in (7, 30, 59):
        names = [f"{number:02d}.png" for number in range(count)]
        Path("paths.txt").write_text("\n".join(["query.png", *names]), encoding="utf-8")
        np.save("vectors.npy", np.stack([image, *[copy] * count]))
        imgcluster.import_vectors("vectors.npy", "paths.txt", workspace=f"{count}")
        (query,) = imgcluster.similar("query.png", workspace=f"{count}", limit=count).queries
        assert [found.path for found in query.results] == names


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed as on Linux")
def test_an_error_leaves_no_process(
    out: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "FEW_FILES", 0)
    (tmp_path / "broken.png").write_bytes(b"no picture")

    with pytest.raises(NoImagesError) as error:
        imgcluster.similar(tmp_path / "broken.png", workspace=out, encoder=tiny_encoder, device="cpu")

    assert error.value.__traceback__ is not None
    assert children() == []
