"""Workspaces from vectors of other programs: what is read, what is refused, and what works on them."""

from __future__ import annotations

import csv
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import NoImagesError, UsageError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.commands.support.vector_files import read_vectors
from samples import paint
from vectors import blobs, peak_bytes

VECTORS, TRUTH = blobs([12, 10, 8], dimensions=7)
NAMES = [f"kind {kind}/{number:02d}.png" for number, kind in enumerate(TRUTH.tolist())]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, kind: str) -> tuple[Path, str | None]:
    """Write the vectors in a format; return the file and the value of ``--paths``."""
    file, paths = folder / f"vectors.{kind}", folder / "paths.txt"
    table = {"path": NAMES, "embedding": list(VECTORS.astype(np.float64))}
    if kind == "npy":
        np.save(file, VECTORS.astype(np.float16))
        paths.write_text("\n".join(NAMES) + "\n", encoding="utf-8")
        return file, str(paths)
    if kind == "npz":
        np.savez(file, path=np.array(NAMES), features=VECTORS)
        return file, None
    if kind == "parquet":
        pq.write_table(pa.table(table), file)
        return file, None
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", *(f"x{number}" for number in range(7))])
        writer.writerows([name, *vector] for name, vector in zip(NAMES, VECTORS.tolist(), strict=True))
    return file, "path"


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "csv"])
def test_every_format_is_read(here: Path, kind: str) -> None:
    file, paths = write(here, kind)
    summary = imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean")
    assert (summary.images, summary.embedding_size, summary.missing) == (30, 7, 30)
    collection = imgcluster.load("out")
    order = sorted(range(30), key=NAMES.__getitem__)
    assert collection.paths == [NAMES[index] for index in order]
    assert np.allclose(collection.vectors, VECTORS[order], atol=0.01)


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_paths_can_be_bytes(here: Path, kind: str) -> None:
    paths = [name.encode() for name in NAMES]
    if kind == "npz":
        np.savez("vectors.npz", path=np.array(paths), features=VECTORS)
    else:
        pq.write_table(pa.table({"path": paths, "embedding": list(VECTORS)}), "vectors.parquet")
    imgcluster.import_vectors(f"vectors.{kind}", workspace="out")
    assert imgcluster.load("out").paths == sorted(NAMES)


