"""The cached clustering: read for the same key only; a damaged file is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcluster.clustering.types import Candidate, Clustering, ClusteringResult, FitNotes, Layer
from imgcluster.workspace.caches import read_clustering, write_clustering

KEY = {"imgcluster": "1", "fingerprint": "ab", "options": {"k": None, "seed": 0}}


def clustering_result() -> ClusteringResult:
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
    clustering = Clustering(layers, 1, parameters, candidates, FitNotes(better_k=2, sample=1000))
    return ClusteringResult(clustering, "some method", ((0.5, None, 1.0), (1.0,)))


def test_everything_is_read_back(tmp_path: Path) -> None:
    before = clustering_result()
    write_clustering(tmp_path / "layers.parquet", KEY, before)
    after = read_clustering(tmp_path / "layers.parquet", KEY)
    assert after is not None
    assert (after.note, after.stability) == (before.note, before.stability)
    assert (after.clustering.chosen, after.clustering.candidates) == (1, before.clustering.candidates)
    assert after.clustering.notes == before.clustering.notes
    # Their order is kept, too: metrics.json contains them.
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
def test_another_key_finds_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    write_clustering(tmp_path / "layers.parquet", KEY, clustering_result())
    assert read_clustering(tmp_path / "layers.parquet", other) is None


def test_a_missing_cache(tmp_path: Path) -> None:
    assert read_clustering(tmp_path / "layers.parquet", KEY) is None
    (tmp_path / "layers.parquet").mkdir()
    assert read_clustering(tmp_path / "layers.parquet", KEY) is None


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_ignored(tmp_path: Path, part: float) -> None:
    path = tmp_path / "layers.parquet"
    write_clustering(path, KEY, clustering_result())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert read_clustering(path, KEY) is None


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_clustering(tmp_path / name, KEY, clustering_result())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
