"""Peak memory of `embed` at two sizes of folder: it must not grow with the number of images."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import machine

COUNTS = (1000, 8000)

# In a process of its own, whose peak is its own.
PROGRAM = """
import resource, sys, imgcluster
summary = imgcluster.embed([sys.argv[1]], workspace=sys.argv[2])
print(summary.embedded, summary.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    print(machine())
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        made = 0
        for count in COUNTS:
            while made < count:
                pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(pictures / f"{made:06d}.jpg")
                made += 1
            command = [sys.executable, "-c", PROGRAM, str(pictures), str(Path(folder) / f"out-{count}")]
            embedded, seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            print(f"{embedded} images: {float(seconds):.1f} s, peak memory {float(peak):.0f} MB")


if __name__ == "__main__":
    main()
