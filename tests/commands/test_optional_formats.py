"""`embed` on formats that need an extra: with it they are images like others, without it nothing is silent."""

from __future__ import annotations

from pathlib import Path

import pytest

import imgcluster
from imgcluster.fileio.csv_tables import read_table
from imgcluster.images import optional_decoders
from imgcluster.images.formats import RAW
from imgcluster.workspace.table_columns import SKIPPED
from pictures import encoded, flat, quarters
from raw_files import dng


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, color in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200)]):
        (folder / f"{number}.png").write_bytes(encoded(flat(color), "PNG"))
    (folder / "a.dng").write_bytes(dng(quarters(), captured="2021:05:12 12:21:21", orientation=6))
    (folder / "b.DNG").write_bytes(dng(quarters(48, 32), preview=quarters(96, 64)))
    return folder


def test_without_the_extra_each_file_is_skipped_with_the_remedy(
    collection: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)
    (collection / "c.jxl").write_bytes(b"\xff\x0a\x00")
    summary = imgcluster.embed(collection, workspace=tmp_path / "out", encoder=str(tiny_encoder))
    rows = {row["path"]: row["reason"] for row in read_table(tmp_path / "out/skipped.csv", SKIPPED)}

    assert (summary.found, summary.embedded, summary.skipped, summary.ignored) == (6, 3, 3, 0)
    assert {path: "imgcluster[raw]" in reason for path, reason in rows.items()} == {
        "a.dng": True, "b.DNG": True, "c.jxl": False,
    }  # fmt: skip
    assert ["(2 skipped)" in note for note in summary.notes if "imgcluster[raw]" in note] == [True]
    assert ["(1 skipped)" in note for note in summary.notes if "imgcluster[jxl]" in note] == [True]


@pytest.mark.skipif(not optional_decoders.can_decode(RAW), reason="rawpy is not installed")
def test_camera_raw_files_are_clustered_with_time_and_camera(
    collection: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    summary = imgcluster.run(collection, workspace=tmp_path / "out", encoder=str(tiny_encoder), k=2)
    loaded = imgcluster.load(tmp_path / "out")
    images = dict(zip(loaded.paths, zip(loaded.captured, loaded.cameras, strict=True), strict=True))

    assert (summary.embed.found, summary.embed.embedded, summary.embed.notes) == (5, 5, ())
    assert images["a.dng"] == ("2021-05-12T12:21:21", "Acme One")
    assert (tmp_path / "out/report.html").exists()
