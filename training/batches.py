"""From a data set to batches: the split, the order of an epoch, inputs and targets.

A batch is a function of the seed, the epoch and its number alone. That is what lets a training that was
killed go on to exactly the weights of one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from imgcluster.errors import UsageError
from imgcluster.types import Pixels
from training.augmentation import apply_transforms
from training.datasets import Images, ImageSet, Indices
from training.errors import DatasetError
from training.recipes import DataSettings, Recipe

__all__ = ["Batches", "Split", "Subset", "fold_split", "split_images", "to_input", "to_target", "to_tensor"]

# ITU-R BT.601, what Pillow's conversion to grey and JPEG's chrominance use.
_LUMA: Final = (0.299, 0.587, 0.114)
_CB: Final = (-0.168736, -0.331264, 0.5)
_CR: Final = (0.5, -0.418688, -0.081312)

# Numbers that keep the streams of one seed apart: splitting, ordering, drawing.
_SPLIT, _ORDER, _DRAW = range(3)


@dataclass(frozen=True, slots=True)
class Subset:
    """Some of the images of a set, by number; itself `Images`."""

    images: Images
    indices: Indices

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.images.shape

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Indices) -> Pixels:
        return self.images.take(self.indices[indices])


@dataclass(frozen=True, slots=True)
class Split:
    """The images by use. `validation` and `test` may be empty. Labels, where known, are for scoring only."""

    train: Images
    validation: Images
    test: Images
    train_labels: Indices | None = None
    validation_labels: Indices | None = None
    test_labels: Indices | None = None


@dataclass(frozen=True, slots=True)
class _Both:
    """Training and test images as one, where a recipe shares them out by itself."""

    first: Images
    second: Images

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.first.shape

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def take(self, indices: Indices) -> Pixels:
        early = indices < len(self.first)
        result = np.empty((len(indices), *self.shape), dtype=np.uint8)
        result[early] = self.first.take(indices[early])
        result[~early] = self.second.take(indices[~early] - len(self.first))
        return result


def split_images(images: ImageSet, recipe: Recipe, *, limit: int | None = None) -> Split:
    """Share out `images` as the recipe's ``[split]`` says; shuffled by its seed.

    Args:
        images: The data set.
        recipe: Says how.
        limit: Take this many images of each use at most, for a quick try.

    Raises:
        DatasetError: No image is left to train on.
    """
    pool, labels = images.train, images.train_labels
    test, test_labels = images.test, images.test_labels
    # A folder of one's own has no test images; then the recipe's share of all is taken.
    if recipe.split.test > 0 and test is not None:
        pool = _Both(pool, test)
        labels = None if labels is None or test_labels is None else np.concatenate([labels, test_labels])
    order = _generator(recipe.training.seed, _SPLIT).permutation(len(pool))
    test_count = round(recipe.split.test * len(pool))
    validation_count = round(recipe.split.validation * len(pool))
    held, chosen, rest = np.split(order, [test_count, test_count + validation_count])
    if test_count:
        test, test_labels = Subset(pool, held), _of(labels, held)
    if test is None:
        test, test_labels = Subset(pool, held), None
    if limit is not None:
        rest, chosen = rest[:limit], chosen[:limit]
        few = np.arange(min(limit, len(test)))
        test, test_labels = Subset(test, few), _of(test_labels, few)
    if not len(rest):
        raise DatasetError(f"{images.name}: {len(pool)} images leave none to train on; add images, or split less off")
    return Split(Subset(pool, rest), Subset(pool, chosen), test, _of(labels, rest), _of(labels, chosen), test_labels)


def fold_split(images: ImageSet, recipe: Recipe, *, fold: int, folds: int, limit: int | None = None) -> Split:
    """Return fold number `fold` (from 0) of `folds`: that part of the shuffled training images validates.

    The test images are the set's own; they are in no fold.

    Raises:
        UsageError: There are fewer images than folds, or fewer than two folds.
    """
    count = len(images.train) if limit is None else min(limit, len(images.train))
    if not 2 <= folds <= count:
        raise UsageError(f"--folds {folds} is not possible with {count} training images; 2 to {count} are")
    order = _generator(recipe.training.seed, _SPLIT).permutation(len(images.train))[:count]
    parts = np.array_split(order, folds)
    held = parts[fold]
    rest = np.concatenate([part for number, part in enumerate(parts) if number != fold])
    empty = np.empty(0, dtype=np.int64)
    labels = images.train_labels
    return Split(
        Subset(images.train, rest),
        Subset(images.train, held),
        images.test if images.test is not None else Subset(images.train, empty),
        _of(labels, rest),
        _of(labels, held),
        images.test_labels,
    )


class Batches:
    """The batches of a training.

    Args:
        images: What to train on.
        recipe: Batch size, order's seed, augmentation, corruption, and what is shown and wanted.
        seed: Replaces the recipe's, so that folds differ.
        device: Where the batches are needed.
    """

    def __init__(self, images: Images, recipe: Recipe, *, seed: int, device: torch.device) -> None:
        self._images = images
        self._recipe = recipe
        self._seed = seed
        self._device = device
        whole, left_over = divmod(len(images), recipe.training.batch_size)
        # Batch normalisation cannot learn from a batch of one: such a rest waits for another epoch's shuffle.
        whole = max(1, whole + (left_over > 1))
        self.steps = recipe.training.steps_per_epoch or whole

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of `epoch` (from 0) from step `first` on.

        Seeds torch's global generators before every batch, for its transforms and for what the model draws.
        """
        size, count = self._recipe.training.batch_size, len(self._images)
        passes = -(-self.steps * size // count) if self._recipe.training.steps_per_epoch else 1
        random = _generator(self._seed, _ORDER, epoch)
        order = np.concatenate([random.permutation(count) for _ in range(passes)])
        for step in range(first, self.steps):
            chosen = order[step * size : (step + 1) * size]
            torch.manual_seed(int(_generator(self._seed, _DRAW, epoch, step).integers(2**62)))
            images = to_tensor(self._images.take(chosen), self._device)
            images = apply_transforms(images, self._recipe.augmentation)
            inputs = apply_transforms(to_input(images, self._recipe.data), self._recipe.corruption)
            yield inputs, to_target(images, self._recipe.data)


def to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Return ``uint8 (n, height, width, channels)`` as ``float32 (n, channels, height, width)`` in [0, 1].

    The memory stays in the order of the bytes (channels last), which CPUs and GPUs convolve fastest.
    """
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def to_input(images: Tensor, settings: DataSettings) -> Tensor:
    """Return what the model is shown of `images` in [0, 1]."""
    if settings.input == "grey" and images.shape[1] == 3:
        return _mixed(images, _LUMA)
    return images


def to_target(images: Tensor, settings: DataSettings) -> Tensor:
    """Return what the model is to make of `images` in [0, 1]; chrominance lies around 0.5."""
    if settings.target == "chrominance":
        return torch.cat([_mixed(images, _CB), _mixed(images, _CR)], dim=1) + 0.5
    return images


def _mixed(images: Tensor, weights: tuple[float, float, float]) -> Tensor:
    mixed: Tensor = sum(weight * images[:, number : number + 1] for number, weight in enumerate(weights))  # type: ignore[assignment]
    return mixed


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))


def _of(labels: Indices | None, indices: Indices) -> Indices | None:
    return None if labels is None else labels[indices]
