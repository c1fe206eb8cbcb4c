"""Seconds and peak memory of `cluster --k 10` on many vectors of 1,280 values.

Drawn around 40 centres that overlap, as kinds of photographs do, in 30 of the directions; all others are noise.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import imgcluster
from benchmarks.common import machine
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shards import ShardWriter

COUNTS = (100_000, 500_000)
CENTRES = 40
DIMENSIONS = 1280
DIRECTIONS = 30
NOISE = 0.5
AT_ONCE = 1000

# In a process of its own, whose peak is its own.
PROGRAM = """
import resource, sys, imgcluster
summary = imgcluster.cluster(workspace=sys.argv[1], k=10, place="none")
print(summary.images, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def main() -> None:
    print(machine())
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, count)
            start = time.perf_counter()
            command = [sys.executable, "-c", PROGRAM, folder]
            images, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            vectors = count * DIMENSIONS * 4 / 1e9
            print(
                f"{int(images):,} images: {time.perf_counter() - start:.0f} s, peak memory {float(peak):.1f} GB,"
                f" {float(peak) / vectors:.1f} times the vectors' {vectors:.1f} GB",
                flush=True,
            )


def fill(folder: str, count: int) -> None:
    """Make a workspace of vectors without images, as `embed` would leave it."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as pictures:
        Image.new("RGB", (64, 64), "red").save(Path(pictures) / "red.png")
        imgcluster.embed([pictures], workspace=folder)
    workspace = Workspace(folder)
    writer = ShardWriter(workspace.embeddings, workspace.manifest["encoder"]["identity"])
    centres = generator.standard_normal((CENTRES, DIRECTIONS), dtype=np.float32)
    directions = generator.standard_normal((DIRECTIONS, DIMENSIONS), dtype=np.float32)
    for start in range(0, count - 1, AT_ONCE):
        inside = centres[generator.integers(CENTRES, size=min(AT_ONCE, count - 1 - start))]
        inside = inside + generator.standard_normal(inside.shape, dtype=np.float32)
        vectors = inside @ directions + NOISE * generator.standard_normal((len(inside), DIMENSIONS), dtype=np.float32)
        writer.add(
            [
                Row(f"{start + number:07d}.jpg", pictures, 1, 1, (start + number).to_bytes(16, "big"), 64, 64, vector)
                for number, vector in enumerate(vectors)
            ]
        )
    writer.flush()


if __name__ == "__main__":
    main()
