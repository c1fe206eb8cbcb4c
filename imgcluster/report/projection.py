"""The map: a two-dimensional projection in which similar images are close together."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.threads import one_thread
from imgcluster.optional import UnavailablePackage, import_optional
from imgcluster.types import Vectors

__all__ = ["Projection", "choose_projection", "project"]

_LOG = logging.getLogger(__name__)

# Below this many images, UMAP's neighborhoods contain most of the set and PCA is as good.
_UMAP_FROM: Final = 100
# UMAP is fitted on at most this many images; the others are placed beside their nearest neighbors.
_UMAP_UP_TO: Final = 20_000
_NEIGHBORS: Final = 15
# Of 10,000 images and fewer UMAP would run 500: that takes twice the time for neighborhoods that are as true
# (trustworthiness 0.960 instead of 0.957 on 900 photographs, 0.986 in both cases on 10,000 drawn vectors).
_EPOCHS: Final = 200
_PLACED_BY: Final = 5
# UMAP looks for neighbors in the directions that matter; PCA's fit on so many rows is that on all of them.
_DIRECTIONS: Final = 50
_PCA_SAMPLE: Final = 20_000
_CHUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class Projection:
    """A two-dimensional projection of the images.

    Attributes:
        points: ``float32 (n, 2)`` in [−1, 1].
        how: The method, in words.
        method: The method that was used, ``umap`` or ``pca``.
    """

    points: npt.NDArray[np.float32]
    how: str
    method: str


def choose_projection(count: int) -> str:
    """Return ``umap`` if its package seems installed and `count` images are enough for it, else ``pca``."""
    return "umap" if count >= _UMAP_FROM and importlib.util.find_spec("umap") is not None else "pca"


def project(points: Vectors, method: str, *, seed: int = 0) -> Projection:
    """Project points to two dimensions.

    ``umap`` (McInnes et al. 2018, https://arxiv.org/abs/1802.03426) keeps neighbors together; above 20,000 images it
    projects that many, drawn at random, and puts each other one to the median place of its five nearest among them.
    ``pca`` shows the two directions of largest variance: distances are true, but clusters overlap. It also replaces
    ``umap`` if the package umap cannot be imported; a warning then says why.

    Args:
        points: ``float32 (n, d)`` embeddings, of length 1 for the cosine.
        method: ``umap`` or ``pca``; see `choose_projection`.
        seed: Of everything random.
    """
    count = len(points)
    umap = None
    if method == "umap":
        try:
            umap = import_optional("umap")
        except UnavailablePackage as error:
            _LOG.warning("the map uses PCA instead of UMAP: %s", error)
            method = "pca"
    if count < 3 or points.shape[1] < 1 or not np.isfinite(points).all():
        return Projection(_on_a_line(count), "in a row", method)
    wanted = 2 if method == "pca" else _DIRECTIONS
    directions = _principal_components(points, wanted, seed)
    if umap is None or directions.shape[1] < 2:
        return Projection(_framed(directions[:, :2]), "PCA", method)
    generator = np.random.default_rng(seed)
    if count <= _UMAP_UP_TO:
        return Projection(_framed(_umap(umap, directions, seed), fill=True), "UMAP", method)
    chosen = np.sort(generator.choice(count, _UMAP_UP_TO, replace=False))
    places = np.empty((count, 2), dtype=np.float32)
    places[chosen] = _umap(umap, directions[chosen], seed)
    others = np.setdiff1d(np.arange(count), chosen)
    places[others] = _among_neighbors(directions[others], directions[chosen], places[chosen])
    return Projection(_framed(places, fill=True), f"UMAP of {_UMAP_UP_TO:,}, the others beside their nearest", method)


def _principal_components(points: Vectors, wanted: int, seed: int) -> Vectors:
    """Project on at most `wanted` directions of largest variance: fitted on a sample, applied in parts."""
    from sklearn.decomposition import PCA

    count, dimensions = points.shape
    target = min(wanted, dimensions, count)
    rows = np.arange(count)
    if count > _PCA_SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(count, _PCA_SAMPLE, replace=False))

    # Sums depend on how many threads add them up; the same images are to make the same map.
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # images that are all the same have no variance to share
        pca = PCA(target, svd_solver="randomized" if target < min(len(rows), dimensions) else "full", random_state=seed)
        pca.fit(points[rows])
        parts = [pca.transform(points[start : start + _CHUNK]) for start in range(0, count, _CHUNK)]
    projected = np.concatenate(parts).astype(np.float32)
    if target < 2:
        projected = np.concatenate([projected, np.zeros((count, 2 - target), np.float32)], axis=1)
    return projected


def _umap(umap: Any, points: Vectors, seed: int) -> Vectors:
    from sklearn.neighbors import NearestNeighbors

    # Exact, and in a second: UMAP's own search is compiled anew in every process, which takes five to twenty.
    with one_thread():
        search = NearestNeighbors(n_neighbors=min(_NEIGHBORS, len(points)), algorithm="brute").fit(points)
        distances, nearest = search.kneighbors(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A seed makes UMAP use one thread, and says so in a warning.
        model = umap.UMAP(
            n_neighbors=_NEIGHBORS,
            min_dist=0.1,
            n_epochs=_EPOCHS,
            precomputed_knn=(nearest, distances.astype(np.float32), None),
            force_approximation_algorithm=True,  # for few images, too, else the neighbors would be ignored
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(points), dtype=np.float32)


def _among_neighbors(others: Vectors, fitted: Vectors, places: Vectors) -> Vectors:
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=_PLACED_BY, algorithm="brute").fit(fitted)
    nearest = search.kneighbors(others, return_distance=False)
    # The median: the mean of neighbors on two islands would lie in the sea between them.
    return np.asarray(np.median(places[nearest], axis=1), dtype=np.float32)


def _framed(points: Vectors, *, fill: bool = False) -> Vectors:
    """Move and scale points into the square from −1 to 1; what is not finite goes to 0.

    Proportions are kept, or with `fill` each direction has the whole width, where distances mean nothing anyway.
    """
    points = np.nan_to_num(points, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = points.min(axis=0), points.max(axis=0)
    reach = (high - low) / 2 if fill else np.full(2, (high - low).max() / 2)
    return np.asarray((points - (low + high) / 2) / np.where(reach > 0, reach, 1.0), dtype=np.float32)


def _on_a_line(count: int) -> Vectors:
    points = np.zeros((count, 2), dtype=np.float32)
    points[:, 0] = np.linspace(-1, 1, count) if count > 1 else 0.0
    return points
