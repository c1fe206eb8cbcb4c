"""Contrastive learning: codes that recognize an image under augmentation, and tell it from all others."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from imgcluster_training.data.images import Indices
from imgcluster_training.deep_clustering.stage import StageContext, StageTask
from imgcluster_training.recipe.stages import Contrastive

__all__ = ["ContrastiveStage", "nt_xent"]


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalized, temperature-scaled cross-entropy of pairs (Chen et al. 2020), averaged over 2n views.

    Row i of `first` and of `second`, both ``(n, d)``, are two views of one image. Each must identify the other among
    the 2n − 1 remaining views by cosine similarity.
    """
    values = F.normalize(torch.cat([first, second]), dim=1)
    similarity = values @ values.T / temperature
    # A view is not its own partner.
    similarity.fill_diagonal_(-torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(values), device=values.device).roll(len(first)))


class ContrastiveStage(StageTask):
    """Trains the encoder below a projection that is dropped afterwards."""

    def __init__(self, context: StageContext, settings: Contrastive) -> None:
        super().__init__(context, settings)
        self.settings = settings
        latent = context.recipe.model.latent
        self.encoder = context.model.encoder
        self.projection = nn.Sequential(
            nn.Linear(latent, latent), nn.BatchNorm1d(latent), nn.ReLU(), nn.Linear(latent, settings.projection)
        )

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.settings.weight_decay, foreach=True
        )

    def loss(self, batch: Indices, epoch: int) -> Tensor:
        pixels = self.context.pixels(batch)
        views = [self.context.views(pixels, self.settings.augmentation) for _ in range(2)]
        first, second = self.projection(self.context.encode(torch.cat(views))).chunk(2)
        return nt_xent(first, second, self.settings.temperature)
