"""`cluster` and `outliers` on many vectors (``make bench-scale``), and parts of them beside their peers, in turns.

Vectors of 300 groups of unequal sizes that overlap, in 30 of the directions; all others are noise. Seconds are
wall-clock and processor time of the whole process: where other programs run as well, only the second is comparable.
`python -m benchmarks.scale [COUNTxDIMENSIONS …] [--rounds N]`; without sizes only the parts are measured.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

import imgcluster
from benchmarks.common import machine
from imgcluster.clustering.density import hdbscan
from imgcluster.clustering.kmeans import fit_kmeans_with_restarts
from imgcluster.clustering.settings import Settings
from imgcluster.clustering.spanning_tree import minimum_spanning_tree
from imgcluster.features import neighbors
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.reduce import Reduced
from imgcluster.types import Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter

GROUPS = 300
DIRECTIONS = 30
AT_ONCE = 8192

# In a process of its own, whose peak is its own.
PROGRAM = """
import resource, sys, time, imgcluster
start = time.perf_counter()
if sys.argv[2] == "outliers":
    imgcluster.outliers(workspace=sys.argv[1])
else:
    imgcluster.cluster(workspace=sys.argv[1], k=int(sys.argv[2]), place="none")
use = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - start, use.ru_utime + use.ru_stime, use.ru_maxrss * 1024 / 1e9)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", help="such as 100000x1280")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    if not arguments.sizes:
        kmeans(arguments.rounds)
        search(arguments.rounds)
        density(arguments.rounds)
        trees()
    for size in arguments.sizes:
        count, dimensions = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, count, dimensions)
            vectors = count * dimensions * 4 / 1e9
            for what, name in (
                ("10", "cluster --k 10"),
                ("11", "cluster --k 11, with the stored graph"),
                ("outliers", "outliers"),
            ):
                command = [sys.executable, "-c", PROGRAM, folder, what]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, used, peak = map(float, output.split())
                print(
                    f"{name}, {count:,} × {dimensions}: {seconds:.0f} s, processor {used:.0f} s, "
                    f"peak memory {peak:.2f} GB, {peak / vectors:.2f} times the vectors",
                    flush=True,
                )


def kmeans(rounds: int) -> None:
    """k-means of 500,000 × 128 with 200 clusters, beside scikit-learn's."""
    vectors = np.concatenate(list(groups(500_000, 128)))
    inertias: dict[str, float] = {}

    def ours() -> None:
        inertias["ours"] = fit_kmeans_with_restarts(vectors, 200, seed=0)[1]

    def peer() -> None:
        inertias["peer"] = float(KMeans(200, n_init=1, random_state=0).fit(vectors).inertia_)

    compare("k-means, 500,000 × 128, k = 200", {"KMeans(n_init=1)": peer, "ours": ours}, rounds)
    print(f"inertia {inertias['ours'] / inertias['peer']:.4f} of the peer's")


def search(rounds: int) -> None:
    """30 neighbors of 100,000 × 100, in the nearest cells and exact."""
    vectors = np.concatenate(list(groups(100_000, 100)))
    found: dict[str, np.ndarray] = {}
    budget = neighbors._EXACT_BUDGET

    def run(name: str, limit: float) -> None:
        neighbors._EXACT_BUDGET = limit  # type: ignore[misc]
        found[name] = nearest_neighbors(vectors, 30)[1]
        neighbors._EXACT_BUDGET = budget  # type: ignore[misc]

    ways = {"exact": lambda: run("exact", np.inf), "cells": lambda: run("cells", budget)}
    compare("30 neighbors, 100,000 × 100", ways, rounds)
    hits = [len(np.intersect1d(*pair)) / 30 for pair in zip(found["exact"][::50], found["cells"][::50], strict=True)]
    print(f"recall {np.mean(hits):.4f}")


