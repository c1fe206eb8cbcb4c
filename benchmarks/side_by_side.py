"""How long our recipe takes to reach reference A's final error, against how long reference A takes.

Both train in one process, in turns: a slice of ours, a slice of A's batches, so that another load meets both alike.
A's 100 epochs are extrapolated from the time of its batches; ours ends with the first epoch whose validation error
is at most A's published one. `python -m benchmarks.side_by_side [--epochs N] [--threads N]`
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import torch

from benchmarks.common import data_folder, machine
from imgcluster_training.data.batches import Batches
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.data.splits import split_images
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.fit.schedules import learning_rate
from imgcluster_training.models.autoencoder import Autoencoder, model_for
from imgcluster_training.recipe.parser import load_recipe, with_changes
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.scores import score

GOAL = 0.0106
SLICE = 60  # batches of A after each epoch's eighth of ours
PARTS = 8


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=load_recipe("mnist").training.epochs)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"{machine()}, torch {torch.__version__}, {asked.threads} threads, one run")
    reference = load_recipe("a-mnist")
    ours = with_changes(load_recipe("mnist"), training={"epochs": asked.epochs})
    images = load_dataset("mnist", data_dir=data_folder())
    split = split_images(images, ours)
    cpu = torch.device("cpu")
    slow_model, fast_model = (model_for(recipe, images.train.shape, seed=0) for recipe in (reference, ours))
    slow_steps = steps_of(slow_model, reference, Batches(split.train, reference, seed=0, device=cpu))
    batches = Batches(split.train, ours, seed=0, device=cpu)
    fast_steps = steps_of(fast_model, ours, batches)
    slow_seconds: list[float] = []
    fast_total = 0.0
    for epoch in range(asked.epochs):
        for part in range(PARTS):
            count = batches.steps * (part + 1) // PARTS - batches.steps * part // PARTS
            fast_total += timed(fast_steps, count)
            slow_seconds.append(timed(slow_steps, SLICE) / SLICE)
        error = score(fast_model, split.validation, ours, cpu).mse
        per_epoch = statistics.mean(slow_seconds) * (len(split.train) // reference.training.batch_size)
        epochs = reference.training.epochs
        whole = per_epoch * epochs
        told = f"A {per_epoch:.1f} s an epoch, {whole:.0f} s for {epochs}; ratio {whole / fast_total:.1f}"
        print(f"epoch {epoch + 1}: ours {fast_total:.0f} s, validation MSE {error:.5f}; {told}", flush=True)
        if error <= GOAL:
            print(f"ours reached {GOAL} in {fast_total:.0f} s, 1/{whole / fast_total:.1f} of A's {whole:.0f} s")
            return
    print(f"ours did not reach {GOAL} in {asked.epochs} epochs")


def timed(steps: Iterator[None], count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        next(steps)
    return time.perf_counter() - begun


def steps_of(model: Autoencoder, recipe: Recipe, batches: Batches) -> Iterator[None]:
    """Carry out one training step with each `next`."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    settings, objective = recipe.training, LOSSES[recipe.training.loss]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=1.0, weight_decay=settings.weight_decay, eps=1e-7, foreach=True)
    done = 0
    for epoch in range(settings.epochs):
        for inputs, target in batches.epoch(epoch):
            model.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(
                    settings.schedule, settings.learning_rate, done, settings.epochs * batches.steps
                )
            optimizer.zero_grad(set_to_none=True)
            objective(model(inputs), target).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
            yield


if __name__ == "__main__":
    main()
