"""Scores of a clustering against labels: the only place where labels are used.

Noise counts as a cluster of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "Intervals", "Scores", "adjusted_rand_index", "intervals", "score"]

Interval = tuple[float, float]
"""The ends of a 95 % confidence interval."""

_Counts = npt.NDArray[np.int64]

# Fewer for large tables: matching many clusters with many labels takes long.
_DRAWS: Final = (100, 1000)
_MAX_CELLS: Final = 20_000_000

# The 97.5 % quantile of the normal distribution, and the number of pseudo-images, z² ≈ 4 as in Agresti & Coull (1998).
_Z: Final = 1.96
_PSEUDO: Final = 4.0


@dataclass(frozen=True, slots=True)
class Scores:
    """How well clusters and labels agree.

    Attributes:
        accuracy: Share of images in the right place under the best one-to-one matching of clusters and labels
            (Hungarian algorithm, Kuhn 1955).
        nmi: Normalized mutual information (arithmetic mean), in [0, 1].
        ari: Adjusted Rand index (Hubert & Arabie 1985), in [−0.5, 1].
        purity: Share of images that have the most common label of their cluster; it grows with the number of
            clusters.
        label_names: The labels, sorted.
        clusters: The clusters, −1 (noise) first where there is any.
        confusion: Images per label (rows) and cluster (columns); ``int64``.
    """

    accuracy: float
    nmi: float
    ari: float
    purity: float
    label_names: tuple[str, ...]
    clusters: tuple[int, ...]
    confusion: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % confidence intervals of `Scores`; see `intervals`."""

    accuracy: Interval
    nmi: Interval
    ari: Interval


def score(clusters: npt.NDArray[np.int64], labels: Sequence[str]) -> Scores:
    """Score clusters ``int64 (n,)`` against as many labels; n is at least 1."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    names, label_codes = np.unique(np.asarray(labels), return_inverse=True)
    numbers, cluster_codes = np.unique(clusters, return_inverse=True)
    confusion = np.zeros((len(names), len(numbers)), dtype=np.int64)
    np.add.at(confusion, (label_codes, cluster_codes), 1)
    rows, columns = linear_sum_assignment(confusion, maximize=True)
    return Scores(
        accuracy=float(confusion[rows, columns].sum() / len(label_codes)),
        nmi=float(normalized_mutual_info_score(label_codes, cluster_codes)),
        ari=float(adjusted_rand_score(label_codes, cluster_codes)),
        purity=float(confusion.max(axis=0).sum() / len(label_codes)),
        label_names=tuple(str(name) for name in names),
        clusters=tuple(int(number) for number in numbers),
        confusion=confusion,
    )


def adjusted_rand_index(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Return the adjusted Rand index of two clusterings ``int64 (n,)`` of the same images, in [−0.5, 1]."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(first, second))


def intervals(scores: Scores, *, seed: int = 0) -> Intervals:
    """Return 95 % confidence intervals for the mean scores of other samples of as many images from the same source.

    An interval is the score ± 1.96 standard deviations, within the range of the score. The standard deviations are
    those of 1,000 bootstrap samples (Efron & Tibshirani 1993), at least 100 for large tables, drawn from the table of
    counts with four images added that agree by chance only: otherwise a perfect score would have an interval of width
    0. With many clusters and labels for few images, scores of small samples are higher than those of large ones; the
    intervals are about samples of this size (coverage: benchmarks/interval_coverage.py). Another clustering of the same
    images may vary more.
    """
    counts = scores.confusion
    total = int(counts.sum())
    chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total**2
    shares = ((counts + _PSEUDO * chance) / (total + _PSEUDO)).ravel()
    generator = np.random.default_rng(seed)
    draws = int(np.clip(_MAX_CELLS // counts.size, *_DRAWS))
    samples = (generator.multinomial(total, shares / shares.sum()).reshape(counts.shape) for _ in range(draws))
    deviations = np.std([(_accuracy(each), _nmi(each), _ari(each)) for each in samples], axis=0)
    accuracy, nmi, ari = (float(deviation) for deviation in deviations)
    return Intervals(
        accuracy=_around(scores.accuracy, accuracy, 0.0),
        nmi=_around(scores.nmi, nmi, 0.0),
        ari=_around(scores.ari, ari, -0.5),
    )


def _around(value: float, deviation: float, lowest: float) -> Interval:
    return max(lowest, value - _Z * deviation), min(1.0, value + _Z * deviation)


def _accuracy(counts: _Counts) -> float:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / counts.sum())


def _nmi(counts: _Counts) -> float:
    shares = counts / counts.sum()
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    both = _entropy(rows) + _entropy(columns)
    return 1.0 if both == 0 else 2 * (both - _entropy(shares.ravel())) / both


def _ari(counts: _Counts) -> float:
    def pairs(numbers: _Counts) -> float:
        return float((numbers * (numbers - 1) / 2).sum())

    together, labels, clusters = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    expected = labels * clusters / max(pairs(np.array([counts.sum()])), 1.0)
    most = (labels + clusters) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
