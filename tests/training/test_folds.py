"""Cross-validation writes every fold's measures, sums them up, and goes on where it stopped."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.cross_validation import cross_validate, fold_checkpoint  # noqa: E402
from imgcluster_training.recipe.schema import with_changes  # noqa: E402

CPU = torch.device("cpu")


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.fixture
def short(tiny_recipe):
    return with_changes(tiny_recipe, training={"epochs": 2})


def test_every_fold_is_measured_and_summed_up(tiny_images, short, tmp_path):
    summary = cross_validate(tiny_images, short, folds=3, folder=tmp_path, device=CPU)
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


def test_an_interrupted_cross_validation_goes_on_to_the_same_results(tiny_images, short, tmp_path):
    expected = cross_validate(tiny_images, short, folds=3, folder=tmp_path / "a", device=CPU)

    def kill(progress):
        assert progress.folds == 3
        if (progress.fold, progress.epoch) == (2, 2):
            raise Killed

    with pytest.raises(Killed):
        cross_validate(tiny_images, short, folds=3, folder=tmp_path / "b", device=CPU, on_progress=kill)
    assert json.loads((tmp_path / "b" / "folds.json").read_text())["done"] == 1
    trained = []

    def watch(progress):
        trained.append((progress.fold, progress.epoch))

    again = cross_validate(
        tiny_images, short, folds=3, folder=tmp_path / "b", device=CPU, resume=True, on_progress=watch
    )
    assert set(trained) == {(2, 2), (3, 1), (3, 2)}
    for a, b in zip(again.folds, expected.folds, strict=True):
        assert a.measures() == b.measures()


def test_the_first_folds_place_is_that_of_a_training_without_folds(tmp_path):
    assert fold_checkpoint(tmp_path, 1) == tmp_path / "checkpoint.pt"
    assert fold_checkpoint(tmp_path, 2) == tmp_path / "fold-2" / "checkpoint.pt"


def test_one_fold_has_no_deviation(tiny_images, short, tmp_path):
    def kill(progress):
        if progress.fold == 2:
            raise Killed

    with pytest.raises(Killed):
        cross_validate(tiny_images, short, folds=2, folder=tmp_path, device=CPU, on_progress=kill)
    measures = json.loads((tmp_path / "folds.json").read_text())["measures"]
    assert all(value["sd"] is None and math.isfinite(value["mean"]) for value in measures.values())


def test_a_recipe_that_shares_out_test_images_is_refused(tiny_images, short, tmp_path):
    recipe = with_changes(short, split={"test": 0.1})
    with pytest.raises(UsageError, match=r"for --folds set split.test = 0"):
        cross_validate(tiny_images, recipe, folds=2, folder=tmp_path, device=CPU)
