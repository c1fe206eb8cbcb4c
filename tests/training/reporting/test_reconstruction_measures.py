"""Every metric against a naive re-implementation, or against values known by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster_training.reporting.reconstruction_measures import (
    cosine_similarity,
    mean_squared_errors,
    psnr,
    restored_share,
    ssim,
)


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    wanted = random.uniform(size=(2, 14, 13, 3)).astype(np.float32)
    made = np.clip(wanted + random.normal(0, 0.1, wanted.shape), 0, 1).astype(np.float32)
    return made, wanted


def test_squared_errors_and_psnr(pair):
    made, wanted = pair
    naive = [np.mean((made[i].astype(float) - wanted[i]) ** 2) for i in range(2)]
    assert mean_squared_errors(made, wanted) == pytest.approx(naive, rel=1e-5)
    assert psnr(made, wanted) == pytest.approx([10 * np.log10(1 / error) for error in naive], rel=1e-5)
    assert psnr(wanted, wanted) == pytest.approx([100.0, 100.0])


def test_cosine_of_colour_is_the_mean_over_pixels(pair):
    made, wanted = pair
    naive = [
        np.mean(
            [
                made[i, y, x] @ wanted[i, y, x] / np.linalg.norm(made[i, y, x]) / np.linalg.norm(wanted[i, y, x])
                for y in range(14)
                for x in range(13)
            ]
        )
        for i in range(2)
    ]
    assert cosine_similarity(made, wanted) == pytest.approx(naive, rel=1e-5)


def test_cosine_of_grey_is_that_of_the_images_as_vectors(pair):
    made, wanted = (array[..., :1] for array in pair)
    a, b = made.reshape(2, -1), wanted.reshape(2, -1)
    naive = [a[i] @ b[i] / np.linalg.norm(a[i]) / np.linalg.norm(b[i]) for i in range(2)]
    assert cosine_similarity(made, wanted) == pytest.approx(naive, rel=1e-5)
    assert cosine_similarity(np.zeros_like(made), wanted).tolist() == [0.0, 0.0]


def test_ssim_is_that_of_every_window(pair):
    made, wanted = (array.astype(np.float64) for array in pair)
    place = np.arange(-5, 6)
    weights = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    naive = np.zeros((2, 4, 3, 3))
    for i, y, x, c in itertools.product(range(2), range(4), range(3), range(3)):
        a, b = made[i, y : y + 11, x : x + 11, c], wanted[i, y : y + 11, x : x + 11, c]
        ma, mb = (weights * a).sum(), (weights * b).sum()
        va, vb = (weights * a * a).sum() - ma**2, (weights * b * b).sum() - mb**2
        cov = (weights * a * b).sum() - ma * mb
        upper = (2 * ma * mb + 0.01**2) * (2 * cov + 0.03**2)
        naive[i, y, x, c] = upper / ((ma**2 + mb**2 + 0.01**2) * (va + vb + 0.03**2))
    assert ssim(*pair) == pytest.approx(naive.mean(axis=(1, 2, 3)), rel=1e-4)


def test_ssim_of_equal_images_is_one_even_when_they_are_smaller_than_the_window():
    image = np.random.default_rng(0).uniform(size=(1, 8, 8, 1)).astype(np.float32)
    assert ssim(image, image) == pytest.approx([1.0], abs=1e-5)


def test_restored_share_counts_corrupted_pixels_only():
    clean = np.array([1, 1, 0, 0], dtype=np.float32).reshape(1, 2, 2, 1)
    noisy = np.array([0, 1, 1, 0], dtype=np.float32).reshape(1, 2, 2, 1)
    made = np.array([0.9, 0.1, 0.8, 0.9], dtype=np.float32).reshape(1, 2, 2, 1)
    assert restored_share(noisy, made, clean) == 0.5
    assert np.isnan(restored_share(clean, made, clean))
