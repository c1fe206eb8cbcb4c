"""The diffusion map of a nearest-neighbor graph: coordinates in which random walks on it are slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.threads import one_thread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "diffusion_map",
]

_Floats = npt.NDArray[np.float64]
_Vectors = npt.NDArray[np.float32]

# Chosen on features of CIFAR-10 and on scikit-learn's digits (benchmarks/graph_defaults.py).
_WALKS: Final = 20
_STEPS: Final = 8

_DENSE_UP_TO: Final = 400
_TOLERANCE: Final = 1e-3


def diffusion_map(graph: csr_matrix) -> _Vectors:
    """Return where a random walk on the graph is after eight steps, in the 20 slowest of its directions.

    Diffusion maps (Coifman & Lafon 2006), rows brought to length 1 as in spectral clustering (Ng, Jordan &
    Weiss 2001): k-means in this space cuts the graph where few weights cross. Parts that nothing connects add a
    direction each.

    Returns:
        ``float32 (n, d)``, d being 20 and one more for each part beyond the first, or n at most.
    """
    from scipy.sparse import diags
    from scipy.sparse.csgraph import connected_components

    count = graph.shape[0]
    pieces, piece = connected_components(graph, directed=False)
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scale = diags(1 / np.sqrt(degrees))
    walk = (scale @ graph @ scale).tocsr()
    # The directions of eigenvalue 1 are known: one for each part.
    still = np.zeros((count, pieces))
    still[np.arange(count), piece] = np.sqrt(degrees)
    still /= np.linalg.norm(still, axis=0)
    wanted = min(_WALKS - 1, count - pieces)
    with one_thread():
        speeds, moving = _slowest(walk, still, wanted)
    directions = np.hstack([still, moving * np.clip(speeds, 0, None) ** _STEPS])
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=np.float32)


def _slowest(walk: csr_matrix, still: _Floats, wanted: int) -> tuple[_Floats, _Floats]:
    """Return the `wanted` largest eigenvalues of `walk` and their vectors, but for the directions `still`."""
    count = walk.shape[0]
    if wanted < 1:
        return np.empty(0), np.empty((count, 0))
    if count <= _DENSE_UP_TO:
        values, vectors = np.linalg.eigh(walk.toarray() - still @ still.T)
        return values[::-1][:wanted], vectors[:, ::-1][:, :wanted]
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    operator = LinearOperator(
        (count, count), matvec=lambda vector: walk @ vector - still @ (still.T @ vector), dtype=np.float64
    )
    # Any fixed start will do that is no direction's opposite.
    start = np.random.default_rng(0).standard_normal(count)
    try:
        values, vectors = eigsh(operator, k=min(wanted, count - 2), which="LA", v0=start, tol=_TOLERANCE)
    except ArpackNoConvergence as error:
        # The slowest directions come first and weigh most; the rest is hardly missed.
        values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]
