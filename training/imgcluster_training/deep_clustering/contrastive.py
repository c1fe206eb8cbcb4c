"""Contrastive learning: what an image is, whatever is done to it, told from what all others are."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows
from torch import Tensor, nn

from imgcluster_training.data.datasets import Indices
from imgcluster_training.deep_clustering.stage import Material, StageModule
from imgcluster_training.recipe.stages import Contrastive

__all__ = ["ContrastiveStage", "nt_xent"]


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised, temperature-scaled cross-entropy of pairs (Chen et al. 2020).

    Row i of `first` and of `second`, both ``(n, d)``, are two views of one image. Each must pick the other out of
    all 2n − 1, by cosine. The mean over the 2n.
    """
    values = F.normalize(torch.cat([first, second]), dim=1)
    similarity = values @ values.T / temperature
    # No view is its own partner.
    similarity.fill_diagonal_(-torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(values), device=values.device).roll(len(first)))


class ContrastiveStage(StageModule):
    """Trains the encoder below a projection that is thrown away afterwards."""

    def __init__(self, material: Material, settings: Contrastive) -> None:
        super().__init__()
        self.material, self.settings = material, settings
        self.epochs, self.batch_size, self.peak_rate = settings.epochs, settings.batch_size, settings.learning_rate
        latent = material.recipe.model.latent
        self.encoder = material.model.encoder
        self.projection = nn.Sequential(
            nn.Linear(latent, latent), nn.BatchNorm1d(latent), nn.ReLU(), nn.Linear(latent, settings.projection)
        )

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.peak_rate, weight_decay=self.settings.weight_decay, foreach=True
        )

    def loss(self, chosen: Indices, epoch: int) -> Tensor:
        pixels = self.material.pixels(chosen)
        views = [self.material.views(pixels, self.settings.augmentation) for _ in range(2)]
        first, second = self.projection(self.encoder(torch.cat(views))).chunk(2)
        return nt_xent(first, second, self.settings.temperature)
