"""A recipe carried out once, from new weights to its last stage: a training on its own, or one fold of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from imgcluster_training.data.batches import Split
from imgcluster_training.deep_clustering.refine import Refinement, refine
from imgcluster_training.fit.loop import fit
from imgcluster_training.models.autoencoder import Autoencoder, model_for
from imgcluster_training.progress import FitResult, Progress
from imgcluster_training.recipe.schema import Recipe

__all__ = ["Trained", "train_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a recipe came to.

    Attributes:
        model: With its last weights.
        fit: The autoencoder's training; without epochs where the recipe has no decoder.
        refinement: The stages after it; None without any.
        decodes: Whether a decoder belongs to the encoder.
    """

    model: Autoencoder
    fit: FitResult
    refinement: Refinement | None
    decodes: bool


def train_model(
    split: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train the autoencoder of `recipe`, where it has a decoder, then go through its stages.

    Args:
        split: The images by use.
        recipe: What to build and how to train it.
        seed: Of the weights and of every drawn number.
        device: Where to compute.
        checkpoint: Where the autoencoder's training is kept; the stages' checkpoints lie beside it.
        resume: Go on from the checkpoints that exist.
        on_progress: Called after every batch.

    Raises:
        UsageError: The recipe's layers do not fit the images, or the number of clusters is not possible.
        TrainingError: A training diverged, or a checkpoint is another's.
    """
    model = model_for(recipe, split.train.shape, seed=seed)
    fitted = FitResult(history=(), best_epoch=0, seconds=0.0)
    if recipe.model.decoder:
        fitted = fit(
            model,
            split,
            recipe,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            resume=resume,
            on_progress=on_progress,
        )
    refinement = None
    if recipe.refined:
        refinement = refine(
            model,
            split.train,
            recipe,
            seed=seed,
            device=device,
            folder=checkpoint.parent,
            resume=resume,
            on_progress=on_progress,
        )
    decodes = bool(recipe.model.decoder) if refinement is None else refinement.decodes
    return Trained(model=model, fit=fitted, refinement=refinement, decodes=decodes)
