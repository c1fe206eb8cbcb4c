"""Cross-validation writes the measures of every fold and their mean, and resumes where it was interrupted."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster.errors import UsageError
from imgcluster_training.cross_validation import cross_validate, fold_checkpoint
from imgcluster_training.data.images import ArrayImages
from imgcluster_training.recipe.parser import with_changes
from imgcluster_training.recipe.transforms import Erase
from tiny import Interrupted, interrupt_at, on_cpu


@pytest.fixture
def short(tiny_recipe):
    return with_changes(tiny_recipe, training={"epochs": 2})


def test_every_fold_is_measured_and_summed_up(tiny_images, short, tmp_path):
    summary, trained, _ = cross_validate(tiny_images, short, on_cpu(), folds=3, folder=tmp_path)
    with (tmp_path / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["1", "2", "3"]
    content = json.loads((tmp_path / "folds.json").read_text())
    assert (content["folds"], content["done"]) == (3, 3)
    for key in ("training_loss", "validation_mse", "validation_psnr", "test_cosine", "test_ssim", "nmi", "ari"):
        values = [float(row[key]) for row in rows]
        assert content["measures"][key]["mean"] == pytest.approx(np.mean(values))
        assert content["measures"][key]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert {"majority_accuracy", "hungarian_accuracy"} <= set(content["measures"])
    assert (tmp_path / "folds.png").stat().st_size > 1000
    losses = [result.validation.loss for result in summary.folds]
    assert summary.best.fold == int(np.argmin(losses)) + 1
    assert trained.fit == summary.best.fit
    assert trained.seed == short.training.seed + summary.best.fold - 1


@pytest.mark.parametrize("first", [0, 1])
def test_a_measure_that_only_some_folds_have_is_averaged_over_those(tiny_images, short, tmp_path, first):
    # Erasing changes nothing in a black image, so that nothing can be restored.
    pixels = tiny_images.train.pixels[:2].copy()
    pixels[first] = 0
    images = dataclasses.replace(tiny_images, train=ArrayImages(pixels), test=None, train_labels=None, test_labels=None)
    recipe = short.model_copy(update={"corruption": (Erase(size=0.9),)})
    cross_validate(images, recipe, on_cpu(), folds=2, folder=tmp_path)
    with (tmp_path / "folds.csv").open() as file:
        cells = [row["validation_restored"] for row in csv.DictReader(file)]
    assert cells.count("") == 1
    measures = json.loads((tmp_path / "folds.json").read_text(), parse_constant=pytest.fail)["measures"]
    assert measures["validation_restored"] == {"mean": float("".join(cells)), "sd": None}


def test_an_interrupted_cross_validation_resumes_to_the_same_results(tiny_images, short, tmp_path):
    expected, _, _ = cross_validate(tiny_images, short, on_cpu(), folds=3, folder=tmp_path / "a")
    interrupted = on_cpu(on_progress=interrupt_at(fold=2, folds=3, epoch=2))
    with pytest.raises(Interrupted):
        cross_validate(tiny_images, short, interrupted, folds=3, folder=tmp_path / "b")
    assert json.loads((tmp_path / "b" / "folds.json").read_text())["done"] == 1
    trained = set()
    run = on_cpu(on_progress=lambda progress: trained.add((progress.fold, progress.epoch)))
    again, _, _ = cross_validate(tiny_images, short, run, folds=3, folder=tmp_path / "b")
    assert trained == {(2, 2), (3, 1), (3, 2)}
    for a, b in zip(again.folds, expected.folds, strict=True):
        assert a.measures() == b.measures()


def test_the_first_fold_has_the_checkpoint_of_a_training_without_folds(tmp_path):
    assert fold_checkpoint(tmp_path, 1) == tmp_path / "checkpoint.pt"
    assert fold_checkpoint(tmp_path, 2) == tmp_path / "fold-2" / "checkpoint.pt"


def test_one_fold_has_no_deviation(tiny_images, short, tmp_path):
    with pytest.raises(Interrupted):
        cross_validate(tiny_images, short, on_cpu(on_progress=interrupt_at(fold=2)), folds=2, folder=tmp_path)
    measures = json.loads((tmp_path / "folds.json").read_text())["measures"]
    assert all(value["sd"] is None and math.isfinite(value["mean"]) for value in measures.values())


def test_a_recipe_that_splits_the_test_images_is_refused(tiny_images, short, tmp_path):
    recipe = with_changes(short, split={"test": 0.1})
    with pytest.raises(UsageError, match=r"--folds.*split\.test = 0\.1"):
        cross_validate(tiny_images, recipe, on_cpu(), folds=2, folder=tmp_path)
