"""How fast each recipe trains, images per second, in both memory orders; which order the loop should use.

Random images of each set's size; in turns, so that another load on the machine meets all of them alike.
`python -m benchmarks.training [RECIPE …] [--threads N]`
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from benchmarks.common import machine
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.models.autoencoder import Autoencoder, model_for
from imgcluster_training.recipe.parser import load_recipe, recipe_names
from imgcluster_training.recipe.schema import Recipe

SHAPES = {"mnist": (28, 28, 1), "fashion-mnist": (28, 28, 1), "cifar10": (32, 32, 3), "strokes": (224, 224, 1)}
ROUNDS = 5
SECONDS = 1.0  # per recipe, order and round
ORDERS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}, torch {torch.__version__}, {arguments.threads} threads, median of {ROUNDS} rounds")
    for name in arguments.recipes or recipe_names():
        recipe = load_recipe(name)
        shape = SHAPES.get(recipe.data.dataset, (64, 64, 3))
        speeds: dict[str, list[float]] = {order: [] for order in ORDERS}
        for _ in range(ROUNDS):
            for order, memory in ORDERS.items():
                speeds[order].append(images_per_second(recipe, shape, memory))
        print(f"{name:22}" + "".join(f"{order}: {statistics.median(speeds[order]):8,.0f}   " for order in ORDERS))


def images_per_second(recipe: Recipe, shape: tuple[int, int, int], memory: torch.memory_format) -> float:
    """Train for `SECONDS` after two steps to warm up."""
    height, width, channels = shape
    shown = 1 if recipe.data.input == "grey" else channels
    size = recipe.training.batch_size
    model = model_for(recipe, shape, seed=0).to(memory_format=memory)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, foreach=True)
    inputs = torch.rand(size, shown, height, width).contiguous(memory_format=memory)
    target = torch.rand(size, channels, height, width).contiguous(memory_format=memory)
    for _ in range(2):
        step(model, optimizer, recipe, inputs, target)
    steps, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        step(model, optimizer, recipe, inputs, target)
        steps += 1
    return steps * size / (time.perf_counter() - begun)


def step(model: Autoencoder, optimizer: torch.optim.Optimizer, recipe: Recipe, inputs: Tensor, target: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    LOSSES[recipe.training.loss](model(inputs), target).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


if __name__ == "__main__":
    main()
