"""How true the map is, and how long it takes beside scikit-learn's t-SNE, openTSNE and UMAP on the same vectors.

For each of the labelled sets of photographs: the share of images whose cluster, and whose kind, is the most frequent
one among their ten nearest neighbors on the map. Then seconds for drawn vectors, every method once per run, in turns.
openTSNE and UMAP are left out where they are not installed.

    python -m benchmarks.map [--images 1700 --images 10000 --images 100000] [--runs 2] [--peers-up-to 10000]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.features.neighbors import nearest_neighbors
from imgcluster.features.normalize import normalize_features
from imgcluster.report.projection import project
from imgcluster.types import Labels, Vectors

SIZE = 1280
CENTERS = 40
NEIGHBORS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--peers-up-to", type=int, default=10_000, help="above this, only our own map is timed")
    options = parser.parse_args()
    print(machine())
    print(f"\n{'photographs':22} images  cluster recovered  kind recovered  trustworthiness")
    for folder in sorted(path for path in (data_folder() / "photo-sets").iterdir() if path.is_dir()):
        print(f"{folder.name:22} {quality(folder)}", flush=True)
    for count in options.images or [1700, 10_000, 100_000]:
        seconds(count, options.runs, peers=count <= options.peers_up_to)


def quality(folder: Path) -> str:
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folder, workspace=workspace)
        imgcluster.cluster(workspace=workspace, place="none")
        collection = imgcluster.load(workspace)
    assert collection.labels is not None
    vectors = normalize_features(collection.vectors, "cosine")
    kinds = np.unique([Path(path).parent.name for path in collection.paths], return_inverse=True)[1]
    points = project(vectors).points
    shares = [vote(points, labels) for labels in (collection.labels + 1, kinds)]
    true = trustworthiness(vectors, points, n_neighbors=NEIGHBORS)
    return f"{len(points):6,} {shares[0]:18.3f} {shares[1]:15.3f} {true:16.3f}"


def vote(points: Vectors, labels: Labels) -> float:
    """Return the share of points whose label is the most frequent one among their nearest neighbors."""
    _, nearest = nearest_neighbors(points, NEIGHBORS)
    counts = np.zeros((len(points), labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (np.arange(len(points))[:, None], labels[nearest]), 1)
    return float((counts.argmax(axis=1) == labels).mean())


def seconds(count: int, runs: int, *, peers: bool) -> None:
    """Print the seconds of every method for `count` drawn vectors, as a ratio to ours."""
    vectors = make_blobs(count, SIZE, centers=CENTERS, cluster_std=6.0, random_state=0)[0].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    methods: dict[str, Callable[[], object]] = {"imgcluster": lambda: project(vectors)}
    if peers:
        methods |= _peers(vectors)
    taken: dict[str, list[float]] = {title: [] for title in methods}
    for _ in range(runs):
        for title, call in methods.items():
            started = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call()
            taken[title].append(time.perf_counter() - started)
    ours = statistics.median(taken["imgcluster"])
    print(f"\n{count:,} vectors of {SIZE:,} values, median of {runs} runs in turns")
    for title, values in taken.items():
        median = statistics.median(values)
        print(f"  {title:44} {median:6.1f} s, {median / ours:5.2f} times ours", flush=True)


def _peers(vectors: Vectors) -> dict[str, Callable[[], object]]:
    def directions() -> Vectors:
        return np.asarray(PCA(50, random_state=0).fit_transform(vectors), dtype=np.float32)

    peers: dict[str, Callable[[], object]] = {
        "scikit-learn's t-SNE of 50 components": lambda: TSNE(init="pca", n_jobs=1).fit_transform(directions())
    }
    if importlib.util.find_spec("openTSNE"):
        import openTSNE

        peers["openTSNE of 50 components"] = lambda: openTSNE.TSNE(n_jobs=2, random_state=0).fit(directions())
    if importlib.util.find_spec("umap"):
        import umap

        peers["UMAP of 50 components (first run compiles)"] = lambda: umap.UMAP().fit_transform(directions())
    return peers


if __name__ == "__main__":
    main()
