"""Vectors whose groups are known, and what holds for every clustering of any."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

import imgcluster
from imgcluster.clustering import Settings
from imgcluster.clustering.types import Clustering, Layer
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.reduce import Reduced
from imgcluster.types import Vectors

FAST_METHODS = ["kmeans", "hdbscan"]


def blobs(sizes: list[int], *, dimensions: int = 16, spread: float = 0.1, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    """Return points around centres that are 10 apart or more, and the number of each point's centre."""
    generator = np.random.default_rng(seed)
    centres = 10.0 * np.eye(len(sizes), dimensions)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    points = centres[truth] + spread * generator.normal(size=(len(truth), dimensions))
    return points.astype(np.float32), truth


def loose_groups(count: int, each: int, *, dimensions: int, spread: float, seed: int) -> tuple[Vectors, np.ndarray]:
    """Return vectors of length 1 around `count` random directions; noise of length `spread` is added to each."""
    generator = np.random.default_rng(seed)
    centres = l2_normalize(generator.normal(size=(count, dimensions)).astype(np.float32))
    truth = np.repeat(np.arange(count), each)
    noise = generator.normal(size=(len(truth), dimensions)) * spread / np.sqrt(dimensions)
    return l2_normalize((centres[truth] + noise).astype(np.float32)), truth


def scattered(count: int, dimensions: int = 8, *, seed: int = 0) -> Vectors:
    """Return points without any groups."""
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def plain(vectors: Vectors) -> Reduced:
    """Return vectors as the space to cluster, without any reduction."""
    return Reduced(vectors, "none")


def one_layer(labels: list[int] | np.ndarray, confidence: list[float] | np.ndarray | None = None) -> Clustering:
    """Return a clustering of one layer, in which nobody has a runner-up."""
    numbers = np.asarray(labels, np.int64)
    sure = (numbers >= 0).astype(np.float32) if confidence is None else np.asarray(confidence, np.float32)
    return Clustering((Layer(numbers, sure, np.full(len(numbers), -1, np.int64)),), 0, {})


def settings_for(method: str, *, k: int = 3, min_cluster_size: int | None = None, seed: int = 0) -> Settings:
    if method == "kmeans":
        return Settings(k=k, seed=seed)
    return Settings(min_cluster_size=min_cluster_size, seed=seed)


def same_partition(labels: np.ndarray, truth: np.ndarray) -> bool:
    pairs = set(zip(labels.tolist(), truth.tolist(), strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(truth.tolist()))


def lies_within(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether every fine cluster lies in one coarse cluster."""
    return len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == len(set(fine.tolist()))


def assert_well_formed(clustering: Clustering, count: int) -> None:
    assert 0 <= clustering.chosen < len(clustering.layers)
    for layer in clustering.layers:
        _assert_layer(layer, count)
    counts = [layer.count for layer in clustering.layers]
    assert counts == sorted(counts, reverse=True), "the finest first"


def _assert_layer(layer: Layer, count: int) -> None:
    labels, confidence, runner_up = layer.labels, layer.confidence, layer.runner_up
    assert (labels.dtype, labels.shape) == (np.int64, (count,))
    assert (confidence.dtype, confidence.shape) == (np.float32, (count,))
    assert (runner_up.dtype, runner_up.shape) == (np.int64, (count,))
    assert np.all((confidence >= 0) & (confidence <= 1))
    assert np.all(confidence[labels < 0] == 0)
    assert labels.min(initial=0) >= -1
    sizes = np.bincount(labels[labels >= 0], minlength=layer.count)
    assert np.all(sizes > 0), "every number up to the last is a cluster"
    assert np.all(np.diff(sizes) <= 0), "the largest first"
    assert np.all((runner_up >= -1) & (runner_up < layer.count))
    assert not np.any((runner_up == labels) & (labels >= 0)), "nobody is second to itself"


def output_with_threads(program: str, threads: int) -> str:
    """Return what a program of Python's prints in a process that may use so many threads."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONPATH": str(Path(imgcluster.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def peak_bytes(function: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy hold at once during the second of two calls."""
    function()  # imports, and what is cached
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
