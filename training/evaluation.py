"""Measuring a trained model: its codes, its reconstructions, and how well the codes cluster."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from training.archives import Labels
from training.datasets import Images
from training.loop import validation_batches
from training.losses import LOSSES
from training.metrics import (
    Floats,
    cosine_similarity,
    mean_squared_errors,
    psnr,
    restored_share,
    ssim,
)
from training.models import Autoencoder
from training.recipes import Recipe

__all__ = ["ClusterScores", "Scores", "Triples", "cluster_scores", "encode", "reconstruct", "score"]

# Enough starts that k-means on the same codes gives the same clusters whatever the seed.
_KMEANS_STARTS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over images; `loss` is the recipe's own. `restored` is NaN where nothing was corrupted."""

    loss: float
    mse: float
    psnr: float
    cosine: float
    ssim: float
    restored: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterScores:
    """How k-means on the codes, told only the number of classes, agrees with the labels.

    `majority_accuracy` is the references' own measure: the share of images that have their cluster's most common
    label. `hungarian_accuracy` allows every label one cluster only.
    """

    majority_accuracy: float
    hungarian_accuracy: float
    nmi: float
    ari: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples:
    """What a model saw, made and should have made: ``float32 (n, height, width, channels)`` in [0, 1]."""

    seen: Floats
    made: Floats
    wanted: Floats


@torch.no_grad()
def score(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Scores:
    """Measure the reconstructions of `images`, corrupted as in training where the recipe corrupts."""
    model.eval()
    objective = LOSSES[recipe.training.loss]
    loss, restored, corrupted = 0.0, 0.0, 0
    columns: list[Floats] = []
    for inputs, target in validation_batches(images, recipe, device):
        outputs = model(inputs)
        loss += objective(outputs, target).item() * len(target)
        made, wanted = _arrays(outputs.reconstruction), _arrays(target)
        measures = (mean_squared_errors, psnr, cosine_similarity, ssim)
        columns.append(np.stack([measure(made, wanted) for measure in measures]))
        if recipe.corruption and inputs.shape == target.shape:
            seen = _arrays(inputs)
            changed = int((seen != wanted).sum())
            restored += restored_share(seen, made, wanted) * changed if changed else 0.0
            corrupted += changed
    mse, ratio, cosine, similarity = np.concatenate(columns, axis=1).mean(axis=1, dtype=np.float64)
    return Scores(
        loss=loss / len(images),
        mse=float(mse),
        psnr=float(ratio),
        cosine=float(cosine),
        ssim=float(similarity),
        restored=restored / corrupted if corrupted else math.nan,
    )


@torch.no_grad()
def reconstruct(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Triples:
    """Return inputs, outputs and targets of all `images`; for pictures, not for whole data sets."""
    model.eval()
    parts = [
        (_arrays(inputs), _arrays(model(inputs).reconstruction.clamp(0, 1)), _arrays(target))
        for inputs, target in validation_batches(images, recipe, device)
    ]
    seen, made, wanted = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Triples(seen=seen, made=made, wanted=wanted)


@torch.no_grad()
def encode(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Floats:
    """Return the codes of the uncorrupted `images`, ``float32 (n, latent)``."""
    model.eval()
    clean = _without_corruption(recipe)
    return np.concatenate(
        [model.encoder(inputs).cpu().numpy() for inputs, _ in validation_batches(images, clean, device)]
    )


def cluster_scores(codes: npt.NDArray[np.float32], labels: Labels, *, cosine: bool = False, seed: int) -> ClusterScores:
    """Cluster `codes` with k-means into as many clusters as there are labels, and compare.

    The labels are used for their number and for scoring, as the references do. With `cosine` only the directions of
    the codes count.
    """
    from sklearn.cluster import KMeans

    from imgcluster.evaluation.external import score as score_clusters
    from imgcluster.features.normalize import normalise

    count = len(np.unique(labels))
    values = normalise(codes) if cosine else codes
    clusters = KMeans(count, n_init=_KMEANS_STARTS, random_state=seed).fit_predict(values).astype(np.int64)
    scores = score_clusters(clusters, [str(label) for label in labels])
    return ClusterScores(
        majority_accuracy=scores.purity,
        hungarian_accuracy=scores.accuracy,
        nmi=scores.nmi,
        ari=scores.ari,
    )


def _without_corruption(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, corruption=())


def _arrays(images: torch.Tensor) -> Floats:
    return np.asarray(images.permute(0, 2, 3, 1).cpu().numpy(), dtype=np.float32)
