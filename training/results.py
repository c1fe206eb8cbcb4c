"""What a training tells of itself: its tables and scores, the exported encoder's description, what it ran on."""

from __future__ import annotations

import dataclasses
import math
import platform
from pathlib import Path

import torch

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.fileio.atomic import write_json
from training.checkpoints import state_digest
from training.clustering.refine import Refinement
from training.datasets import ImageSet
from training.evaluation import ClusterScores, Scores
from training.folds import write_history
from training.models import Autoencoder
from training.pictures import draw_curves
from training.progress import FitResult
from training.recipes import Recipe

__all__ = ["describe", "hardware", "write_results"]


def write_results(
    fitted: FitResult,
    refinement: Refinement | None,
    test: Scores | None,
    clusters: ClusterScores | None,
    folder: Path,
) -> None:
    """Write ``history.csv``, one table per stage, ``curves.png`` and ``scores.json`` into `folder`."""
    if fitted.history:
        write_history(fitted.history, folder / "history.csv")
        draw_curves({"": fitted.history}, folder / "curves.png")
    stages = () if refinement is None else refinement.stages
    for number, stage in enumerate(stages, start=1):
        write_history(stage.history, folder / f"stage-{number}-{stage.name}.csv")
    content = {
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "seconds": round(fitted.seconds, 1),
        "refined": None if refinement is None else refinement.summary,
        "refine_seconds": None if refinement is None else round(refinement.seconds, 1),
        "test": _finite(test),
        "clusters": _finite(clusters),
    }
    write_json(folder / "scores.json", content)


def _finite(scores: Scores | ClusterScores | None) -> dict[str, float] | None:
    if scores is None:
        return None
    return {key: value for key, value in dataclasses.asdict(scores).items() if math.isfinite(value)}


def describe(
    name: str,
    model: Autoencoder,
    images: ImageSet,
    recipe: Recipe,
    fitted: FitResult,
    refinement: Refinement | None,
    test: Scores | None,
    clusters: ClusterScores | None,
    decoder: Path | None,
) -> EncoderInfo:
    """Return what the exported encoder says of itself."""
    height, width, channels = images.train.shape
    said = []
    if test is not None:
        said.append(f"test MSE {test.mse:.5f}")
    elif refinement is None:
        said.append(f"training loss {fitted.history[-1].loss:.5f}")
    if clusters is not None:
        said.append(
            f"k-means on the test codes: accuracy {clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{clusters.majority_accuracy:.3f} (majority class), NMI {clusters.nmi:.3f}"
        )
    if not said and refinement is not None:
        said.append(f"loss of the last stage {refinement.stages[-1].history[-1].loss:.5f}")
    epochs = f", {len(fitted.history)} epochs" if fitted.history else ""
    return EncoderInfo(
        name=name,
        version=state_digest(model),
        embedding_size=recipe.model.latent,
        metric=recipe.metric,
        width=width,
        height=height,
        channels=1 if recipe.data.input == "grey" else channels,
        resize=recipe.data.resize,
        filter=recipe.data.filter,
        trained_on=images.description,
        score="; ".join(said),
        licence="Apache-2.0" if recipe.data.dataset != "folder" else "the user's own",
        source=f"imgcluster train-encoder, recipe {recipe.name}{epochs}",
        decoder="" if decoder is None else decoder.name,
        refined="" if refinement is None else refinement.summary,
    )


def hardware(device: torch.device) -> str:
    """Return what a training runs on, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()}), PyTorch {torch.__version__}"
