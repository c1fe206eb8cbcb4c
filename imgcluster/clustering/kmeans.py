"""Dividing vectors into a given number of clusters."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from imgcluster.features.threads import one_thread
from imgcluster.types import Labels, Vectors

__all__ = ["divide", "divide_by_sample", "divide_thoroughly"]

# Above this every thread's copy of the vectors costs more than a second core gains.
_PARALLEL_BYTES: Final = 1 << 29
_ROWS_AT_ONCE: Final = 8192

# So many multiplications' worth of starts: about two seconds on two cores, and at least eight starts. k-means on
# photographs ends elsewhere at every start; the best of 200 is nearly the same for every seed, among few images of 64.
_START_BUDGET: Final = 7e8
_FEWEST_STARTS: Final = 8
_MOST_STARTS: Final = (64, 256)
_IMAGES_PER_START: Final = 4
_SAMPLE: Final = 10_000
_PER_CLUSTER: Final = 20


def divide(vectors: Vectors, k: int, *, seed: int, starts: int) -> tuple[Labels, float]:
    """Return labels ``int64 (n,)`` of k clusters, and the inertia: the sum of squared distances to the centres.

    Args:
        vectors: ``float32 (n, d)``, at least k of them different.
        k: How many clusters.
        seed: The same one gives the same labels, however many processors there are.
        starts: The best of so many counts.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import ThreadpoolController

    starts = starts if k > 1 else 1
    # Found once: looking for the libraries takes longer than a start among few images.
    libraries = ThreadpoolController()

    def start(seed: int) -> Any:
        # OpenMP's limit holds for the thread that sets it, BLAS's for all: hence here, and below.
        with libraries.limit(limits=1, user_api="openmp"):
            return KMeans(k, n_init=1, random_state=int(seed)).fit(vectors)

    # Several threads inside one start add up in an order that changes from run to run, and so do the results;
    # several starts side by side do not touch each other.
    workers = 2 if vectors.nbytes < _PARALLEL_BYTES else 1
    with libraries.limit(limits=1), ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = list(pool.map(start, np.random.SeedSequence(seed).generate_state(starts)))
    best = min(models, key=lambda model: model.inertia_)
    return _filled(vectors, best.labels_.astype(np.int64), k), float(best.inertia_)


def divide_thoroughly(vectors: Vectors, k: int, *, seed: int) -> tuple[Labels, float, int]:
    """Return labels and inertia as `divide`, and from how many starts: as many as take about two seconds on two cores.

    Of more than 10,000 vectors so many are divided first, always the same ones, from many starts; from the best
    centres all are. A few starts among all would end elsewhere with every seed.
    """
    few = max(_SAMPLE, _PER_CLUSTER * k)
    if len(vectors) <= few:
        starts = _affordable_starts(vectors, k)
        labels, inertia = divide(vectors, k, seed=seed, starts=starts)
        return labels, inertia, starts
    from sklearn.cluster import KMeans

    drawn = vectors[np.linspace(0, len(vectors) - 1, few).astype(np.int64)]
    starts = _affordable_starts(drawn, k)
    found, _ = divide(drawn, k, seed=seed, starts=starts)
    there = np.unique(found)
    centres = np.stack([drawn[found == number].mean(axis=0) for number in there])
    if len(there) < k:
        labels, inertia = divide(vectors, k, seed=seed, starts=_FEWEST_STARTS)
        return labels, inertia, _FEWEST_STARTS
    with one_thread(), one_thread("openmp"):
        model = KMeans(k, init=centres, n_init=1, random_state=seed).fit(vectors)
    return _filled(vectors, model.labels_.astype(np.int64), k), float(model.inertia_), starts


def divide_by_sample(vectors: Vectors, k: int, *, seed: int, starts: int, sample: int) -> Labels:
    """Return labels ``int64 (n,)`` as `divide`, from `sample` of the vectors: the others go to the nearest centre."""
    if len(vectors) <= sample:
        return divide(vectors, k, seed=seed, starts=starts)[0]
    drawn = vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), sample, replace=False))]
    labels, _ = divide(drawn, k, seed=seed, starts=starts)
    centres = np.stack([drawn[labels == number].mean(axis=0) for number in np.unique(labels)])
    lengths = (centres * centres).sum(axis=1)
    with one_thread():
        parts = [
            (lengths - 2 * (vectors[start : start + _ROWS_AT_ONCE] @ centres.T)).argmin(axis=1)
            for start in range(0, len(vectors), _ROWS_AT_ONCE)
        ]
    return np.concatenate(parts).astype(np.int64)


def _filled(vectors: Vectors, labels: Labels, k: int) -> Labels:
    """Part clusters in two until there are k: among points closer together than rounding errors k-means stops short."""
    there, labels = np.unique(labels, return_inverse=True)
    labels = labels.astype(np.int64)
    for new in range(len(there), k):
        spans = np.array([np.ptp(vectors[labels == number], axis=0) for number in range(new)])
        if not spans.any():
            # Fewer than k are different.
            break
        widest, dimension = np.unravel_index(int(spans.argmax()), spans.shape)
        members = np.flatnonzero(labels == widest)
        values = vectors[members, dimension].astype(np.float64)
        labels[members[values > (values.min() + values.max()) / 2]] = new
    return labels


def _affordable_starts(vectors: Vectors, k: int) -> int:
    if k == 1:
        return 1
    count, dimensions = vectors.shape
    most = np.clip(count // _IMAGES_PER_START, *_MOST_STARTS)
    return int(np.clip(_START_BUDGET / (count * (k * dimensions + 500)), _FEWEST_STARTS, most))
