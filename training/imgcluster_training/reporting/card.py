"""The model card of an encoder, ``NAME.md``: its data, training and scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.fileio.atomic import write_text
from imgcluster_training.cross_validation import FoldSummary
from imgcluster_training.models.autoencoder import ParameterCounts
from imgcluster_training.progress import FitResult
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.scores import ClusterScores, Evaluation, Scores, finite_scores
from imgcluster_training.train_model import TrainedModel

__all__ = ["Card", "write_card"]

_Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The content of a card.

    Attributes:
        info: The exported encoder.
        planned: The recipe before changes by options.
        recipe: The recipe as it was carried out.
        trained: The trained model.
        evaluation: Its scores.
        counts: Parameters of the autoencoder, or of the encoder alone if that is exported without a decoder.
        folds: The cross-validation; None without one.
        image_license: The license of the images; empty if unknown.
        picture: File name of the picture beside the card.
        hardware: What it was trained on.
        difference: Largest difference between ONNX Runtime and torch in the encoder's outputs.
    """

    info: EncoderInfo
    planned: Recipe
    recipe: Recipe
    trained: TrainedModel
    evaluation: Evaluation
    counts: ParameterCounts
    folds: FoldSummary | None
    image_license: str
    picture: str
    hardware: str
    difference: float


def write_card(card: Card, path: Path) -> None:
    """Write `card` as Markdown to `path`."""
    info, fit, evaluation = card.info, card.trained.fit, card.evaluation
    alt_text = "Originals beside reconstructions" if info.decoder else "The images nearest to each cluster center"
    parts = [
        f"# {info.name}",
        f"{info.score}.",
        _table(("", ""), _facts(card)),
        f"![{alt_text}]({quote(card.picture)})",
    ]
    if evaluation.test is not None and evaluation.test.note:
        parts.append(evaluation.test.note)
    if fit.history:
        parts += _best_epoch(fit)
    if evaluation.test is not None:
        parts += ["## On the test images", _table(("measure", "value"), _score_rows(evaluation.test, digits=5))]
    if evaluation.clusters is not None:
        parts += [
            "## k-means on the codes of the test images",
            "Labels were used for scoring only.",
            _table(("measure", "value"), _score_rows(evaluation.clusters, digits=4)),
        ]
    if card.folds is not None:
        parts += [
            f"## Cross-validation: {len(card.folds.folds)} of {card.folds.planned} folds",
            f"The encoder is that of fold {card.folds.best.fold}, which has the lowest validation loss.",
            _table(("measure", "mean ± sd"), [(key, str(value)) for key, value in card.folds.measures.items()]),
        ]
    write_text(path, "\n\n".join(parts) + "\n")


def _facts(card: Card) -> _Rows:
    info, recipe, settings = card.info, card.recipe, card.recipe.training
    fit, refinement = card.trained.fit, card.trained.refinement
    model = "encoder and decoder" if info.decoder else "the encoder"
    rows = [
        ("recipe", f"`{recipe.name}`: {recipe.title}"),
        ("data", f"{info.trained_on}; {len(card.trained.split.train):,} training images"),
        ("input", f"{info.width}×{info.height}×{info.channels}, resized by `{info.resize}` ({info.filter})"),
        ("code", f"{info.embedding_size} values, {info.metric} distance"),
        ("parameters", f"{card.counts.all:,} in {model} ({card.counts.trainable:,} trainable)"),
    ]
    if fit.history:
        average = f", weights averaged ({settings.average:g})" if settings.average else ""
        objective = f"loss {settings.loss}, {settings.optimizer} at {settings.learning_rate:g} ({settings.schedule})"
        rows += [
            ("training", f"{objective}, batches of {settings.batch_size}{average}; seed {settings.seed}"),
            ("epochs trained", f"{_epochs(card)}; the weights are those of epoch {fit.best_epoch}"),
        ]
    rows += _stage_rows(card)
    seconds = fit.seconds + (refinement.seconds if refinement else 0.0)
    return [
        *rows,
        ("time", f"{seconds:,.0f} s on {card.hardware}"),
        ("license", info.license),
        *([("license of the images", card.image_license)] if card.image_license else []),
        ("checked", f"ONNX Runtime and torch differ by at most {card.difference:.1e}"),
    ]


def _epochs(card: Card) -> str:
    epochs, settings, planned = len(card.trained.fit.history), card.recipe.training, card.planned.training
    stopped = f", ended by a patience of {settings.patience}" if epochs < settings.epochs else ""
    if not settings.steps_per_epoch and not planned.steps_per_epoch:
        return f"{epochs} of the recipe's {planned.epochs}{stopped}"
    length, planned_length = (
        f"of {steps:,} batches each" if steps else "of all training images"
        for steps in (settings.steps_per_epoch, planned.steps_per_epoch)
    )
    return f"{epochs} {length}{stopped}; the recipe has {planned.epochs} {planned_length}"


def _best_epoch(fit: FitResult) -> list[str]:
    best = fit.history[fit.best_epoch - 1]
    if not math.isfinite(best.validation_loss):
        return []
    text = f"Epoch {best.epoch}: training loss {best.loss:.5f}, validation loss {best.validation_loss:.5f}"
    return [f"{text}, validation MSE {best.validation_mse:.5f}."]


def _stage_rows(card: Card) -> _Rows:
    refinement = card.trained.refinement
    if refinement is None:
        return []
    rows = []
    stages = zip(refinement.stages, card.recipe.cluster.stages, card.planned.cluster.stages, strict=True)
    for result, settings, planned in stages:
        text = (
            f"{len(result.history)} epochs of at most {planned.total_epochs} in the recipe, batches of "
            f"{settings.batch_size} at {settings.learning_rate:g}; {result.seconds:,.0f} s"
        )
        rows.append((f"stage `{result.name}`", text))
    if refinement.clusters:
        origin = "estimated from the codes, without labels" if refinement.found else "given"
        rows.append(("clusters trained for", f"{refinement.clusters}, {origin}"))
    return rows


def _score_rows(scores: Scores | ClusterScores, *, digits: int) -> _Rows:
    return [(key, f"{value:.{digits}f}") for key, value in finite_scores(scores).items()]


def _table(head: tuple[str, str], rows: _Rows) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |", *(f"| {key} | {_cell(value)} |" for key, value in rows)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return a text as one cell: a title or the name of a folder can have any characters."""
    return " ".join(text.split()).replace("|", "\\|")
