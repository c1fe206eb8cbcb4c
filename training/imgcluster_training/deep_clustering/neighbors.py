"""Neighbor consistency (SCAN): an image and its nearest neighbors must fall into the same cluster."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from imgcluster_training.data.images import Indices
from imgcluster_training.deep_clustering.initial_clusters import (
    cluster_centers,
    graph_clusters,
    nearest_neighbors,
    neighbor_count,
)
from imgcluster_training.deep_clustering.stage import StageContext, StageTask
from imgcluster_training.recipe.stages import Neighbors

__all__ = ["NeighborsStage", "agreement", "pseudo_label_loss"]

_TINY: Final = 1e-8
# Factor from cosine similarities to logits: codes end up near the directions of the clusters.
_SCALE: Final = 10.0


def agreement(first: Tensor, second: Tensor, entropy: float) -> Tensor:
    """Return SCAN's loss for the logits ``(n, k)`` of images and of their neighbors.

    The negative mean logarithm of the probability that both are in the same cluster, minus `entropy` times the
    entropy of the mean cluster probabilities (Van Gansbeke et al. 2020, equation 2).
    """
    ours, theirs = first.softmax(dim=1), second.softmax(dim=1)
    together = (ours * theirs).sum(dim=1)
    sizes = ours.mean(dim=0)
    spread = -(sizes * (sizes + _TINY).log()).sum()
    return -(together + _TINY).log().mean() - entropy * spread


def pseudo_label_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy of logits ``(n, k)`` with labels ``int64 (n,)``, weighted by cluster.

    Images labeled −1 do not count; without any others the loss is 0.
    """
    labeled = labels >= 0
    chosen = labels.clamp(min=0)
    each = F.cross_entropy(logits, chosen, reduction="none") * weights[chosen] * labeled
    return each.sum() / (weights[chosen] * labeled).sum().clamp(min=_TINY)


class NeighborsStage(StageTask):
    """Trains the encoder below one direction per cluster: warm-up, agreement with neighbors, self-labeling."""

    labels: Tensor
    weights: Tensor
    near: Tensor

    def __init__(self, context: StageContext, settings: Neighbors) -> None:
        super().__init__(context, settings)
        assert context.clusters is not None
        self.settings = settings
        count = len(context.images)
        self.encoder = context.model.encoder
        self.directions = nn.Parameter(torch.randn(context.clusters, context.recipe.model.latent))
        self.register_buffer("labels", torch.full((count,), -1))
        self.register_buffer("weights", torch.ones(context.clusters))
        self.register_buffer("near", torch.zeros(count, neighbor_count(count, settings.neighbors), dtype=torch.int64))

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.settings.weight_decay, foreach=True
        )

    @torch.no_grad()
    def start_epoch(self, epoch: int) -> bool:
        if epoch == 0:
            self._find_clusters()
        elif epoch >= self.settings.warm_up + self.settings.epochs:
            self._label_by_confidence()
        return True

    def loss(self, batch: Indices, epoch: int) -> Tensor:
        indices = torch.from_numpy(batch).to(self.labels.device)
        logits = self._augmented_logits(batch)
        if not self.settings.warm_up <= epoch < self.settings.warm_up + self.settings.epochs:
            return pseudo_label_loss(logits, self.labels[indices], self.weights)
        drawn = torch.randint(self.near.shape[1], (len(indices),), device=indices.device)
        neighbors = self.near[indices, drawn].cpu().numpy()
        return agreement(logits, self._augmented_logits(neighbors), self.settings.entropy)

    def _find_clusters(self) -> None:
        """Find the nearest neighbors, the first clusters, and the clusters' directions among the codes."""
        codes, clusters = self.context.codes(), len(self.directions)
        self.near.copy_(nearest_neighbors(codes, self.near.shape[1]))
        self.labels.copy_(graph_clusters(codes, clusters, self.context.recipe.metric, seed=self.context.seed))
        codes = F.normalize(codes, dim=1)
        centered = cluster_centers(codes - codes.mean(dim=0), self.labels, clusters)
        self.directions.copy_(F.normalize(centered, dim=1))

    def _label_by_confidence(self) -> None:
        """Label the images by their confident predictions, and give all clusters the same weight."""
        probabilities, clusters = self._logits(self.context.codes()).softmax(dim=1).max(dim=1)
        self.labels.copy_(torch.where(probabilities > self.settings.confidence, clusters, -1))
        sizes = torch.bincount(self.labels[self.labels >= 0], minlength=len(self.weights))
        self.weights.copy_(sizes.sum() / (len(sizes) * sizes.clamp(min=1)))

    def _augmented_logits(self, chosen: Indices) -> Tensor:
        views = self.context.views(self.context.pixels(chosen), self.settings.augmentation)
        return self._logits(self.context.encode(views))

    def _logits(self, codes: Tensor) -> Tensor:
        return _SCALE * F.normalize(codes, dim=1) @ F.normalize(self.directions, dim=1).T
