"""How well `imgcluster assign` puts new images into existing clusters, on the labelled sets of photographs.

For each set, in several splits: 80 % of the images are clustered with the number of kinds given, the others assigned.

- accuracy of the assigned images (Hungarian), beside that of the same images if everything is clustered at once;
- calibration: right is an image whose kind is the most frequent one of its cluster;
- new kinds: one kind is left out of the 80 %, in turn; the share of its images that end outside of all clusters, and
  the share of new images of other kinds that do.

    python -m benchmarks.assign [--splits 5] [--picture docs/assign.png]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.clustering import Settings
from imgcluster.clustering.assign import assign_new
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.features.normalize import normalize_features
from imgcluster.types import Labels, Vectors

NEW = 0.2
BINS = 10
Pairs = list[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--picture", help="write a reliability diagram")
    options = parser.parse_args()
    print(machine())
    print(f"\nmean of {options.splits} splits\n{'':22} accuracy  at once   ECE   new kinds outside  others outside")
    everything: Pairs = []
    for folder in sorted(path for path in (data_folder() / "photo-sets").iterdir() if path.is_dir()):
        vectors, kinds = _embedded(folder)
        accuracies, pairs = zip(*_assigned(vectors, kinds, options.splits), strict=True)
        ours, at_once = np.mean(accuracies, axis=0)
        found, false = np.mean(list(_new_kinds(vectors, kinds)), axis=0)
        everything.extend(pairs)
        error = calibration_error(list(pairs))
        print(f"{folder.name:22} {ours:8.3f} {at_once:8.3f} {error:6.3f} {found:15.2f} {false:15.2f}", flush=True)
    print(f"{'all':22} {'':17} {calibration_error(everything):6.3f}")
    if options.picture:
        draw(everything, options.picture)
    _speed()


def _embedded(folder: Path) -> tuple[Vectors, Labels]:
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folder, workspace=workspace)
        collection = imgcluster.load(workspace)
    kinds = np.unique([Path(path).parent.name for path in collection.paths], return_inverse=True)[1]
    return normalize_features(collection.vectors, "cosine"), kinds.astype(np.int64)


def _assigned(
    vectors: Vectors, kinds: Labels, splits: int
) -> Iterator[tuple[tuple[float, float], tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]]:
    count = int(kinds.max()) + 1
    at_once, _ = _clustered(vectors, count)
    for seed in range(splits):
        new = np.random.default_rng(seed).random(len(kinds)) < NEW
        labels = np.full(len(kinds), -1)
        labels[~new], stability = _clustered(vectors[~new], count)
        layer = assign_new(vectors, labels, new, stability)
        labels[new] = layer.labels
        inside = layer.labels >= 0
        most = _table(labels[~new], kinds[~new]).argmax(axis=1)
        right = most[layer.labels[inside]] == kinds[new][inside]
        ours = float((_matched(labels[~new], kinds[~new])[layer.labels] == kinds[new])[inside].sum() / new.sum())
        usual = float((_matched(at_once, kinds)[at_once[new]] == kinds[new]).mean())
        yield (ours, usual), (layer.confidence[inside].astype(np.float64), right)


def _new_kinds(vectors: Vectors, kinds: Labels) -> Iterator[tuple[float, float]]:
    for kind in range(int(kinds.max()) + 1):
        new = (np.random.default_rng(kind).random(len(kinds)) < NEW) | (kinds == kind)
        labels = np.full(len(kinds), -1)
        labels[~new], stability = _clustered(vectors[~new], int(kinds.max()))
        outside = assign_new(vectors, labels, new, stability).labels < 0
        yield float(outside[kinds[new] == kind].mean()), float(outside[kinds[new] != kind].mean())


def _clustered(vectors: Vectors, count: int) -> tuple[Labels, tuple[float | None, ...]]:
    settings = Settings.of(count, min_cluster_size=None, seed=0)
    result = cluster_embeddings(vectors, "cosine", method="kmeans", reduction="graph", settings=settings, assign=False)
    return result.clustering.labels, result.stability[result.clustering.chosen]


def _table(labels: Labels, kinds: Labels) -> npt.NDArray[np.int64]:
    table = np.zeros((labels.max() + 1, kinds.max() + 1), dtype=np.int64)
    np.add.at(table, (labels, kinds), 1)
    return table


def _matched(labels: Labels, kinds: Labels) -> Labels:
    """Return the kind of each cluster in the best one-to-one matching; −1 for none, also as the last entry."""
    rows, columns = linear_sum_assignment(-_table(labels, kinds))
    matched = np.full(labels.max() + 2, -1)
    matched[rows] = columns
    return matched


def calibration_error(pairs: Pairs) -> float:
    """Return the expected calibration error of confidences, in ten equal bins (Guo et al. 2017)."""
    confidence, right = (np.concatenate(values) for values in zip(*pairs, strict=True))
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(
        sum(
            (bins == number).mean() * abs(confidence[bins == number].mean() - right[bins == number].mean())
            for number in np.unique(bins)
        )
    )


def draw(pairs: Pairs, path: str) -> None:
    """Write a reliability diagram: the share of right images by confidence."""
    from matplotlib.figure import Figure

    confidence, right = (np.concatenate(values) for values in zip(*pairs, strict=True))
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    numbers = [number for number in range(BINS) if (bins == number).sum() >= 10]
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linewidth=1)
    x = [confidence[bins == number].mean() for number in numbers]
    axes.plot(x, [right[bins == number].mean() for number in numbers], marker="o", color="#4477aa")
    for number, at in zip(numbers, x, strict=True):
        height = right[bins == number].mean()
        axes.annotate(f"{(bins == number).sum():,}", (at, height), (4, -10), textcoords="offset points", fontsize=8)
    axes.set(xlabel="confidence", ylabel="share of right images", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path, dpi=100)


def _speed(known: int = 100_000, new: int = 1000, runs: int = 3) -> None:
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(50, 1280)).astype(np.float32)
    labels = generator.integers(0, 50, known + new)
    vectors = centers[labels] + generator.normal(0, 1.5, (known + new, 1280)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    mask = np.arange(known + new) >= known
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        assign_new(vectors, labels, mask, [1.0] * 50)
        seconds.append(time.perf_counter() - started)
    print(f"\n{new:,} new vectors of 1,280 values to {known:,}: {statistics.median(seconds):.1f} s, median of {runs}")


if __name__ == "__main__":
    main()
