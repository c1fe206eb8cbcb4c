"""Fixtures of the tests of data."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster_training.data.datasets import ImageSet
from imgcluster_training.data.images import ArrayImages


@pytest.fixture
def numbered():
    """A hundred training and twenty test images, each filled with its own number."""
    pixels = np.arange(120, dtype=np.uint8)[:, None, None, None].repeat(4, axis=1).repeat(4, axis=2)
    return ImageSet(
        name="n",
        description="n",
        license="n",
        train=ArrayImages(pixels[:100]),
        test=ArrayImages(pixels[100:]),
        train_labels=np.arange(100),
        test_labels=np.arange(100, 120),
    )
