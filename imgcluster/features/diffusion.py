"""Diffusion maps: the space that the leading eigenvectors of a graph's random walk span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from imgcluster.features.eigenvectors import eigenvector_weights, leading_eigenvectors
from imgcluster.features.neighbors import component_labels
from imgcluster.types import Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["COMPONENTS", "EXPONENT", "diffusion_map"]

# Chosen on five sets of photographs, features of CIFAR-10 and scikit-learn's digits (benchmarks/graph_defaults.py).
COMPONENTS: Final = 30
EXPONENT: Final = 2.0


def diffusion_map(graph: csr_matrix, components: int = COMPONENTS, *, exponent: float = EXPONENT) -> Vectors:
    """Return the diffusion map of a graph (Coifman & Lafon 2006, https://doi.org/10.1016/j.acha.2006.04.006).

    Rows have length 1, as in spectral clustering (Ng, Jordan & Weiss 2001): k-means in this space cuts the graph where
    the weights are small. Eigenvectors are weighted by ((λ − λₘ) / (1 − λₘ))ᵖ, where λₘ is the smallest eigenvalue that
    is computed. The weights fall to 0 at λₘ, so distances change little when eigenvectors of nearly equal eigenvalues
    are exchanged or mixed, which rounding and other samples do; and they follow the scale of the spectrum.

    Args:
        graph: Weights ``float64 (n, n)``, sparse and symmetric; every row has a positive one.
        components: The number of dimensions for a connected graph. Every further connected component adds its trivial
            eigenvector, and thereby a dimension.
        exponent: The exponent p; a larger one emphasizes the leading eigenvectors.

    Returns:
        ``float32 (n, d)``, where d is `components` plus the number of connected components minus 1, or less where
        there are fewer positive eigenvalues.
    """
    from scipy.sparse import csr_matrix

    count = graph.shape[0]
    labels = component_labels(graph)
    parts = int(labels.max()) + 1
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(degrees)
    scaled = graph.data * np.repeat(scale, np.diff(graph.indptr)) * scale[graph.indices]
    walk = csr_matrix((scaled, graph.indices, graph.indptr), shape=graph.shape)
    # The eigenvectors of eigenvalue 1 are known: one for each connected component.
    trivial = np.zeros((count, parts))
    trivial[np.arange(count), labels] = np.sqrt(degrees)
    trivial /= np.linalg.norm(trivial, axis=0)
    values, nontrivial = leading_eigenvectors(walk, trivial, min(components, count - parts), exponent)
    weights = eigenvector_weights(values, exponent)
    directions = np.hstack([trivial, nontrivial[:, weights > 0] * weights[weights > 0]])
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=np.float32)
