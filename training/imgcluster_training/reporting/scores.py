"""Scores of a trained model: the error of its reconstructions, and how well its codes cluster."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from imgcluster.features.normalize import l2_normalize
from imgcluster.types import Vectors
from imgcluster_training.data.archives import Labels
from imgcluster_training.data.batches import ordered_batches
from imgcluster_training.data.images import Images
from imgcluster_training.deep_clustering.initial_clusters import kmeans
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.models.encode import encode
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.reporting.reconstruction_measures import (
    Floats,
    cosine_similarity,
    mean_squared_errors,
    psnr,
    restored_share,
    ssim,
)
from imgcluster_training.train_model import TrainedModel

__all__ = [
    "ClusterScores",
    "Evaluation",
    "Reconstructions",
    "Scores",
    "cluster_scores",
    "evaluate",
    "finite_scores",
    "reconstruct",
    "score",
]

# With less improvement than this over the mean image, reconstructions look like a gray blur.
_POOR_RATIO: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over images. `loss` is the recipe's own; `restored` is NaN without corruption.

    `mean_image_mse` is the error of a model that always outputs the mean image.
    """

    loss: float
    mse: float
    psnr: float
    cosine: float
    ssim: float
    restored: float = math.nan
    mean_image_mse: float = math.nan

    @property
    def note(self) -> str:
        """What to do if the reconstructions are hardly better than the mean image; else empty."""
        if not self.mse > _POOR_RATIO * self.mean_image_mse:
            return ""
        comparison = "worse" if self.mse > self.mean_image_mse else "hardly better"
        return (
            f"The reconstructions are {comparison} than the mean image (MSE {self.mse:.4f}, mean image "
            f"{self.mean_image_mse:.4f}): train for more epochs, with --epochs and --fresh."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterScores:
    """Agreement of the labels with k-means on the codes, with as many clusters as classes.

    `majority_accuracy` is the measure of the references: the fraction of images with the most common label of their
    cluster. `hungarian_accuracy` assigns each label to one cluster only.
    """

    majority_accuracy: float
    hungarian_accuracy: float
    nmi: float
    ari: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of a trained model.

    Attributes:
        validation: Of the validation images; None without any, or without a decoder.
        test: Of the test images; None without any, or without a decoder.
        clusters: Of k-means on the test codes (on the validation codes without test images); None without labels.
    """

    validation: Scores | None
    test: Scores | None
    clusters: ClusterScores | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstructions:
    """Inputs, outputs and targets of a model: ``float32 (n, height, width, channels)`` in [0, 1]."""

    inputs: Floats
    outputs: Floats
    targets: Floats


def evaluate(trained: TrainedModel, recipe: Recipe, device: torch.device) -> Evaluation:
    """Score the reconstructions and the codes of a trained model."""
    model, split = trained.model, trained.split
    validation, test = (
        score(model, images, recipe, device) if trained.decodes and len(images) else None
        for images in (split.validation, split.test)
    )
    images, labels = (split.test, split.test_labels) if len(split.test) else (split.validation, split.validation_labels)
    clusters = None
    if labels is not None and len(np.unique(labels)) > 1:
        codes = encode(model, images, recipe, device).cpu().numpy()
        clusters = cluster_scores(codes, labels, cosine=recipe.metric == "cosine", seed=0)
    return Evaluation(validation=validation, test=test, clusters=clusters)


@torch.no_grad()
def score(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Scores:
    """Score the reconstructions of `images`, corrupted as in training if the recipe corrupts."""
    model.eval()
    objective = LOSSES[recipe.training.loss]
    loss, restored, corrupted = 0.0, 0.0, 0
    columns: list[Floats] = []
    pixel_sums, pixel_squares = np.float64(0), np.float64(0)
    for inputs, target in ordered_batches(images, recipe, device):
        outputs = model(inputs)
        loss += objective(outputs, target).item() * len(target)
        output, expected = _array(outputs.reconstruction), _array(target)
        measures = (mean_squared_errors, psnr, cosine_similarity, ssim)
        columns.append(np.stack([measure(output, expected) for measure in measures]))
        pixel_sums = pixel_sums + expected.sum(axis=0, dtype=np.float64)
        pixel_squares = pixel_squares + np.square(expected).sum(axis=0, dtype=np.float64)
        if recipe.corruption and inputs.shape == target.shape:
            noisy = _array(inputs)
            changed = int((noisy != expected).sum())
            restored += restored_share(noisy, output, expected) * changed if changed else 0.0
            corrupted += changed
    mse, ratio, cosine, similarity = np.concatenate(columns, axis=1).mean(axis=1, dtype=np.float64)
    variances = pixel_squares / len(images) - np.square(pixel_sums / len(images))
    return Scores(
        loss=loss / len(images),
        mse=float(mse),
        psnr=float(ratio),
        cosine=float(cosine),
        ssim=float(similarity),
        restored=restored / corrupted if corrupted else math.nan,
        mean_image_mse=float(np.mean(variances)) if len(images) > 1 else math.nan,
    )


@torch.no_grad()
def reconstruct(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Reconstructions:
    """Return inputs, outputs and targets of all `images` in memory, for pictures."""
    model.eval()
    parts = [
        (_array(inputs), _array(model(inputs).reconstruction.clamp(0, 1)), _array(target))
        for inputs, target in ordered_batches(images, recipe, device)
    ]
    inputs, outputs, targets = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Reconstructions(inputs=inputs, outputs=outputs, targets=targets)


def cluster_scores(codes: Vectors, labels: Labels, *, cosine: bool = False, seed: int) -> ClusterScores:
    """Cluster `codes` with k-means into as many clusters as there are labels, and compare.

    The labels are used for their number and for scoring, as in the references. With `cosine` only the directions of
    the codes count.
    """
    from imgcluster.evaluation.external import score as score_clusters

    vectors = l2_normalize(codes) if cosine else codes
    clusters = kmeans(vectors, len(np.unique(labels)), seed=seed)
    scores = score_clusters(clusters, [str(label) for label in labels])
    return ClusterScores(
        majority_accuracy=scores.purity, hungarian_accuracy=scores.accuracy, nmi=scores.nmi, ari=scores.ari
    )


def finite_scores(scores: Scores | ClusterScores | None) -> dict[str, float]:
    """Return all finite scores by name; none for None."""
    values = {} if scores is None else dataclasses.asdict(scores)
    return {key: value for key, value in values.items() if math.isfinite(value)}


def _array(images: torch.Tensor) -> Floats:
    return np.asarray(images.permute(0, 2, 3, 1).cpu().numpy(), dtype=np.float32)
