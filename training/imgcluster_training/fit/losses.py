"""The losses that a recipe can choose: one function and one line in `LOSSES` each.

All take `Outputs` and a target ``float32 (n, channels, height, width)`` in [0, 1], and return a scalar: the mean over
images, pixels and channels unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

from imgcluster_training.models.autoencoder import Outputs

__all__ = [
    "LOSSES",
    "Objective",
    "binary_cross_entropy",
    "mean_squared_error",
    "mse_and_cosine",
    "variational",
]

Objective = Callable[[Outputs, Tensor], Tensor]

# Keras's limits for probabilities and norms; without them a saturated sigmoid has an infinite loss.
_PROBABILITY_EPSILON: Final = 1e-7
_NORM_EPSILON: Final = 1e-6

_RECONSTRUCTION_WEIGHT: Final = 1000.0
"""The weight of the mean squared error relative to the divergence in reference C."""


def mean_squared_error(outputs: Outputs, target: Tensor) -> Tensor:
    """Return the mean squared difference."""
    return F.mse_loss(outputs.reconstruction, target)


def binary_cross_entropy(outputs: Outputs, target: Tensor) -> Tensor:
    """Return the mean binary cross-entropy; reconstructions are probabilities."""
    probability = outputs.reconstruction.clamp(_PROBABILITY_EPSILON, 1 - _PROBABILITY_EPSILON)
    return -(target * probability.log() + (1 - target) * (1 - probability).log()).mean()


def mse_and_cosine(outputs: Outputs, target: Tensor) -> Tensor:
    """Return the mean squared error plus one minus the mean cosine similarity of the pixels' channel vectors.

    The similarity with a black pixel (all channels 0) is 0.
    """
    # The gradient at a black pixel must be finite, unlike that of `vector_norm`.
    output = outputs.reconstruction
    product = (output * target).sum(dim=1)
    squares = (output.square().sum(dim=1) + _NORM_EPSILON**2) * (target.square().sum(dim=1) + _NORM_EPSILON**2)
    return F.mse_loss(output, target) + 1 - (product * squares.rsqrt()).mean()


def variational(outputs: Outputs, target: Tensor) -> Tensor:
    """Return 1000 × the mean squared error + the KL divergence of the code's distribution to the standard normal.

    The divergence is summed over the code and averaged over images (Kingma & Welling 2013, appendix B,
    https://arxiv.org/abs/1312.6114).
    """
    if outputs.mean is None or outputs.log_variance is None:
        raise TypeError("the variational loss needs the outputs of a variational autoencoder")
    mean, log_variance = outputs.mean, outputs.log_variance
    divergence = -0.5 * (1 + log_variance - mean.square() - torch.exp(log_variance)).sum(dim=1)
    return _RECONSTRUCTION_WEIGHT * F.mse_loss(outputs.reconstruction, target) + divergence.mean()


LOSSES: Final[dict[str, Objective]] = {
    "mse": mean_squared_error,
    "bce": binary_cross_entropy,
    "mse+cosine": mse_and_cosine,
    "vae": variational,
}
