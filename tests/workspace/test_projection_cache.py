"""The cached layout: read for the same key only; a damaged file is ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imgcluster.workspace.caches import read_projection, write_projection

POINTS = np.array([[0.5, -1], [0, 1]], np.float32)


def test_it_is_read_for_its_key_only(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_projection(path, "key", POINTS, "UMAP")
    stored = read_projection(path, "key")
    assert stored is not None
    assert (stored[0] == POINTS).all()
    assert stored[1] == "UMAP"
    assert read_projection(path, "another") is None
    first = path.read_bytes()
    write_projection(path, "key", POINTS, "UMAP")
    assert path.read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no layout", None])
def test_other_files_are_ignored(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "layout.parquet"
    if content is not None:
        path.write_bytes(content)
    assert read_projection(path, "key") is None


def test_damaged_files_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_projection(path, "key", POINTS, "UMAP")
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert read_projection(path, "key") is None
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        stored = read_projection(path, "key")
        assert stored is None or stored[0].shape == (2, 2)
