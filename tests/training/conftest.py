"""Fixtures of the tests of training: a tiny data set, a tiny recipe, and the folder of real data."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(scope="session", autouse=True)
def _operators_are_translated_once():
    """Each export begins by translating all operators of torch, which takes longer than that of a tiny model."""
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration")
    translate = functools.cache(registration.ONNXRegistry.from_torchlib)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration.ONNXRegistry, "from_torchlib", staticmethod(translate))
        yield


@pytest.fixture(autouse=True)
def _one_thread():
    # Tiny models are faster so.
    torch.set_num_threads(1)


@pytest.fixture
def data_dir():
    """The folder with the real data sets; the test is skipped without them."""
    named = os.environ.get("IMGCLUSTER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no data sets in {folder}; set IMGCLUSTER_TEST_DATA to their folder")
    return folder


@pytest.fixture
def tiny_recipe():
    from imgcluster_training.recipe.parser import parse_recipe
    from tiny import TINY

    return parse_recipe(TINY, "tiny")


@pytest.fixture
def tiny_images():
    """Sixty 8×8 images of three classes: a bright square at one of three positions, and noise."""
    from imgcluster_training.data.datasets import ImageSet
    from imgcluster_training.data.images import ArrayImages

    random = np.random.default_rng(0)

    def draw(count):
        labels = np.arange(count) % 3
        pixels = random.integers(0, 60, (count, 8, 8, 1), dtype=np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            image[2 * label : 2 * label + 3, 2 * label : 2 * label + 3] = 250
        return ArrayImages(pixels), labels.astype(np.int64)

    train, train_labels = draw(60)
    test, test_labels = draw(21)
    return ImageSet(
        name="squares",
        description="squares",
        license="CC0-1.0",
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        classes=("left", "middle", "right"),
    )


@pytest.fixture
def small_mnist(tmp_path, tiny_images):
    """A folder with `tiny_images` in the files of MNIST."""
    from tiny import write_idx

    folder = tmp_path / "published" / "mnist"
    folder.mkdir(parents=True)
    for part, images, labels in (
        ("train", tiny_images.train, tiny_images.train_labels),
        ("t10k", tiny_images.test, tiny_images.test_labels),
    ):
        write_idx(folder / f"{part}-images-idx3-ubyte", images.pixels[..., 0])
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels.astype(np.uint8))
    return folder.parent


@pytest.fixture
def photos(tmp_path):
    """A folder of 24 images of noise, and a broken one."""
    from PIL import Image

    folder = tmp_path / "my photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture
def recipe(tmp_path):
    """The path of a variational recipe for a folder of images."""
    from tiny import FOLDER_RECIPE

    path = tmp_path / "small.toml"
    path.write_text(FOLDER_RECIPE)
    return str(path)
