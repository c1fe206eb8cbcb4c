"""Exports: every format has every image, nothing is overwritten, and imports give the same vectors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster import UsageError, WorkspaceError
from imgcluster.workspace import shards
from imgcluster.workspace.results import Results
from samples import paint

FORMATS = {"parquet": "a.parquet", "npy": "a.npy", "csv": "a.csv", "fiftyone": "f", "embedding-atlas": "e.parquet"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A clustering with a name, a file that is gone, and two files of one name in a cluster."""
    folder = tmp_path_factory.mktemp("export")
    paint(folder / "in", per_folder=5)
    (folder / "in/red/again").mkdir()
    (folder / "in/red/00.png").rename(folder / "in/red/again/01.png")
    imgcluster.embed(folder / "in", workspace=folder / "out", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=folder / "out", k=3, place="none")
    (folder / "in/blue/02.png").unlink()
    return folder / "out"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def table_of(kind: str, workspace: Path, target: Path) -> list[dict[str, object]]:
    imgcluster.export(target, format=kind, workspace=workspace)
    if kind in ("npy", "csv"):
        with target.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return pq.read_table(target / "images.parquet" if kind == "fiftyone" else target).to_pylist()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_every_image(workspace: Path, tmp_path: Path, kind: str) -> None:
    rows = table_of(kind, workspace, tmp_path / FORMATS[kind])
    collection = imgcluster.load(workspace)
    assert collection.labels is not None
    assert [row["path"] for row in rows] == collection.paths
    assert [row["file"] for row in rows] == collection.files
    assert [int(str(row["cluster"])) for row in rows] == collection.labels.tolist()
    assert [float(str(row["confidence"])) for row in rows] == collection.confidence.tolist()
    assert [int(str(row["width"])) for row in rows] == [10] * 15


