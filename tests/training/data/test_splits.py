"""Splits are disjoint and complete."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster.errors import UsageError
from imgcluster_training.data.images import Subset
from imgcluster_training.data.splits import fold_split, split_images
from imgcluster_training.errors import DatasetError
from imgcluster_training.recipe.parser import with_changes


def numbers(images):
    return images.take(np.arange(len(images)))[:, 0, 0, 0].astype(int)


def test_a_split_shares_out_the_training_images(numbered, tiny_recipe):
    split = split_images(numbered, tiny_recipe)
    assert (len(split.train), len(split.validation), len(split.test)) == (80, 20, 20)
    assert sorted([*numbers(split.train), *numbers(split.validation)]) == list(range(100))
    assert numbers(split.test).tolist() == list(range(100, 120))
    for images, labels in (
        (split.train, split.train_labels),
        (split.validation, split.validation_labels),
        (split.test, split.test_labels),
    ):
        assert numbers(images).tolist() == labels.tolist()


def test_a_recipe_may_share_out_training_and_test_images_together(numbered, tiny_recipe):
    recipe = with_changes(tiny_recipe, split={"validation": 0.1, "test": 0.1})
    split = split_images(numbered, recipe)
    assert (len(split.train), len(split.validation), len(split.test)) == (96, 12, 12)
    everything = [*numbers(split.train), *numbers(split.validation), *numbers(split.test)]
    assert sorted(everything) == list(range(120))
    assert numbers(split.test).tolist() == split.test_labels.tolist()


def test_a_set_without_test_images_gives_some_of_its_own(numbered, tiny_recipe):
    images = dataclasses.replace(numbered, test=None, train_labels=None, test_labels=None)
    split = split_images(images, with_changes(tiny_recipe, split={"test": 0.1}))
    assert (len(split.train), len(split.validation), len(split.test)) == (70, 20, 10)
    assert len(split_images(images, tiny_recipe).test) == 0


def test_folds_cover_the_training_images_once_and_the_first_is_the_plain_split(numbered, tiny_recipe):
    splits = [fold_split(numbered, tiny_recipe, fold=fold, folds=5) for fold in range(5)]
    assert sorted(np.concatenate([numbers(split.validation) for split in splits])) == list(range(100))
    for split in splits:
        assert not set(numbers(split.train)) & set(numbers(split.validation))
        assert len(split.test) == 20
    plain = split_images(numbered, tiny_recipe)
    assert numbers(plain.train).tolist() == numbers(splits[0].train).tolist()
    assert numbers(plain.validation).tolist() == numbers(splits[0].validation).tolist()


@pytest.mark.parametrize("folds", [0, 1, 101])
def test_impossible_folds_are_refused(numbered, tiny_recipe, folds):
    with pytest.raises(UsageError, match=rf"--folds {folds} .*100 training images.*2 to 100"):
        fold_split(numbered, tiny_recipe, fold=0, folds=folds)


def test_a_patience_without_validation_images_is_refused(numbered, tiny_recipe):
    few = dataclasses.replace(numbered, train=Subset(numbered.train, np.arange(2)), train_labels=None)
    assert len(split_images(few, tiny_recipe).validation) == 0
    with pytest.raises(DatasetError, match=r"2 images .*patience of 3 .*--patience 0"):
        split_images(few, with_changes(tiny_recipe, training={"patience": 3}))


def test_limit_takes_a_few_of_each(numbered, tiny_recipe):
    fold = fold_split(numbered, tiny_recipe, fold=0, folds=3, limit=7)
    assert (len(fold.train), len(fold.validation), len(fold.test), len(fold.test_labels)) == (4, 3, 7, 7)
    split = split_images(numbered, tiny_recipe, limit=7)
    assert (len(split.train), len(split.validation), len(split.test)) == (7, 7, 7)
    assert numbers(split.test).tolist() == split.test_labels.tolist()
