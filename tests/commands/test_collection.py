"""Reading a workspace from Python, and the key that joins its tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imgcluster
from imgcluster import WorkspaceError
from samples import paint


def test_all_tables_of_two_folders_join_by_path(tmp_path: Path, tiny_encoder: Path) -> None:
    first, second, out = tmp_path / "first/photos", tmp_path / "second", tmp_path / "out"
    paint(first, per_folder=4)
    paint(second, per_folder=4, seed=1)
    (second / "red/broken.jpg").write_bytes(b"\xff\xd8\xff")
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu"}
    imgcluster.embed([first], **options)
    imgcluster.embed([second], **options)
    imgcluster.cluster(workspace=out, k=3)
    with (out / "assignments.csv").open(encoding="utf-8", newline="") as file:
        assigned = {row["path"] for row in csv.DictReader(file)}
    stored = {path for shard in (out / "embeddings").iterdir() for path in pq.read_table(shard)["path"].to_pylist()}
    assert assigned == stored
    assert len(assigned) == 24
    collection = imgcluster.load(out)
    assert set(collection.paths) == assigned
    assert all((Path(collection.base) / path).resolve().is_file() for path in assigned)


def test_adding_a_folder_renames_no_path(tmp_path: Path, tiny_encoder: Path) -> None:
    first, second, out = tmp_path / "a/b", tmp_path / "c", tmp_path / "out"
    paint(first, per_folder=2)
    paint(second, per_folder=2, seed=1)
    imgcluster.embed(first, workspace=out, encoder=tiny_encoder, device="cpu")
    before = set(imgcluster.load(out).paths)
    imgcluster.embed(str(second), workspace=out, encoder=tiny_encoder, device="cpu")
    assert before < set(imgcluster.load(out).paths)


def test_files_are_where_they_were_moved_to(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.run(pictures, workspace=out, encoder=tiny_encoder, device="cpu", k=3, place="move")
    collection = imgcluster.load(out)
    assert {Path(file).parents[1] for file in collection.files} == {out / "clusters"}
    assert all(Path(file).is_file() for file in collection.files)
    imgcluster.undo(workspace=out)
    assert {Path(file).parents[1] for file in imgcluster.load(out).files} == {pictures}


def test_arrays_and_labels_belong_together(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    collection = imgcluster.load(out)
    assert collection.vectors.shape == (24, 48)
    assert collection.labels is None
    imgcluster.cluster(workspace=out, k=3)
    collection = imgcluster.load(out)
    assert collection.labels is not None
    colors = np.array([path.split("/")[0] for path in collection.paths])
    for number in range(3):
        assert len(set(colors[collection.labels == number])) == 1
    assert [row["cluster"] for row in collection.clusters] == ["0", "1", "2"]


def test_without_a_workspace(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="imgcluster embed"):
        imgcluster.load(tmp_path / "nothing")


def photograph(path: Path, *, color: int, captured: str, camera: str, orientation: int) -> None:
    exif = Image.Exif()
    exif.update({0x0110: camera, 0x0112: orientation})
    exif.get_ifd(0x8769)[0x9003] = captured
    Image.new("RGB", (12, 8), (color, 90, 30)).save(path, exif=exif)


def test_exif_is_stored_and_written_to_the_tables(tmp_path: Path, tiny_encoder: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    photograph(folder / "a.jpg", color=10, captured="2024:05:31 18:30:05", camera="X-T4", orientation=6)
    Image.new("RGB", (12, 8), (200, 10, 10)).save(folder / "b.jpg")
    imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=2, place="none")
    collection = imgcluster.load(out)
    assert collection.captured == ["2024-05-31T18:30:05", ""]
    assert collection.cameras == ["X-T4", ""]
    assert collection.orientations.tolist() == [6, 0]
    with (out / "assignments.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0])[-3:] == ["captured", "camera", "orientation"]
    assert [row["orientation"] for row in table] == ["6", ""]
    imgcluster.export(tmp_path / "a.parquet", workspace=out)
    assert pq.read_table(tmp_path / "a.parquet")["captured"].to_pylist() == ["2024-05-31T18:30:05", None]


def test_a_workspace_without_exif_continues(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu"}
    imgcluster.embed(pictures, **options)
    # As older versions wrote it.
    shard = next((out / "embeddings").iterdir())
    table = pq.read_table(shard).drop_columns(["captured", "camera", "orientation"])
    pq.write_table(table, shard)
    before = imgcluster.load(out)
    assert before.captured == [""] * 24
    photograph(pictures / "new.jpg", color=10, captured="2024:05:31 18:30:05", camera="X-T4", orientation=1)
    (pictures / "red/00.png").unlink()
    summary = imgcluster.embed(pictures, **options)
    assert (summary.new, summary.unchanged, summary.vanished) == (1, 23, 1)
    after = imgcluster.load(out)
    assert after.cameras[after.paths.index("new.jpg")] == "X-T4"
    imgcluster.cluster(workspace=out, k=3)


def test_paths_are_those_of_the_tables_where_the_manifest_names_no_base(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "out"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    del manifest["base"]
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    imgcluster.cluster(workspace=out, k=3)
    imgcluster.export(tmp_path / "images.csv", workspace=out)
    tables = []
    for table in (out / "assignments.csv", tmp_path / "images.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            tables.append([row["path"] for row in csv.DictReader(file)])
    collection = imgcluster.load(out)
    assert collection.base == str(pictures)
    assert tables == [collection.paths, collection.paths]
