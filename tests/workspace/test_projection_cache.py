"""The cached projection: read for the same key only; a damaged file is ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imgcluster.workspace.caches import CachedProjection, read_projection, write_projection

PROJECTION = CachedProjection((bytes(16), b"a" * 16), np.array([[0.5, -1], [0, 1]], np.float32), "t-SNE")


def test_it_is_read_for_its_key_only(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_projection(path, "key", PROJECTION)
    stored = read_projection(path, "key")
    assert stored is not None
    assert (stored.points == PROJECTION.points).all()
    assert (stored.digests, stored.method) == (PROJECTION.digests, "t-SNE")
    assert read_projection(path, "another") is None
    first = path.read_bytes()
    write_projection(path, "key", PROJECTION)
    assert path.read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no table", None])
def test_other_files_are_ignored(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "layout.parquet"
    if content is not None:
        path.write_bytes(content)
    assert read_projection(path, "key") is None


def test_damaged_files_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_projection(path, "key", PROJECTION)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert read_projection(path, "key") is None
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        stored = read_projection(path, "key")
        assert stored is None or stored.points.shape == (2, 2)
