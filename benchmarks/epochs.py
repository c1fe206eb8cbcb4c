"""How fast `train-encoder` trains beside the same model in plain PyTorch with all data in memory, and where time goes.

The plain loop has the images as one float tensor, channels first, draws each batch by an index, and computes nothing
else, in float32; where `train-encoder` computes in bfloat16, it is also timed in float32. All train in one process, in
turns; times are processor time, ratios the median over the rounds.
`python -m benchmarks.epochs [RECIPE …] [--threads N] [--rounds N] [--profile]`
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import machine
from benchmarks.training import SHAPES
from imgcluster_training.data.augmentation import apply_transforms
from imgcluster_training.data.batches import to_input, to_target
from imgcluster_training.data.images import ArrayImages, Images
from imgcluster_training.data.splits import Split
from imgcluster_training.fit import autoencoder
from imgcluster_training.fit.autoencoder import AutoencoderTask
from imgcluster_training.fit.loop import RunSettings, TrainingLoop
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.models.autoencoder import model_for
from imgcluster_training.recipe.parser import load_recipe
from imgcluster_training.recipe.schema import Recipe

RECIPES = (
    "a-mnist",
    "a-cifar10",
    "b-cifar10-colorize",
    "c-fashion-cae",
    "c-fashion-vae",
    "d-mnist-16",
    "mnist",
    "e-strokes-denoise",
)
COUNTS = {"mnist": 60_000, "fashion-mnist": 60_000, "cifar10": 50_000}
SLICE_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time of train-encoder goes instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}, torch {torch.__version__}, {arguments.threads} threads, median of {arguments.rounds} rounds")
    for name in arguments.recipes:
        recipe = load_recipe(name)
        images = images_of(recipe)
        if arguments.profile:
            profile(recipe, images)
        else:
            compare(recipe, images, arguments.rounds)


def images_of(recipe: Recipe) -> Images:
    """Return random images; their content does not matter for the speed."""
    shape = SHAPES[recipe.data.dataset]
    count = COUNTS.get(recipe.data.dataset, 2000)
    return ArrayImages(np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8))


def compare(recipe: Recipe, images: Images, rounds: int) -> None:
    loops = {
        "ours": loop_of(recipe, images),
        "ours in float32": in_float32(loop_of(recipe, images)),
        "plain": plain_steps(recipe, images),
    }
    warm = [timed(loop, 3) for loop in loops.values()]
    steps = max(5, round(SLICE_SECONDS / warm[-1] * 3))
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            seconds[name].append(timed(loop, steps))
    ratio = statistics.median(np.divide(seconds["plain"], seconds["ours"]))
    per_epoch = len(images) / recipe.training.batch_size / steps
    text = ", ".join(f"{name} {statistics.median(values) * per_epoch:.1f} s" for name, values in seconds.items())
    print(f"{recipe.name:20} an epoch of {len(images):,} images: {text}; {ratio:.2f} times as fast", flush=True)


def in_float32(steps: Iterator[None]) -> Iterator[None]:
    """Carry out the same updates without mixed precision."""
    while True:
        with patch.object(autoencoder, "mixed_precision", lambda device: nullcontext()):
            next(steps)
        yield


def timed(steps: Iterator[None], count: int) -> float:
    """Return the processor time of some steps, in which other programs count little."""
    start = time.process_time()
    for _ in range(count):
        next(steps)
    return time.process_time() - start


def loop_of(recipe: Recipe, images: Images) -> Iterator[None]:
    """Carry out one update of `train-encoder` with each `next`."""
    loop = new_loop(recipe, images)
    for epoch in range(recipe.training.epochs):
        loop.task.train()
        for batch in loop.task.batches(epoch, 0):
            loop.loss_sum += loop._update(batch, epoch)
            loop.step += 1
            yield
        loop.step = 0


def new_loop(recipe: Recipe, images: Images, on_progress: Callable[[Any], None] = lambda _: None) -> TrainingLoop:
    device = torch.device("cpu")
    model = model_for(recipe, images.shape, seed=0)
    empty = ArrayImages(np.empty((0, *images.shape), dtype=np.uint8))
    task = AutoencoderTask(model, Split(images, empty, empty), recipe, seed=0, device=device)
    return TrainingLoop(task, RunSettings(device=device, on_progress=on_progress), None, {})


def plain_steps(recipe: Recipe, images: Images) -> Iterator[None]:
    """Carry out one update of a short script with each `next`."""
    settings, objective = recipe.training, LOSSES[recipe.training.loss]
    everything = torch.from_numpy(images.take(np.arange(len(images)))).permute(0, 3, 1, 2).contiguous().float() / 255
    model = model_for(recipe, images.shape, seed=0)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=settings.learning_rate, eps=1e-7)
    model.train()
    while True:
        order = torch.randperm(len(everything))
        for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
            batch = everything[order[start : start + settings.batch_size]]
            batch = apply_transforms(batch, recipe.augmentation)
            inputs = apply_transforms(to_input(batch, recipe.data), recipe.corruption)
            optimizer.zero_grad()
            loss: Tensor = objective(model(inputs), to_target(batch, recipe.data))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield


def profile(recipe: Recipe, images: Images) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    steps = loop_of(recipe, images)
    timed(steps, 5)
    with record(activities=[ProfilerActivity.CPU]) as recorded:
        timed(steps, 30)
    print(recipe.name)
    print(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=48))


if __name__ == "__main__":
    main()
