"""`cluster` on collections whose vectors stay in files, and again with other options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster.features import neighborhood, reduce
from imgcluster.report import projection
from imgcluster.workspace import result_tables, shards
from imgcluster.workspace.stored_vectors import StoredVectors
from vectors import loose_groups


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    points, _ = loose_groups(4, 60, dimensions=24, spread=0.7, seed=1)
    points[7] = points[100]
    np.save("v.npy", points)
    Path("p.txt").write_text("\n".join(f"{number:04d}.jpg" for number in range(len(points))), encoding="utf-8")
    return tmp_path


def cluster(workspace: str, metric: str = "cosine", **options: object) -> imgcluster.ClusterSummary:
    if not Path(workspace).exists():
        imgcluster.import_vectors("v.npy", "p.txt", workspace=workspace, metric=metric)
    return imgcluster.cluster(workspace=workspace, place="none", **options)


@pytest.mark.parametrize("metric", ["cosine", pytest.param("euclidean", marks=pytest.mark.slow)])
def test_vectors_in_files_give_the_same_clusters(vectors: Path, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster("memory", metric, k=4)
    monkeypatch.setattr(shards, "_STREAMED_FROM", 0)
    cluster("files", metric, k=4)
    assert np.array_equal(imgcluster.load("files").vectors, imgcluster.load("memory").vectors)
    assert Path("files/assignments.csv").read_bytes() == Path("memory/assignments.csv").read_bytes()
    assert Path("files/clusters.csv").read_bytes() == Path("memory/clusters.csv").read_bytes()
    cluster("files", metric, method="hdbscan", reduce="pca")
    cluster("memory", metric, method="hdbscan", reduce="pca")
    assert Path("files/assignments.csv").read_bytes() == Path("memory/assignments.csv").read_bytes()


def test_no_step_of_a_regular_run_holds_all_vectors_in_files(
    vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.load("v.npy")
    results = []
    for workspace, streamed_from in (("memory", 1 << 30), ("files", 0)):
        monkeypatch.setattr(shards, "_STREAMED_FROM", streamed_from)
        np.save("v.npy", points[:200])
        names = [f"{number:04d}.jpg" for number in range(len(points))]
        Path("p.txt").write_text("\n".join(names[:200]), encoding="utf-8")
        cluster(workspace, k=4)
        np.save("v.npy", points)
        Path("p.txt").write_text("\n".join(names), encoding="utf-8")
        imgcluster.import_vectors("v.npy", "p.txt", workspace=workspace, metric="cosine")
        select, selected = StoredVectors.__getitem__, []

        def count(
            self: StoredVectors, rows: np.ndarray[Any, Any], select: Any = select, selected: list[int] = selected
        ) -> np.ndarray[Any, Any]:
            selected.append(len(rows))
            return select(self, rows)

        monkeypatch.setattr(neighborhood, "_SAMPLE", 60)
        monkeypatch.setattr(StoredVectors, "__getitem__", count)
        summary = imgcluster.assign(workspace=workspace)
        assert (summary.assigned + summary.unsorted, summary.images) == (40, 240)
        imgcluster.report_page(workspace=workspace)
        assert imgcluster.verify(workspace=workspace, rerun=True).consistent
        assignments = Path(workspace, "assignments.csv").read_bytes()
        imgcluster.undo(workspace=workspace)
        results.append((assignments, Path(workspace, "assignments.csv").read_bytes()))
        monkeypatch.setattr(StoredVectors, "__getitem__", select)
        assert bool(selected) == (streamed_from == 0)
    assert results[0] == results[1]


@pytest.mark.parametrize("metric", ["cosine", pytest.param("euclidean", marks=pytest.mark.slow)])
def test_commands_that_search_give_the_same_for_vectors_in_files(
    vectors: Path, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster("ws", metric, k=4)
    # As for many vectors: neighbors are searched in principal components.
    monkeypatch.setattr(reduce, "_PAIR_BUDGET", 0)
    monkeypatch.setattr(reduce, "_PAIR_DIMENSIONS", 10)
    select, selected = StoredVectors.__getitem__, []

    def count(self: StoredVectors, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        selected.append(len(rows))
        return select(self, rows)

    monkeypatch.setattr(reduce, "_BASIS", 60)
    monkeypatch.setattr(reduce, "_COMPONENT_SAMPLE", 60)
    monkeypatch.setattr(StoredVectors, "__getitem__", count)
    found = []
    for streamed_from in (1 << 30, 0):
        monkeypatch.setattr(shards, "_STREAMED_FROM", streamed_from)
        similar = imgcluster.similar([f"{number:04d}.jpg" for number in range(40)], workspace="ws", limit=5)
        outliers = imgcluster.outliers(workspace="ws", limit=300)
        table = Path("ws/outliers.csv").read_bytes()
        listed = [(row.rank, row.path, row.reasons, row.score) for row in outliers.outliers]
        found.append((similar.queries, listed, outliers.reasons, table))
        assert bool(selected) == (streamed_from == 0)
    assert found[0] == found[1]
    # The page reads representatives.
    assert max(selected) < 120


@pytest.mark.slow
def test_methods_compare_the_same_for_vectors_in_files(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster("ws", k=4)
    Path("labels.csv").write_text(
        "path,label\n" + "".join(f"{number:04d}.jpg,{number // 60}\n" for number in range(240)), encoding="utf-8"
    )
    before = imgcluster.compare("ws", methods=["kmeans", "hdbscan"], labels="labels.csv", k=4)
    monkeypatch.setattr(shards, "_STREAMED_FROM", 0)
    assert imgcluster.compare("ws", methods=["kmeans", "hdbscan"], labels="labels.csv", k=4) == before


@pytest.mark.slow
def test_a_plan_gives_the_same_for_vectors_in_files(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for workspace, streamed_from in (("memory", 1 << 30), ("files", 0)):
        monkeypatch.setattr(shards, "_STREAMED_FROM", streamed_from)
        cluster(workspace, k=4)
        identity = pages.read(Path(workspace, "report.html")).document["identity"]
        changes = {"split": [{"cluster": 0, "into": 2}], "merges": [{"from": 1, "into": 2}]}
        Path("plan.json").write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **changes}))
        assert imgcluster.apply("plan.json", workspace=workspace).split == 1
        found.append([Path(workspace, name).read_bytes() for name in ("assignments.csv", "clusters.csv")])
    assert found[0] == found[1]


def test_copies_are_the_same_for_vectors_in_files(
    pictures: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(pictures / "red/00.png") as image:
        image.resize((24, 20)).save(pictures / "red/smaller.png")
    shutil.copyfile(pictures / "red/01.png", pictures / "red/same.png")
    imgcluster.run(pictures, workspace=tmp_path / "ws", encoder=tiny_encoder, device="cpu", k=3)
    found = []
    for streamed_from in (1 << 30, 0):
        monkeypatch.setattr(shards, "_STREAMED_FROM", streamed_from)
        near = imgcluster.duplicates(workspace=tmp_path / "ws").duplicates
        bursts = imgcluster.duplicates(workspace=tmp_path / "ws", bursts=True).duplicates
        found.append((near, bursts))
    assert found[0] == found[1]
    assert {row.kind for row in found[0][0]} >= {"best", "exact"}


def test_vectors_in_files_are_selected_and_divided(tmp_path: Path) -> None:
    vectors = np.arange(24, dtype=np.float32).reshape(12, 2)
    # The second shard has an outdated row.
    files = {Path("a"): vectors[[3, 0, 5]], Path("b"): vectors[[1, 9, 2]], Path("c"): vectors[[11, 4, 6, 7, 8, 10]]}
    targets = [np.array(rows) for rows in ([3, 0, 5], [1, -1, 2], [9, 4, 6, 7, 8, 10])]
    stored = StoredVectors(list(files), targets, (11, 2), lambda path: files[path])
    everything = stored[np.arange(11)]
    assert everything[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 22, 20]
    rows = np.array([7, 2, 7, 9, 0, 2])
    assert np.array_equal(stored[rows], everything[rows])
    some = stored.reordered(np.array([7, 2, 9]))
    assert some.shape == (3, 2)
    assert np.array_equal(some[np.arange(3)], everything[[7, 2, 9]])
    assert sorted(position for rows, _ in some.blocks() for position in rows.tolist()) == [0, 1, 2]
    found = np.empty_like(everything)
    for part in stored.parts():
        for positions, block in part.blocks():
            found[positions] = block
    assert np.array_equal(found, everything)


def test_the_map_reads_vectors_in_files_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_TSNE_UP_TO", 60)
    monkeypatch.setattr(projection, "_DIRECTIONS", 10)
    points, _ = loose_groups(4, 60, dimensions=24, spread=0.7, seed=1)
    stored = StoredVectors([Path("a")], [np.arange(240)], (240, 24), lambda _: points)
    select, selected = StoredVectors.__getitem__, []

    def count(self: StoredVectors, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        selected.append(len(rows))
        return select(self, rows)

    monkeypatch.setattr(StoredVectors, "__getitem__", count)
    assert np.array_equal(projection.project(stored).points, projection.project(points).points)
    assert max(selected) == 60


@pytest.mark.slow
def test_other_options_reuse_the_graph(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster("first", k=4)
    stored = Path("first/reduction.npz")
    written = stored.stat().st_mtime_ns
    cluster("first", k=3)
    cluster("first", method="hdbscan")
    assert stored.stat().st_mtime_ns == written
    cluster("second", method="hdbscan")
    read = [pq.read_table(f"{name}/layers.parquet") for name in ("first", "second")]
    assert read[0].equals(read[1])
    cluster("first", k=3, seed=1)
    assert stored.stat().st_mtime_ns != written


@pytest.mark.slow
def test_a_damaged_graph_is_computed_again(vectors: Path) -> None:
    cluster("first", k=4)
    before = Path("first/assignments.csv").read_bytes()
    cluster("first", k=3)
    Path("first/reduction.npz").write_bytes(b"PK damaged")
    cluster("first", k=4)
    assert Path("first/assignments.csv").read_bytes() == before


def test_of_many_images_a_sample_is_fitted_and_said_so(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "_GRAPH_SAMPLE", 100)
    summary = cluster("sampled", k=4)
    assert summary.parameters["sample"] == 100
    assert any("100 of the 240 images" in warning for warning in summary.warnings)
    assert sorted(row.size for row in summary.clusters) == pytest.approx([60] * 4, abs=6)


def test_many_assignments_are_also_parquet(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_tables, "_ALSO_PARQUET_FROM", 100)
    cluster("many", k=4)
    table = pq.read_table("many/assignments.parquet")
    rows = Path("many/assignments.csv").read_text(encoding="utf-8").splitlines()
    assert table.column_names == rows[0].split(",")
    assert table.column("path").to_pylist() == [row.split(",")[0] for row in rows[1:]]
    assert table.column("cluster").to_pylist() == [int(row.split(",")[1]) for row in rows[1:]]
    assert sum(table.column("is_medoid").to_pylist()) == 4
    monkeypatch.setattr(result_tables, "_ALSO_PARQUET_FROM", 1000)
    cluster("many", k=3)
    assert not Path("many/assignments.parquet").exists()
