"""Reference B's exercise: depth, channels, kernel, stride and padding against the error of reconstruction.

Each variant changes one property of the nine layers of `b-cifar10-nine-layer` and is trained like them, on the same
images with the same seed. `IMGCLUSTER_TEST_DATA=… python -m benchmarks.layers [--epochs N] [--threads N] [--only NAME]`
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from benchmarks.common import data_folder, machine
from imgcluster_training.data.datasets import load_dataset
from imgcluster_training.data.splits import split_images
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.models.autoencoder import count_parameters
from imgcluster_training.recipe.parser import load_recipe, with_changes
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.scores import score
from imgcluster_training.train_model import train_model

Layers = list[dict[str, Any]]

POOL: Final = {"type": "max-pool"}
UP: Final = {"type": "up-sample"}
RESHAPE: Final = {"type": "reshape"}


def conv(filters: int | str, kernel: int = 3, **options: Any) -> dict[str, Any]:
    activation = "none" if filters == "image" else "relu"
    return {"type": "conv", "filters": filters, "kernel": kernel, "activation": activation, **options}


def nine_layers(first: int = 8, second: int = 12, code: int = 16, kernel: int = 3) -> tuple[Layers, Layers]:
    encoder = [conv(first, kernel), POOL, conv(second, kernel), POOL, conv(code, kernel)]
    return encoder, [RESHAPE, UP, conv(second, kernel), UP, conv("image", kernel)]


# Name: the size of the code, encoder, decoder.
VARIANTS: Final[dict[str, tuple[int, tuple[Layers, Layers]]]] = {
    "as published": (1024, nine_layers()),
    "depth: one pooling less": (4096, ([conv(8), POOL, conv(16)], [RESHAPE, UP, conv("image")])),
    "depth: one pooling more": (
        256,
        (
            [conv(8), POOL, conv(12), POOL, conv(12), POOL, conv(16)],
            [RESHAPE, UP, conv(12), UP, conv(12), UP, conv("image")],
        ),
    ),
    "depth: one convolution more before each pooling": (
        1024,
        (
            [conv(8), conv(8), POOL, conv(12), conv(12), POOL, conv(16)],
            [RESHAPE, UP, conv(12), conv(12), UP, conv(8), conv("image")],
        ),
    ),
    "channels: 16 in the code, twice as many elsewhere": (1024, nine_layers(16, 24)),
    "channels: 8 in the code": (512, nine_layers(code=8)),
    "channels: 32 in the code": (2048, nine_layers(code=32)),
    "kernel: 1": (1024, nine_layers(kernel=1)),
    "kernel: 5": (1024, nine_layers(kernel=5)),
    "kernel: 7": (1024, nine_layers(kernel=7)),
    "stride: 2 instead of pooling": (
        1024,
        ([conv(8, stride=2), conv(12, stride=2), conv(16)], [RESHAPE, UP, conv(12), UP, conv("image")]),
    ),
    "padding: none in the encoder": (
        256,
        (
            [conv(8, padding="valid"), POOL, conv(12, padding="valid"), POOL, conv(16, padding="valid")],
            [RESHAPE, {**UP, "size": 4}, conv(12), UP, conv("image")],
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=VARIANTS, help="one variant")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"{machine()}, torch {torch.__version__}, {asked.threads} threads, {asked.epochs} epochs, one run each\n")
    print("| variant | values in the code | parameters | test MSE | processor time of an epoch |")
    print("| --- | --- | --- | --- | --- |")
    published = with_changes(load_recipe("b-cifar10-nine-layer"), training={"epochs": asked.epochs})
    images = load_dataset("cifar10", data_dir=data_folder())
    split = split_images(images, published)
    device = torch.device("cpu")
    run = RunSettings(device=device)
    for name in [asked.only] if asked.only else VARIANTS:
        recipe = variant(published, *VARIANTS[name])
        begun = time.process_time()
        with TemporaryDirectory() as folder:
            trained = train_model(split, recipe, run, seed=0, checkpoint=Path(folder, "checkpoint.pt"))
        seconds = (time.process_time() - begun) / asked.epochs
        error = score(trained.model, split.test, recipe, device).mse
        parameters = count_parameters(trained.model).all
        print(f"| {name} | {recipe.model.latent:,} | {parameters:,} | {error:.5f} | {seconds:.1f} s |", flush=True)


def variant(published: Recipe, latent: int, layers: tuple[Layers, Layers]) -> Recipe:
    encoder, decoder = layers
    return with_changes(published, model={"latent": latent, "encoder": encoder, "decoder": decoder})


if __name__ == "__main__":
    main()
