"""Carrying out the stages of a recipe's ``[cluster]`` one after another on an autoencoder's encoder.

A stage is a function of its settings, its data, its seed and the weights it starts from: killed and resumed it
ends with the same weights, as `loop` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from imgcluster.errors import UsageError
from imgcluster_training.data.datasets import Images
from imgcluster_training.deep_clustering.contrastive import ContrastiveStage
from imgcluster_training.deep_clustering.dec import DecStage
from imgcluster_training.deep_clustering.initial_clusters import count_clusters
from imgcluster_training.deep_clustering.neighbors import NeighboursStage
from imgcluster_training.deep_clustering.running import StageRun
from imgcluster_training.deep_clustering.stage import Material, StageModule
from imgcluster_training.errors import TrainingError
from imgcluster_training.fit.checkpoints import load_checkpoint, settings_of, state_digest
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.progress import EpochRecord, Progress
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.recipe.stages import STAGES, Contrastive, Dec, Idec, Neighbours, Stage, needs_clusters

__all__ = ["MODULES", "Refinement", "StageResult", "refine"]

MODULES: Final[dict[type[Any], Callable[[Material, Any], StageModule]]] = {
    Contrastive: ContrastiveStage,
    Neighbours: NeighboursStage,
    Dec: DecStage,
    Idec: DecStage,
}
"""What carries out each kind of stage."""

_NAMES: Final = {kind: name for name, kind in STAGES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One stage: its `name` in recipes, its `history`, an epoch a record."""

    name: str
    history: tuple[EpochRecord, ...]

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """What the stages came to; the model itself holds the weights.

    Attributes:
        stages: In the order of the recipe.
        clusters: How many clusters the codes were trained to fall into; 0 where no stage asked.
        found: Whether that number was found among the codes, and not given.
        decodes: Whether the decoder still belongs to the encoder.
        images: How many images were learned from.
    """

    stages: tuple[StageResult, ...]
    clusters: int
    found: bool
    decodes: bool
    images: int

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def summary(self) -> str:
        """The stages and the number of clusters, in words."""
        names = " and ".join(f"{stage.name} ({len(stage.history)} epochs)" for stage in self.stages)
        if not self.clusters:
            return names
        return f"{names}; {self.clusters} clusters, {'found without labels' if self.found else 'a number given'}"


def refine(
    model: Autoencoder,
    images: Images,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    folder: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Refinement:
    """Train `model` through the recipe's stages; it is changed in place and on `device` afterwards.

    Args:
        model: The trained autoencoder, or an untrained one where the first stage is contrastive.
        images: What to learn from, without labels.
        recipe: Its ``[cluster]`` says how. Where the number of clusters is ``auto``, it is found among the codes
            when a stage first asks.
        seed: Of every drawn number.
        device: Where to compute.
        folder: Where every stage keeps its checkpoint.
        resume: Go on from the checkpoints in `folder`.
        on_progress: Called after every batch.

    Raises:
        UsageError: The number of clusters is not possible.
        TrainingError: A loss diverged, the codes cannot make so many clusters, or a checkpoint is another training's.
    """
    wanted = recipe.cluster.clusters
    if len(images) < 2:
        raise TrainingError(f"{len(images)} images are too few to refine on; add images")
    if wanted != "auto" and wanted > len(images):
        raise UsageError(f"--refine {wanted} is not possible with {len(images)} images; 1 to {len(images)} are")
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    results: list[StageResult] = []
    material = Material(model, images, recipe, None if wanted == "auto" else wanted, seed, device)
    for number, settings in enumerate(recipe.cluster.stages, start=1):
        name = _NAMES[type(settings)]
        if needs_clusters(settings) and material.clusters is None:
            found = count_clusters(material.codes(), recipe.metric, seed=seed)
            material = dataclasses.replace(material, clusters=found)
        checkpoint = None if folder is None else folder / f"stage-{number}-{name}.pt"
        results.append(_carry_out(settings, name, material, checkpoint, resume, on_progress))
    model.eval()
    return Refinement(
        stages=tuple(results),
        clusters=material.clusters or 0 if any(map(needs_clusters, recipe.cluster.stages)) else 0,
        found=wanted == "auto",
        decodes=bool(recipe.model.decoder) and all(isinstance(stage, Idec) for stage in recipe.cluster.stages),
        images=len(images),
    )


def _carry_out(
    settings: Stage,
    name: str,
    material: Material,
    checkpoint: Path | None,
    resume: bool,
    on_progress: Callable[[Progress], None] | None,
) -> StageResult:
    described = settings_of(settings)
    # At a constant rate more epochs are the same stage, only longer.
    if isinstance(settings, Dec | Idec):
        del described["epochs"]
    fingerprint = {
        "stage": f"{name} {described}",
        "clusters": str(material.clusters if needs_clusters(settings) else 0),
        "seed": str(material.seed),
        "images": str(len(material.images)),
        "start": state_digest(material.model),
    }
    with torch.random.fork_rng(devices=[material.device] if material.device.type == "cuda" else []):
        torch.manual_seed(material.seed)
        stage = MODULES[type(settings)](material, settings).to(material.device)
        run = StageRun(stage, name, fingerprint, checkpoint, on_progress)
        if resume and checkpoint is not None and checkpoint.exists():
            run.restore(load_checkpoint(checkpoint, fingerprint))
        run.follow()
    return StageResult(name=name, history=tuple(run.history))
