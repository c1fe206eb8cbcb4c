"""Carries out the stages of a recipe's ``[cluster]`` one after another on an autoencoder's encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from imgcluster.errors import UsageError
from imgcluster_training.data.images import Images, images_digest
from imgcluster_training.deep_clustering.contrastive import ContrastiveStage
from imgcluster_training.deep_clustering.dec import DecStage
from imgcluster_training.deep_clustering.initial_clusters import count_clusters
from imgcluster_training.deep_clustering.neighbors import NeighborsStage
from imgcluster_training.deep_clustering.stage import StageContext, StageTask
from imgcluster_training.errors import TrainingError
from imgcluster_training.fit.checkpoints import state_digest
from imgcluster_training.fit.loop import RunSettings, TrainingLoop
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.progress import EpochRecord
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.recipe.stages import Contrastive, Dec, Idec, Neighbors, Stage

__all__ = ["STAGES", "Refinement", "StageResult", "check_enough_images", "refine", "stage_checkpoint"]

STAGES: Final[dict[type[Any], Callable[[StageContext, Any], StageTask]]] = {
    Contrastive: ContrastiveStage,
    Neighbors: NeighborsStage,
    Dec: DecStage,
    Idec: DecStage,
}
"""The task of each kind of stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One stage: its `name` in recipes, and its `history` by epoch."""

    name: str
    history: tuple[EpochRecord, ...]

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """The result of the stages; the model itself holds the weights.

    Attributes:
        stages: In the order of the recipe.
        clusters: The number of clusters; 0 where no stage needs one.
        found: Whether that number was estimated from the codes, instead of given.
        decodes: Whether the decoder still fits the encoder.
    """

    stages: tuple[StageResult, ...]
    clusters: int
    found: bool
    decodes: bool

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def summary(self) -> str:
        """The stages and the number of clusters, in words."""
        names = " and ".join(f"{stage.name} ({len(stage.history)} epochs)" for stage in self.stages)
        if not self.clusters:
            return names
        return f"{names}; {self.clusters} clusters ({'estimated without labels' if self.found else 'given'})"


def refine(
    model: Autoencoder, images: Images, recipe: Recipe, run: RunSettings, *, seed: int, folder: Path | None = None
) -> Refinement:
    """Train `model` through the recipe's stages; it is changed in place and on the run's device afterwards.

    Args:
        model: The trained autoencoder, or an untrained one where the first stage is contrastive.
        images: The training images.
        recipe: Its ``[cluster]``. If the number of clusters is ``auto``, it is estimated from the codes before the
            first stage that needs it.
        run: Where and how to run it.
        seed: For all random numbers.
        folder: The folder for the stages' checkpoints; None for none.

    Raises:
        UsageError: The number of clusters is not possible.
        TrainingError: A loss diverged, too few codes differ, or a checkpoint belongs to another training.
    """
    check_enough_images(images, recipe)
    clusters = recipe.cluster.clusters
    model.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    context = StageContext(model, images, recipe, None if clusters == "auto" else clusters, seed, run.device)
    results = []
    for number, settings in enumerate(recipe.cluster.stages, start=1):
        if settings.needs_clusters and context.clusters is None:
            context = dataclasses.replace(context, clusters=count_clusters(context.codes(), recipe.metric, seed=seed))
        checkpoint = None if folder is None else stage_checkpoint(folder, number, settings)
        # Without an earlier checkpoint the weights are those of seed and model, which the user chose.
        derived = number > 1 or bool(recipe.model.decoder)
        results.append(
            _carry_out(settings, context, run, checkpoint, frozenset({"weights"}) if derived else frozenset())
        )
    model.eval()
    clustered = any(settings.needs_clusters for settings in recipe.cluster.stages)
    return Refinement(
        stages=tuple(results),
        clusters=context.clusters or 0 if clustered else 0,
        found=clusters == "auto",
        decodes=bool(recipe.model.decoder) and all(isinstance(stage, Idec) for stage in recipe.cluster.stages),
    )


def check_enough_images(images: Images, recipe: Recipe) -> None:
    """Check that the recipe's stages are possible with so many training images.

    Raises:
        UsageError: The number of clusters is larger.
        TrainingError: There is only one image.
    """
    clusters = recipe.cluster.clusters
    if len(images) < 2:
        raise TrainingError(f"1 image is not enough for {recipe.cluster.stages[0].type}; use at least 2 images")
    if clusters != "auto" and clusters > len(images):
        raise UsageError(
            f"--refine {clusters} is not allowed; with {len(images)} training images use 1 to {len(images)}"
        )


def stage_checkpoint(folder: Path, number: int, settings: Stage) -> Path:
    """Return the file for the checkpoints of stage number `number` (from 1)."""
    return folder / f"stage-{number}-{settings.type}.pt"


def _carry_out(
    settings: Stage, context: StageContext, run: RunSettings, checkpoint: Path | None, origin: frozenset[str]
) -> StageResult:
    fingerprint = {} if checkpoint is None else _fingerprint(settings, context)
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        torch.manual_seed(context.seed)
        task = STAGES[type(settings)](context, settings).to(run.device)
        history = TrainingLoop(task, run, checkpoint, fingerprint, origin).follow()
    return StageResult(name=settings.type, history=history)


def _fingerprint(settings: Stage, context: StageContext) -> dict[str, str]:
    """Return everything that must be the same for a stage to be continued."""
    # At the constant learning rate of DEC, more epochs only make the same stage longer.
    values = settings.model_dump(exclude={"epochs"} if isinstance(settings, Dec | Idec) else None)
    return {
        **{f"stage.{key}": str(value) for key, value in values.items()},
        "clusters": str(context.clusters if settings.needs_clusters else 0),
        "seed": str(context.seed),
        "images": f"{len(context.images)}, digest {images_digest(context.images)}",
        "weights": state_digest(context.model),
    }
