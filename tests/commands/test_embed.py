"""`embed`: new, changed, unchanged and vanished images, interruptions, and refused input."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imgcluster
import samples
import tiny_models
from imgcluster import EmbedSummary, EncoderError, NoImagesError, UsageError, WorkspaceError
from imgcluster.images import readers
from interruptions import interrupt_at
from samples import paint


def embed(*paths: Path, out: Path, encoder: Path, **options: object) -> EmbedSummary:
    return imgcluster.embed(paths, workspace=out, encoder=encoder, device="cpu", **options)  # type: ignore[arg-type]


def stored(out: Path) -> dict[str, np.ndarray]:
    """Return the workspace's vectors by path relative to its root."""
    vectors = {}
    for shard in sorted((out / "embeddings").glob("*.parquet")):
        table = pq.read_table(shard, partitioning=None)
        for path, vector in zip(table["path"].to_pylist(), table["embedding"].to_pylist(), strict=True):
            vectors[path] = np.array(vector, dtype=np.float32)
    return vectors


def skipped(out: Path) -> dict[str, str]:
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_every_image_becomes_a_row(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.found, summary.embedded, summary.new, summary.skipped) == (24, 24, 24, 0)
    assert summary.roots == (str(pictures),)
    assert sorted(stored(out)) == sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    table = pq.read_table(next((out / "embeddings").iterdir()), partitioning=None)
    names = ["path", "root", "size", "mtime_ns", "digest", "width", "height", "brightness", "colour"]
    names += ["contrast", "sharpness"]
    assert table.column_names == [
        *names,
        "source",
        "captured",
        "camera",
        "orientation",
        "thumbnail",
        "companion",
        "embedding",
    ]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float not null>[48]" or str(
        table.schema.field("embedding").type
    ).startswith("fixed_size_list<")
    assert table["width"].unique().to_pylist() == [10]
    assert table["height"].unique().to_pylist() == [12]
    # The gray value of the red images is about 0.3 · 200.
    assert all(0.1 < value < 0.6 for value in table["brightness"].to_pylist())
    assert all(0.5 < value < 0.9 for value in table["colour"].to_pylist())


@pytest.mark.parametrize("kind", [str, Path])
def test_one_folder_needs_no_list(pictures: Path, tmp_path: Path, tiny_encoder: Path, kind: type) -> None:
    folder = kind(pictures)
    options = {"encoder": tiny_encoder, "device": "cpu", "batch_size": np.int64(5), "workers": np.int32(2)}
    summary = imgcluster.embed(folder, workspace=tmp_path / "out", exclude="*1.png", **options)
    assert 0 < summary.embedded < 24
    recorded = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["embed"]
    assert (recorded["batch_size"], recorded["workers"], recorded["exclude"]) == (5, 2, ["*1.png"])
    both = imgcluster.run(folder, workspace=tmp_path / "both", dry_run=True, k=np.int64(3), **options)
    assert (both.embed.embedded, len(both.cluster.clusters)) == (24, 3)


def test_unchanged_images_are_not_embedded_again(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    before = {path.name: path.read_bytes() for path in (out / "embeddings").iterdir()}
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.new, summary.unchanged, summary.changed, summary.vanished) == (0, 24, 0, 0)
    assert {path.name: path.read_bytes() for path in (out / "embeddings").iterdir()} == before


