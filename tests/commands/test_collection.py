"""Reading a workspace from Python, and the key that joins its tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

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
