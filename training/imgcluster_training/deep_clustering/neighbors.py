"""Neighbour consistency (SCAN): images that lie near each other must fall into the same cluster."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows
from torch import Tensor, nn

from imgcluster_training.data.datasets import Indices
from imgcluster_training.deep_clustering.initial_clusters import graph_clusters, means, nearest, neighbour_count
from imgcluster_training.deep_clustering.stage import Material, StageModule
from imgcluster_training.recipe.stages import Neighbours

__all__ = ["NeighboursStage", "agreement", "labelled_loss"]

_TINY: Final = 1e-8
# Cosines with the clusters' directions, times this, are the logits: codes end up near the directions.
_SCALE: Final = 10.0


def agreement(first: Tensor, second: Tensor, entropy: float) -> Tensor:
    """Return SCAN's loss for the logits ``(n, k)`` of images and of their neighbours.

    Minus the mean logarithm of the probability that the two are of one cluster, minus `entropy` times the entropy
    of the clusters' mean probabilities (Van Gansbeke et al. 2020, equation 2).
    """
    ours, theirs = first.softmax(dim=1), second.softmax(dim=1)
    together = (ours * theirs).sum(dim=1)
    sizes = ours.mean(dim=0)
    spread = -(sizes * (sizes + _TINY).log()).sum()
    return -(together + _TINY).log().mean() - entropy * spread


def labelled_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy of logits ``(n, k)`` with labels ``int64 (n,)``, weighted by cluster.

    Images labelled −1 are left out; without any other the loss is 0.
    """
    inside = labels >= 0
    chosen = labels.clamp(min=0)
    each = F.cross_entropy(logits, chosen, reduction="none") * weights[chosen] * inside
    return each.sum() / (weights[chosen] * inside).sum().clamp(min=_TINY)


class NeighboursStage(StageModule):
    """Trains the encoder below one direction per cluster: warmed up, in agreement, on its own answers."""

    labels: Tensor
    weights: Tensor
    near: Tensor

    def __init__(self, material: Material, settings: Neighbours) -> None:
        super().__init__()
        assert material.clusters is not None
        self.material, self.settings = material, settings
        self.epochs = settings.total_epochs
        self.batch_size, self.peak_rate = settings.batch_size, settings.learning_rate
        count, latent = len(material.images), material.recipe.model.latent
        self.encoder = material.model.encoder
        self.directions = nn.Parameter(torch.randn(material.clusters, latent))
        self.register_buffer("labels", torch.full((count,), -1))
        self.register_buffer("weights", torch.ones(material.clusters))
        self.register_buffer("near", torch.zeros(count, neighbour_count(count, settings.neighbours), dtype=torch.int64))

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.peak_rate, weight_decay=self.settings.weight_decay, foreach=True
        )

    @torch.no_grad()
    def prepare(self, epoch: int) -> bool:
        if epoch == 0:
            self._start()
        elif epoch >= self.settings.warm_up + self.settings.epochs:
            self._believe()
        return True

    def loss(self, chosen: Indices, epoch: int) -> Tensor:
        numbers = torch.from_numpy(chosen).to(self.labels.device)
        logits = self._seen(chosen)
        if not self.settings.warm_up <= epoch < self.settings.warm_up + self.settings.epochs:
            return labelled_loss(logits, self.labels[numbers], self.weights)
        drawn = torch.randint(self.near.shape[1], (len(numbers),), device=numbers.device)
        partners = self.near[numbers, drawn].cpu().numpy()
        return agreement(logits, self._seen(partners), self.settings.entropy)

    def _start(self) -> None:
        """Find the neighbours, the clusters along their graph, and the clusters' directions among the codes."""
        codes = F.normalize(self.material.codes(), dim=1)
        self.near.copy_(nearest(codes, self.near.shape[1]))
        self.labels.copy_(graph_clusters(self.near, len(self.directions), seed=self.material.seed))
        centred = means(codes - codes.mean(dim=0), self.labels, len(self.directions))
        self.directions.copy_(F.normalize(centred, dim=1))

    def _believe(self) -> None:
        """Label the images by the answers that are sure, and let every cluster count the same."""
        shares, clusters = self._logits(self.material.codes()).softmax(dim=1).max(dim=1)
        self.labels.copy_(torch.where(shares > self.settings.confidence, clusters, -1))
        sizes = torch.bincount(self.labels[self.labels >= 0], minlength=len(self.weights))
        self.weights.copy_(sizes.sum() / (len(sizes) * sizes.clamp(min=1)))

    def _seen(self, chosen: Indices) -> Tensor:
        views = self.material.views(self.material.pixels(chosen), self.settings.augmentation)
        return self._logits(self.encoder(views))

    def _logits(self, codes: Tensor) -> Tensor:
        return _SCALE * F.normalize(codes, dim=1) @ F.normalize(self.directions, dim=1).T
