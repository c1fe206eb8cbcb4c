"""The map: a two-dimensional projection in which similar images are close together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks, in_memory
from imgcluster.features.centroids import evenly_spaced
from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.neighbors import NeighborSearch
from imgcluster.features.reduce import principal_components, reduce
from imgcluster.features.threads import one_thread
from imgcluster.types import VectorRows, Vectors

__all__ = [
    "ProjectedSample",
    "Projection",
    "complete_projection",
    "place_others",
    "project",
    "project_sample",
    "rows_of_sample",
]

_Indices = npt.NDArray[np.int64]

# Among fewer distinct images there are no neighborhoods to keep.
_TSNE_FROM: Final = 16
# t-SNE of twice as many takes 2.5 times as long, and the positions of the others are as true (benchmarks/map.py).
_TSNE_UP_TO: Final = 5000
_PERPLEXITY: Final = 30.0
_ITERATIONS: Final = 500
# With scikit-learn's 0.5 it takes a fifth longer, and neighborhoods are as true (benchmarks/map.py).
_ANGLE: Final = 0.7
_INITIAL_SPREAD: Final = 1e-4
# How far the vectors themselves count beside their diffusion map. Chosen on five sets of photographs: more, and the
# clusters overlap; less, and images that are alike within a cluster are no longer close together.
_VECTOR_WEIGHT: Final = 0.3
_PLACED_BY: Final = 5
# The search among many images looks at the directions of largest variance only.
_DIRECTIONS: Final = 50

_IN_A_ROW: Final = "in a row"


@dataclass(frozen=True, slots=True)
class Projection:
    """A two-dimensional projection of the images.

    Attributes:
        points: ``float32 (n, 2)`` in [−1, 1].
        method: How they were computed, in words.
    """

    points: npt.NDArray[np.float32]
    method: str


@dataclass(frozen=True, slots=True)
class ProjectedSample:
    """The projection of some images.

    Attributes:
        rows: ``int64 (m,)``, their rows among all.
        vectors: ``float32 (m, d)``.
        points: ``float32 (m, 2)`` in [−1, 1].
        method: How they were computed, in words.
    """

    rows: _Indices
    vectors: Vectors
    points: Vectors
    method: str


def project(vectors: Vectors | VectorRows, order: _Indices | None = None, *, seed: int = 0) -> Projection:
    """Project vectors to two dimensions with t-SNE (van der Maaten & Hinton 2008) of their diffusion map.

    Of more than 5,000 images a sample of that many is projected, and the others are placed at the median position of
    their five nearest neighbors in it.

    Args:
        vectors: ``float32 (n, d)``, of length 1 for the cosine.
        order: ``int64 (n,)``, an order of the rows that does not depend on file names (`content_order`), from which
            the sample is taken; by default the order of the rows.
        seed: For samples and principal components.
    """
    rows = rows_of_sample(np.arange(len(vectors)) if order is None else order)
    return complete_projection(vectors, project_sample(rows, vectors[rows], seed=seed), seed=seed)


def rows_of_sample(order: _Indices) -> _Indices:
    """Return the rows that are projected by themselves, from `order`, the rows in the order of their content."""
    return order[evenly_spaced(len(order), min(len(order), _TSNE_UP_TO))]


def project_sample(rows: _Indices, vectors: Vectors, *, seed: int) -> ProjectedSample:
    """Project a sample, ``float32 (m, d)``, which is in these rows of all vectors, ``int64 (m,)``.

    The diffusion map (`features.reduce`) is the space in which images are clustered by default; its leading components
    are where t-SNE starts. The principal components of the vectors are joined to it with a smaller weight. Fewer than
    16 distinct vectors are shown in the two directions of largest variance.
    """
    if len(vectors) < 3 or vectors.shape[1] < 1 or not np.isfinite(vectors).all():
        return ProjectedSample(rows, vectors, _on_a_line(len(vectors)), _IN_A_ROW)
    # Sums depend on how many threads add them up; one thread makes the same map on every machine.
    with one_thread():
        if count_distinct(vectors, _TSNE_FROM) < _TSNE_FROM:
            return ProjectedSample(rows, vectors, _framed(_two_components(vectors, seed)), "PCA")
        return ProjectedSample(rows, vectors, _framed(_tsne(vectors, seed), fill=True), "t-SNE")


def complete_projection(vectors: Vectors | VectorRows, sample: ProjectedSample, *, seed: int) -> Projection:
    """Return the projection of all vectors."""
    if sample.method == _IN_A_ROW:
        return Projection(_on_a_line(len(vectors)), _IN_A_ROW)
    method = sample.method
    if len(sample.rows) < len(vectors):
        method += f" of {len(sample.rows):,} images, the others beside their nearest neighbors"
    return Projection(place_others(vectors, sample.rows, sample.points, seed=seed, basis=sample.vectors), method)


def place_others(
    vectors: Vectors | VectorRows,
    placed: _Indices,
    points: Vectors,
    *,
    seed: int = 0,
    basis: Vectors | None = None,
) -> Vectors:
    """Complete a projection: each other vector gets the median position of its five nearest that are placed.

    The mean of neighbors in two groups would lie between the groups.

    Args:
        vectors: ``float32 (n, d)``.
        placed: ``int64 (m,)``, the rows that have positions, at least one.
        points: ``float32 (m, 2)``, their positions.
        seed: For principal components.
        basis: Vectors to compute them from; by default at most 5,000 that are placed.

    Returns:
        Positions of all vectors, ``float32 (n, 2)``.
    """
    completed = np.empty((len(vectors), 2), dtype=np.float32)
    completed[placed] = points
    others = np.ones(len(vectors), dtype=bool)
    others[placed] = False
    if not others.any():
        return completed
    if basis is None:
        basis = vectors[placed[evenly_spaced(len(placed), min(len(placed), _TSNE_UP_TO))]]
    if min(basis.shape) > _DIRECTIONS:
        reduced = principal_components(basis, vectors, _DIRECTIONS, seed)
    else:
        reduced = in_memory(vectors)
    search = NeighborSearch(reduced[placed], len(vectors))
    indices = np.arange(len(vectors))
    for rows, block in blocks(reduced):
        outside = others[rows]
        if outside.any():
            _, nearest = search.find(block[outside], min(_PLACED_BY, len(placed)))
            completed[indices[rows][outside]] = np.median(points[nearest], axis=1)
    return completed


def _tsne(vectors: Vectors, seed: int) -> Vectors:
    """Return positions ``float32 (n, 2)`` of at least 16 distinct vectors."""
    from sklearn.manifold import TSNE

    reduced = reduce(vectors, "graph", seed=seed).vectors
    # The first component is nearly constant. A diffusion map of few images may have no more than that.
    start = np.hstack([reduced[:, 1:3], np.zeros((len(reduced), 2), dtype=np.float32)])[:, :2]
    deviation = start.std(axis=0)
    start = start / np.where(deviation > 0, deviation, 1) * _INITIAL_SPREAD
    directions = principal_components(vectors, vectors, min(_DIRECTIONS, *vectors.shape), seed)
    length = np.sqrt(np.square(directions).sum(axis=1).mean())
    joined = np.hstack([reduced, directions * (_VECTOR_WEIGHT / length if length else 0)])
    model = TSNE(
        perplexity=min(_PERPLEXITY, (len(vectors) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=_ITERATIONS,
        angle=_ANGLE,
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(model.fit_transform(joined), dtype=np.float32)


def _two_components(vectors: Vectors, seed: int) -> Vectors:
    target = min(2, *vectors.shape)
    projected = principal_components(vectors, vectors, target, seed)
    return np.hstack([projected, np.zeros((len(vectors), 2 - target), dtype=np.float32)])


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
