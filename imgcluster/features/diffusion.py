"""Diffusion maps: the space that the leading eigenvectors of a graph's random walk span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.neighbors import component_labels
from imgcluster.features.threads import one_thread
from imgcluster.types import Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["COMPONENTS", "EXPONENT", "diffusion_map"]

_Floats = npt.NDArray[np.float64]

# Chosen on five sets of photographs, features of CIFAR-10 and scikit-learn's digits (benchmarks/graph_defaults.py).
COMPONENTS: Final = 30
EXPONENT: Final = 2.0

_DENSE_UP_TO: Final = 400
# Far below the differences between eigenvalues, and hardly slower than 1e-3.
_TOLERANCE: Final = 1e-8


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
    from scipy.sparse import diags

    count = graph.shape[0]
    labels = component_labels(graph)
    parts = int(labels.max()) + 1
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scale = diags(1 / np.sqrt(degrees))
    walk = (scale @ graph @ scale).tocsr()
    # The eigenvectors of eigenvalue 1 are known: one for each connected component.
    trivial = np.zeros((count, parts))
    trivial[np.arange(count), labels] = np.sqrt(degrees)
    trivial /= np.linalg.norm(trivial, axis=0)
    with one_thread():
        values, nontrivial = _leading_eigenvectors(walk, trivial, min(components, count - parts))
    floor = max(float(values.min(initial=1.0)), 0.0)
    weights = (np.clip(values - floor, 0, None) / max(1 - floor, np.finfo(np.float64).eps)) ** exponent
    directions = np.hstack([trivial, nontrivial[:, weights > 0] * weights[weights > 0]])
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=np.float32)


def _leading_eigenvectors(walk: csr_matrix, trivial: _Floats, count: int) -> tuple[_Floats, _Floats]:
    """Return the `count` largest eigenvalues of `walk`, descending, and their vectors, without the `trivial` ones."""
    size = walk.shape[0]
    if count < 1:
        return np.empty(0), np.empty((size, 0))
    if size <= _DENSE_UP_TO:
        # The trivial eigenvectors get the eigenvalue −1, the smallest possible.
        values, vectors = np.linalg.eigh(walk.toarray() - 2 * trivial @ trivial.T)
        return values[::-1][:count], vectors[:, ::-1][:, :count]
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    operator = LinearOperator(
        (size, size), matvec=lambda vector: walk @ vector - 2 * trivial @ (trivial.T @ vector), dtype=np.float64
    )
    # Any fixed start that is not orthogonal to an eigenvector.
    start = np.random.default_rng(0).standard_normal(size)
    try:
        values, vectors = eigsh(operator, k=min(count, size - 2), which="LA", v0=start, tol=_TOLERANCE)
    except ArpackNoConvergence as error:
        # The largest eigenvalues converge first and have the largest weights.
        values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]