def test_changed_touched_vanished_and_new_files(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    old = stored(out)
    Image.new("RGB", (10, 12), "white").save(pictures / "red/00.png")
    os.utime(pictures / "red/01.png", ns=(1, 1))
    (pictures / "red/02.png").unlink()
    Image.new("RGB", (10, 12), "black").save(pictures / "new.png")
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.new, summary.changed, summary.unchanged, summary.vanished) == (1, 1, 22, 1)
    now = stored(out)
    assert set(now) == (set(old) - {"red/02.png"}) | {"new.png"}
    np.testing.assert_array_equal(now["red/00.png"], np.full(48, 155.0))
    np.testing.assert_array_equal(now["red/01.png"], old["red/01.png"])
    # The new time of the touched file is stored, so that the file is not opened again.
    touched = pictures / "red/01.png"
    touched.write_bytes(b"?" * touched.stat().st_size)
    os.utime(touched, ns=(1, 1))
    assert embed(pictures, out=out, encoder=tiny_encoder).unchanged == 24


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such times")
def test_a_file_with_a_time_after_the_year_2262(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    """In nanoseconds since 1970 it has more than 64 bits; some file systems store it."""
    out = tmp_path / "out"
    os.utime(pictures / "red/00.png", (10**10, 10**10))
    if (pictures / "red/00.png").stat().st_mtime_ns < 2**63:
        pytest.skip("this file system does not store it")
    assert embed(pictures, out=out, encoder=tiny_encoder).embedded == 24
    assert embed(pictures, out=out, encoder=tiny_encoder).unchanged == 24
    assert imgcluster.verify(workspace=out).findings == ()


def test_a_damaged_file_is_removed_and_skipped(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    (pictures / "red/00.png").write_bytes((pictures / "red/00.png").read_bytes()[:60])
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.found, summary.embedded, summary.skipped) == (24, 23, 1)
    assert "red/00.png" not in stored(out)
    assert list(skipped(out)) == ["red/00.png"]


def test_folders_are_added_and_paths_stay_relative_to_the_first_one(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "out"
    (pictures / "red/broken.jpg").write_bytes(b"")
    embed(pictures / "red", out=out, encoder=tiny_encoder)
    assert list(skipped(out)) == ["broken.jpg"]
    summary = embed(pictures / "blue", out=out, encoder=tiny_encoder)
    assert (summary.new, summary.embedded, summary.skipped, summary.vanished) == (8, 16, 1, 0)
    assert list(skipped(out)) == ["broken.jpg"]
    assert "../blue/00.png" in stored(out)
    assert json.loads((out / "manifest.json").read_text())["base"] == str(pictures / "red")
    # The parent folder adds the rest; no image is stored twice.
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.new, summary.unchanged, summary.embedded) == (8, 16, 24)


def test_fresh_keeps_only_the_named_folders(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures / "red", out=out, encoder=tiny_encoder)
    summary = embed(pictures / "blue", out=out, encoder=tiny_encoder, fresh=True)
    assert (summary.new, summary.embedded, summary.roots) == (8, 8, (str(pictures / "blue"),))


def test_fresh_removes_what_was_computed_from_other_vectors(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    imgcluster.cluster(workspace=out, k=3)
    caches = [out / name for name in ("layers.parquet", "layout.parquet", "neighbors.parquet", "reduction.npz")]
    assert all(path.exists() for path in caches)
    embed(pictures, out=out, encoder=tiny_encoder, fresh=True)
    assert not any(path.exists() for path in caches)

    imgcluster.cluster(workspace=out, k=3)
    assert all(path.exists() for path in caches)
    imgcluster.undo(workspace=out)
    # The other caches are those of the restored state.
    assert [path.name for path in caches if not path.exists()] == ["reduction.npz"]


def test_another_encoder_is_refused_until_fresh(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    other = tiny_models.identity(tmp_path / "other.onnx", ["n", 4, 4, 3], dtype="uint8")
    embed(pictures, out=out, encoder=tiny_encoder)
    with pytest.raises(WorkspaceError, match="'tiny'.*'other'.*--fresh"):
        embed(pictures, out=out, encoder=other)
    assert embed(pictures, out=out, encoder=other, fresh=True).new == 24
    assert (stored(out)["red/00.png"] >= 0).all()


def test_images_of_an_empty_folder_stay(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out, red, blue = tmp_path / "out", pictures / "red", pictures / "blue"
    (red / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    embed(red, blue, out=out, encoder=tiny_encoder)
    before = stored(out)
    red.rename(tmp_path / "unmounted")
    (red / ".hidden").mkdir(parents=True)
    paint(tmp_path / "more", per_folder=1, seed=3)
    (tmp_path / "more/blue/00.png").rename(blue / "new.png")
    for new in (1, 0):
        summary = embed(red, blue, out=out, encoder=tiny_encoder)
        assert (summary.new, summary.vanished, summary.embedded, summary.skipped) == (new, 0, 17, 1)
        assert [str(red) in note and "--fresh" in note for note in summary.notes] == [True]
        assert before.keys() < stored(out).keys()
    # It was moved: its images are known by their content.
    other = tmp_path / "other"
    (tmp_path / "unmounted").rename(other)
    summary = embed(red, blue, other, out=out, encoder=tiny_encoder)
    assert (summary.renamed, summary.new, summary.embedded, summary.skipped) == (8, 0, 17, 1)
    assert [str(red) in note and "--fresh" not in note for note in summary.notes] == [True]
    # All other images are removed as before: those that are excluded, and those of a folder that has other files.
    for file in other.glob("*.png"):
        file.unlink()
    summary = embed(blue, other, out=out, encoder=tiny_encoder, exclude=["new.png"])
    assert (summary.vanished, summary.embedded, summary.notes) == (9, 8, ())


def test_moved_images_leave_although_their_folder_is_empty(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out, red, blue = tmp_path / "out", pictures / "red", pictures / "blue"
    imgcluster.run([red, blue], workspace=out, encoder=tiny_encoder, device="cpu", k=2, place="move")
    assert not list(red.iterdir())
    next((out / "clusters").rglob("*.png")).unlink()
    summary = embed(red, blue, out=out, encoder=tiny_encoder)
    assert (summary.vanished, summary.embedded) == (1, 15)
    assert not any("--fresh" in note for note in summary.notes)


def test_shards_of_an_empty_folder(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out, red, blue = tmp_path / "out", pictures / "red", pictures / "blue"
    embed(red, blue, out=out, encoder=tiny_encoder)
    red.rename(tmp_path / "unmounted")
    red.mkdir()
    for number in range(2):
        embed(red, blue, out=out, encoder=tiny_encoder, shard=f"{number}/2")
    assert (imgcluster.finish_shards(out).embedded, len(stored(out))) == (16, 16)
    # On the second machine the disk is mounted.
    embed(red, blue, out=out, encoder=tiny_encoder, shard="0/2")
    red.rmdir()
    (tmp_path / "unmounted").rename(red)
    embed(red, blue, out=out, encoder=tiny_encoder, shard="1/2")
    with pytest.raises(WorkspaceError, match="empty folders"):
        imgcluster.finish_shards(out)


@pytest.mark.parametrize("fresh", [False, True])
def test_an_empty_folder_changes_nothing(pictures: Path, tmp_path: Path, tiny_encoder: Path, fresh: bool) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("not a picture")
    with pytest.raises(NoImagesError, match="empty.*other files"):
        embed(empty, out=out, encoder=tiny_encoder, fresh=fresh)
    # The folder was emptied, or its disk is not mounted.
    shutil.rmtree(pictures)
    pictures.mkdir()
    with pytest.raises(NoImagesError, match=str(pictures)):
        embed(pictures, out=out, encoder=tiny_encoder, fresh=fresh)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_first_reason_if_no_image_is_readable(tmp_path: Path, tiny_encoder: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"")
    with pytest.raises(NoImagesError, match=r"a\.jpg: the file is empty"):
        embed(tmp_path / "in", out=tmp_path / "out", encoder=tiny_encoder)


def test_an_interrupted_command_continues(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    for fresh in (False, True):
        with pytest.raises(KeyboardInterrupt):
            embed(
                pictures,
                out=out,
                encoder=tiny_encoder,
                batch_size=2,
                fresh=fresh,
                on_progress=interrupt_at("embed", done=21),
            )
        # Ten batches of two were complete.
        summary = embed(pictures, out=out, encoder=tiny_encoder, fresh=fresh)
        assert (summary.unchanged, summary.new, summary.embedded) == (20, 4, 24)


def test_images_with_vectors_that_are_not_finite_are_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (4, 4), "black").save(folder / "black.png")
    Image.new("RGB", (4, 4), "white").save(folder / "white.png")
    encoder = tiny_models.not_a_number(tmp_path / "broken.onnx")
    summary = embed(folder, out=tmp_path / "out", encoder=encoder)
    assert (summary.embedded, summary.skipped) == (1, 1)
    assert list(skipped(tmp_path / "out")) == ["black.png"]


def test_images_with_vectors_whose_length_is_not_finite_are_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (4, 4), "black").save(folder / "black.png")
    Image.new("RGB", (4, 4), "white").save(folder / "white.png")
    encoder = tiny_models.large_values(tmp_path / "large.onnx")
    assert embed(folder, out=tmp_path / "out", encoder=encoder).embedded == 1
    assert list(skipped(tmp_path / "out")) == ["white.png"]


@pytest.mark.parametrize("batch_size", [1, 32])
def test_an_encoder_whose_vectors_vary_in_size(tmp_path: Path, batch_size: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for value in (60, 120, 180):
        Image.new("RGB", (4, 4), (value, value, value)).save(folder / f"{value}.png")
    encoder = tiny_models.varying_size(tmp_path / "varying.onnx")
    with pytest.raises(EncoderError, match="values"):
        embed(folder, out=tmp_path / "out", encoder=encoder, batch_size=batch_size)


def test_the_workspace_is_excluded_and_cannot_be_embedded(pictures: Path, tiny_encoder: Path) -> None:
    out = pictures / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    imgcluster.cluster(workspace=out, k=3, place="copy")
    summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.found, summary.unchanged) == (24, 24)
    with pytest.raises(UsageError, match=str(out)):
        embed(out / "clusters", out=out, encoder=tiny_encoder)
    # A cluster's folder can be embedded in another workspace.
    closer = embed(out / "clusters/cluster_000", out=pictures.parent / "closer", encoder=tiny_encoder)
    assert closer.embedded == 8


def test_a_folder_with_a_file_named_like_the_marker_is_searched(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    (pictures / "red/.imgcluster").write_text("clusters: 5\n", encoding="utf-8")
    assert embed(pictures, out=tmp_path / "out", encoder=tiny_encoder).embedded == 24
    with pytest.raises(WorkspaceError, match="other files"):
        embed(pictures / "blue", out=pictures / "red", encoder=tiny_encoder)
    assert len(os.listdir(pictures / "red")) == 9


@pytest.mark.parametrize("content", [b"", b"path\n", b"\xff\0"])
def test_a_damaged_table_of_skipped_images(pictures: Path, tmp_path: Path, tiny_encoder: Path, content: bytes) -> None:
    out = tmp_path / "out"
    (pictures / "red/00.png").write_bytes(b"damaged")
    embed(pictures, out=out, encoder=tiny_encoder)
    (out / "skipped.csv").write_bytes(content)
    (finding,) = imgcluster.verify(workspace=out).findings
    advice = r"skipped\.csv.*delete that file, then run the same embed"
    assert re.search(advice, finding.message)
    with pytest.raises(WorkspaceError, match=advice):
        embed(pictures, out=out, encoder=tiny_encoder)
    (out / "skipped.csv").unlink()
    embed(pictures, out=out, encoder=tiny_encoder)
    assert list(skipped(out)) == ["red/00.png"]
    assert imgcluster.verify(workspace=out).consistent


def test_embeddings_survive_a_damaged_manifest(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    (out / "manifest.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"manifest\.json.*--repair.*delete that file"):
        embed(pictures, out=out, encoder=tiny_encoder)
    (out / "manifest.json").unlink()
    assert embed(pictures, out=out, encoder=tiny_encoder).unchanged == 24
    assert imgcluster.cluster(workspace=out, k=3).images == 24


def test_the_images_of_an_unreadable_folder_are_kept(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    real = os.scandir

    def failing(path: str) -> object:
        if Path(path).name == "red":
            raise OSError(5, "Input/output error")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        summary = embed(pictures, out=out, encoder=tiny_encoder)
    assert (summary.vanished, summary.embedded) == (0, 24)
    assert skipped(out) == {"red": "the folder cannot be read: Input/output error"}
    assert embed(pictures, out=out, encoder=tiny_encoder).unchanged == 24


def test_clustering_after_a_repaired_file_and_an_interruption(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "out"
    (pictures / "blue/00.png").rename(tmp_path / "good.png")
    (pictures / "blue/00.png").write_bytes(b"")
    embed(pictures, out=out, encoder=tiny_encoder)
    (tmp_path / "good.png").replace(pictures / "blue/00.png")
    with pytest.raises(KeyboardInterrupt):
        embed(pictures, out=out, encoder=tiny_encoder, batch_size=1, on_progress=interrupt_at("embed", done=20))
    summary = imgcluster.cluster(workspace=out, k=3)
    assert summary.images == 24
    assert "interrupted" in " ".join(summary.warnings)


def test_a_folder_and_a_link_to_it_are_one_folder(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    (tmp_path / "link").symlink_to(pictures)
    summary = embed(tmp_path / "link", out=out, encoder=tiny_encoder)
    assert (summary.embedded, summary.unchanged) == (24, 24)


@pytest.mark.skipif(os.name == "nt", reason="a name of a Windows drive cannot be that of a folder there")
def test_folders_named_like_drives(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    (pictures / "red").rename(pictures / "C:")
    out = tmp_path / "out"
    embed(pictures, out=out, encoder=tiny_encoder)
    again = embed(pictures, out=out, encoder=tiny_encoder)
    assert (again.embedded, again.unchanged) == (24, 24)
    imgcluster.cluster(workspace=out, k=3, place="move")
    assert not list((pictures / "C:").iterdir())
    assert embed(pictures, out=out, encoder=tiny_encoder).unchanged == 24
    imgcluster.undo(workspace=out)
    assert len(list((pictures / "C:").iterdir())) == 8


def test_a_list_of_files(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    files = [pictures / "red/00.png", pictures / "blue/01.png", pictures / "gone.png"]
    summary = embed(out=tmp_path / "out", encoder=tiny_encoder, files=files)
    assert (summary.embedded, summary.skipped) == (2, 1)
    ((path, reason),) = skipped(tmp_path / "out").items()
    assert path.endswith("gone.png")
    assert reason == "No such file or directory"


def test_wrong_use_is_refused(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    with pytest.raises(UsageError, match="nothing-here"):
        embed(tmp_path / "nothing-here", out=tmp_path / "out", encoder=tiny_encoder)
    with pytest.raises(UsageError, match="--files-from"):
        embed(out=tmp_path / "out", encoder=tiny_encoder)
    with pytest.raises(UsageError, match="--batch-size 0"):
        embed(pictures, out=tmp_path / "out", encoder=tiny_encoder, batch_size=0)
    assert not (tmp_path / "out").exists()


def test_results_do_not_depend_on_batches_and_workers(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    tables = []
    for number, (batch_size, workers) in enumerate([(1, 1), (5, 2), (64, 7)]):
        out = tmp_path / f"out{number}"
        embed(pictures, out=out, encoder=tiny_encoder, batch_size=batch_size, workers=workers)
        imgcluster.cluster(workspace=out, k=3, place="none")
        tables.append((out / "assignments.csv").read_bytes())
    assert tables[0] == tables[1] == tables[2]


def test_processes_and_batches_store_the_same_bytes(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    samples.paint(folder, per_folder=30)
    (folder / "red/cut.png").write_bytes((folder / "red/00.png").read_bytes()[:60])
    stored_bytes = []
    for number, (batch_size, workers, few) in enumerate([(64, 1, 1000), (7, 3, 1000), (32, 2, 0), (5, 1, 0)]):
        monkeypatch.setattr(readers, "FEW_FILES", few)
        out = tmp_path / f"out{number}"
        summary = embed(folder, out=out, encoder=tiny_encoder, batch_size=batch_size, workers=workers)
        assert (summary.embedded, summary.skipped) == (90, 1)
        files = [*sorted((out / "embeddings").iterdir()), out / "skipped.csv"]
        stored_bytes.append([file.read_bytes() for file in files])
    assert all(files == stored_bytes[0] for files in stored_bytes)