@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_addresses_are_kept(here: Path, ending: str) -> None:
    names = [f"https://host/a//{number:02d}.png" for number in range(30)]
    lines = ["path"] * (ending == "csv") + names
    (here / f"names.{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    file, _ = write(here, "npy")
    assert imgcluster.import_vectors(file, f"names.{ending}", workspace="out").missing == 30
    assert imgcluster.load("out").files == names


def test_images_without_files_are_clustered_and_shown(here: Path) -> None:
    imgcluster.import_vectors(*write(here, "npy"), workspace="out", metric="euclidean")
    result = imgcluster.cluster(workspace="out", k=3)
    assert [row.size for row in result.clusters] == [12, 10, 8]
    assert result.missing == 30
    assert imgcluster.evaluate(workspace="out").accuracy == 1
    assert len(pages.read(here / "out/report.html").document["clusters"]) == 3
    imgcluster.report_page(workspace="out")


def test_everything_after_embed_works_with_files(here: Path) -> None:
    paint(here / "in", per_folder=6)
    names = sorted(path.relative_to(here / "in").as_posix() for path in (here / "in").rglob("*.png"))
    np.save("v.npy", np.eye(3, 5)[np.arange(18) // 6] + 0.01 * np.random.default_rng(0).normal(size=(18, 5)))
    Path("p.txt").write_text("\n".join(names[:15]), encoding="utf-8")
    np.save("first.npy", np.load("v.npy")[:15])
    imgcluster.import_vectors("first.npy", "p.txt", workspace="out", root="in")
    assert imgcluster.load("out").base == str(here / "in")
    imgcluster.cluster(workspace="out", k=3)
    # Others are added and assigned, as after `embed`.
    Path("p.txt").write_text("\n".join(names), encoding="utf-8")
    summary = imgcluster.import_vectors("v.npy", "p.txt", workspace="out", root="in")
    assert (summary.missing, summary.unchanged) == (0, False)
    assigned = imgcluster.assign(workspace="out")
    assert assigned.assigned == 3
    assert len(list((here / "out/clusters").glob("*/*.png"))) == 18
    document = pages.read(here / "out/report.html").document
    plan = {"imgcluster_plan": 1, "clustering": document["identity"], "names": {"0": "first"}}
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert imgcluster.apply("plan.json", workspace="out").named == 1
    assert [imgcluster.undo(workspace="out").what for _ in range(3)] == ["plan", "assign", "placing"]
    assert not list((here / "out/clusters").glob("*/*.png"))


def test_sizes_are_those_of_the_upright_pictures(here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save("a.jpg", exif=exif)
    Path("b.jpg").write_bytes(b"\xff\xd8\xffdamaged")
    np.save("v.npy", np.eye(3))
    Path("p.txt").write_text("a.jpg\nb.jpg\nc.jpg", encoding="utf-8")
    imgcluster.import_vectors("v.npy", "p.txt", workspace="out")
    table = pq.read_table(next((here / "out/embeddings").iterdir()))
    assert table["width"].to_pylist() == [20, 0, 0]
    assert table["height"].to_pylist() == [30, 0, 0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_and_folders_are_neither_read_nor_placed(here: Path) -> None:
    """Reading a pipe would never end, and a file of vectors can name any path."""
    os.mkfifo("pipe.jpg")
    Path("folder.jpg").mkdir()
    Path("endless.jpg").symlink_to("/dev/zero")
    Image.new("RGB", (30, 20)).save("a.jpg")
    np.save("v.npy", np.eye(4))
    Path("p.txt").write_text("a.jpg\nendless.jpg\nfolder.jpg\npipe.jpg", encoding="utf-8")
    imgcluster.import_vectors("v.npy", "p.txt", workspace="out")
    assert imgcluster.duplicates(workspace="out").groups == 0
    for place in ("symlink", "copy", "move"):
        imgcluster.cluster(workspace="out", k=2, place=place)
        assert [path.name for path in (here / "out/clusters").glob("*/*")] == ["a.jpg"]
    assert imgcluster.verify(workspace="out").consistent
    imgcluster.export("exported", format="imagefolder", workspace="out")
    imgcluster.undo(workspace="out")
    assert sorted(path.name for path in here.glob("*.jpg")) == ["a.jpg", "endless.jpg", "folder.jpg", "pipe.jpg"]


def test_files_that_came_later_are_read(here: Path) -> None:
    file, paths = write(here, "npy")
    imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean")
    imgcluster.cluster(workspace="out", k=3)
    picture = here / NAMES[0]
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20)).save(picture, format="PNG")
    (finding,) = (found for found in imgcluster.verify(workspace="out").findings if found.check == "files")
    assert finding.remedy == "run the same import command again"
    for unchanged in (False, True):
        summary = imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean")
        assert (summary.missing, summary.unchanged) == (29, unchanged)
    (shard,) = (here / "out/embeddings").iterdir()
    assert sorted(pq.read_table(shard)["width"].to_pylist())[-2:] == [0, 30]
    assert imgcluster.assign(workspace="out").is_unchanged
    # What is known of a file that is missing again stays known.
    picture.unlink()
    assert imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean").unchanged


def test_the_same_vectors_again_change_nothing(here: Path) -> None:
    file, paths = write(here, "npy")
    imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean")
    imgcluster.cluster(workspace="out", k=3)
    before = {path: path.read_bytes() for path in sorted((here / "out").rglob("*")) if path.is_file()}
    assert imgcluster.import_vectors(file, paths, workspace="out", metric="euclidean").unchanged
    assert {path: path.read_bytes() for path in sorted((here / "out").rglob("*")) if path.is_file()} == before


def test_the_next_command_is_that_of_the_workspace(here: Path) -> None:
    file, paths = write(here, "npy")
    np.save("fewer.npy", VECTORS[:29])
    Path("fewer.txt").write_text("\n".join(NAMES[:29]), encoding="utf-8")
    both, fewer = (str(file), "--paths", str(paths)), ("fewer.npy", "--paths", "fewer.txt")
    for arguments, command in ((both, "cluster"), (both, ""), (fewer, "assign"), (fewer, "assign")):
        said = CliRunner().invoke(app, ["import", *arguments, "-w", "out"]).stdout
        assert [word for word in ("cluster", "assign") if f"imgcluster {word} " in said] == [command] * bool(command)
        if command == "cluster":
            imgcluster.cluster(workspace="out", k=3)


def test_the_order_of_rows_and_names_do_not_change_clusters(here: Path) -> None:
    np.save("v.npy", VECTORS)
    np.save("w.npy", VECTORS[::-1])
    Path("p.txt").write_text("\n".join(NAMES), encoding="utf-8")
    Path("q.txt").write_text("\n".join(NAMES[::-1]), encoding="utf-8")
    Path("r.txt").write_text("\n".join(f"z{30 - number}" for number in range(30)), encoding="utf-8")
    labels = []
    for number, (file, paths) in enumerate([("v.npy", "p.txt"), ("w.npy", "q.txt"), ("v.npy", "r.txt")]):
        imgcluster.import_vectors(file, paths, workspace=f"out{number}")
        imgcluster.cluster(workspace=f"out{number}", place="none")
        with Path(f"out{number}/assignments.csv").open(encoding="utf-8", newline="") as stream:
            labels.append({row["path"]: row["cluster"] for row in csv.DictReader(stream)})
    assert labels[0] == labels[1]
    assert [labels[0][name] for name in NAMES] == [labels[2][f"z{30 - number}"] for number in range(30)]


def test_what_cannot_be_imported(here: Path) -> None:
    np.save("v.npy", VECTORS)
    np.save("flat.npy", VECTORS[0])
    np.save("nan.npy", np.where(VECTORS[0, 0] == VECTORS, np.nan, VECTORS))
    np.save("large.npy", VECTORS.astype(np.float64) * 1e300)
    np.save("long.npy", VECTORS * np.float32(1e20))
    np.save("none.npy", VECTORS[:0])
    np.save("text.npy", np.array([["a", "b"]] * 30))
    np.save("objects.npy", np.array([[{}]] * 30, dtype=object), allow_pickle=True)
    Path("plain.npy").write_bytes(pickle.dumps(VECTORS))
    Path("empty.npy").write_bytes(b"")
    np.savez("two.npz", a=VECTORS, b=VECTORS)
    Path("words.csv").write_text("path,x\na,1\nb,two\n", encoding="utf-8")
    pq.write_table(pa.table({"path": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}), "ragged.parquet")
    pq.write_table(pa.table({"path": ["a", "b"], "embedding": [[1.0], None]}), "null.parquet")
    pq.write_table(pa.table({"path": ["a", "b"], "embedding_0": [1.0, 2.0]}), "wide.parquet")
    Path("twice.csv").write_text("path,x,x\na,1,2\n", encoding="utf-8")
    Path("latin.csv").write_bytes(b"path,x\n\xe9,1\n")
    Path("p.txt").write_text("\n".join(NAMES), encoding="utf-8")
    Path("few.txt").write_text("a\nb\n", encoding="utf-8")
    Path("zero.txt").write_text("", encoding="utf-8")
    Path("twice.txt").write_text("\n".join(["a", "x/../a", *NAMES[2:]]), encoding="utf-8")
    for file, paths, fact in (
        ("v.npy", "few.txt", "30 vectors.*2 paths"),
        ("v.npy", "twice.txt", "a appears 2 times"),
        ("v.npy", "gone.txt", "--paths gone.txt"),
        ("v.npy", None, "--paths FILE"),
        ("gone.npy", "p.txt", "gone.npy does not exist"),
        ("p.txt", "p.txt", ".npy, .npz, .parquet, .csv"),
        ("flat.npy", "p.txt", r"\(7,\)"),
        ("nan.npy", "p.txt", "1 of 30.*NaN"),
        ("large.npy", "p.txt", "30 of 30.*infinite"),
        ("long.npy", "p.txt", "30 of 30.*too large"),
        ("text.npy", "p.txt", "numbers"),
        ("objects.npy", "p.txt", "objects.npy cannot be read"),
        ("plain.npy", "p.txt", "plain.npy cannot be read"),
        ("empty.npy", "p.txt", "empty.npy cannot be read"),
        ("two.npz", "p.txt", "--column: 'a', 'b'"),
        ("words.csv", None, "words.csv cannot be read.*two"),
        ("ragged.parquet", None, "different lengths"),
        ("null.parquet", None, "missing"),
        ("wide.parquet", None, "no column of vectors"),
        ("twice.csv", None, "several columns 'x'"),
        ("latin.csv", None, r"^latin.csv cannot be read: 'utf-8'"),
    ):
        with pytest.raises(UsageError, match=fact):
            imgcluster.import_vectors(file, paths, workspace="out")
    with pytest.raises(NoImagesError, match="none.npy"):
        imgcluster.import_vectors("none.npy", "zero.txt", workspace="out")
    with pytest.raises(UsageError, match="--metric dot"):
        imgcluster.import_vectors("v.npy", "p.txt", workspace="out", metric="dot")
    assert not Path("out").exists()


def test_vectors_of_different_origin_are_not_mixed(here: Path, pictures: Path, tiny_encoder: Path) -> None:
    file, paths = write(here, "npy")
    imgcluster.embed(pictures, workspace="out", encoder=tiny_encoder, device="cpu")
    with pytest.raises(WorkspaceError, match="'tiny'.*--fresh"):
        imgcluster.import_vectors(file, paths, workspace="out")
    imgcluster.import_vectors(file, paths, workspace="out", fresh=True)
    assert len(imgcluster.load("out").paths) == 30
    with pytest.raises(WorkspaceError, match="'imported'.*--fresh"):
        imgcluster.embed(pictures, workspace="out", encoder=tiny_encoder, device="cpu")
    with pytest.raises(UsageError, match="imported knows no text"):
        imgcluster.search("red", workspace="out")


def test_columns_and_arrays_are_chosen_by_name(here: Path) -> None:
    np.savez("two.npz", a=VECTORS, b=VECTORS[:, :3], names=np.array(NAMES))
    assert imgcluster.import_vectors("two.npz", "names", column="b", workspace="npz").embedding_size == 3
    pq.write_table(pa.table({"file": NAMES, "clip": list(VECTORS), "tags": [["x"]] * 30}), "two.parquet")
    assert imgcluster.import_vectors("two.parquet", "file", column="clip", workspace="parquet").embedding_size == 7
    with pytest.raises(UsageError, match="'nothing'.*'clip'"):
        imgcluster.import_vectors("two.parquet", "file", column="nothing", workspace="out")
    with pytest.raises(UsageError, match="'file'.*lists"):
        imgcluster.import_vectors("two.parquet", "file", column="file", workspace="out")


@pytest.mark.parametrize("index", ["", "Unnamed: 0"])
def test_the_row_numbers_of_pandas_are_no_values(here: Path, index: str) -> None:
    with Path("v.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([index, "path", *(f"clip{number}" for number in range(7))])
        writer.writerows(
            [row, name, *vector] for row, (name, vector) in enumerate(zip(NAMES, VECTORS.tolist(), strict=True))
        )
    order = sorted(range(30), key=NAMES.__getitem__)
    for column in (None, "clip"):
        assert imgcluster.import_vectors("v.csv", workspace="out", column=column).embedding_size == 7
        assert np.allclose(imgcluster.load("out").vectors, VECTORS[order])


def test_parquet_files_with_several_row_groups(here: Path) -> None:
    table = pa.table({"path": NAMES, "embedding": list(VECTORS)})
    pq.write_table(table, "groups.parquet", row_group_size=7)

    vectors, names = read_vectors(Path("groups.parquet"), None, None)

    assert names == NAMES
    np.testing.assert_array_equal(vectors, VECTORS)
    lengths = pa.table({"path": NAMES, "embedding": [*VECTORS[:20], *VECTORS[20:, :3]]})
    pq.write_table(lengths, "lengths.parquet", row_group_size=20)
    with pytest.raises(UsageError, match="different lengths, among them 3 and 7"):
        read_vectors(Path("lengths.parquet"), None, None)


@pytest.mark.slow
def test_a_csv_file_takes_little_more_memory_than_its_vectors(here: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((2000, 128)).astype(np.float32)
    with Path("many.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", *(f"embedding_{number}" for number in range(128))])
        writer.writerows([f"{row}.png", *vector] for row, vector in enumerate(vectors.tolist()))

    np.testing.assert_array_equal(read_vectors(Path("many.csv"), None, None)[0], vectors)
    assert peak_bytes(lambda: read_vectors(Path("many.csv"), None, None)) < 5 * vectors.nbytes
