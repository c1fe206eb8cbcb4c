"""A batch depends on seed, epoch and step only, and holds what the model sees and makes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.data.batches import Batches, to_input, to_target, to_tensor  # noqa: E402
from imgcluster_training.data.images import Subset  # noqa: E402
from imgcluster_training.recipe.parser import with_changes  # noqa: E402
from imgcluster_training.recipe.schema import DataSettings  # noqa: E402

CPU = torch.device("cpu")


def test_an_epoch_shows_every_image_once_in_another_order_each_time(numbered, tiny_recipe):
    batches = Batches(numbered.train, tiny_recipe, seed=0, device=CPU)
    epochs = [torch.cat([inputs for inputs, _ in batches.epoch(epoch)])[:, 0, 0, 0] for epoch in (0, 1, 0)]
    assert batches.steps == 13
    assert sorted((epochs[0] * 255).round().int().tolist()) == list(range(100))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0], epochs[2])


def test_an_epoch_can_begin_in_its_middle(numbered, tiny_recipe):
    from imgcluster_training.recipe.transforms import SaltAndPepper

    recipe = tiny_recipe.model_copy(update={"corruption": (SaltAndPepper(amount=0.5),)})
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


def test_gray_and_chrominance_are_pillows():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3), dtype=np.uint8)
    images, picture = to_tensor(pixels, CPU), Image.fromarray(pixels[0])
    settings = DataSettings(dataset="cifar10", input="grey", target="chrominance")
    gray = to_input(images, settings)[0, 0].numpy() * 255
    assert np.abs(gray - np.asarray(picture.convert("L"))).max() <= 1
    chrominance = to_target(images, settings)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(chrominance - np.asarray(picture.convert("YCbCr"))[..., 1:]).max() <= 1.5
