"""Scores of a clustering against labels: the only place where labels are looked at.

Noise counts as a cluster of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Scores", "score"]


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
