"""The digest of images depends on their pixels, shape and order, and not on how they are held."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster_training.data.images import ArrayImages, Concatenated, Subset, images_digest


def test_equal_images_have_equal_digests_however_they_are_held(numbered):
    everything = np.concatenate([numbered.train.pixels, numbered.test.pixels])
    joined = Concatenated(numbered.train, numbered.test)
    order = np.array([110, 3, 119, 0, 57])
    assert images_digest(joined) == images_digest(ArrayImages(everything))
    assert images_digest(Subset(joined, order)) == images_digest(ArrayImages(everything[order]))


def test_other_pixels_order_shape_or_partition_have_another_digest(numbered):
    pixels = numbered.train.pixels
    changed = pixels.copy()
    changed[7, 1, 1, 0] += 1
    others = [
        [ArrayImages(changed)],
        [ArrayImages(pixels[::-1])],
        [ArrayImages(pixels[:-1])],
        [ArrayImages(pixels.reshape(100, 2, 8, 1))],
        [ArrayImages(pixels[:60]), ArrayImages(pixels[60:])],
    ]
    digests = {images_digest(*images) for images in [[numbered.train], *others]}
    assert len(digests) == 1 + len(others)
