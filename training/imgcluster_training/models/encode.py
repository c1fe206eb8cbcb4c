"""Codes of whole sets of images."""

from __future__ import annotations

import torch
from torch import Tensor

from imgcluster_training.data.batches import ordered_batches
from imgcluster_training.data.images import Images
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.recipe.schema import Recipe

__all__ = ["encode"]


@torch.no_grad()
def encode(model: Autoencoder, images: Images, recipe: Recipe, device: torch.device) -> Tensor:
    """Return the codes of the uncorrupted `images` in evaluation mode, ``float32 (n, latent)`` on `device`."""
    encoder, training = model.encoder, model.encoder.training
    encoder.eval()
    batches = ordered_batches(images, recipe, device, corrupt=False)
    codes = [encoder(inputs.contiguous(memory_format=torch.channels_last)) for inputs, _ in batches]
    encoder.train(training)
    return torch.cat(codes)
