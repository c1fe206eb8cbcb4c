"""Whether training the network of `photos` itself on a folder, without labels, makes it better on that folder.

The first blocks stay as they are; the last ones, with the head, are trained on the maps of eight views of every
photograph, as `benchmarks.refine_photos` draws them. What the trained network gives for the framed images is compared
as there, in float32 before and after. Needs ``pip install 'imgcluster[train,photos-source]'``.
`python -m benchmarks.refine_network [--seeds N] [--epochs N] [--rates R …] [FOLDER …]`; by default the tuning sets.
"""

from __future__ import annotations

import argparse
import copy
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from benchmarks.common import data_folder, machine
from benchmarks.refine_photos import Floats, batches, compared, contrast, drawn, nearest, one_of, show, update, views_of
from imgcluster.types import Pixels
from imgcluster_training.export.photos import MEAN, NETWORKS, SCALE, PhotoFeatures

NETWORK = NETWORKS[0]
BATCH = 64


@dataclass(frozen=True)
class Case:
    """Photographs: their kinds, and the maps of their views before the blocks that are trained, ``(n, 8, c, s, s)``."""

    kinds: npt.NDArray[np.str_]
    maps: Tensor


class LastBlocks(nn.Module):
    """The last blocks and the head of `photos`, from maps to vectors."""

    def __init__(self, features: PhotoFeatures, first: int) -> None:
        super().__init__()
        self.features = copy.deepcopy(features)
        network = self.features.network
        network._blocks = network._blocks[first:]

    def forward(self, maps: Tensor) -> Tensor:
        network = self.features.network
        for block in network._blocks:
            maps = block(maps)
        return self.features.vectors(maps, network._swish(network._bn1(network._conv_head(maps))))[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-5, 1e-4], help="learning rates")
    options = parser.parse_args()
    folders = options.folders or sorted((data_folder() / "photo-sets").iterdir())
    features = PhotoFeatures(NETWORK.number)
    first = first_of_small_maps(features)
    trained = features.network._blocks[first:], features.network._conv_head
    count = sum(value.numel() for part in trained for value in part.parameters())
    blocks = len(features.network._blocks) - first
    print(
        f"{machine()}, torch {torch.__version__}; {blocks} blocks and the head are trained, "
        f"{count / 1e6:.1f} million weights, for {options.epochs} epochs",
        flush=True,
    )
    started = time.perf_counter()
    cases = [mapped(folder, features, first) for folder in folders]
    print(f"maps of the views computed in {time.perf_counter() - started:.0f} s\n")
    print(f"| trained | {' | '.join(folder.name for folder in folders)} | mean accuracy, NMI | s per seed |")
    print("| --- " * (len(cases) + 3) + "|")
    start = LastBlocks(features, first)
    for title, way in WAYS.items():
        for rate in options.rates if way else (0.0,):
            results = [
                [run(case, start, way, options.epochs, rate, seed) for seed in range(options.seeds)] for case in cases
            ]
            show(f"{title}, learning rate {rate:g}" if way else title, results)


def run(case: Case, start: LastBlocks, way: str, epochs: int, rate: float, seed: int) -> tuple[float, float, float]:
    """Return accuracy, NMI and the seconds of the training."""
    began = time.perf_counter()
    trained = train(case.maps, start, way, epochs, rate, seed) if way else start
    vectors = encoded(trained, case.maps[:, 0])
    return *compared(vectors, case.kinds, "cosine", seed), time.perf_counter() - began


def train(maps: Tensor, start: LastBlocks, way: str, epochs: int, rate: float, seed: int) -> LastBlocks:
    """Return the network after training: two views of an image agree, or each with the mean of all its views."""
    torch.manual_seed(seed)
    before = np.stack([encoded(start, maps[:, view]) for view in range(maps.shape[1])], axis=1)
    center = torch.from_numpy(before[:, 0].mean(axis=0))
    targets = F.normalize(torch.from_numpy(before.mean(axis=1)) - center, dim=1)
    near = nearest(before - center.numpy(), 5)
    model = copy.deepcopy(start).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * -(-len(maps) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for rows in batches(len(maps), epochs, BATCH):
        others = one_of(near, rows) if way == "neighbors" else rows
        first = F.normalize(model(drawn(maps, rows).float()) - center, dim=1)
        if way == "mean":
            loss = 1 - (first * targets[rows]).sum(dim=1).mean()
        else:
            second = F.normalize(model(drawn(maps, others).float()) - center, dim=1)
            loss = contrast(first, second, near[rows][:, :, None] == others)
        update(optimizer, loss)
        schedule.step()
    return model.eval()


@torch.no_grad()
def encoded(model: LastBlocks, maps: Tensor) -> Floats:
    parts = [model(part.float()).numpy() for part in maps.split(BATCH)]
    return np.concatenate(parts)


@torch.no_grad()
def first_of_small_maps(features: PhotoFeatures) -> int:
    """Return the number of the first block that sees maps as small as the last one's."""
    maps = stem(features, torch.zeros(1, 3, NETWORK.info.height, NETWORK.info.width))
    sides = []
    for block in features.network._blocks:
        sides.append(maps.shape[2])
        maps = block(maps)
    return sides.index(maps.shape[2])


@torch.no_grad()
def mapped(folder: Path, features: PhotoFeatures, first: int) -> Case:
    """Return the photographs of a folder, whose subfolders are their kinds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(2) as pool:
        pixels = pool.map(partial(views_of, NETWORK.info.input_spec), files, range(len(files)))
        maps = torch.stack([early_maps(features, first, views) for views in pixels])
    return Case(np.array([path.parent.name for path in files]), maps)


def early_maps(features: PhotoFeatures, first: int, views: Pixels) -> Tensor:
    images = (torch.from_numpy(views).permute(0, 3, 1, 2).float() - MEAN) / SCALE
    maps = stem(features, images.contiguous(memory_format=torch.channels_last))
    for block in features.network._blocks[:first]:
        maps = block(maps)
    return maps.half()


def stem(features: PhotoFeatures, images: Tensor) -> Tensor:
    network = features.network
    maps: Tensor = network._swish(network._bn0(network._conv_stem(images)))
    return maps


WAYS = {
    "`photos` as it is, in float32": "",
    "the network, to the mean of the views": "mean",
    "the network, contrastive": "views",
    "the network, contrastive with neighbors": "neighbors",
}

if __name__ == "__main__":
    main()
