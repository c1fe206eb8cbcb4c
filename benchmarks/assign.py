"""How well `imgcluster assign` puts new images into existing clusters, on the labelled sets of photographs.

For each set, in many splits: 80 % of the images are clustered with the number of kinds given, the others assigned.

- accuracy of the assigned images (Hungarian), beside that of the same images if everything is clustered at once, with
  the standard error of the mean difference; and the difference for the other 80 %, which no assignment can change;
- calibration: right is an image whose kind is the most frequent one of its cluster;
- new kinds: one kind is left out of the 80 %, in turn; the share of its images that end outside of all clusters, for
  all kinds and the one that is found worst, and the share of new images of other kinds that do.

`--constants` measures the constants of `imgcluster/clustering/assign.py` and `imgcluster/features/neighborhood.py`
instead; `--set` measures one folder of photographs instead of those with which they were chosen.

    python -m benchmarks.assign [--splits 40] [--set FOLDER] [--picture docs/reliability.png] [--constants]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.clustering import Settings
from imgcluster.clustering import assign as rules
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.clustering.types import Layer
from imgcluster.features import neighborhood as walks
from imgcluster.features.duplicate_vectors import content_order
from imgcluster.features.neighborhood import find_neighborhood
from imgcluster.features.normalize import normalize_features
from imgcluster.types import Labels, Vectors

NEW = 0.2
BINS = 10
# Of each kind that is left out.
NEW_KIND_SPLITS = 10
Mask = npt.NDArray[np.bool_]
Pairs = list[tuple[npt.NDArray[np.float64], Mask]]


@dataclass(frozen=True, slots=True)
class Split:
    """The clusters of the images that are not new; `kind` is the one that is left out, or −1."""

    new: Mask
    labels: Labels
    kind: int


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Features and kinds of a set of photographs, its clusters at once, and its splits."""

    name: str
    vectors: Vectors
    kinds: Labels
    at_once: Labels
    splits: tuple[Split, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--set", type=Path, action="append", help="a folder with a folder of images for each kind")
    parser.add_argument("--picture", help="write a reliability diagram")
    parser.add_argument("--constants", action="store_true")
    options = parser.parse_args()
    print(machine())
    folders = options.set or sorted(path for path in (data_folder() / "photo-sets").iterdir() if path.is_dir())
    sets = [_prepared(folder, options.splits) for folder in folders]
    if options.constants:
        _constants(sets)
        return
    print(f"\nmean of {options.splits} splits; {NEW_KIND_SPLITS} for each new kind")
    print(f"{'':22} accuracy  at once  difference        earlier images   ECE   new kind outside (worst)  others")
    everything: Pairs = []
    for photos in sets:
        pairs, figures = _measured(photos)
        everything.extend(pairs)
        print(f"{photos.name:22} {figures}", flush=True)
    print(f"{'all':22} {'':50} {calibration_error(everything):6.3f}")
    if options.picture:
        draw(everything, options.picture)
    _speed()


def _prepared(folder: Path, splits: int) -> PhotoSet:
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folder, workspace=workspace)
        collection = imgcluster.load(workspace)
    kinds = np.unique([Path(path).parent.name for path in collection.paths], return_inverse=True)[1].astype(np.int64)
    count = int(kinds.max()) + 1

    def split(seed: int, kind: int) -> Split:
        new = (np.random.default_rng(seed).random(len(kinds)) < NEW) | (kinds == kind)
        labels = np.full(len(kinds), -1)
        labels[~new] = _clustered(collection.vectors[~new], count - (kind >= 0))
        return Split(new, labels, kind)

    ordinary = [split(seed, -1) for seed in range(splits)]
    left_out = [split(1000 + 100 * seed + kind, kind) for kind in range(count) for seed in range(NEW_KIND_SPLITS)]
    at_once = _clustered(collection.vectors, count)
    vectors = normalize_features(collection.vectors, "cosine")
    return PhotoSet(folder.name, vectors, kinds, at_once, (*ordinary, *left_out))


