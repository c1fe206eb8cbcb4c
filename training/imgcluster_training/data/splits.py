"""Splits of a data set into training, validation and test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from imgcluster.errors import UsageError
from imgcluster_training.data.datasets import ImageSet
from imgcluster_training.data.images import Concatenated, Images, Indices, Subset
from imgcluster_training.errors import DatasetError
from imgcluster_training.recipe.schema import Recipe

__all__ = ["Split", "fold_split", "split_images"]

# Separates this stream of random numbers from those of `batches`, which share the seed.
_SPLIT_STREAM: Final = 0


@dataclass(frozen=True, slots=True)
class Split:
    """The images by use. `validation` and `test` may be empty. Labels, where known, are for scoring only."""

    train: Images
    validation: Images
    test: Images
    train_labels: Indices | None = None
    validation_labels: Indices | None = None
    test_labels: Indices | None = None


def split_images(images: ImageSet, recipe: Recipe, *, limit: int | None = None) -> Split:
    """Split `images` by the recipe's ``[split]``, shuffled with its seed.

    Args:
        images: The data set.
        recipe: The fractions and the seed.
        limit: Take at most this many images for each use.

    Raises:
        DatasetError: No image is left to train on, or to validate on with a patience.
    """
    pool, labels = images.train, images.train_labels
    test, test_labels = images.test, images.test_labels
    # A folder has no test images of its own; then the recipe's fraction of all images is taken.
    if recipe.split.test > 0 and test is not None:
        pool = Concatenated(pool, test)
        labels = None if labels is None or test_labels is None else np.concatenate([labels, test_labels])
    order = _shuffled(recipe, len(pool))
    test_count = round(recipe.split.test * len(pool))
    validation_count = round(recipe.split.validation * len(pool))
    held_out, validating, training = np.split(order, [test_count, test_count + validation_count])
    if test_count:
        test, test_labels = Subset(pool, held_out), _select(labels, held_out)
    if test is None:
        test, test_labels = Subset(pool, held_out), None
    if limit is not None:
        training, validating = training[:limit], validating[:limit]
        test, test_labels = _first(test, test_labels, limit)
    if not len(training):
        raise DatasetError(
            f"{images.name}: {len(pool)} images leave none to train on; add images, or lower split.validation and "
            "split.test"
        )
    if recipe.training.patience and not len(validating):
        raise DatasetError(
            f"{images.name}: {len(pool)} images leave none to validate on, which a patience of "
            f"{recipe.training.patience} epochs needs; add images, raise split.validation, or use --patience 0"
        )
    return Split(
        Subset(pool, training),
        Subset(pool, validating),
        test,
        _select(labels, training),
        _select(labels, validating),
        test_labels,
    )


def fold_split(images: ImageSet, recipe: Recipe, *, fold: int, folds: int, limit: int | None = None) -> Split:
    """Return fold number `fold` (from 0) of `folds`: that part of the shuffled training images validates.

    The test images are the set's own; they are in no fold. With `limit`, at most that many images are split, and as
    many are tested.

    Raises:
        UsageError: There are fewer images than folds, or fewer than two folds.
    """
    count = len(images.train) if limit is None else min(limit, len(images.train))
    if not 2 <= folds <= count:
        raise UsageError(f"--folds {folds} is not allowed; with {count} training images use 2 to {count} folds")
    parts = np.array_split(_shuffled(recipe, len(images.train))[:count], folds)
    validating = parts[fold]
    training = np.concatenate([part for number, part in enumerate(parts) if number != fold])
    labels = images.train_labels
    test = images.test if images.test is not None else Subset(images.train, np.empty(0, dtype=np.int64))
    test, test_labels = _first(test, images.test_labels, len(test) if limit is None else limit)
    return Split(
        Subset(images.train, training),
        Subset(images.train, validating),
        test,
        _select(labels, training),
        _select(labels, validating),
        test_labels,
    )


def _shuffled(recipe: Recipe, count: int) -> Indices:
    seed = np.random.SeedSequence((recipe.training.seed, _SPLIT_STREAM))
    return np.random.default_rng(seed).permutation(count)


def _first(images: Images, labels: Indices | None, count: int) -> tuple[Images, Indices | None]:
    few = np.arange(min(count, len(images)))
    return Subset(images, few), _select(labels, few)


def _select(labels: Indices | None, indices: Indices) -> Indices | None:
    return None if labels is None else labels[indices]
