"""The card of an encoder, ``NAME.md``: what it was made from, by what, how long, and how well it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.fileio.atomic import write_text
from training.clustering.refine import Refinement
from training.evaluation import ClusterScores, Scores
from training.folds import FoldSummary
from training.models import ParameterCounts
from training.progress import FitResult
from training.recipes import Recipe

__all__ = ["Card", "write_card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything that a card tells.

    Attributes:
        info: The exported encoder.
        recipe: The recipe as it was carried out.
        counts: Parameters of the whole autoencoder; of the encoder alone where it has left its decoder.
        fit: The autoencoder's training; without epochs where there was none.
        refinement: The stages after it; None without any.
        planned: The recipe as it asks, whatever was carried out.
        trained_images: How many images it learned from.
        test: Scores on the test images; None without any.
        clusters: k-means on the test codes; None without labels.
        folds: Mean and standard deviation over the folds; None without cross-validation.
        picture: File name of the reconstructions, beside the card.
        hardware: What it was trained on, in words.
        difference: How far ONNX Runtime is from torch on the encoder's outputs.
    """

    info: EncoderInfo
    recipe: Recipe
    counts: ParameterCounts
    fit: FitResult
    refinement: Refinement | None
    planned: Recipe
    trained_images: int
    test: Scores | None
    clusters: ClusterScores | None
    folds: FoldSummary | None
    picture: str
    hardware: str
    difference: float


def write_card(card: Card, path: Path) -> None:
    """Write `card` as Markdown to `path`."""
    write_text(path, _text(card))


def _text(card: Card) -> str:
    info, recipe, settings = card.info, card.recipe, card.recipe.training
    whole = "encoder and decoder" if info.decoder else "the encoder"
    rows = [
        ("recipe", f"`{recipe.name}`: {recipe.title}"),
        ("data", f"{info.trained_on}; {card.trained_images:,} images trained on"),
        ("input", f"{info.width}×{info.height}×{info.channels}, resized by `{info.resize}` ({info.filter})"),
        ("code", f"{info.embedding_size} values, compared by {info.metric} distance"),
        ("parameters", f"{card.counts.all:,} in {whole} ({card.counts.trainable:,} trainable)"),
    ]
    if card.fit.history:
        rows += [
            ("training", f"{_objective(recipe)}; seed {settings.seed}"),
            ("epochs trained", f"{_epochs(card)}; the weights are those of epoch {card.fit.best_epoch}"),
        ]
    if card.refinement is not None:
        rows += _stage_rows(card)
    seconds = card.fit.seconds + (card.refinement.seconds if card.refinement else 0.0)
    rows += [
        ("time", f"{seconds:,.0f} s on {card.hardware}"),
        ("licence", info.licence),
        ("checked", f"ONNX Runtime and torch differ by {card.difference:.1e} at most"),
    ]
    shown = "Originals beside reconstructions" if info.decoder else "The images nearest the centre of each cluster"
    parts = [f"# {info.name}", f"{info.score}.", _table(("", ""), rows), f"![{shown}]({card.picture})"]
    if card.fit.history:
        parts += _last_epoch(card.fit)
    if card.test is not None:
        parts += ["## On the test images", _table(("measure", "value"), _score_rows(card.test))]
    if card.clusters is not None:
        rows = [(key, f"{getattr(card.clusters, key):.4f}") for key in card.clusters.__slots__]
        parts += [
            "## k-means on the codes of the test images",
            "Labels were used for scoring only.",
            _table(("measure", "value"), rows),
        ]
    if card.folds is not None:
        parts += [
            f"## Cross-validation: {len(card.folds.folds)} of {card.folds.planned} folds",
            f"The encoder is that of fold {card.folds.best.fold}, which has the lowest validation loss.",
            _table(("measure", "mean ± sd"), [(key, str(value)) for key, value in card.folds.measures.items()]),
        ]
    return "\n\n".join(parts) + "\n"


def _epochs(card: Card) -> str:
    settings, planned = card.recipe.training, card.planned.training
    if settings.steps_per_epoch:
        return (
            f"{len(card.fit.history)} of {settings.steps_per_epoch:,} batches each; "
            f"the recipe asks for {planned.epochs} of {planned.steps_per_epoch:,}"
        )
    return f"{len(card.fit.history)} of the recipe's {planned.epochs}"


def _last_epoch(fit: FitResult) -> list[str]:
    last = fit.history[fit.best_epoch - 1]
    if not math.isfinite(last.validation_loss):
        return []
    text = f"Epoch {last.epoch}: training loss {last.loss:.5f}, validation loss {last.validation_loss:.5f}"
    return [f"{text}, validation MSE {last.validation_mse:.5f}."]


def _stage_rows(card: Card) -> list[tuple[str, str]]:
    assert card.refinement is not None
    rows = []
    stages = zip(card.refinement.stages, card.recipe.cluster.stages, card.planned.cluster.stages, strict=True)
    for result, settings, planned in stages:
        text = (
            f"{len(result.history)} epochs of the recipe's {planned.total_epochs} at most, batches of "
            f"{settings.batch_size} at {settings.learning_rate:g}; {result.seconds:,.0f} s"
        )
        rows.append((f"stage `{result.name}`", text))
    if card.refinement.clusters:
        how = "found among the codes, without labels" if card.refinement.found else "given"
        rows.append(("clusters trained for", f"{card.refinement.clusters}, {how}"))
    return rows


def _objective(recipe: Recipe) -> str:
    settings = recipe.training
    average = f", weights averaged ({settings.average:g})" if settings.average else ""
    return (
        f"loss {settings.loss}, {settings.optimizer} at {settings.learning_rate:g} ({settings.schedule}), "
        f"batches of {settings.batch_size}{average}"
    )


def _score_rows(scores: Scores) -> list[tuple[str, str]]:
    values = {key: getattr(scores, key) for key in scores.__slots__}
    return [(key, f"{value:.5f}") for key, value in values.items() if math.isfinite(value)]


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows)]
    return "\n".join(lines)