@pytest.mark.parametrize("kind", ["parquet", "npy", "csv"])
def test_an_export_can_be_imported(workspace: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / FORMATS[kind]
    imgcluster.export(file, workspace=workspace)
    paths = str(file.with_suffix(".csv")) if kind == "npy" else None
    before = imgcluster.load(workspace)
    imgcluster.import_vectors(file, paths, workspace=tmp_path / "out", root=before.base)
    after = imgcluster.load(tmp_path / "out")
    assert after.paths == before.paths
    assert np.array_equal(after.vectors, before.vectors)


@pytest.mark.parametrize("kind", [*FORMATS, "imagefolder"])
def test_vectors_in_files_give_the_same(
    workspace: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = FORMATS.get(kind, "i")
    imgcluster.export(tmp_path / "memory" / name, format=kind, workspace=workspace)
    monkeypatch.setattr(shards, "_STREAMED_FROM", 0)
    imgcluster.export(tmp_path / "files" / name, format=kind, workspace=workspace)
    assert files_below(tmp_path / "files") == files_below(tmp_path / "memory")


def test_the_table_of_clusters_is_not_searched_for_each_image(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, rows = [], Results.rows.func
    monkeypatch.setattr(Results.rows, "func", lambda results: calls.append(1) or rows(results))
    imgcluster.export(tmp_path / "images.csv", workspace=workspace)
    assert len(calls) == 1


def test_decisions_are_exported(workspace: Path, tmp_path: Path) -> None:
    identity = pages.read(workspace / "report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "unsorted": ["red/02.png"], "pinned": ["red/03.png"]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(tmp_path / "plan.json", workspace=workspace)
    rows = table_of("parquet", workspace, tmp_path / "a.parquet")
    assert {row["path"]: row["decision"] for row in rows if row["decision"]} == {
        "red/02.png": "unsorted",
        "red/03.png": "pinned",
    }
    imgcluster.undo(workspace=workspace)


def test_fiftyone_finds_the_files_and_labels(workspace: Path, tmp_path: Path) -> None:
    imgcluster.export(tmp_path / "f", format="fiftyone", workspace=workspace)
    files = json.loads((tmp_path / "f/data.json").read_text(encoding="utf-8"))
    content = json.loads((tmp_path / "f/labels.json").read_text(encoding="utf-8"))
    assert list(files.values()) == imgcluster.load(workspace).files
    assert set(files) == set(content["labels"])
    assert content["classes"] == ["cluster_000", "cluster_001", "cluster_002"]
    assert all(0 <= label["confidence"] <= 1 for label in content["labels"].values())


def test_embedding_atlas_gets_positions_and_pictures(workspace: Path, tmp_path: Path) -> None:
    rows = table_of("embedding-atlas", workspace, tmp_path / "e.parquet")
    assert all(np.isfinite([row["x"], row["y"]]).all() for row in rows)
    missing = [row["path"] for row in rows if row["image"] is None]
    assert missing == ["blue/02.png"]
    assert rows[0]["image"]["bytes"].startswith(b"\xff\xd8")  # type: ignore[index]


def test_an_image_folder_has_the_files_that_exist(workspace: Path, tmp_path: Path) -> None:
    summary = imgcluster.export(tmp_path / "new/i", format="imagefolder", workspace=workspace)
    assert (summary.images, summary.missing, summary.clusters) == (15, 1, 3)
    rows = pq.read_table(tmp_path / "new/i/metadata.parquet").to_pylist()
    assert len({row["file_name"] for row in rows}) == 14
    base = Path(imgcluster.load(workspace).base)
    for row in rows:
        assert (tmp_path / "new/i" / row["file_name"]).read_bytes() == (base / row["path"]).read_bytes()
        assert not (tmp_path / "new/i" / row["file_name"]).is_symlink()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["i"]


def test_nothing_is_overwritten(workspace: Path, tmp_path: Path) -> None:
    for kind, name in {**FORMATS, "imagefolder": "i"}.items():
        (tmp_path / name).write_text("mine", encoding="utf-8")
        with pytest.raises(UsageError, match="exists"):
            imgcluster.export(tmp_path / name, format=kind, workspace=workspace)
        assert (tmp_path / name).read_text(encoding="utf-8") == "mine"
    (tmp_path / "b.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="b.csv exists"):
        imgcluster.export(tmp_path / "b.npy", workspace=workspace)
    assert not (tmp_path / "b.npy").exists()


def test_what_cannot_be_exported(workspace: Path, tmp_path: Path) -> None:
    for name, kind, fact in (
        ("a", None, "no known ending.*parquet"),
        ("a.parquet", "hdf5", "--format hdf5 .*imagefolder"),
        ("a.txt", "csv", "does not end with .csv"),
    ):
        with pytest.raises(UsageError, match=fact):
            imgcluster.export(tmp_path / name, format=kind, workspace=workspace)
    with pytest.raises(UsageError, match="inside the workspace"):
        imgcluster.export(workspace / "a.csv", workspace=workspace)
    with pytest.raises(WorkspaceError, match="imgcluster embed"):
        imgcluster.export(tmp_path / "a.csv", workspace=tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [*FORMATS, "imagefolder"])
def test_images_without_clusters_or_files(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "v.npy", np.eye(3))
    (tmp_path / "p.txt").write_text("a\nb, c\nc\n", encoding="utf-8")
    imgcluster.import_vectors(tmp_path / "v.npy", tmp_path / "p.txt", workspace=tmp_path / "out", root=tmp_path)
    summary = imgcluster.export(tmp_path / f"x-{FORMATS.get(kind, 'i')}", format=kind, workspace=tmp_path / "out")
    assert (summary.missing, summary.clusters) == (3, 0)


def test_moved_originals_are_found(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=3, place="move")
    assert imgcluster.export(tmp_path / "a.parquet", workspace=out).missing == 0
    files = pq.read_table(tmp_path / "a.parquet")["file"].to_pylist()
    for file in files:
        with Image.open(file) as image:
            assert image.size == (10, 12)
    assert all(Path(file).is_relative_to(out / "clusters") for file in files)
