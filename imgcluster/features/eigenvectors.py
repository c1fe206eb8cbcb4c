"""The leading eigenvectors of the random walk on a graph."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.threads import one_thread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["eigenvector_weights", "leading_eigenvectors"]

_Floats = npt.NDArray[np.float64]
_Block = npt.NDArray[np.float32]

_DENSE_UP_TO: Final = 400
# With more vectors than requested, or a higher degree, fewer passes are needed, but each takes longer.
_GUARD: Final = 10
_DEGREE: Final = 20
_PASSES: Final = 30
# On MNIST, Fashion-MNIST and CIFAR-10 clusters are those of residuals a thousand times smaller.
_TOLERANCE: Final = 1e-4
_ROWS_PER_TASK: Final = 8192


def eigenvector_weights(values: _Floats, exponent: float) -> _Floats:
    """Return the weights of eigenvectors in a diffusion map: ((λ − λₘ) / (1 − λₘ))ᵖ, where λₘ is the smallest value."""
    floor = max(float(values.min(initial=1.0)), 0.0)
    return np.asarray((np.clip(values - floor, 0, None) / max(1 - floor, np.finfo(np.float64).eps)) ** exponent)


def leading_eigenvectors(walk: csr_matrix, trivial: _Floats, count: int, exponent: float) -> tuple[_Floats, _Floats]:
    """Return the `count` largest eigenvalues of `walk`, descending, and their vectors, without the `trivial` ones.

    For more than 400 rows by subspace iteration with a Chebyshev filter (Zhou, Saad, Tiago & Chelikowsky 2006,
    https://doi.org/10.1016/j.jcp.2006.03.017): multiplying a sparse matrix with many vectors at once is several times
    as fast as with one after the other. It ends when each residual, multiplied by the weight of its eigenvector, is
    below 1e-4.

    Args:
        walk: ``float64 (n, n)``, sparse and symmetric, with eigenvalues from −1 to 1.
        trivial: ``float64 (n, parts)``, orthonormal eigenvectors of the eigenvalue 1.
        count: The number of eigenvectors, fewer than n.
        exponent: That of the weights.

    Returns:
        ``float64 (count,)`` and ``float64 (n, count)``.
    """
    size = walk.shape[0]
    if count < 1:
        return np.empty(0), np.empty((size, 0))
    with one_thread():
        if size <= _DENSE_UP_TO:
            # The trivial eigenvectors get the eigenvalue −1, the smallest possible.
            values, vectors = np.linalg.eigh(walk.toarray() - 2 * trivial @ trivial.T)
            return values[::-1][:count], vectors[:, ::-1][:, :count]
        return _iterate(walk, trivial, count, exponent)


def _iterate(walk: csr_matrix, trivial: _Floats, count: int, exponent: float) -> tuple[_Floats, _Floats]:
    from scipy.linalg import qr
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    # Products are several times as fast where neighbors are close together in memory.
    order = reverse_cuthill_mckee(walk, symmetric_mode=True)
    size = min(count + _GUARD, walk.shape[0] - trivial.shape[1])
    # Any fixed start that is not orthogonal to an eigenvector.
    block: _Block = np.random.default_rng(0).standard_normal((walk.shape[0], size), dtype=np.float32)
    values, floor = np.zeros(size), 0.0
    with ThreadPoolExecutor(2) as pool:
        operator = _Operator(walk.astype(np.float32)[order][:, order], trivial[order].astype(np.float32), pool)
        for _ in range(_PASSES):
            # In double precision; in place, which NumPy's is not.
            block = operator.filter(block, floor).astype(np.float64, order="F")
            block = qr(block, mode="economic", overwrite_a=True, check_finite=False)[0].astype(np.float32, order="C")
            image = operator.apply(block)
            ascending, rotation = np.linalg.eigh((block.T @ image).astype(np.float64))
            values, turn = ascending[::-1], rotation[:, ::-1].astype(np.float32)
            block, image = block @ turn, image @ turn
            floor = float(values[-1])
            image -= block * values.astype(np.float32)
            residuals = np.sqrt(np.einsum("ij,ij->j", image, image))
            if (residuals[:count] * eigenvector_weights(values[:count], exponent)).max() < _TOLERANCE:
                break
    vectors = np.empty((len(block), count))
    vectors[order] = block[:, :count]
    return values[:count], vectors


@dataclass(frozen=True, slots=True)
class _Operator:
    """The random walk, in which the trivial eigenvectors have the eigenvalue −1, the smallest possible."""

    walk: csr_matrix
    trivial: _Block
    pool: ThreadPoolExecutor

    def apply(self, block: _Block) -> _Block:
        """Return the walk times the block."""
        return self._combine(block, block, 1.0, 0.0, 0.0)

    def filter(self, block: _Block, floor: float) -> _Block:
        """Return a polynomial of the walk times the block: small for eigenvalues below `floor`, large above."""
        center, half = (floor - 1) / 2, (floor + 1) / 2
        # Scaled such that the values stay near 1 at the eigenvalue 1.
        first = scale = half / (1 - center)
        before, block = block, self._combine(block, block, first / half, center, 0.0)
        for _ in range(_DEGREE - 1):
            following = 1 / (2 / first - scale)
            before, block = block, self._combine(block, before, 2 * following / half, center, scale * following)
            scale = following
        return block

    def _combine(self, block: _Block, before: _Block, scale: float, center: float, share: float) -> _Block:
        """Return `scale` · (walk − `center`) · `block` − `share` · `before`."""
        result = np.empty_like(block)
        inside = self.trivial.T @ block

        def task(start: int) -> None:
            rows = slice(start, start + _ROWS_PER_TASK)
            product = self.walk[rows] @ block
            product -= 2 * self.trivial[rows] @ inside
            if center:
                product -= np.float32(center) * block[rows]
            product *= np.float32(scale)
            if share:
                product -= np.float32(share) * before[rows]
            result[rows] = product

        list(self.pool.map(task, range(0, len(block), _ROWS_PER_TASK)))
        return result
