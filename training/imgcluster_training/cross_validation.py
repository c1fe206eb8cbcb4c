"""Cross-validation: a recipe trained once per fold of the training images, with its measures over all folds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgcluster.errors import UsageError
from imgcluster.fileio.atomic import write_json
from imgcluster_training.data.datasets import ImageSet
from imgcluster_training.data.splits import fold_split
from imgcluster_training.deep_clustering.refine import Refinement
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.progress import FitResult, TrainingProgress
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.plots import draw_curves
from imgcluster_training.reporting.results import write_csv
from imgcluster_training.reporting.scores import ClusterScores, Evaluation, Scores, evaluate, finite_scores
from imgcluster_training.train_model import TrainedModel, train_model

__all__ = ["FoldResult", "FoldSummary", "MeanSd", "check_folds", "cross_validate", "fold_checkpoint"]


@dataclass(frozen=True, slots=True)
class MeanSd:
    """Mean and sample standard deviation over folds; the deviation of one fold is NaN."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.5f} ± {self.sd:.5f}" if math.isfinite(self.sd) else f"{self.mean:.5f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fold, `fold` from 1: its training, and its scores.

    Attributes:
        refinement: The deep-clustering stages; None without any.
        validation: Scores on the fold; None without a decoder that fits the encoder.
        test: Scores on the test images; None without any, too.
        clusters: K-means on the codes of the test images, or of the fold without any; None without labels.
    """

    fold: int
    fit: FitResult
    refinement: Refinement | None
    validation: Scores | None
    test: Scores | None
    clusters: ClusterScores | None

    @property
    def validation_loss(self) -> float:
        return self.fit.history[self.fit.best_epoch - 1].validation_loss

    def measures(self) -> dict[str, float]:
        """Return every finite number by name: ``training_loss``, ``validation_mse``, ``test_ssim``, ``nmi``, …"""
        values = {"training_loss": self.fit.history[self.fit.best_epoch - 1].loss}
        for prefix, scores in (("validation_", self.validation), ("test_", self.test), ("", self.clusters)):
            values |= {prefix + key: value for key, value in finite_scores(scores).items()}
        return values

    def row(self) -> dict[str, float]:
        """Return the fold's row of ``folds.csv``."""
        row: dict[str, float] = {
            "fold": self.fold,
            "epochs": len(self.fit.history),
            "best_epoch": self.fit.best_epoch,
            "seconds": round(self.fit.seconds, 1),
        }
        if self.refinement is not None:
            row |= {
                "refine_clusters": self.refinement.clusters,
                "refine_seconds": round(self.refinement.seconds, 1),
            }
        return row | self.measures()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSummary:
    """The folds that are done, of `planned`, and mean and deviation of every measure over those that have it."""

    planned: int
    folds: tuple[FoldResult, ...]
    measures: dict[str, MeanSd]

    @property
    def best(self) -> FoldResult:
        """The fold with the lowest validation loss, selected without labels and test images."""
        return min(self.folds, key=lambda result: result.validation_loss)


def cross_validate(
    images: ImageSet, recipe: Recipe, run: RunSettings, *, folds: int, folder: Path, limit: int | None = None
) -> tuple[FoldSummary, TrainedModel, Evaluation]:
    """Train `recipe` on every fold; write ``folds.csv``, ``folds.json`` and ``folds.png`` after each of them.

    Args:
        images: Its training images are split into folds; its test images are in none.
        recipe: Fold number k is trained with the recipe's seed + k − 1.
        run: Where and how to run it.
        folds: The number of folds.
        folder: For results and checkpoints.
        limit: Split at most this many images into folds, and test on as many.

    Returns:
        The summary, and the model of the best fold with its scores.

    Raises:
        UsageError: The data cannot be split into so many folds, or the recipe does not allow folds.
    """
    check_folds(images, recipe)
    results: list[FoldResult] = []
    for number in range(1, folds + 1):
        split = fold_split(images, recipe, fold=number - 1, folds=folds, limit=limit)
        trained = train_model(
            split,
            recipe,
            _with_fold(run, number, folds),
            seed=recipe.training.seed + number - 1,
            checkpoint=fold_checkpoint(folder, number),
        )
        evaluation = evaluate(trained, recipe, run.device)
        results.append(
            FoldResult(
                fold=number,
                fit=trained.fit,
                refinement=trained.refinement,
                validation=evaluation.validation,
                test=evaluation.test,
                clusters=evaluation.clusters,
            )
        )
        summary = _summarize(results, folds)
        _write(summary, folder)
        if summary.best is results[-1]:
            best = trained, evaluation
    return summary, *best


def check_folds(images: ImageSet, recipe: Recipe) -> None:
    """Check that `recipe` allows cross-validation.

    Raises:
        UsageError: It has no decoder, or splits training and test images together.
    """
    if not recipe.model.decoder:
        raise UsageError(f"--folds needs a recipe with a decoder, and {recipe.name} has none; leave out --folds")
    if recipe.split.test > 0 and images.test is not None:
        raise UsageError(
            f"--folds keeps the test images apart, but recipe {recipe.name} splits training and test images together "
            f"(split.test = {recipe.split.test}); set split.test = 0"
        )


def fold_checkpoint(folder: Path, fold: int) -> Path:
    """Return the file for the checkpoints of fold number `fold` (from 1).

    That of the first fold is also that of a training without folds: if the recipe validates on ``1 / folds`` of the
    images, both are the same training, and neither needs to be repeated.
    """
    return folder / "checkpoint.pt" if fold == 1 else folder / f"fold-{fold}" / "checkpoint.pt"


def _with_fold(run: RunSettings, fold: int, folds: int) -> RunSettings:
    def on_progress(progress: TrainingProgress) -> None:
        run.on_progress(dataclasses.replace(progress, fold=fold, folds=folds))

    return dataclasses.replace(run, on_progress=on_progress)


def _summarize(results: list[FoldResult], planned: int) -> FoldSummary:
    columns = [result.measures() for result in results]
    measures = {}
    # A fold can lack a measure: of one image there is no error of the mean image, say.
    for key in dict.fromkeys(key for column in columns for key in column):
        values = np.array([column[key] for column in columns if key in column])
        measures[key] = MeanSd(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan)
    return FoldSummary(planned=planned, folds=tuple(results), measures=measures)


def _write(summary: FoldSummary, folder: Path) -> None:
    rows = [result.row() for result in summary.folds]
    write_csv(rows, folder / "folds.csv")
    measures = {
        key: {"mean": value.mean, "sd": value.sd if math.isfinite(value.sd) else None}
        for key, value in summary.measures.items()
    }
    content = {"folds": summary.planned, "done": len(rows), "measures": measures, "by_fold": rows}
    write_json(folder / "folds.json", content)
    draw_curves({f"fold {result.fold}": result.fit.history for result in summary.folds}, folder / "folds.png")
