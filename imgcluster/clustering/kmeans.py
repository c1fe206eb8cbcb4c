"""k-means with a given number of clusters."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from imgcluster.features.blocks import blocks
from imgcluster.features.centroids import (
    centroids,
    evenly_spaced,
    far_origin,
    nearest_centroid,
    relative,
    rows_by_label,
)
from imgcluster.features.threads import one_thread
from imgcluster.fileio.in_threads import in_order
from imgcluster.types import Labels, Vectors

__all__ = ["fit_kmeans", "fit_kmeans_on_sample", "fit_kmeans_with_restarts"]

# Above this a copy of the vectors for each thread costs more than a second core gains.
_PARALLEL_BYTES: Final = 1 << 29
# Below this many values times clusters a fit is mostly Python: threads wait for each other, and two take up to twice
# the time of one.
_PARALLEL_WORK: Final = 5_000_000

# About two seconds of starts on two cores, and at least four. On photographs every start ends in another local
# optimum; the best of 200 is nearly the same for every seed, among few images the best of 64.
_START_BUDGET: Final = 7e8
_MIN_STARTS: Final = 4
_MAX_STARTS: Final = (64, 256)
_IMAGES_PER_START: Final = 4
_SAMPLE: Final = 10_000
_PER_CLUSTER: Final = 20

# The best optima of a sample are continued on larger ones: those whose inertia differs by at least this share.
_FINALISTS: Final = 4
_SAME_INERTIA: Final = 1e-4
_GROWTH: Final = 4
_NEARLY_CONVERGED: Final = 1e-3
_CONVERGED: Final = 1e-4
_MAX_STEPS: Final = 300


def fit_kmeans(vectors: Vectors, k: int, *, seed: int, starts: int) -> tuple[Labels, float]:
    """Return labels ``int64 (n,)`` of k clusters, and the inertia: the sum of squared distances to the centroids.

    Args:
        vectors: ``float32 (n, d)``, at least k of them distinct.
        k: The number of clusters.
        seed: Determines the labels, whatever the number of processors.
        starts: The number of k-means++ starts, of which the one with the smallest inertia is taken.
    """
    best = _fits(vectors, k, _seeds(seed, starts if k > 1 else 1))[0]
    return _fill_empty(vectors, best.labels_.astype(np.int64), k), float(best.inertia_)


def fit_kmeans_with_restarts(
    vectors: Vectors, k: int, *, seed: int, starts: int | None = None
) -> tuple[Labels, float, int]:
    """Return labels and inertia as `fit_kmeans`, and the number of starts.

    By default there are as many starts as take two seconds, or fewer if they end in few local optima: once each was
    found several times, none is expected to be left.

    Of more than 10,000 vectors, a sample of that many, evenly spaced over the rows, is fitted first. The best four
    optima are continued on four times as many, the better half of these on four times as many again, and so on; the one
    with the smallest inertia on all vectors is taken. So few passes over all vectors are needed, as in nested
    mini-batches (Newling & Fleuret 2016, https://arxiv.org/abs/1602.02934).
    """
    size = max(_SAMPLE, _PER_CLUSTER * k)
    sample = vectors[evenly_spaced(len(vectors), size)] if len(vectors) > size else vectors
    models = _fits(sample, k, _seeds(seed, starts or _affordable_starts(sample, k)), until_all_found=starts is None)
    starts = len(models)
    if len(vectors) <= size:
        return _fill_empty(vectors, models[0].labels_.astype(np.int64), k), float(models[0].inertia_), starts
    optima: list[Any] = []
    for fit in models:
        if not optima or fit.inertia_ > (1 + _SAME_INERTIA) * optima[-1].inertia_:
            optima.append(fit)
    centers = [fit.cluster_centers_ for fit in optima[:_FINALISTS]]
    while True:
        size = min(_GROWTH * size, len(vectors))
        sample = vectors[evenly_spaced(len(vectors), size)] if size < len(vectors) else vectors
        tolerance = _CONVERGED if size == len(vectors) else _NEARLY_CONVERGED
        fits = sorted((continue_kmeans(sample, each, tolerance) for each in centers), key=lambda fit: fit.inertia)
        if size == len(vectors):
            return _fill_empty(vectors, fits[0].labels, k), fits[0].inertia, starts
        centers = [fit.centers for fit in fits[: max(1, len(fits) // 2)]]


@dataclass(frozen=True, slots=True)
class KMeansFit:
    """Centers ``float32 (k, d)``, the number of the nearest one of each vector, ``int64 (n,)``, and the inertia."""

    centers: Vectors
    labels: Labels
    inertia: float


def continue_kmeans(vectors: Vectors, centers: Vectors, tolerance: float = _CONVERGED) -> KMeansFit:
    """Run Lloyd's algorithm from these centers until the inertia falls by less than `tolerance`, as a share, in a step.

    Sums over blocks are added in the order of the rows, so they do not depend on the number of threads.

    Args:
        vectors: ``float32 (n, d)``.
        centers: ``float32 (k, d)``; one that has no members stays where it is.
        tolerance: At least 0.
    """
    previous = np.inf
    origin = far_origin(centers)
    centers = relative(centers, origin)

    def length(part: tuple[Any, Vectors]) -> float:
        return float(np.square(relative(part[1], origin), dtype=np.float64).sum())

    with one_thread(), ThreadPoolExecutor(2) as pool:
        lengths = sum(pool.map(length, blocks(vectors)))
        for _ in range(_MAX_STEPS):
            labels = np.empty(len(vectors), dtype=np.int64)
            sums, inertia = np.zeros(centers.shape), lengths
            assign = partial(_assign_block, centers, origin, labels)
            for block_sums, block_inertia in pool.map(assign, blocks(vectors)):
                sums += block_sums
                inertia += block_inertia
            if inertia >= (1 - tolerance) * previous:
                break
            previous = inertia
            sizes = np.bincount(labels, minlength=len(centers))[:, None]
            centers = np.where(sizes > 0, sums / np.maximum(sizes, 1), centers).astype(np.float32)
    return KMeansFit(centers if origin is None else centers + origin, labels, max(float(inertia), 0.0))


def _assign_block(
    centers: Vectors, origin: Vectors | None, labels: Labels, part: tuple[Any, Vectors]
) -> tuple[Any, float]:
    """Label a block of rows; return its sums, ``float32 (k, d)``, and its inertia without the lengths of the rows.

    Centers and sums are relative to the origin.
    """
    from scipy.sparse import csr_matrix

    rows, block = part
    block = relative(block, origin)
    directions, lengths = -2 * centers.T, (centers * centers).sum(axis=1)
    nearest, inertia = np.empty(len(block), dtype=np.int64), 0.0
    for part_rows, vectors in blocks(block, len(centers)):
        distances = vectors @ directions
        distances += lengths
        nearest[part_rows] = best = distances.argmin(axis=1)
        inertia += float(distances[np.arange(len(best)), best].sum(dtype=np.float64))
    labels[rows] = nearest
    each = np.arange(len(block))
    members = csr_matrix((np.ones(len(block), np.float32), (nearest, each)), shape=(len(centers), len(block)))
    return members @ block, inertia


def fit_kmeans_on_sample(vectors: Vectors, k: int, *, seed: int, starts: int, sample: int) -> Labels:
    """Return labels ``int64 (n,)`` as `fit_kmeans` of `sample` random vectors; the others get the nearest centroid."""
    if len(vectors) <= sample:
        return fit_kmeans(vectors, k, seed=seed, starts=starts)[0]
    drawn = vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), sample, replace=False))]
    labels, _ = fit_kmeans(drawn, k, seed=seed, starts=starts)
    with one_thread():
        return nearest_centroid(vectors, centroids(drawn, labels, int(labels.max()) + 1))


def _seeds(seed: int, count: int) -> list[int]:
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(count)]


def _fits(vectors: Vectors, k: int, seeds: Sequence[int], *, until_all_found: bool = False) -> list[Any]:
    """Return the fitted model for each seed, or for the first of them, by ascending inertia."""
    from sklearn import config_context
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    def fit(seed: int) -> Any:
        # OpenMP's limit applies to the thread that sets it, BLAS's to all: hence here and below. Among few images,
        # checking the parameters takes as long as the fit.
        with one_thread("openmp"), config_context(skip_parameter_validation=True):
            return KMeans(k, n_init=1, random_state=seed).fit(vectors)

    fitted: Generator[tuple[int, Any], None, None] = ((seed, fit(seed)) for seed in seeds)
    if vectors.size * k >= _PARALLEL_WORK:
        # Several threads in one fit would sum in an order that changes from run to run; fits side by side do not.
        fitted = in_order(fit, seeds, 2 if vectors.nbytes < _PARALLEL_BYTES else 1)
    models: list[Any] = []
    with one_thread(), warnings.catch_warnings(), closing(fitted):
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _, model in fitted:
            models.append(model)
            if until_all_found and _all_found([float(each.inertia_) for each in models]):
                break
    return sorted(models, key=lambda model: float(model.inertia_))


def _all_found(inertias: Sequence[float]) -> bool:
    """Return whether less than half an optimum is expected to be missing after these starts.

    With w optima among n starts w(n − 1)/(n − w − 2) are expected in all (Boender & Rinnooy Kan 1987,
    https://doi.org/10.1007/BF02591684). That takes 8 starts if all end in the same one, 17 with two and 30 with three.
    """
    ascending = np.sort(inertias)
    count, optima = len(inertias), 1 + int((np.diff(ascending) > _SAME_INERTIA * ascending[:-1]).sum())
    return optima * (count - 1) < (optima + 0.5) * (count - optima - 2)


def _fill_empty(vectors: Vectors, labels: Labels, k: int) -> Labels:
    """Split clusters until there are k: k-means returns fewer where points differ by less than rounding errors."""
    present, labels = np.unique(labels, return_inverse=True)
    labels = labels.astype(np.int64)
    if len(present) == k:
        return labels
    members = rows_by_label(labels, len(present))
    spans = [np.ptp(vectors[rows], axis=0) for rows in members]
    for new in range(len(present), k):
        widest = int(np.argmax([span.max() for span in spans]))
        if not spans[widest].any():
            # Fewer than k vectors are distinct.
            break
        values = vectors[members[widest], spans[widest].argmax()].astype(np.float64)
        upper = values > (values.min() + values.max()) / 2
        members.append(members[widest][upper])
        members[widest] = members[widest][~upper]
        spans[widest] = np.ptp(vectors[members[widest]], axis=0)
        spans.append(np.ptp(vectors[members[new]], axis=0))
        labels[members[new]] = new
    return labels


def _affordable_starts(vectors: Vectors, k: int) -> int:
    if k == 1:
        return 1
    count, dimensions = vectors.shape
    most = np.clip(count // _IMAGES_PER_START, *_MAX_STARTS)
    return int(np.clip(_START_BUDGET / (count * (k * dimensions + 500)), _MIN_STARTS, most))
