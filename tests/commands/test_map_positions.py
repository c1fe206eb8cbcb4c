"""Positions on the map while a collection grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import imgcluster
from imgcluster.workspace.caches import CachedProjection, read_projection
from samples import paint


def positions(out: Path) -> dict[bytes, tuple[float, ...]]:
    import pyarrow.parquet as pq

    key = pq.read_schema(out / "layout.parquet").metadata[b"imgcluster.layout"].decode()
    stored = read_projection(out / "layout.parquet", key)
    assert isinstance(stored, CachedProjection)
    return dict(zip(stored.digests, map(tuple, stored.points.tolist()), strict=True))


def test_new_images_are_placed_in_the_map_and_the_others_stay(tmp_path: Path, tiny_encoder: Path) -> None:
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu"}
    paint(first, per_folder=8)
    imgcluster.embed(first, **options)
    imgcluster.cluster(workspace=out, k=3)
    before = positions(out)
    assert len(before) == 24

    paint(second, per_folder=2, seed=1)
    imgcluster.embed(second, **options)
    imgcluster.cluster(workspace=out, k=3)
    after = positions(out)
    assert len(after) == 30
    assert before.items() < after.items()

    # With more new images than a third of all, the map is computed again.
    paint(tmp_path / "third", per_folder=20, seed=2)
    imgcluster.embed(tmp_path / "third", **options)
    imgcluster.cluster(workspace=out, k=3)
    last = positions(out)
    assert len(last) == 90
    assert not np.allclose([last[digest] for digest in after], list(after.values()))


def test_other_file_names_give_the_same_map(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "images", per_folder=8)
    found = []
    for number in range(2):
        out = tmp_path / f"out {number}"
        imgcluster.embed(tmp_path / "images", workspace=out, encoder=tiny_encoder, device="cpu")
        imgcluster.cluster(workspace=out, k=3)
        found.append(positions(out))
        for folder in list((tmp_path / "images").iterdir()):
            for path in list(folder.iterdir()):
                path.rename(path.with_name(f"{99 - int(path.stem)}.png"))
            folder.rename(folder.with_name(folder.name[::-1]))
    assert found[0] == found[1]


def test_the_map_made_beside_the_clusters_is_that_of_a_later_report(tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    paint(tmp_path / "images", per_folder=8)
    imgcluster.embed(tmp_path / "images", workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=3)
    before = [(out / name).read_bytes() for name in ("layout.parquet", "report.html")]
    (out / "layout.parquet").unlink()
    imgcluster.report_page(workspace=out)
    assert [(out / name).read_bytes() for name in ("layout.parquet", "report.html")] == before
