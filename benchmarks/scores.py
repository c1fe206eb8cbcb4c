"""The scores in the README and on the cards: `imgcluster cluster` on whole data sets, with and without `--k`.

All images of a set, training and test together, as the literature does, and five seeds; labels are used for scoring
only. Prints a table and writes the figures beside this script (`scores.json`).
`python -m benchmarks.scores [SET …] [--seeds N]`
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
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
from imgcluster.features.normalize import comparable
from imgcluster.features.reduce import Reduced, reduce
from imgcluster.workspace.shards import load
from imgcluster_training.data.datasets import load_dataset

SEEDS = 5
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
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    print(f"{machine()}, {asked.seeds} seeds")
    print("| images | encoder | | clusters | noise | accuracy | NMI | ARI | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for case in CASES:
        if asked.sets and case.dataset not in asked.sets:
            continue
        vectors, labels, metric = embedded(case)
        spaces = [reduced(comparable(vectors, metric), seed) for seed in range(asked.seeds)]
        for title, method, k in (
            ("no `--k`", "kmeans", None),
            (f"`--k {case.classes}`", "kmeans", case.classes),
            ("`--method hdbscan`", "hdbscan", None),
        ):
            # HDBSCAN draws nothing.
            drawn = spaces[:1] if method == "hdbscan" else spaces
            rows = [scored(*space, labels, method, k, seed) for seed, space in enumerate(drawn)]
            show(case, title, len(labels), rows)
            kept[f"{case.dataset}, {case.encoder}, {title}"] = {"machine": machine(), "runs": rows}
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def embedded(case: Case) -> tuple[npt.NDArray[np.float32], list[str], Any]:
    """Return vectors, labels and the encoder's metric."""
    encoder = Encoder(case.encoder, device="cpu")
    if case.dataset == "photos":
        with tempfile.TemporaryDirectory() as folder:
            imgcluster.embed([data_folder() / "photos"], workspace=folder, encoder=case.encoder)
            manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
            found = load(Path(folder) / "embeddings", manifest["encoder"]["identity"])
        labels = [location.split("/")[-2] for location in found.locations]
        return found.vectors, labels, encoder.info.metric
    images = load_dataset(case.dataset, data_dir=data_folder())
    assert images.test is not None
    parts = [
        encoder.encode(part.take(np.arange(start, min(start + 1000, len(part)))))
        for part in (images.train, images.test)
        for start in range(0, len(part), 1000)
    ]
    numbers = np.concatenate([images.train_labels, images.test_labels])
    return np.concatenate(parts), [str(number) for number in numbers], encoder.info.metric


def reduced(vectors: npt.NDArray[np.float32], seed: int) -> tuple[Reduced, float]:
    """Return what is clustered, and how many seconds it took."""
    begun = time.perf_counter()
    space = reduce(vectors, "graph", seed=seed)
    return space, time.perf_counter() - begun


def scored(
    space: Reduced, seconds: float, labels: list[str], method: str, k: int | None, seed: int
) -> dict[str, float]:
    """Cluster as `imgcluster cluster` does, and score."""
    begun = time.perf_counter()
    clustering = cluster_vectors(space, method, Settings.of(k, seed=seed))
    seconds += time.perf_counter() - begun
    scores = score(clustering.labels, labels)
    return {
        "seed": seed,
        "clusters": clustering.count,
        "noise": float((clustering.labels < 0).mean()),
        "accuracy": scores.accuracy,
        "nmi": scores.nmi,
        "ari": scores.ari,
        "seconds": seconds,
    }


def show(case: Case, title: str, images: int, rows: list[dict[str, float]]) -> None:
    """Print a line of the table: means, and the range over the seeds in brackets."""

    def told(name: str, digits: int = 3) -> str:
        values = [row[name] for row in rows]
        low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
        return low if low == high else f"{statistics.mean(values):.{digits}f} ({low}–{high})"

    noise = f"{statistics.mean(row['noise'] for row in rows):.0%}"
    scores = " | ".join(told(name) for name in ("accuracy", "nmi", "ari"))
    print(
        f"| {case.dataset}, {images:,} | `{case.encoder}` | {title} | {told('clusters', 0)} | {noise} | {scores} | "
        f"{told('seconds', 0)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