def _measured(photos: PhotoSet) -> tuple[Pairs, str]:
    pairs, rows = [], []
    usual = _matched(photos.at_once, photos.kinds)[photos.at_once] == photos.kinds
    for split in photos.splits:
        if split.kind < 0:
            labels, confidence = split.labels.copy(), np.zeros(len(split.new))
            layer = _assigned(photos, split)
            labels[split.new], confidence[split.new] = layer.labels, layer.confidence
            right = _matched(split.labels[~split.new], photos.kinds[~split.new])[labels] == photos.kinds
            rows.append([values[part].mean() for part in (split.new, ~split.new) for values in (right, usual)])
            pairs.append(_confidences(photos, split, layer))
    ours, at_once, earlier, earlier_at_once = np.transpose(rows)
    found, worst, false = _new_kinds(photos)
    differences = ours - at_once
    error = differences.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.nan
    return pairs, (
        f"{ours.mean():8.3f} {at_once.mean():8.3f}  {differences.mean():+.3f} ± {error:.3f}"
        f" {(earlier - earlier_at_once).mean():+14.3f} {calibration_error(pairs):12.3f}"
        f" {found:8.2f} ({worst:.2f}) {false:18.2f}"
    )


def _assigned(photos: PhotoSet, split: Split) -> Layer:
    order = content_order(photos.vectors)
    return rules.assign_new(find_neighborhood(photos.vectors, split.new, split.labels, order), split.labels, split.new)


def _confidences(photos: PhotoSet, split: Split, layer: Layer) -> tuple[npt.NDArray[np.float64], Mask]:
    inside = layer.labels >= 0
    most = _table(split.labels[~split.new], photos.kinds[~split.new]).argmax(axis=1)
    return layer.confidence[inside].astype(np.float64), most[layer.labels[inside]] == photos.kinds[split.new][inside]


def _new_kinds(photos: PhotoSet) -> tuple[float, float, float]:
    """Return the share of new kinds outside of all clusters, of the kind that is found worst, and of other images."""
    found: dict[int, list[float]] = {}
    false = []
    for split in photos.splits:
        if split.kind >= 0:
            outside, kinds = _assigned(photos, split).labels < 0, photos.kinds[split.new]
            found.setdefault(split.kind, []).append(float(outside[kinds == split.kind].mean()))
            false.append(float(outside[kinds != split.kind].mean()))
    shares = [statistics.mean(values) for values in found.values()]
    return statistics.mean(shares), min(shares), statistics.mean(false)


def _constants(sets: list[PhotoSet]) -> None:
    """Print the figures for other values of the constants."""
    print("\nnew kinds outside / others outside / new images outside where no kind is new, by steps and share")
    for steps in (2, 3, 4, 6):
        for share in (0.2, 0.25, 0.3, 0.35, 0.4):
            print(
                f"{steps} {share:4.2f}  " + "  ".join(_with(_novelty, photos, steps, share) for photos in sets),
                flush=True,
            )
    print("\nsmallest new kind")
    for size in (1, 5, 10):
        print(f"{size:2}  " + "  ".join(_with(_novelty, photos, size=size) for photos in sets), flush=True)
    print("\nodds of the right cluster by the margin, from the other sets, and the error; last, from all sets")
    margins = [_pooled(photos) for photos in sets]
    for number, photos in enumerate(sets):
        others = margins[:number] + margins[number + 1 :]
        if others:
            odds = _fitted(others)
            expected = 1 / (1 + np.exp(-(odds[0] + odds[1] * margins[number][0])))
            print(f"{photos.name:22} {odds} {calibration_error([(expected, margins[number][1])]):.3f}")
    print(f"{'all':22} {_fitted(margins)}")


