"""Cross-validation: a recipe trained once per fold of the training images, its measures summed up over the folds."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from imgcluster.errors import UsageError
from imgcluster.fileio.atomic import write_json, write_text
from training.batches import Split, fold_split
from training.clustering.refine import Refinement
from training.datasets import ImageSet
from training.evaluation import ClusterScores, Scores, cluster_scores, encode, score
from training.pictures import draw_curves
from training.progress import EpochRecord, FitResult, Progress
from training.recipes import Recipe
from training.trained import Trained, train_model

__all__ = ["FoldResult", "FoldSummary", "MeanSd", "cross_validate", "fold_checkpoint", "write_history"]


@dataclass(frozen=True, slots=True)
class MeanSd:
    """Mean and sample standard deviation over folds; the deviation of one fold is NaN."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.5f} ± {self.sd:.5f}" if math.isfinite(self.sd) else f"{self.mean:.5f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fold, `fold` from 1: its training, its scores on the images that validated it and on the test images.

    `refinement` is what came after the training, None without any; where it leaves the decoder behind there are no
    scores of reconstructions. `clusters` is k-means on the codes of the test images (of the validating ones where
    there are no test images); None without labels.
    """

    fold: int
    fit: FitResult
    refinement: Refinement | None
    validation: Scores | None
    test: Scores | None
    clusters: ClusterScores | None

    def measures(self) -> dict[str, float]:
        """Return every finite number by name: ``training_loss``, ``validation_mse``, ``test_ssim``, ``nmi``, …"""
        values = {"training_loss": self.fit.history[self.fit.best_epoch - 1].loss}
        for prefix, scores in (("validation_", self.validation), ("test_", self.test), ("", self.clusters)):
            if scores is not None:
                values |= {prefix + key: float(value) for key, value in dataclasses.asdict(scores).items()}
        return {key: value for key, value in values.items() if math.isfinite(value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSummary:
    """The folds carried out so far, of `planned`, and mean and deviation of every measure over them."""

    planned: int
    folds: tuple[FoldResult, ...]
    measures: dict[str, MeanSd]

    @property
    def best(self) -> FoldResult:
        """The fold with the lowest validation loss; no label and no test image has a say in it."""
        return min(self.folds, key=lambda result: result.fit.history[result.fit.best_epoch - 1].validation_loss)


def cross_validate(
    images: ImageSet,
    recipe: Recipe,
    *,
    folds: int,
    folder: Path,
    device: torch.device,
    resume: bool = False,
    limit: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> FoldSummary:
    """Train `recipe` on every fold; write ``folds.csv``, ``folds.json`` and ``folds.png`` after each of them.

    Args:
        images: Its training images are shared out over the folds; its test images are in none.
        recipe: Fold number k trains with the recipe's seed + k − 1.
        folds: How many.
        folder: Where results and checkpoints go.
        device: Where to compute.
        resume: Take finished folds from their checkpoints, and go on with the one that was interrupted.
        limit: Use this many images at most, for a quick try.
        on_progress: Called after every batch, with the fold.

    Raises:
        UsageError: The data cannot be shared out over so many folds, or the recipe has no decoder to compare by.
    """
    if not recipe.model.decoder:
        raise UsageError(f"--folds compares autoencoders, and recipe {recipe.name} has no decoder; leave out --folds")
    if recipe.split.test > 0 and images.test is not None:
        raise UsageError(
            f"recipe {recipe.name} shares out training and test images together (split.test = {recipe.split.test}); "
            "for --folds set split.test = 0"
        )
    results: list[FoldResult] = []
    for number in range(1, folds + 1):
        split = fold_split(images, recipe, fold=number - 1, folds=folds, limit=limit)
        trained = train_model(
            split,
            recipe,
            seed=recipe.training.seed + number - 1,
            device=device,
            checkpoint=fold_checkpoint(folder, number),
            resume=resume,
            on_progress=_with_fold(on_progress, number, folds),
        )
        results.append(_measure(number, trained, split, recipe, device))
        summary = _summary(results, folds)
        _write(summary, folder)
    return summary


def fold_checkpoint(folder: Path, fold: int) -> Path:
    """Return where fold number `fold` (from 1) keeps its state.

    The first fold's place is that of a training without folds: where the recipe validates on ``1 / folds``
    of the images the two are the same training, and neither needs to be done twice.
    """
    return folder / "checkpoint.pt" if fold == 1 else folder / f"fold-{fold}" / "checkpoint.pt"


def write_history(history: tuple[EpochRecord, ...], path: Path) -> None:
    """Write one row per epoch to the CSV file `path`."""
    _write_csv([dataclasses.asdict(record) for record in history], path)


def _with_fold(on_progress: Callable[[Progress], None] | None, fold: int, folds: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(dataclasses.replace(progress, fold=fold, folds=folds))

    return report


def _measure(number: int, trained: Trained, split: Split, recipe: Recipe, device: torch.device) -> FoldResult:
    scored, labels = (split.test, split.test_labels) if len(split.test) else (split.validation, split.validation_labels)
    clusters = None
    if labels is not None:
        codes = encode(trained.model, scored, recipe, device)
        clusters = cluster_scores(codes, labels, cosine=recipe.metric == "cosine", seed=recipe.training.seed)
    return FoldResult(
        fold=number,
        fit=trained.fit,
        refinement=trained.refinement,
        validation=score(trained.model, split.validation, recipe, device) if trained.decodes else None,
        test=score(trained.model, split.test, recipe, device) if trained.decodes and len(split.test) else None,
        clusters=clusters,
    )


def _summary(results: list[FoldResult], planned: int) -> FoldSummary:
    columns = [result.measures() for result in results]
    measures = {}
    for key in columns[0]:
        values = np.array([column.get(key, math.nan) for column in columns])
        measures[key] = MeanSd(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan)
    return FoldSummary(planned=planned, folds=tuple(results), measures=measures)


def _write(summary: FoldSummary, folder: Path) -> None:
    rows = [
        {
            "fold": result.fold,
            "epochs": len(result.fit.history),
            "best_epoch": result.fit.best_epoch,
            "seconds": round(result.fit.seconds, 1),
            **_refined(result.refinement),
            **result.measures(),
        }
        for result in summary.folds
    ]
    _write_csv(rows, folder / "folds.csv")
    measures = {
        key: {"mean": value.mean, "sd": value.sd if math.isfinite(value.sd) else None}
        for key, value in summary.measures.items()
    }
    content = {"folds": summary.planned, "done": len(rows), "measures": measures, "by_fold": rows}
    write_json(folder / "folds.json", content)
    draw_curves({f"fold {result.fold}": result.fit.history for result in summary.folds}, folder / "folds.png")


def _refined(refinement: Refinement | None) -> dict[str, float]:
    if refinement is None:
        return {}
    return {"refine_clusters": refinement.clusters, "refine_seconds": round(refinement.seconds, 1)}


def _write_csv(rows: list[dict[str, float]], path: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
