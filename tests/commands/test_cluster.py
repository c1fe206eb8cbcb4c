"""`cluster`: tables, folders, determinism, degenerate collections, outdated results."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster import ClusteringError, UsageError, WorkspaceError
from imgcluster.workspace.table_columns import ASSIGNMENTS, CANDIDATES, CLUSTERS, PHOTOGRAPH
from interruptions import interrupt_at
from samples import COLOURS, paint


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.embed([pictures], workspace=out, encoder=tiny_encoder, device="cpu")
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_three_colors_are_three_clusters(workspace: Path) -> None:
    summary = imgcluster.cluster(workspace=workspace, k=3)
    assert [row.size for row in summary.clusters] == [8, 8, 8]
    assert summary.silhouette is not None
    assert summary.silhouette > 0.5
    found = {row["path"]: row["cluster"] for row in rows(workspace / "assignments.csv")}
    for name in COLOURS:
        assert len({cluster for path, cluster in found.items() if path.startswith(name)}) == 1


def test_without_k_the_colors_are_found(workspace: Path) -> None:
    summary = imgcluster.cluster(workspace=workspace)
    assert summary.method == "kmeans"
    assert summary.reduction.startswith("diffusion map")
    assert [row.size for row in summary.clusters] == [8, 8, 8]
    assert imgcluster.evaluate(workspace=workspace).accuracy == 1
    assert "All 3 clusters are stable" in summary.quality


def test_columns_and_counts_of_the_tables(workspace: Path) -> None:
    summary = imgcluster.cluster(workspace=workspace)
    layers = [f"layer_{number}" for number in range(len(summary.layers))]
    with (workspace / "assignments.csv").open(encoding="utf-8") as file:
        assert file.readline().strip() == ",".join([*ASSIGNMENTS, *layers, *PHOTOGRAPH])
    with (workspace / "clusters.csv").open(encoding="utf-8") as file:
        assert file.readline().strip() == ",".join(CLUSTERS)
    assigned = rows(workspace / "assignments.csv")
    clusters = rows(workspace / "clusters.csv")
    assert [row["path"] for row in assigned] == sorted(row["path"] for row in assigned)
    assert sum(int(row["size"]) for row in clusters) + summary.noise == len(assigned) == summary.images == 24
    assert [int(row["cluster"]) for row in clusters] == list(range(len(clusters)))
    sizes = [int(row["size"]) for row in clusters]
    assert sizes == sorted(sizes, reverse=True)
    medoids = {row["cluster"]: row["path"] for row in assigned if row["is_medoid"] == "true"}
    assert medoids == {row["cluster"]: row["medoid"] for row in clusters}
    for row in assigned:
        assert 0 <= float(row["confidence"]) <= 1
        assert float(row["distance"]) >= 0
        assert row["runner_up"] in {str(number) for number in range(len(clusters))} - {row["cluster"]}
        assert row[f"layer_{summary.layer}"] == row["cluster"]
    for number, count in enumerate(summary.layers):
        assert {row[f"layer_{number}"] for row in assigned} == {str(cluster) for cluster in range(count)}
    for fine, coarse in itertools.pairwise(layers):
        assert len({(row[fine], row[coarse]) for row in assigned}) == len({row[fine] for row in assigned})
    assert all(0 <= float(row["stability"]) <= 1 for row in clusters)
    metrics = json.loads((workspace / "metrics.json").read_text())
    assert (metrics["images"], metrics["clusters"], metrics["noise"]) == (24, len(clusters), summary.noise)


@pytest.mark.parametrize(
    "options",
    [
        {"k": 3},
        {},
        pytest.param({"k": "auto"}, marks=pytest.mark.slow),
        {"method": "hdbscan", "assign_noise": True},
        {"k": 5, "reduce": "pca"},
    ],
)
def test_the_same_seed_gives_the_same_bytes(workspace: Path, options: dict[str, object]) -> None:
    names = ("assignments.csv", "clusters.csv", "metrics.json", "report.html")
    written = []
    # The second time from the cache, the third time computed again.
    for time in range(3):
        if time == 2:
            (workspace / "layers.parquet").unlink()
        imgcluster.cluster(workspace=workspace, **options)  # type: ignore[arg-type]
        written.append([(workspace / name).read_bytes() for name in names])
    assert written[0] == written[1] == written[2]


def test_embedding_order_does_not_matter(pictures: Path, tmp_path: Path, tiny_encoder: Path, workspace: Path) -> None:
    """Embedding folder by folder gives the same result as embedding all at once."""
    slow = tmp_path / "slow"
    for name in ("red", "blue", "green"):
        imgcluster.embed([pictures / name], workspace=slow, encoder=tiny_encoder, device="cpu")
    imgcluster.embed([pictures], workspace=slow, encoder=tiny_encoder, device="cpu")
    for out in (workspace, slow):
        imgcluster.cluster(workspace=out, k=3, place="none")
    clusters = []
    for out in (workspace, slow):
        collection = imgcluster.load(out)
        assert collection.labels is not None
        clusters.append(dict(zip(collection.files, collection.labels.tolist(), strict=True)))
    assert clusters[0] == clusters[1]


@pytest.mark.parametrize("options", [{}, {"k": 5}, {"method": "hdbscan"}])
def test_file_names_do_not_matter(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, workspace: Path, options: dict[str, Any]
) -> None:
    """The same images under other names, in another order and in other folders, are in the same clusters."""
    renamed = tmp_path / "renamed"
    images = sorted(pictures.rglob("*.png"))
    for number, index in enumerate(np.random.default_rng(0).permutation(len(images))):
        target = renamed / f"{number % 2}" / f"{number:03d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images[index], target)
    other = tmp_path / "other"
    imgcluster.embed([renamed], workspace=other, encoder=tiny_encoder, device="cpu")
    found = []
    for out, folder in ((workspace, pictures), (other, renamed)):
        imgcluster.cluster(workspace=out, place="none", **options)
        assigned = rows(out / "assignments.csv")
        contents = [(folder / row.pop("path")).read_bytes() for row in assigned]
        found.append(sorted((content, sorted(row.items())) for content, row in zip(contents, assigned, strict=True)))
    assert found[0] == found[1]


def test_dry_run_writes_nothing(workspace: Path) -> None:
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    summary = imgcluster.cluster(workspace=workspace, k=3, dry_run=True)
    assert summary.placed == {"symlink": 24}
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


def test_clustering_again_replaces_the_folders(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=6)
    (workspace / "clusters/cluster_005/notes.txt").write_text("mine")
    imgcluster.cluster(workspace=workspace, k=2, place="copy")
    folders = sorted(path.name for path in (workspace / "clusters").iterdir())
    # One color stays a cluster; the number of no other cluster is used again.
    assert folders == ["cluster_000", "cluster_005", "cluster_006"]
    assert [path.name for path in (workspace / "clusters/cluster_005").iterdir()] == ["notes.txt"]
    placed = list((workspace / "clusters").rglob("*.png"))
    assert len(placed) == 24
    assert not any(path.is_symlink() for path in placed)


@pytest.mark.parametrize("mode", ["symlink", "copy", "hardlink", "move"])
def test_every_mode_places_every_image(workspace: Path, pictures: Path, mode: str) -> None:
    before = {path.relative_to(pictures): path.read_bytes() for path in pictures.rglob("*.png")}
    summary = imgcluster.cluster(workspace=workspace, k=3, place=mode)
    assert summary.placed == {mode: 24}
    placed = [path.read_bytes() for path in (workspace / "clusters").rglob("*.png")]
    assert sorted(placed) == sorted(before.values())
    undone = imgcluster.undo(workspace=workspace)
    assert (undone.taken_back, undone.left) == (24, ())
    assert {path.relative_to(pictures): path.read_bytes() for path in pictures.rglob("*.png")} == before
    assert not (workspace / "clusters").exists()


def test_moved_originals_are_embedded_and_clustered_again(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3, place="move")
    assert not list(pictures.rglob("*.png"))
    assert len(pages.read(workspace / "report.html").pictures()) == 24
    imgcluster.report_page(workspace=workspace)
    assert len(pages.read(workspace / "report.html").pictures()) == 24
    assert imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu", fresh=True).new == 24
    assert imgcluster.cluster(workspace=workspace, k=2).placed == {"move": 24}
    assert not list(pictures.rglob("*.png"))
    assert imgcluster.cluster(workspace=workspace, k=2, place="symlink").placed == {"symlink": 24}
    assert len(list(pictures.rglob("*.png"))) == 24


def test_no_files_are_placed_after_a_clustering_that_placed_none(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3, place="none")
    assert imgcluster.cluster(workspace=workspace, k=2).place == "none"
    assert imgcluster.assign(workspace=workspace, place="symlink").placed == {"symlink": 24}
    assert imgcluster.cluster(workspace=workspace, k=3).place == "symlink"


def test_the_page_shows_images_whose_files_are_gone(workspace: Path, pictures: Path) -> None:
    for path in pictures.rglob("*.png"):
        path.unlink()
    imgcluster.cluster(workspace=workspace, k=3, place="none")
    shown = pages.read(workspace / "report.html").pictures()
    assert len(shown) == 24


def test_embedding_keeps_the_results_which_are_then_outdated(
    workspace: Path, pictures: Path, tiny_encoder: Path
) -> None:
    imgcluster.cluster(workspace=workspace, k=3)
    names = ("assignments.csv", "clusters.csv", "metrics.json", "report.html")
    before = [(workspace / name).read_bytes() for name in names]
    Image.new("RGB", (9, 9), "white").save(pictures / "new.png")
    (pictures / "red/00.png").unlink()
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    assert [(workspace / name).read_bytes() for name in names] == before
    assert len(list((workspace / "clusters").rglob("*.png"))) == 24
    for attempt in (imgcluster.evaluate, imgcluster.report_page):
        with pytest.raises(WorkspaceError, match=r"outdated.*run imgcluster cluster.*imgcluster assign"):
            attempt(workspace=workspace)
    imgcluster.cluster(workspace=workspace, k=3)
    assert len(list((workspace / "clusters").rglob("*.png"))) == 24


def test_an_edited_copy_is_kept(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3, place="copy")
    edited = next((workspace / "clusters/cluster_000").iterdir())
    edited.write_bytes(b"my own work")
    imgcluster.cluster(workspace=workspace, k=2, place="copy")
    assert b"my own work" in [path.read_bytes() for path in (workspace / "clusters").rglob("*.png")]
    imgcluster.cluster(workspace=workspace, k=2, place="symlink")
    assert b"my own work" in [path.read_bytes() for path in (workspace / "outdated/clusters").rglob("*.png")]


def test_an_interruption_while_placing_leaves_no_partial_clustering(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3)
    with pytest.raises(KeyboardInterrupt):
        imgcluster.cluster(workspace=workspace, k=2, on_progress=interrupt_at("report"))
    with pytest.raises(WorkspaceError, match="run imgcluster cluster"):
        imgcluster.evaluate(workspace=workspace)
    imgcluster.cluster(workspace=workspace, k=2)
    assert len(list((workspace / "clusters").rglob("*.png"))) == 24


def test_a_vanished_original_is_reported(workspace: Path, pictures: Path) -> None:
    (pictures / "red/00.png").unlink()
    summary = imgcluster.cluster(workspace=workspace, k=3)
    assert (summary.missing, summary.placed) == (1, {"symlink": 23})
    assert "--fresh" in " ".join(summary.warnings)


def test_nothing_embedded(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(WorkspaceError, match="nowhere.*run imgcluster embed"):
        imgcluster.cluster(workspace=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_wrong_options_are_refused_before_embedding(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for options, message in (
        ({"k": 0}, "--k 0 "),
        ({"method": "dbscan"}, "'dbscan'.*auto, kmeans"),
        ({"k": "foo"}, "--k 'foo'.*auto"),
        ({"k": "5..2"}, "--k 5..2 "),
        ({"level": "finest"}, "--level 'finest'.*fine, medium, coarse"),
        ({"method": "hdbscan", "k": 3}, "hdbscan"),
        ({"reduce": "tsne"}, "'tsne'.*none, "),
        ({"place": "teleport"}, "'teleport'.*symlink"),
        ({"min_cluster_size": 1}, "--min-cluster-size 1 "),
        ({"seed": -1}, "--seed -1 "),
        ({"n_init": 3, "method": "hdbscan"}, "--n-init is for kmeans"),
        ({"min_samples": 3}, "--min-samples is for hdbscan"),
        ({"metric": "manhattan"}, "--metric manhattan .*cosine or euclidean"),
    ):
        with pytest.raises(UsageError, match=message):
            imgcluster.run([pictures], workspace=out, **options)  # type: ignore[arg-type]
        assert not out.exists()


def few(folder: Path, count: int, tiny_encoder: Path, *, same: bool) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    for number in range(count):
        Image.fromarray(pictures[0 if same else number]).save(folder / f"{number}.png")
    out = folder.parent / "few-out"
    imgcluster.embed([folder], workspace=out, encoder=tiny_encoder, device="cpu")
    return out


@pytest.mark.parametrize("options", [{"k": 1}, {"k": 2}, {}])
def test_one_image(tmp_path: Path, tiny_encoder: Path, options: dict[str, int]) -> None:
    out = few(tmp_path / "in", 1, tiny_encoder, same=False)
    with pytest.raises(ClusteringError, match="1 image "):
        imgcluster.cluster(workspace=out, **options)


def test_fewer_images_than_k(tmp_path: Path, tiny_encoder: Path) -> None:
    out = few(tmp_path / "in", 3, tiny_encoder, same=False)
    with pytest.raises(ClusteringError, match="3 images .*5 clusters.*--k 3"):
        imgcluster.cluster(workspace=out, k=5)
    assert [row.size for row in imgcluster.cluster(workspace=out, k=3).clusters] == [1, 1, 1]


def test_all_images_the_same(tmp_path: Path, tiny_encoder: Path) -> None:
    out = few(tmp_path / "in", 12, tiny_encoder, same=True)
    with pytest.raises(ClusteringError, match="--k 1"):
        imgcluster.cluster(workspace=out, k=2)
    summary = imgcluster.cluster(workspace=out)
    assert [row.size for row in summary.clusters] == [12]
    assert "12 images" in summary.warnings[0]


def test_all_images_are_noise(tmp_path: Path, tiny_encoder: Path) -> None:
    out = few(tmp_path / "in", 3, tiny_encoder, same=False)
    summary = imgcluster.cluster(workspace=out, method="hdbscan")
    assert (len(summary.clusters), summary.noise) == (0, 3)
    assert "--min-cluster-size 2" in summary.warnings[0]
    assert [path.name for path in (out / "clusters").iterdir()] == ["noise"]
    assert [row["distance"] for row in rows(out / "assignments.csv")] == ["", "", ""]
    assert [cluster["number"] for cluster in pages.read(out / "report.html").document["clusters"]] == [-1]


def test_sixty_photographs_give_several_clusters(tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "examples/photos"
    summary = imgcluster.run([examples], workspace=tmp_path / "out", device="cpu")
    assert summary.embed.embedded == 60
    assert len(summary.cluster.clusters) >= 3
    assert summary.cluster.noise < 30


@pytest.mark.slow
def test_the_900_photographs(data: Path, tmp_path: Path) -> None:
    """The default path, scored; docs/figures.md has the figures."""
    imgcluster.run([data / "photos"], workspace=tmp_path, k=10, place="none")
    scores = imgcluster.evaluate(workspace=tmp_path)
    assert scores.images == 900
    assert scores.accuracy >= 0.57


def test_evaluate_writes_the_confusion_matrix(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3)
    scores = imgcluster.evaluate(workspace=workspace)
    assert (scores.accuracy, scores.nmi, scores.ari, scores.purity) == (1, 1, 1, 1)
    table = rows(workspace / "confusion.csv")
    assert [row["label"] for row in table] == ["blue", "green", "red"]
    assert sorted(int(row[name]) for row in table for name in row if name != "label") == [0] * 6 + [8] * 3
    with Image.open(workspace / "confusion.png") as picture:
        assert picture.format == "PNG"
    assert json.loads((workspace / "metrics.json").read_text())["scores"]["accuracy"] == 1
    imgcluster.report_page(workspace=workspace)
    assert any(
        "accuracy" in text and "1.000" in text for text in pages.read(workspace / "report.html").document["sentences"]
    )


def test_evaluate_against_a_table(workspace: Path, pictures: Path, tmp_path: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3)
    labels = tmp_path / "labels.csv"
    for prefix in ("", f"{pictures}/", "./"):
        lines = [f"{prefix}{name}/{n:02d}.png,{name[0] if n < 4 else ''}" for name in COLOURS for n in range(6)]
        lines = ["path,label", *lines]
        labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
        scores = imgcluster.evaluate(workspace=workspace, labels=labels)
        assert (scores.images, scores.unlabelled, scores.accuracy, scores.classes) == (12, 12, 1, 3)
    for line in ("elsewhere.png,x", "red/00.png, "):
        labels.write_text(f"path,label\n{line}\n")
        with pytest.raises(UsageError, match="24 images"):
            imgcluster.evaluate(workspace=workspace, labels=labels)
    labels.write_text("file,kind\nelsewhere.png,x\n")
    with pytest.raises(WorkspaceError, match="'path'"):
        imgcluster.evaluate(workspace=workspace, labels=labels)
    with pytest.raises(UsageError, match=r"none\.csv.*path and label"):
        imgcluster.evaluate(workspace=workspace, labels=tmp_path / "none.csv")


def test_evaluate_counts_noise_as_a_cluster(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "in", per_folder=8)
    (tmp_path / "in/odd").mkdir()
    for colour in ("white", "black", "yellow"):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"in/odd/{colour}.png")
    summary = imgcluster.run(
        [tmp_path / "in"],
        workspace=tmp_path / "out",
        encoder=tiny_encoder,
        device="cpu",
        method="hdbscan",
        reduce="none",
    )
    scores = imgcluster.evaluate(workspace=tmp_path / "out")
    table = rows(tmp_path / "out/confusion.csv")
    assert scores.noise == summary.cluster.noise == sum(int(row["noise"]) for row in table) > 0
    assert list(table[0])[:3] == ["label", "noise", "cluster_000"]


def cache_time(workspace: Path) -> int:
    """Return the modification time of the cached clustering, in ns."""
    return (workspace / "layers.parquet").stat().st_mtime_ns


class TestLevels:
    """Another layer of the last clustering is read from the cache, which is written only after computing."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"k": 4},
            pytest.param({"k": "2..5"}, marks=pytest.mark.slow),
            {"method": "hdbscan", "min_cluster_size": 2},
        ],
    )
    def test_another_level_computes_nothing(self, workspace: Path, options: dict[str, Any]) -> None:
        first = imgcluster.cluster(workspace=workspace, **options)
        middle = (workspace / "assignments.csv").read_bytes()
        written = cache_time(workspace)
        for number, count in enumerate(first.layers):
            summary = imgcluster.cluster(workspace=workspace, level=str(number), place="copy", **options)
            assert (summary.layer, len(summary.clusters), summary.layers) == (number, count, first.layers)
            assigned = rows(workspace / "assignments.csv")
            assert all(row["cluster"] == row[f"layer_{number}"] for row in assigned)
            folders = {path.name for path in (workspace / "clusters").iterdir()} - {"noise"}
            assert len(folders) == count
        fine = imgcluster.cluster(workspace=workspace, level="fine", **options)
        coarse = imgcluster.cluster(workspace=workspace, level="coarse", **options)
        assert (fine.layer, coarse.layer) == (0, len(first.layers) - 1)
        imgcluster.cluster(workspace=workspace, level="medium", **options)
        assert (workspace / "assignments.csv").read_bytes() == middle
        assert cache_time(workspace) == written

    def test_a_first_clustering_can_be_fine(self, workspace: Path) -> None:
        summary = imgcluster.cluster(workspace=workspace, k=2, level="fine")
        assert summary.layer == 0
        assert len(summary.clusters) == summary.layers[0] >= 4
        assert json.loads((workspace / "metrics.json").read_text())["layer"] == 0

    @pytest.mark.parametrize(
        "change",
        [{"seed": 1}, {"k": 3}, {"k": "auto"}, {"reduce": "pca"}, {"method": "hdbscan"}, {"assign_noise": True}],
    )
    def test_other_options_compute_again(self, workspace: Path, change: dict[str, Any]) -> None:
        imgcluster.cluster(workspace=workspace)
        written = cache_time(workspace)
        imgcluster.cluster(workspace=workspace, level="coarse", **change)
        assert cache_time(workspace) != written

    def test_other_images_compute_again(self, workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
        imgcluster.cluster(workspace=workspace)
        written = cache_time(workspace)
        Image.new("RGB", (9, 9), "white").save(pictures / "new.png")
        imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
        imgcluster.cluster(workspace=workspace, level="coarse")
        assert cache_time(workspace) != written

    def test_a_damaged_file_is_computed_again(self, workspace: Path) -> None:
        imgcluster.cluster(workspace=workspace)
        expected = (workspace / "assignments.csv").read_bytes()
        cache = workspace / "layers.parquet"
        good = cache.read_bytes()
        for damaged in (b"", b"PAR1", good[: len(good) // 2], good[::-1]):
            cache.write_bytes(damaged)
            imgcluster.cluster(workspace=workspace)
            assert (workspace / "assignments.csv").read_bytes() == expected
            assert cache.read_bytes() == good

    def test_a_missing_level(self, workspace: Path) -> None:
        imgcluster.cluster(workspace=workspace)
        before = (workspace / "assignments.csv").read_bytes()
        with pytest.raises(UsageError, match=r"--level 9 .*0 \(\d+ clusters\)"):
            imgcluster.cluster(workspace=workspace, level="9")
        assert (workspace / "assignments.csv").read_bytes() == before, "the last clustering stays"


class TestCandidates:
    @pytest.mark.parametrize("k", ["auto", "2..5"])
    def test_scores_are_written_as_a_table_and_a_plot(self, workspace: Path, k: str) -> None:
        summary = imgcluster.cluster(workspace=workspace, k=k)
        table = rows(workspace / "candidates.csv")
        assert list(table[0]) == list(CANDIDATES)
        assert [int(row["k"]) for row in table] == [candidate.k for candidate in summary.candidates]
        assert [row["k"] for row in table if row["chosen"] == "true"] == [str(len(summary.clusters))] == ["3"]
        if k == "2..5":
            assert [row["k"] for row in table] == ["2", "3", "4", "5"]
        with Image.open(workspace / "candidates.png") as picture:
            assert picture.format == "PNG"

    def test_the_next_clustering_removes_them(self, workspace: Path) -> None:
        imgcluster.cluster(workspace=workspace, k="auto")
        assert imgcluster.cluster(workspace=workspace).candidates == ()
        assert not list(workspace.glob("candidates.*"))

    def test_another_level_keeps_them(self, workspace: Path) -> None:
        imgcluster.cluster(workspace=workspace, k="auto")
        before = (workspace / "candidates.csv").read_bytes()
        imgcluster.cluster(workspace=workspace, k="auto", level="fine")
        assert (workspace / "candidates.csv").read_bytes() == before

    def test_a_dry_run_shows_and_writes_nothing(self, workspace: Path) -> None:
        assert imgcluster.cluster(workspace=workspace, k="auto", dry_run=True).candidates
        assert not list(workspace.glob("candidates.*"))
        assert not (workspace / "layers.parquet").exists()


def test_a_remark_if_k_is_more_than_estimated(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "in", per_folder=60)
    out = tmp_path / "out"
    imgcluster.embed([tmp_path / "in"], workspace=out, encoder=tiny_encoder, device="cpu")
    for k, more in (("12", True), (12, True), (3, False), (None, False)):
        summary = imgcluster.cluster(workspace=out, k=k, reduce="none", place="none")
        found = [text for text in summary.remarks if "--k" in text]
        assert [text.endswith(" 3.") for text in found] == [True] * more


def test_a_remark_if_clusters_match_folders(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "in", per_folder=12)
    summary = imgcluster.run([tmp_path / "in"], workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", k=3)
    assert any("folders" in remark for remark in summary.cluster.remarks)
    assert not any("folders" in warning for warning in summary.cluster.warnings)
    shown = pages.read(tmp_path / "out/report.html").document["sentences"]
    assert set(summary.cluster.remarks) <= set(shown)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"n_init": 3, "k": 3}, {"starts": 3}),
        (
            {
                "method": "hdbscan",
                "min_samples": 2,
                "cluster_selection_method": "eom",
                "cluster_selection_epsilon": 0.01,
            },
            {"min_samples": 2, "selection": "eom", "epsilon": 0.01},
        ),
    ],
)
def test_parameters_of_methods_are_recorded(
    workspace: Path, options: dict[str, object], parameters: dict[str, object]
) -> None:
    summary = imgcluster.cluster(workspace=workspace, place="none", **options)
    assert parameters.items() <= summary.parameters.items()
    record = json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["cluster"]
    assert options.items() <= record["options"].items()
    assert parameters.items() <= record["parameters"].items()


def test_the_metric_replaces_that_of_the_encoder(workspace: Path) -> None:
    imgcluster.cluster(workspace=workspace, k=3, place="none")
    cosine = (workspace / "assignments.csv").read_bytes()
    imgcluster.cluster(workspace=workspace, k=3, place="none", metric="cosine")
    assert (workspace / "assignments.csv").read_bytes() == cosine
    imgcluster.cluster(workspace=workspace, k=3, place="none", metric="euclidean")
    vectors, found = imgcluster.load(workspace).vectors, rows(workspace / "assignments.csv")
    medoids = {row["cluster"]: number for number, row in enumerate(found) if row["is_medoid"] == "true"}
    for number, row in enumerate(found):
        distance = np.linalg.norm(vectors[number] - vectors[medoids[row["cluster"]]])
        assert float(row["distance"]) == pytest.approx(distance, rel=1e-3, abs=1e-3)
    # Everything after it uses the same metric.
    before = (workspace / "assignments.csv").read_bytes()
    imgcluster.report_page(workspace=workspace)
    imgcluster.assign(workspace=workspace)
    assert (workspace / "assignments.csv").read_bytes() == before