def density(rounds: int) -> None:
    """HDBSCAN of 70,000 × 10, beside `fast_hdbscan` where it is installed."""
    try:
        from fast_hdbscan import HDBSCAN
    except ImportError:
        print("fast_hdbscan is not installed, so HDBSCAN is not compared")
        return
    reduced = Reduced(np.concatenate(list(groups(70_000, 10))), "")
    result = hdbscan(reduced, Settings())
    smallest, samples = result.parameters["min_cluster_size"], result.parameters["min_samples"]
    # Compiled before it is measured.
    HDBSCAN(min_cluster_size=smallest, min_samples=samples).fit(reduced.vectors[:2000])

    def peer() -> None:
        HDBSCAN(min_cluster_size=smallest, min_samples=samples).fit(reduced.vectors)

    ways = {"fast_hdbscan": peer, "ours": lambda: hdbscan(reduced, Settings()) and None}
    compare("HDBSCAN, 70,000 × 10", ways, rounds)


def trees() -> None:
    """The spanning tree of 3,000 groups of 20 near-duplicates, beside that of the package `hdbscan`."""
    from hdbscan import HDBSCAN

    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(3000, 1, 10)) + 1e-3 * generator.normal(size=(3000, 20, 10))
    vectors = vectors.reshape(-1, 10).astype(np.float32)
    model = HDBSCAN(min_samples=1, core_dist_n_jobs=1, gen_min_span_tree=True).fit(vectors.astype(np.float64))
    lengths = minimum_spanning_tree(vectors, 1)[:, 2], model.minimum_spanning_tree_.to_numpy()[:, 2]
    print(f"spanning tree of near-duplicates: {lengths[0].sum() / lengths[1].sum():.3f} of the peer's length")


def compare(title: str, ways: dict[str, Callable[[], None]], rounds: int) -> None:
    """Run the ways in turns and print the medians."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    used: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            start, processor = time.perf_counter(), time.process_time()
            run()
            wall[name].append(time.perf_counter() - start)
            used[name].append(time.process_time() - processor)
    first, second = ways
    for name in ways:
        print(
            f"{title}, {name}: {statistics.median(wall[name]):.1f} s, processor {statistics.median(used[name]):.1f} s"
        )
    for what, times in (("wall-clock", wall), ("processor", used)):
        ratio = statistics.median(one / two for one, two in zip(times[first], times[second], strict=True))
        print(f"{title}: {second} takes 1/{ratio:.1f} of the {what} time", flush=True)


def groups(count: int, dimensions: int) -> Iterator[Vectors]:
    """Yield blocks of vectors."""
    generator = np.random.default_rng(0)
    inner = min(DIRECTIONS, dimensions)
    centers = 1.5 * generator.standard_normal((GROUPS, inner), dtype=np.float32)
    directions = generator.standard_normal((inner, dimensions), dtype=np.float32)
    shares = generator.pareto(1.5, GROUPS) + 0.2
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        inside = centers[generator.choice(GROUPS, size, p=shares / shares.sum())]
        inside = inside + generator.standard_normal(inside.shape, dtype=np.float32)
        yield inside @ directions + np.float32(0.5) * generator.standard_normal((size, dimensions), dtype=np.float32)


def fill(folder: str, count: int, dimensions: int) -> None:
    """Make a workspace of vectors without images, as `import` would leave it."""
    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as files:
        np.save(Path(files) / "first.npy", np.ones((1, dimensions), np.float32))
        (Path(files) / "first.txt").write_text("first.jpg\n", encoding="utf-8")
        imgcluster.import_vectors(
            Path(files) / "first.npy", Path(files) / "first.txt", workspace=folder, root="/images"
        )
    workspace = Workspace(folder)
    writer = ShardWriter(workspace.embeddings, workspace.manifest["encoder"]["identity"])
    number = 0
    for block in groups(count - 1, dimensions):
        rows = []
        for vector in block:
            number += 1
            path = f"{number // 1000:05d}/{number:08d}.jpg"
            rows.append(Row(path, "/images", 1, 1, generator.bytes(16), 64, 64, vector))
        writer.add(rows)
    writer.flush()


if __name__ == "__main__":
    main()
