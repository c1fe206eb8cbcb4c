"""What the tests of the training package share: a tiny data set, a tiny recipe, and where real data lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture
def data_dir():
    """The folder with the real data sets; the test is skipped where there is none."""
    named = os.environ.get("IMGCLUSTER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no real data in {folder}; name their folder in IMGCLUSTER_TEST_DATA")
    return folder


@pytest.fixture
def tiny_recipe():
    from imgcluster_training.recipe.schema import parse_recipe
    from tiny import TINY

    return parse_recipe(TINY, "tiny")


@pytest.fixture
def tiny_images():
    """Sixty 8×8 images of three classes: a bright square that lies in one of three places, and noise."""
    from imgcluster_training.data.datasets import ArrayImages, ImageSet

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
        licence="CC0-1.0",
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        classes=("left", "middle", "right"),
    )
