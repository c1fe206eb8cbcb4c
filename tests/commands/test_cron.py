"""Regular runs: nothing to do, renamed and deleted originals, files that are still being written."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imgcluster
from imgcluster.images.found import FoundFile
from samples import paint


@pytest.fixture
def run(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Callable[[], imgcluster.RunSummary]:
    def run() -> imgcluster.RunSummary:
        return imgcluster.run([pictures], workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", k=3)

    run()
    return run


def clusters(workspace: Path) -> dict[str, int]:
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: int(row["cluster"]) for row in csv.DictReader(file)}


def test_nothing_is_written_where_nothing_changed(run: Any, tmp_path: Path) -> None:
    run()
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    summary = run()
    assert (summary.embed.new, summary.embed.unchanged, summary.cluster.assigned) == (0, 24, 0)
    after = {path: path.lstat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed <= {".lock", "manifest.json", "skipped.csv"}


def test_renamed_originals_keep_their_cluster_and_are_not_embedded(
    run: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clusters(tmp_path / "out")
    (pictures / "red").rename(pictures / "crimson")
    (pictures / "blue/00.png").rename(pictures / "green/from blue.png")
    encoded = []
    encode = imgcluster.Encoder.encode
    monkeypatch.setattr(imgcluster.Encoder, "encode", lambda *args: encoded.append(1) or encode(*args))
    summary = run()
    assert not encoded
    assert (summary.embed.renamed, summary.embed.new, summary.embed.vanished) == (9, 0, 0)
    assert (summary.cluster.assigned, summary.cluster.removed) == (0, 0)
    after = clusters(tmp_path / "out")
    new_path = {path: path.replace("red/", "crimson/") for path in before} | {"blue/00.png": "green/from blue.png"}
    assert after == {new_path[path]: cluster for path, cluster in before.items()}
    assert all(path.resolve().exists() for path in (tmp_path / "out/clusters").rglob("*.png"))


def test_a_copy_is_a_new_image_and_is_not_embedded(run: Any, pictures: Path, tmp_path: Path) -> None:
    (pictures / "copy.png").write_bytes((pictures / "red/00.png").read_bytes())
    summary = run()
    assert (summary.embed.renamed, summary.embed.new) == (0, 1)
    after = clusters(tmp_path / "out")
    assert after["copy.png"] == after["red/00.png"]


def test_two_files_exchange_their_names(run: Any, pictures: Path, tmp_path: Path) -> None:
    before = clusters(tmp_path / "out")
    red, blue = pictures / "red/00.png", pictures / "blue/00.png"
    content = red.read_bytes()
    red.write_bytes(blue.read_bytes())
    blue.write_bytes(content)
    assert run().embed.changed == 2
    after = clusters(tmp_path / "out")
    assert (after["red/00.png"], after["blue/00.png"]) == (before["blue/00.png"], before["red/00.png"])


def test_deleted_originals_leave(run: Any, pictures: Path, tmp_path: Path) -> None:
    before = clusters(tmp_path / "out")
    (pictures / "red/00.png").unlink()
    summary = run()
    assert (summary.embed.vanished, summary.cluster.removed) == (1, 1)
    assert clusters(tmp_path / "out") == {path: number for path, number in before.items() if path != "red/00.png"}
    assert len(list((tmp_path / "out/clusters").rglob("*.png"))) == 23


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    run: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(pictures / "more", per_folder=1, seed=3)
    growing = pictures / "more/red/00.png"
    whole = growing.read_bytes()
    growing.write_bytes(whole[:-20])
    real = FoundFile.file.fget
    assert real is not None

    class Growing:
        """A path whose file grows between opening and the end of reading."""

        def __fspath__(self) -> str:
            return str(growing)

        def open(self, mode: str, **_: object) -> Any:
            stream = growing.open(mode)
            read = stream.read

            class Stream:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    stream.close()

                def fileno(self) -> int:
                    return stream.fileno()

                def read(self, *size: int) -> bytes:
                    data = read(*size)
                    growing.write_bytes(whole)
                    return data

            return Stream()

    with monkeypatch.context() as patch:
        patch.setattr(
            FoundFile, "file", property(lambda file: Growing() if file.path == "more/red/00.png" else real(file))
        )
        summary = run()
    assert (summary.embed.new, summary.embed.skipped) == (2, 1)
    assert "changed while it was read" in (tmp_path / "out/skipped.csv").read_text(encoding="utf-8")
    summary = run()
    assert (summary.embed.new, summary.embed.skipped, summary.cluster.assigned) == (1, 0, 1)


def test_a_folder_of_originals_that_was_renamed_keeps_its_clusters(
    run: Any, pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    (pictures / "broken.png").write_bytes((pictures / "red/00.png").read_bytes()[:60])
    run()
    before, archive = clusters(tmp_path / "out"), tmp_path / "archive"
    pictures.rename(archive)
    options: dict[str, Any] = {"workspace": tmp_path / "out", "encoder": tiny_encoder, "device": "cpu"}
    summary = imgcluster.run([archive], **options, k=3)
    assert (summary.embed.renamed, summary.embed.new, summary.embed.vanished) == (24, 0, 0)
    assert (summary.embed.embedded, summary.embed.skipped) == (24, 1)
    # Paths are relative to the folder's present name.
    assert clusters(tmp_path / "out") == before
    assert imgcluster.history(workspace=tmp_path / "out").steps[-1].summary == "24 renamed"
    links = list((tmp_path / "out/clusters").rglob("*.png"))
    assert len(links) == 24
    assert all(path.resolve().exists() for path in links)
    imgcluster.undo(workspace=tmp_path / "out")
    assert clusters(tmp_path / "out") == before


def test_images_of_a_folder_that_is_gone_stay_unless_they_are_found_elsewhere(
    run: Any, pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/one.png").write_bytes((pictures / "red/00.png").read_bytes())
    options: dict[str, Any] = {"workspace": tmp_path / "out", "encoder": tiny_encoder, "device": "cpu"}
    # A copy of a file that is there is a new image.
    assert imgcluster.embed([tmp_path / "copies"], **options).embedded == 25
    pictures.rename(tmp_path / "unmounted")
    (tmp_path / "copies/two.png").write_bytes((tmp_path / "unmounted/blue/00.png").read_bytes())
    summary = imgcluster.embed([tmp_path / "copies"], **options)
    assert (summary.embedded, summary.renamed, summary.vanished) == (25, 1, 0)
