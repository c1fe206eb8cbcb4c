"""Splits are disjoint and complete, and a batch is a function of seed, epoch and step alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.data.batches import (  # noqa: E402
    Batches,
    Subset,
    fold_split,
    split_images,
    to_input,
    to_target,
    to_tensor,
)
from imgcluster_training.data.datasets import ArrayImages, ImageSet  # noqa: E402
from imgcluster_training.recipe.schema import DataSettings, with_changes  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def numbered():
    """A hundred images, and twenty of a test set, each filled with its own number."""
    pixels = np.arange(120, dtype=np.uint8)[:, None, None, None].repeat(4, axis=1).repeat(4, axis=2)
    return ImageSet(
        name="n",
        description="n",
        licence="n",
        train=ArrayImages(pixels[:100]),
        test=ArrayImages(pixels[100:]),
        train_labels=np.arange(100),
        test_labels=np.arange(100, 120),
    )


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
    with pytest.raises(UsageError, match=rf"--folds {folds} is not possible with 100 training images; 2 to 100 are"):
        fold_split(numbered, tiny_recipe, fold=0, folds=folds)


def test_limit_takes_a_few_of_each(numbered, tiny_recipe):
    split = split_images(numbered, tiny_recipe, limit=7)
    assert (len(split.train), len(split.validation), len(split.test)) == (7, 7, 7)
    assert numbers(split.test).tolist() == split.test_labels.tolist()


def test_an_epoch_shows_every_image_once_in_another_order_each_time(numbered, tiny_recipe):
    batches = Batches(numbered.train, tiny_recipe, seed=0, device=CPU)
    epochs = [torch.cat([inputs for inputs, _ in batches.epoch(epoch)])[:, 0, 0, 0] for epoch in (0, 1, 0)]
    assert batches.steps == 13
    assert sorted((epochs[0] * 255).round().int().tolist()) == list(range(100))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0], epochs[2])


def test_an_epoch_can_begin_in_its_middle(numbered, tiny_recipe):
    from imgcluster_training.recipe.transforms import SaltAndPepper

    recipe = dataclasses.replace(tiny_recipe, corruption=(SaltAndPepper(amount=0.5),))
    batches = Batches(numbered.train, recipe, seed=0, device=CPU)
    whole, rest = list(batches.epoch(3)), list(batches.epoch(3, first=9))
    assert len(rest) == len(whole) - 9
    for (a, b), (c, d) in zip(whole[9:], rest, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_a_rest_of_one_image_is_left_out(numbered, tiny_recipe):
    few = Subset(numbered.train, np.arange(17))
    sizes = [len(inputs) for inputs, _ in Batches(few, tiny_recipe, seed=0, device=CPU).epoch(0)]
    assert sizes == [8, 8]


def test_epochs_may_be_longer_than_the_data(numbered, tiny_recipe):
    recipe = with_changes(tiny_recipe, training={"steps_per_epoch": 30})
    sizes = [len(inputs) for inputs, _ in Batches(numbered.train, recipe, seed=0, device=CPU).epoch(0)]
    assert sizes == [8] * 30


def test_bytes_become_channels_first_values_between_zero_and_one():
    pixels = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 1, 3)
    tensor = to_tensor(pixels, CPU)
    assert tensor.shape == (1, 3, 1, 1)
    torch.testing.assert_close(tensor.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_grey_and_chrominance_are_pillows():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3), dtype=np.uint8)
    images, picture = to_tensor(pixels, CPU), Image.fromarray(pixels[0])
    settings = DataSettings(dataset="cifar10", input="grey", target="chrominance")
    grey = to_input(images, settings)[0, 0].numpy() * 255
    assert np.abs(grey - np.asarray(picture.convert("L"))).max() <= 1
    chrominance = to_target(images, settings)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(chrominance - np.asarray(picture.convert("YCbCr"))[..., 1:]).max() <= 1.5
