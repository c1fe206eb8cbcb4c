"""Colorizing in RGB beside colorizing in chrominance, on the same test images of CIFAR-10.

Both errors are given of both models: what one makes is converted to the other's color space.
`IMGCLUSTER_TEST_DATA=… python -m benchmarks.colorize [--epochs N] [--folder CHECKPOINTS]`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.common import data_folder, machine
from imgcluster.images.arrays import merge_chrominance
from imgcluster_training.data.batches import to_target
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.data.splits import split_images
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.recipe.parser import load_recipe, with_changes
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.scores import reconstruct
from imgcluster_training.train_model import train_model

Floats = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("build/colorize"))
    asked = parser.parse_args()
    print(f"{machine()}, torch {torch.__version__}, {asked.epochs} epochs, one run each")
    rgb = with_changes(load_recipe("b-cifar10-colorize"), training={"epochs": asked.epochs})
    chrominance = with_changes(rgb, data={"target": "chrominance"})
    split = split_images(load_dataset("cifar10", data_dir=data_folder()), rgb)
    run = RunSettings(device=torch.device("cpu"))
    for name, recipe in (("rgb", rgb), ("chrominance", chrominance)):
        asked.folder.mkdir(parents=True, exist_ok=True)
        trained = train_model(split, recipe, run, seed=0, checkpoint=asked.folder / f"{name}.pt")
        made = reconstruct(trained.model, split.test, recipe, run.device)
        if recipe is rgb:
            truth = made.targets
            colors = made.outputs
        else:
            colors = merge_chrominance(made.inputs, made.outputs)
        errors = [np.square(colors - truth).mean()]
        errors.append(np.square(_chrominance(colors, chrominance) - _chrominance(truth, chrominance)).mean())
        print(f"{name}: MSE {errors[0]:.5f} in RGB, {errors[1]:.5f} in chrominance", flush=True)
    gray = made.inputs.repeat(3, axis=3)
    without = np.square(_chrominance(gray, chrominance) - _chrominance(truth, chrominance)).mean()
    print(f"gray image as it is: MSE {np.square(gray - truth).mean():.5f} in RGB, {without:.5f} in chrominance")


def _chrominance(images: Floats, recipe: Recipe) -> Floats:
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    return np.asarray(to_target(tensor, recipe.data).permute(0, 2, 3, 1))


if __name__ == "__main__":
    main()
