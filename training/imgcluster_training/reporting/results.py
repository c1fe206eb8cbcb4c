"""The tables and scores of a training, and the metadata of its encoder."""

from __future__ import annotations

import csv
import dataclasses
import io
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.fileio.atomic import write_json, write_text
from imgcluster_training.data.datasets import ImageSet
from imgcluster_training.devices import computes_bfloat16
from imgcluster_training.fit.checkpoints import state_digest
from imgcluster_training.progress import EpochRecord
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.plots import draw_curves
from imgcluster_training.reporting.scores import Evaluation, finite_scores
from imgcluster_training.train_model import TrainedModel

__all__ = ["describe_encoder", "describe_hardware", "write_csv", "write_results"]


def write_results(trained: TrainedModel, evaluation: Evaluation, folder: Path) -> None:
    """Write ``history.csv``, one table per stage, ``curves.png`` and ``scores.json`` into `folder`."""
    fit, refinement = trained.fit, trained.refinement
    if fit.history:
        _write_history(fit.history, folder / "history.csv")
        draw_curves({"": fit.history}, folder / "curves.png")
    stages = () if refinement is None else refinement.stages
    for number, stage in enumerate(stages, start=1):
        _write_history(stage.history, folder / f"stage-{number}-{stage.name}.csv")
    content = {
        "epochs": len(fit.history),
        "best_epoch": fit.best_epoch,
        "seconds": round(fit.seconds, 1),
        "refined": None if refinement is None else refinement.summary,
        "refine_seconds": None if refinement is None else round(refinement.seconds, 1),
        "test": finite_scores(evaluation.test) or None,
        "clusters": finite_scores(evaluation.clusters) or None,
    }
    write_json(folder / "scores.json", content)


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write `rows` to the CSV file `path`; a key that a row lacks is an empty cell."""
    text = io.StringIO()
    fields = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, fieldnames=list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def describe_encoder(
    name: str, trained: TrainedModel, evaluation: Evaluation, images: ImageSet, recipe: Recipe, decoder: Path | None
) -> EncoderInfo:
    """Return the metadata of the exported encoder."""
    height, width, channels = images.train.shape
    epochs = f", {len(trained.fit.history)} epochs" if trained.fit.history else ""
    return EncoderInfo(
        name=name,
        version=state_digest(trained.model),
        embedding_size=recipe.model.latent,
        metric=recipe.metric,
        width=width,
        height=height,
        channels=1 if recipe.data.input == "grey" else channels,
        resize=recipe.data.resize,
        filter=recipe.data.filter,
        trained_on=images.description,
        score=_score_summary(trained, evaluation),
        license="Apache-2.0" if recipe.data.dataset != "folder" else "the user's own",
        source=f"imgcluster train-encoder, recipe {recipe.name}{epochs}",
        decoder="" if decoder is None else decoder.name,
        refined="" if trained.refinement is None else trained.refinement.summary,
    )


def describe_hardware(device: torch.device) -> str:
    """Return the name of the hardware, the precision, and the version of PyTorch."""
    threads = torch.get_num_threads()
    cpu = f"{threads} CPU thread{'s' if threads > 1 else ''} ({platform.machine()})"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    precision = "bfloat16" if computes_bfloat16(device) else "float32"
    return f"{name}, {precision}, PyTorch {torch.__version__}"


def _write_history(history: Sequence[EpochRecord], path: Path) -> None:
    write_csv([dataclasses.asdict(record) for record in history], path)


def _score_summary(trained: TrainedModel, evaluation: Evaluation) -> str:
    parts = []
    if evaluation.test is not None:
        parts.append(f"test MSE {evaluation.test.mse:.5f}")
    elif trained.refinement is None:
        parts.append(f"training loss {trained.fit.history[trained.fit.best_epoch - 1].loss:.5f}")
    if evaluation.clusters is not None:
        clusters = evaluation.clusters
        parts.append(
            f"k-means on the test codes: accuracy {clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{clusters.majority_accuracy:.3f} (majority class), NMI {clusters.nmi:.3f}"
        )
    if not parts and trained.refinement is not None:
        parts.append(f"loss of the last stage {trained.refinement.stages[-1].history[-1].loss:.5f}")
    return "; ".join(parts)
