"""How long an update takes, and how much memory a training needs, if freed memory is kept or returned to the system.

Each training in a process of its own, in turns; processor time, medians over the rounds.
`python -m benchmarks.kept_memory [RECIPE …] [--side N] [--rounds N] [--steps N]`
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import subprocess
import sys

import numpy as np
import torch

from benchmarks.common import machine
from benchmarks.epochs import loop_of, timed
from benchmarks.training import SHAPES
from imgcluster_training.data.images import ArrayImages
from imgcluster_training.memory import keep_freed_memory
from imgcluster_training.recipe.parser import load_recipe

RECIPES = ("a-mnist", "a-cifar10", "strokes", "e-strokes-denoise", "folder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--side", type=int, default=224, help="of the images of a folder, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only", choices=("kept", "returned"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.recipes[0], arguments.side, arguments.steps, kept=arguments.only == "kept")
        return
    print(f"{machine()}, torch {torch.__version__}, 1 thread, medians of {arguments.rounds} rounds")
    for name in arguments.recipes:
        results: dict[str, list[tuple[float, float]]] = {"returned": [], "kept": []}
        for _, way in itertools.product(range(arguments.rounds), results):
            options = ["--only", way, "--side", str(arguments.side), "--steps", str(arguments.steps)]
            command = [sys.executable, "-m", "benchmarks.kept_memory", name, *options]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            milliseconds, megabytes = map(float, printed.split())
            results[way].append((milliseconds, megabytes))
        times = {way: statistics.median(time for time, _ in values) for way, values in results.items()}
        sizes = {way: statistics.median(size for _, size in values) for way, values in results.items()}
        text = ", ".join(f"{way} {times[way]:.1f} ms, {sizes[way]:,.0f} MB at most" for way in results)
        print(f"{name:20} {text} ({times['kept'] / times['returned']:.2f})", flush=True)


def measure(name: str, side: int, steps: int, *, kept: bool) -> None:
    """Print the processor time of an update in milliseconds, and the largest memory of the process in MB."""
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    recipe = load_recipe(name)
    shape = SHAPES.get(recipe.data.dataset, (side, side, 3))
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (1024, *shape), dtype=np.uint8))
    updates = loop_of(recipe, images)
    timed(updates, 4)
    milliseconds = timed(updates, steps) / steps * 1000
    print(milliseconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main()
