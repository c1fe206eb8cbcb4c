"""One complete training by a recipe, from new weights to its last stage: on its own, or as one fold of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgcluster_training.data.splits import Split
from imgcluster_training.deep_clustering.refine import Refinement, check_enough_images, refine, stage_checkpoint
from imgcluster_training.fit.autoencoder import fit
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.models.autoencoder import Autoencoder, model_for
from imgcluster_training.progress import FitResult
from imgcluster_training.recipe.schema import Recipe

__all__ = ["TrainedModel", "first_checkpoint", "train_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A trained model.

    Attributes:
        model: With its final weights.
        fit: The autoencoder's training; without epochs where the recipe has no decoder.
        refinement: The deep-clustering stages; None without any.
        decodes: Whether the decoder fits the encoder.
        split: The images it was trained with.
        seed: The seed it was trained with.
    """

    model: Autoencoder
    fit: FitResult
    refinement: Refinement | None
    decodes: bool
    split: Split
    seed: int


def train_model(split: Split, recipe: Recipe, run: RunSettings, *, seed: int, checkpoint: Path) -> TrainedModel:
    """Train the autoencoder of `recipe`, if it has a decoder, then carry out its stages.

    Args:
        split: The images by use.
        recipe: What to build and how to train it.
        run: Where and how to run it.
        seed: For the weights and all random numbers.
        checkpoint: The file for the autoencoder's checkpoints; those of the stages lie beside it.

    Raises:
        UsageError: The recipe's layers do not fit the images, or the number of clusters is not possible.
        TrainingError: A training diverged, or a checkpoint belongs to another training.
    """
    if recipe.refined:
        check_enough_images(split.train, recipe)
    model = model_for(recipe, split.train.shape, seed=seed)
    fitted, refinement = FitResult(), None
    if recipe.model.decoder:
        fitted = fit(model, split, recipe, run, seed=seed, checkpoint=checkpoint)
    if recipe.refined:
        refinement = refine(model, split.train, recipe, run, seed=seed, folder=checkpoint.parent)
    decodes = bool(recipe.model.decoder) if refinement is None else refinement.decodes
    return TrainedModel(model=model, fit=fitted, refinement=refinement, decodes=decodes, split=split, seed=seed)


def first_checkpoint(recipe: Recipe, checkpoint: Path) -> Path:
    """Return the first file that `train_model` writes: a training without it cannot be continued."""
    if recipe.model.decoder:
        return checkpoint
    return stage_checkpoint(checkpoint.parent, 1, recipe.cluster.stages[0])
