"""Bringing embeddings to the space they are clustered in: normalised, and with fewer dimensions where told."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import ClusteringError, UsageError

__all__ = ["REDUCTIONS", "Reduced", "Vectors", "choose_reduction", "normalise", "reduce"]

Vectors = npt.NDArray[np.float32]
"""``float32 (n, dimensions)``."""

Reduction = Literal["auto", "none", "pca", "umap"]
REDUCTIONS: Final[tuple[str, ...]] = get_args(Reduction)

# Density needs few dimensions: in ten, HDBSCAN finds several clusters in photographs of 60 up to 3,000; in more,
# one huge cluster or noise only (benchmarks/hdbscan_defaults.py, on CIFAR-10).
_DIMENSIONS: Final = 10

_UMAP_NEIGHBOURS: Final = 15
_EXACT_UP_TO: Final = 256


@dataclass(frozen=True, slots=True)
class Reduced:
    """`vectors` to cluster, and `how` they were reduced, in words."""

    vectors: Vectors
    how: str


def normalise(vectors: Vectors) -> Vectors:
    """Return vectors of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def choose_reduction(reduction: str, method: str) -> str:
    """Return the reduction that ``auto`` stands for before a clustering method, and refuse what cannot be done.

    Raises:
        UsageError: The reduction is unknown, or needs a package that is not installed.
    """
    if reduction not in REDUCTIONS:
        raise UsageError(f"reduction {reduction!r} is unknown; choose one of {', '.join(REDUCTIONS)}")
    if reduction == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("--reduce umap needs another package: pip install 'imgcluster[umap]'")
    if reduction == "auto":
        return "pca" if method == "hdbscan" else "none"
    return reduction


def reduce(vectors: Vectors, method: str, *, seed: int) -> Reduced:
    """Reduce ``float32 (n, d)`` vectors to at most ten dimensions; ``none`` leaves them as they are.

    ``pca`` projects on the directions of largest variance. ``umap`` (McInnes et al. 2018,
    https://arxiv.org/abs/1802.03426) keeps neighbours together and needs the extra of that name.

    Raises:
        ClusteringError: There are too few vectors for UMAP.
    """
    count, dimensions = vectors.shape
    target = min(_DIMENSIONS, dimensions, count - 1)
    if method == "none" or target >= dimensions or target < 1:
        return Reduced(vectors, "none")
    if method == "umap":
        return Reduced(_umap(vectors, target, seed), f"UMAP to {target} dimensions")
    # Equal images are projected once: row by row, rounding errors would make them different ones.
    first, copies = _distinct(vectors)
    if len(first) == 1:
        return Reduced(vectors, "none")
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    # Exact where that is quick; else randomised (Halko et al. 2011), whose first ten directions are as good.
    solver = "full" if min(count, dimensions) <= _EXACT_UP_TO else "randomized"
    pca = PCA(target, svd_solver=solver, iterated_power=7, random_state=seed)
    # Sums depend on how many threads add them up, and HDBSCAN's ties on the last digit.
    with threadpool_limits(limits=1):
        projected = np.asarray(pca.fit(vectors).transform(vectors[first]), dtype=np.float32)
    return Reduced(projected[copies], f"PCA to {target} dimensions")


def _distinct(vectors: Vectors) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the index of the first of each of the different vectors, and for every vector which of them it is."""
    numbers: dict[bytes, int] = {}
    copies = np.array([numbers.setdefault((vector + 0.0).tobytes(), len(numbers)) for vector in vectors], np.int64)
    return np.unique(copies, return_index=True)[1], copies


def _umap(vectors: Vectors, target: int, seed: int) -> Vectors:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap
    neighbours = min(_UMAP_NEIGHBOURS, len(vectors) - 1)
    if len(vectors) <= target + 2 or neighbours < 2:
        raise ClusteringError(f"{len(vectors)} images are too few for UMAP; use --reduce pca")
    # A seed makes UMAP use one thread, and says so in a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(
            n_neighbors=neighbours, n_components=target, min_dist=0.0, metric="euclidean", random_state=seed, n_jobs=1
        )
        return np.asarray(model.fit_transform(vectors), dtype=np.float32)
