"""Scores of a clustering against labels: the only place where labels are looked at.

Noise counts as a cluster of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "Intervals", "Scores", "intervals", "score"]

Interval = tuple[float, float]
"""The ends of a 95 % confidence interval."""

_Counts = npt.NDArray[np.int64]

_DRAWS: Final = (100, 1000)
_CELLS_IN_ALL: Final = 20_000_000
_TAILS: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Scores:
    """How well clusters and labels agree.

    Attributes:
        accuracy: Share of images in the right place under the best one-to-one matching of clusters and labels
            (Hungarian algorithm, Kuhn 1955).
        nmi: Normalised mutual information (arithmetic mean), in [0, 1].
        ari: Adjusted Rand index (Hubert & Arabie 1985), in [−0.5, 1].
        purity: Share of images that have the most common label of their cluster; it grows with the number of
            clusters.
        label_names: The labels, sorted.
        clusters: The clusters, −1 (noise) first where there is any.
        confusion: Images per label (rows) and cluster (columns); ``int64``.
        matching: The cluster that the best matching gives each label; None for one left over.
    """

    accuracy: float
    nmi: float
    ari: float
    purity: float
    label_names: tuple[str, ...]
    clusters: tuple[int, ...]
    confusion: npt.NDArray[np.int64]
    matching: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % confidence intervals of `Scores`, for another draw of images like these."""

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
    matched = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return Scores(
        accuracy=float(confusion[rows, columns].sum() / len(label_codes)),
        nmi=float(normalized_mutual_info_score(label_codes, cluster_codes)),
        ari=float(adjusted_rand_score(label_codes, cluster_codes)),
        purity=float(confusion.max(axis=0).sum() / len(label_codes)),
        label_names=tuple(str(name) for name in names),
        clusters=tuple(int(number) for number in numbers),
        confusion=confusion,
        matching=tuple(int(numbers[matched[row]]) if row in matched else None for row in range(len(names))),
    )


def intervals(scores: Scores, *, seed: int = 0) -> Intervals:
    """Return bootstrap intervals (Efron & Tibshirani 1993): of 1,000 draws of as many images, with replacement (fewer,
    down to 100, of tables of more than 20,000 cells).

    They are "basic" ones, reflected at the score: small draws make clusters and labels seem to agree better than they
    do, and that shifts the draws, not the score. Another clustering of the same images may vary more.
    """
    counts = scores.confusion
    filled = np.nonzero(counts)
    shares = counts[filled] / counts.sum()
    generator = np.random.default_rng(seed)
    drawn = []
    # Matching many clusters with many labels takes long.
    for _ in range(int(np.clip(_CELLS_IN_ALL // counts.size, *_DRAWS))):
        draw = np.zeros_like(counts)
        draw[filled] = generator.multinomial(int(counts.sum()), shares)
        drawn.append((_accuracy(draw), _nmi(draw), _ari(draw)))
    accuracy, nmi, ari = zip(*drawn, strict=True)
    return Intervals(
        accuracy=_basic(scores.accuracy, accuracy, 0.0),
        nmi=_basic(scores.nmi, nmi, 0.0),
        ari=_basic(scores.ari, ari, -0.5),
    )


def _basic(value: float, drawn: Sequence[float], lowest: float) -> Interval:
    low, high = np.percentile(drawn, _TAILS)
    return max(lowest, 2 * value - float(high)), min(1.0, 2 * value - float(low))


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
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())
