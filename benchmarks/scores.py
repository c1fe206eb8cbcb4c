"""The scores in the README and on the cards: `imgcluster cluster` on whole data sets, with and without `--k`.

All images of a set, training and test together, as the literature does; labels are used for scoring only. The images
are clustered in the order of the set and in random orders, which must give the same clusters, and in five random
samples of 80 % with another seed each. Prints a table of the scores of all images and, in brackets, their mean and
range over the samples, and writes all of them beside this script (`scores.json`).
`python -m benchmarks.scores [SET …] [--rows kmeans hdbscan] [--samples N] [--orders N]`
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster import Encoder
from imgcluster.clustering import Settings, cluster_vectors
from imgcluster.evaluation.external import score
from imgcluster.features.duplicate_vectors import content_order
from imgcluster.features.normalize import normalize_features
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.types import Metric
from imgcluster_training.data.datasets import load_dataset

SAMPLES = 5
ORDERS = 2
SHARE = 0.8
METHODS = ("kmeans", "hdbscan")
RESULTS = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Case:
    """A data set, the encoder it is embedded with, and its number of classes."""

    dataset: str
    encoder: str
    classes: int = 10


CASES = (
    Case("mnist", "mnist"),
    Case("mnist", "a-mnist"),
    Case("fashion-mnist", "fashion-mnist"),
    Case("cifar10", "cifar10"),
    Case("photos", "photos"),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", help="mnist, fashion-mnist, cifar10, photos; all without any")
    parser.add_argument("--rows", nargs="*", choices=METHODS, default=METHODS, help="by default all")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--orders", type=int, default=ORDERS)
    options = parser.parse_args()
    print(f"{machine()}; all images in {options.orders + 1} orders (mean, range of {options.samples} samples of 80 %)")
    print("| images | encoder | | clusters | noise | accuracy | NMI | ARI | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for case in CASES:
        if options.sets and case.dataset not in options.sets:
            continue
        vectors, labels, metric = embedded(case)
        spaces = [
            reduced(vectors[rows], labels[rows], metric, seed, name)
            for name, rows, seed in draws(len(vectors), options.orders, options.samples)
        ]
        for title, method, k in (
            ("no `--k`", "kmeans", None),
            (f"`--k {case.classes}`", "kmeans", case.classes),
            ("`--method hdbscan`", "hdbscan", None),
        ):
            if method not in options.rows:
                continue
            rows = [scored(space, method, k) for space in spaces]
            different = {(row["clusters"], row["accuracy"], row["nmi"]) for row in rows if row["images"] != "sample"}
            assert len(different) == 1, f"the order of the images matters: {different}"
            show(case, title, len(labels), rows)
            results[f"{case.dataset}, {case.encoder}, {title}"] = {"machine": machine(), "runs": rows}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def draws(count: int, orders: int, samples: int) -> Iterator[tuple[str, npt.NDArray[np.int64], int]]:
    """Yield a name, rows and a seed: all rows in their order and in random ones, then samples of 80 %."""
    yield "all", np.arange(count), 0
    generator = np.random.default_rng(0)
    for _ in range(orders):
        yield "all, in random order", generator.permutation(count), 0
    for number in range(samples):
        yield "sample", generator.choice(count, round(SHARE * count), replace=False), number


def embedded(case: Case) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_], Any]:
    """Return vectors, labels and the encoder's metric."""
    encoder = Encoder(case.encoder, device="cpu")
    if case.dataset == "photos":
        with tempfile.TemporaryDirectory() as folder:
            imgcluster.embed([data_folder() / "photos"], workspace=folder, encoder=case.encoder)
            found = imgcluster.load(folder)
        labels = np.array([file.split("/")[-2] for file in found.files])
        return found.vectors, labels, encoder.info.metric
    images = load_dataset(case.dataset, data_dir=data_folder())
    assert images.test is not None
    parts = [
        encoder.encode(part.take(np.arange(start, min(start + 1000, len(part)))))
        for part in (images.train, images.test)
        for start in range(0, len(part), 1000)
    ]
    numbers = np.concatenate([images.train_labels, images.test_labels])
    return np.concatenate(parts), numbers.astype(str), encoder.info.metric


@dataclass(frozen=True)
class Space:
    """Reduced vectors in content order with their labels, and the seconds that took."""

    name: str
    reduced: Reduced
    labels: list[str]
    seed: int
    seconds: float


def reduced(
    vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_], metric: Metric, seed: int, name: str
) -> Space:
    """Return what `imgcluster cluster` clusters."""
    start = time.perf_counter()
    order = content_order(vectors)
    found = reduce(normalize_features(vectors[order], metric, in_place=True), "graph", seed=seed)
    return Space(name, found, labels[order].tolist(), seed, time.perf_counter() - start)


def scored(space: Space, method: str, k: int | None) -> dict[str, Any]:
    """Cluster as `imgcluster cluster` does, and score."""
    start = time.perf_counter()
    clustering = cluster_vectors(space.reduced, method, Settings.of(k, seed=space.seed))
    seconds = space.seconds + time.perf_counter() - start
    scores = score(clustering.labels, space.labels)
    return {
        "images": space.name,
        "seed": space.seed,
        "clusters": clustering.count,
        "noise": float((clustering.labels < 0).mean()),
        "accuracy": scores.accuracy,
        "nmi": scores.nmi,
        "ari": scores.ari,
        "seconds": seconds,
    }


def show(case: Case, title: str, images: int, rows: list[dict[str, Any]]) -> None:
    """Print a line of the table."""
    samples = [row for row in rows if row["images"] == "sample"]

    def cell(name: str, digits: int = 3) -> str:
        text = f"{rows[0][name]:.{digits}f}"
        if not samples:
            return text
        values = [row[name] for row in samples]
        return f"{text} ({statistics.mean(values):.{digits}f}, {min(values):.{digits}f}–{max(values):.{digits}f})"

    scores = " | ".join(cell(name) for name in ("accuracy", "nmi", "ari"))
    print(
        f"| {case.dataset}, {images:,} | `{case.encoder}` | {title} | {cell('clusters', 0)} | {rows[0]['noise']:.0%} | "
        f"{scores} | {rows[0]['seconds']:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
