"""`run --k 10` on the 900 photographs of the test data: seconds per stage, and scores over five seeds."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

import imgcluster
from benchmarks.common import data_folder, machine

SEEDS = 5


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        embedded = imgcluster.embed([data_folder() / "photos"], workspace=folder)
        rate = embedded.images_per_second
        print(f"embed: {embedded.embedded} images in {embedded.seconds:.1f} s, {rate:.0f} images/s")
        for title, options in (("--k 10", {"k": 10}), ("no --k", {}), ("no --k, --assign-noise", {"assign": True})):
            rows = []
            for seed in range(SEEDS):
                result = imgcluster.cluster(workspace=folder, seed=seed, place="none", **options)
                scores = imgcluster.evaluate(workspace=folder)
                rows.append((scores.accuracy, scores.nmi, scores.ari, len(result.clusters), result.noise))
            stages = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))["cluster"]["seconds"]
            print(f"\n{title}: {SEEDS} seeds; last run's seconds {stages}")
            columns = zip(*rows, strict=True)
            for name, values in zip(("accuracy", "NMI", "ARI", "clusters", "noise"), columns, strict=True):
                print(f"  {name:9} mean {statistics.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}")


if __name__ == "__main__":
    main()