def _with(measure: Any, photos: PhotoSet, steps: int = 3, share: float = 0.3, size: int = 5) -> str:
    usual = walks._STEPS, rules._NEW_SHARE, rules._SMALLEST_KIND
    walks._STEPS, rules._NEW_SHARE, rules._SMALLEST_KIND = steps, share, size  # type: ignore[misc]
    result = measure(photos)
    walks._STEPS, rules._NEW_SHARE, rules._SMALLEST_KIND = usual  # type: ignore[misc]
    return str(result)


def _novelty(photos: PhotoSet) -> str:
    found, _, false = _new_kinds(photos)
    none = statistics.mean(
        float((_assigned(photos, split).labels < 0).mean()) for split in photos.splits if split.kind < 0
    )
    return f"{found:.2f}/{false:.3f}/{none:.3f}"


def _pooled(photos: PhotoSet) -> tuple[npt.NDArray[np.float64], Mask]:
    """Return the margins of the assigned images of all splits, and which are right."""
    pairs = [_confidences(photos, split, _assigned(photos, split)) for split in photos.splits if split.kind < 0]
    confidence, right = (np.concatenate(values) for values in zip(*pairs, strict=True))
    intercept, slope = rules._ODDS
    return (np.log(confidence / (1 - confidence)) - intercept) / slope, right


def _fitted(pairs: Pairs) -> npt.NDArray[np.float64]:
    """Return intercept and slope of a logistic regression in which each set has the same weight."""
    from sklearn.linear_model import LogisticRegression

    margin, right = (np.concatenate(values) for values in zip(*pairs, strict=True))
    weights = np.concatenate([np.full(len(values), len(margin) / len(pairs) / len(values)) for values, _ in pairs])
    fit = LogisticRegression(C=1e4).fit(margin[:, None], right, sample_weight=weights)
    return np.round([fit.intercept_[0], fit.coef_[0, 0]], 2)


def _clustered(vectors: Vectors, count: int) -> Labels:
    settings = Settings.of(count, min_cluster_size=None, seed=0)
    result = cluster_embeddings(vectors, "cosine", method="kmeans", reduction="graph", settings=settings, assign=False)
    return result.clustering.labels


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
    order = generator.permutation(known + new)
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        rules.assign_new(find_neighborhood(vectors, mask, labels, order), labels, mask)
        seconds.append(time.perf_counter() - started)
    print(f"\n{new:,} new vectors of 1,280 values to {known:,}: {statistics.median(seconds):.1f} s, median of {runs}")
    _speed_of_command(vectors, known, runs)


def _speed_of_command(vectors: Vectors, known: int, runs: int) -> None:
    """Print what `imgcluster assign` takes for the vectors after the `known` ones, start to end."""
    seconds, processor_seconds = [], []
    with tempfile.TemporaryDirectory() as name:
        folder, clustered, grown = Path(name), Path(name) / "clustered", Path(name) / "grown"

        def run(*arguments: str, workspace: Path) -> None:
            command = [sys.executable, "-m", "imgcluster", *arguments, "--workspace", str(workspace), "--quiet"]
            subprocess.run(command, check=True)

        def add(count: int) -> None:
            np.save(folder / "vectors.npy", vectors[:count])
            (folder / "paths.txt").write_text("\n".join(f"{number:06d}.jpg" for number in range(count)))
            run("import", f"{folder}/vectors.npy", "--paths", f"{folder}/paths.txt", workspace=clustered)

        add(known)
        run("cluster", "--k", "50", "--place", "none", workspace=clustered)
        add(len(vectors))
        for _ in range(runs):
            shutil.copytree(clustered, grown)
            before, started = os.times(), time.perf_counter()
            run("assign", workspace=grown)
            after = os.times()
            seconds.append(time.perf_counter() - started)
            processor_seconds.append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
            shutil.rmtree(grown)
    wall, processor = statistics.median(seconds), statistics.median(processor_seconds)
    print(f"the whole command: {wall:.1f} s, {processor:.1f} s of CPU time, medians of {runs}")


if __name__ == "__main__":
    main()
