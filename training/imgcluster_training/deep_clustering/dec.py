"""DEC and IDEC: codes drawn to the cluster centres they are nearest to, without or beside the reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imgcluster_training.data.batches import to_target
from imgcluster_training.data.datasets import Indices
from imgcluster_training.deep_clustering.initial_clusters import NEIGHBOURS, graph_clusters, kmeans, means, nearest
from imgcluster_training.deep_clustering.stage import Material, StageModule
from imgcluster_training.fit.losses import LOSSES
from imgcluster_training.recipe.stages import Dec, Idec

__all__ = ["DecStage", "divergence", "sharpened", "student_t"]

_MOMENTUM = 0.9
_TINY = 1e-12


def student_t(codes: Tensor, centres: Tensor) -> Tensor:
    """Return the share each of ``centres (k, d)`` has in each of ``codes (n, d)``: ``(n, k)``, rows sum to 1.

    Student's t-distribution with one degree of freedom (Xie et al. 2016, equation 1).
    """
    # Written out, or the differences of all pairs would be in memory at once.
    lengths = codes.square().sum(dim=1, keepdim=True) + centres.square().sum(dim=1)
    closeness = 1 / (1 + (lengths - 2 * codes @ centres.T).clamp(min=0))
    return closeness / closeness.sum(dim=1, keepdim=True)


def sharpened(shares: Tensor) -> Tensor:
    """Return shares ``(n, k)`` made surer of themselves, large clusters held back (equation 3); rows sum to 1."""
    weight = shares.square() / shares.sum(dim=0)
    return weight / weight.sum(dim=1, keepdim=True)


def divergence(shares: Tensor, targets: Tensor) -> Tensor:
    """Return KL(targets ‖ shares), both ``(n, k)``, summed over clusters and averaged over images (equation 2)."""
    return (targets * ((targets + _TINY).log() - (shares + _TINY).log())).sum(dim=1).mean()


class DecStage(StageModule):
    """Trains the encoder and the centres; with `Idec` the decoder as well."""

    targets: Tensor
    clusters: Tensor

    def __init__(self, material: Material, settings: Dec | Idec) -> None:
        super().__init__()
        assert material.clusters is not None
        self.material, self.settings = material, settings
        self.epochs, self.updates, self.batch_size = settings.epochs, settings.updates, settings.batch_size
        self.peak_rate, self.constant_rate = settings.learning_rate, True
        self.encoder = material.model.encoder
        self.decoder = material.model.decoder if isinstance(settings, Idec) else None
        count, latent = len(material.images), material.recipe.model.latent
        self.centres = nn.Parameter(torch.zeros(material.clusters, latent))
        self.register_buffer("targets", torch.zeros(count, material.clusters))
        self.register_buffer("clusters", torch.full((count,), -1))

    def optimizer(self) -> torch.optim.Optimizer:
        if isinstance(self.settings, Idec):
            return torch.optim.Adam(self.parameters(), lr=self.peak_rate, foreach=True)
        return torch.optim.SGD(self.parameters(), lr=self.peak_rate, momentum=_MOMENTUM, foreach=True)

    @torch.no_grad()
    def prepare(self, epoch: int) -> bool:
        codes = self.material.codes()
        if epoch == 0:
            self.centres.copy_(self._first_centres(codes))
        shares = student_t(codes, self.centres)
        clusters = shares.argmax(dim=1)
        changed = (clusters != self.clusters).float().mean().item()
        self.targets.copy_(sharpened(shares))
        self.clusters.copy_(clusters)
        return changed >= self.settings.tolerance

    def _first_centres(self, codes: Tensor) -> Tensor:
        clusters, seed = len(self.centres), self.material.seed
        if self.settings.start == "graph":
            return means(codes, graph_clusters(nearest(codes, NEIGHBOURS), clusters, seed=seed), clusters)
        return torch.from_numpy(kmeans(codes.cpu().numpy(), clusters, seed=seed).centres)

    def loss(self, chosen: Indices, epoch: int) -> Tensor:
        pixels = self.material.pixels(chosen)
        inputs = self.material.views(pixels, ())
        targets = self.targets[torch.from_numpy(chosen).to(self.targets.device)]
        if isinstance(self.settings, Dec):
            return divergence(student_t(self.encoder(inputs), self.centres), targets)
        outputs = self.material.model(inputs)
        kept = LOSSES[self.material.recipe.training.loss](outputs, to_target(pixels, self.material.recipe.data))
        return kept + self.settings.gamma * divergence(student_t(outputs.code, self.centres), targets)
