"""Matching the clusters of a new clustering with known ones, so that they keep their numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.types import Labels

__all__ = ["KnownMembers", "match_numbers", "unite"]


@dataclass(frozen=True, slots=True)
class KnownMembers:
    """The members of known clusters: those of the last clustering, and those that were there before it.

    Attributes:
        numbers: ``int64 (m,)``, the number of a cluster.
        rows: ``int64 (m,)``, the row of one of its members; a row may be a member of several earlier clusters.
        earlier: ``bool (n,)``, the rows of the last clustering, its noise included.
    """

    numbers: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    earlier: npt.NDArray[np.bool_]


def unite(labels: Labels, known: KnownMembers, united: Collection[int]) -> Labels:
    """Unite the new clusters that belong to the same known cluster, for each known cluster in `united`.

    A new cluster belongs to a known one if more than half of its images of the last clustering are members of it.

    Args:
        labels: ``int64 (n,)`` from 0 on; −1 is noise.
        known: The known clusters.
        united: The numbers of known clusters that stay in one piece.

    Returns:
        ``int64 (n,)``; of united clusters the smallest label remains.
    """
    sizes = _earlier_sizes(labels, known)
    target = np.arange(len(sizes) + 1)
    target[-1] = -1
    first: dict[int, int] = {}
    for label, number, shared in _overlaps(labels, known):
        if number in united and 2 * shared > sizes[label]:
            target[label] = first.setdefault(number, label)
    return np.asarray(target[labels], dtype=np.int64)


def match_numbers(labels: Labels, known: KnownMembers, next_number: int) -> npt.NDArray[np.int64]:
    """Return a number for each new cluster, ``int64 (k,)``: that of the known cluster it continues, or an unused one.

    A new cluster continues a known one if they share more than half of the images of each that are in both
    clusterings. So at most one new cluster continues a known one; of several known ones that a new cluster continues,
    it is the one with the largest Jaccard index.

    Args:
        labels: ``int64 (n,)`` from 0 to k − 1, without gaps; −1 is noise.
        known: The known clusters.
        next_number: The first number that was never used.
    """
    sizes = _earlier_sizes(labels, known)
    members = dict(zip(*np.unique(known.numbers, return_counts=True), strict=True))
    numbers = np.full(len(sizes), -1, dtype=np.int64)
    best = np.zeros(len(sizes))
    for label, number, shared in _overlaps(labels, known):
        jaccard = shared / (sizes[label] + members[number] - shared)
        if 2 * shared > max(sizes[label], members[number]) and jaccard > best[label]:
            numbers[label], best[label] = number, jaccard
    unmatched = numbers < 0
    numbers[unmatched] = next_number + np.arange(int(unmatched.sum()))
    return numbers


def _earlier_sizes(labels: Labels, known: KnownMembers) -> npt.NDArray[np.int64]:
    """Return for each new cluster the number of its images of the last clustering."""
    count = int(labels.max(initial=-1)) + 1
    return np.bincount(labels[known.earlier & (labels >= 0)], minlength=count)


def _overlaps(labels: Labels, known: KnownMembers) -> list[tuple[int, int, int]]:
    """Return the label, the known number and the shared images of all pairs that share any, in ascending order."""
    inside = labels[known.rows] >= 0
    pairs = np.stack([labels[known.rows[inside]], known.numbers[inside]], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return [(label, number, shared) for (label, number), shared in zip(found.tolist(), counts.tolist(), strict=True)]
