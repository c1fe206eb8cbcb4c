"""DEC and IDEC: codes move towards their nearest cluster center, without or together with the reconstruction."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from imgcluster_training.data.batches import to_target
from imgcluster_training.data.images import Indices
from imgcluster_training.deep_clustering.initial_clusters import (
    cluster_centers,
    graph_clusters,
    kmeans,
    require_distinct,
)
from imgcluster_training.deep_clustering.stage import StageContext, StageTask
from imgcluster_training.devices import mixed_precision
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.recipe.stages import Dec, Idec

__all__ = ["DecStage", "cluster_probabilities", "divergence", "sharpened"]

_MOMENTUM: Final = 0.9
_TINY: Final = 1e-12


def cluster_probabilities(codes: Tensor, centers: Tensor) -> Tensor:
    """Return the probability of each of ``centers (k, d)`` for each of ``codes (n, d)``: ``(n, k)``, rows sum to 1.

    Student's t-distribution with one degree of freedom (Xie et al. 2016, equation 1).
    """
    # Expanded, so that the differences of all pairs are not in memory at once.
    lengths = codes.square().sum(dim=1, keepdim=True) + centers.square().sum(dim=1)
    closeness = 1 / (1 + (lengths - 2 * codes @ centers.T).clamp(min=0))
    return closeness / closeness.sum(dim=1, keepdim=True)


def sharpened(probabilities: Tensor) -> Tensor:
    """Return the target distribution of `probabilities` ``(n, k)`` (equation 3); rows sum to 1.

    Squares make confident ones more confident; the division by cluster sizes limits large clusters.
    """
    weight = probabilities.square() / probabilities.sum(dim=0)
    return weight / weight.sum(dim=1, keepdim=True)


def divergence(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return KL(targets ‖ probabilities), both ``(n, k)``, summed over clusters, averaged over images (equation 2)."""
    return (targets * ((targets + _TINY).log() - (probabilities + _TINY).log())).sum(dim=1).mean()


class DecStage(StageTask):
    """Trains the encoder and the cluster centers; with `Idec` the decoder as well."""

    targets: Tensor
    clusters: Tensor

    def __init__(self, context: StageContext, settings: Dec | Idec) -> None:
        super().__init__(context, settings)
        assert context.clusters is not None
        self.settings = settings
        self.encoder = context.model.encoder
        self.decoder = context.model.decoder if isinstance(settings, Idec) else None
        count = len(context.images)
        self.centers = nn.Parameter(torch.zeros(context.clusters, context.recipe.model.latent))
        self.register_buffer("targets", torch.zeros(count, context.clusters))
        self.register_buffer("clusters", torch.full((count,), -1))

    def optimizer(self) -> torch.optim.Optimizer:
        if isinstance(self.settings, Idec):
            return torch.optim.Adam(self.parameters(), lr=self.learning_rate, foreach=True)
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=_MOMENTUM, foreach=True)

    @torch.no_grad()
    def start_epoch(self, epoch: int) -> bool:
        codes = self.context.codes()
        if epoch == 0:
            self.centers.copy_(self._first_centers(codes))
        probabilities = cluster_probabilities(codes, self.centers)
        clusters = probabilities.argmax(dim=1)
        changed = (clusters != self.clusters).float().mean().item()
        self.targets.copy_(sharpened(probabilities))
        self.clusters.copy_(clusters)
        return changed >= self.settings.tolerance

    def _first_centers(self, codes: Tensor) -> Tensor:
        clusters, seed = len(self.centers), self.context.seed
        if self.settings.start == "graph":
            labels = graph_clusters(codes, clusters, self.context.recipe.metric, seed=seed)
        else:
            vectors = codes.cpu().numpy()
            require_distinct(vectors, clusters)
            labels = torch.from_numpy(kmeans(vectors, clusters, seed=seed)).to(codes.device)
        return cluster_centers(codes, labels, clusters)

    def loss(self, batch: Indices, epoch: int) -> Tensor:
        pixels = self.context.pixels(batch)
        inputs = self.context.views(pixels, ())
        targets = self.targets[torch.from_numpy(batch).to(self.targets.device)]
        if isinstance(self.settings, Dec):
            return divergence(cluster_probabilities(self.context.encode(inputs), self.centers), targets)
        with mixed_precision(self.context.device):
            outputs = self.context.model(inputs)
        outputs = outputs.float()
        recipe = self.context.recipe
        reconstruction = LOSSES[recipe.training.loss](outputs, to_target(pixels, recipe.data))
        clustering = divergence(cluster_probabilities(outputs.code, self.centers), targets)
        return reconstruction + self.settings.gamma * clustering
