"""Scores compare with the mean image, and say when training was too short."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.data.splits import split_images  # noqa: E402
from imgcluster_training.fit.autoencoder import fit  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.parser import with_changes  # noqa: E402
from imgcluster_training.reporting.scores import cluster_scores, score  # noqa: E402
from tiny import on_cpu  # noqa: E402


@pytest.mark.parametrize(("epochs", "poor"), [(1, True), (40, False)])
def test_poor_reconstructions_have_a_note(tiny_images, tiny_recipe, epochs, poor):
    recipe = with_changes(tiny_recipe, training={"epochs": epochs})
    model = model_for(recipe, tiny_images.train.shape, seed=0)
    fit(model, split_images(tiny_images, recipe), recipe, on_cpu(), seed=0)
    scores = score(model, tiny_images.test, recipe, torch.device("cpu"))
    pixels = tiny_images.test.pixels / 255
    assert scores.mean_image_mse == pytest.approx(np.square(pixels - pixels.mean(axis=0)).mean(), rel=1e-4)
    assert ("--epochs" in scores.note) is poor


def test_a_single_image_has_no_mean_image_to_compare_with(tiny_images, tiny_recipe):
    from imgcluster_training.data.images import Subset

    model = model_for(tiny_recipe, tiny_images.train.shape, seed=0)
    scores = score(model, Subset(tiny_images.test, np.array([0])), tiny_recipe, torch.device("cpu"))
    assert np.isnan(scores.mean_image_mse)
    assert scores.note == ""


def test_codes_that_are_all_the_same_are_scored():
    scores = cluster_scores(np.zeros((6, 2), dtype=np.float32), np.arange(6) % 3, seed=0)
    assert scores.majority_accuracy == pytest.approx(1 / 3)
    assert scores.nmi == 0
