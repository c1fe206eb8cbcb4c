"""The stored layout: read back for the same key only; a damaged file is as good as none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imgcluster.workspace.caches import read_layout, write_layout

POINTS = np.array([[0.5, -1], [0, 1]], np.float32)


def test_it_comes_back_for_its_key(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_layout(path, "key", POINTS, "UMAP")
    stored = read_layout(path, "key")
    assert stored is not None
    assert (stored[0] == POINTS).all()
    assert stored[1] == "UMAP"
    assert read_layout(path, "another") is None
    first = path.read_bytes()
    write_layout(path, "key", POINTS, "UMAP")
    assert path.read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no layout", None])
def test_what_is_no_layout_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "layout.parquet"
    if content is not None:
        path.write_bytes(content)
    assert read_layout(path, "key") is None


def test_any_damage_is_none_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "layout.parquet"
    write_layout(path, "key", POINTS, "UMAP")
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert read_layout(path, "key") is None
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        stored = read_layout(path, "key")
        assert stored is None or stored[0].shape == (2, 2)
