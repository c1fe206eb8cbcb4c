"""Cached layers: they come back as they were, under the same key only, and a damaged file is no clustering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcluster.types import Candidate, Clustering, ClusteringResult, Layer
from imgcluster.workspace.caches import read_kept, write_kept

KEY = {"imgcluster": "1", "fingerprint": "ab", "options": {"k": None, "seed": 0}}


def kept() -> ClusteringResult:
    generator = np.random.default_rng(0)
    layers = tuple(
        Layer(
            generator.integers(-1, k, 40),
            generator.random(40).astype(np.float32),
            generator.integers(-1, k, 40),
        )
        for k in (6, 3)
    )
    candidates = (Candidate(2, 0.5, 0.25, 1.5, False), Candidate(3, 0.75, 1.0, 2.5, True))
    parameters = {"starts": 8, "k": 3, "k_range": [2, 30], "inertia": 1 / 3}
    return ClusteringResult(Clustering(layers, 1, parameters, candidates), "some way", ((0.5, None, 1.0), (1.0,)))


def test_everything_comes_back(tmp_path: Path) -> None:
    before = kept()
    write_kept(tmp_path / "layers.parquet", KEY, before)
    after = read_kept(tmp_path / "layers.parquet", KEY)
    assert after is not None
    assert (after.note, after.stability) == (before.note, before.stability)
    assert (after.clustering.chosen, after.clustering.candidates) == (1, before.clustering.candidates)
    # In their order too: metrics.json shows them.
    assert list(after.clustering.parameters.items()) == list(before.clustering.parameters.items())
    for old, new in zip(before.clustering.layers, after.clustering.layers, strict=True):
        for name in ("labels", "confidence", "runner_up"):
            assert getattr(new, name).dtype == getattr(old, name).dtype
            assert np.array_equal(getattr(new, name), getattr(old, name))


@pytest.mark.parametrize(
    "other",
    [
        KEY | {"fingerprint": "cd"},
        KEY | {"imgcluster": "2"},
        KEY | {"options": {"k": None, "seed": 1}},
        KEY | {"options": {"k": "auto", "seed": 0}},
        {},
    ],
)
def test_under_another_key_there_is_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    write_kept(tmp_path / "layers.parquet", KEY, kept())
    assert read_kept(tmp_path / "layers.parquet", other) is None


def test_where_nothing_was_kept(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "layers.parquet", KEY) is None
    (tmp_path / "layers.parquet").mkdir()
    assert read_kept(tmp_path / "layers.parquet", KEY) is None


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_nothing(tmp_path: Path, part: float) -> None:
    path = tmp_path / "layers.parquet"
    write_kept(path, KEY, kept())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert read_kept(path, KEY) is None


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_kept(tmp_path / name, KEY, kept())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
