"""Numbers for the clusters of a new clustering: known clusters keep theirs, and images stay where the user put them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.types import Labels

__all__ = ["Decided", "KnownMembers", "Settled", "match_numbers", "settle"]

_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KnownMembers:
    """The members of known clusters: those of the last clustering, and those that were there before it.

    Attributes:
        numbers: ``int64 (m,)``, the number of a cluster, without noise.
        rows: ``int64 (m,)``, the row of one of its members; a row may be a member of several earlier clusters.
        earlier: ``bool (n,)``, the images of the last clustering, its noise included.
    """

    numbers: Labels
    rows: _Rows
    earlier: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the user decided about n images.

    Attributes:
        shaped: The numbers of clusters that the user made by merging, splitting or choosing images: they keep their
            images.
        rows: ``int64 (p,)``, the images that were put into a cluster one by one.
        targets: ``int64 (p,)``, the number of the cluster of each of them; −1 is noise.
    """

    shaped: frozenset[int]
    rows: _Rows
    targets: Labels


@dataclass(frozen=True, slots=True)
class Settled:
    """A clustering after `settle`.

    Attributes:
        clusters: The cluster number of each image, ``int64 (n,)``; −1 is noise.
        numbers: The number of each cluster that was found, ``int64 (k,)``.
        conflicts: Positions in `Decided.rows` whose cluster no longer exists; these images stay where they were found.
    """

    clusters: Labels
    numbers: Labels
    conflicts: _Rows


def settle(labels: Labels, known: KnownMembers, decided: Decided, next_number: int) -> Settled:
    """Number the clusters of a new clustering by `match_numbers`, and put images where the user decided.

    An image that was put into a cluster that is gone follows its former members: into the cluster of more than half of
    them, or into the largest piece of the former cluster.

    Args:
        labels: ``int64 (n,)`` from 0 to k − 1, without gaps; −1 is noise.
        known: The known clusters.
        decided: The decisions.
        next_number: The first number that was never used.
    """
    numbers = match_numbers(labels, known, next_number, shaped=decided.shaped)
    clusters = np.where(labels >= 0, np.append(numbers, -1)[labels], -1)
    is_decided = np.isin(known.numbers, list(decided.shaped))
    result = clusters.copy()
    result[known.rows[is_decided]] = known.numbers[is_decided]
    conflicts = []
    present = {-1, *decided.shaped, *numbers.tolist()}
    for target in np.unique(decided.targets).tolist():
        positions = np.flatnonzero(decided.targets == target)
        successor = target if target in present else _successor(clusters, known, target)
        if successor is None:
            conflicts.append(positions)
        else:
            result[decided.rows[positions]] = successor
    return Settled(result, numbers, np.concatenate(conflicts) if conflicts else np.empty(0, np.int64))


def match_numbers(
    labels: Labels, known: KnownMembers, next_number: int, *, shaped: Collection[int] = frozenset()
) -> Labels:
    """Return a number for each new cluster, ``int64 (k,)``: that of the known cluster it continues, or an unused one.

    A new cluster continues a known one if they share more than half of the images of each that are in both
    clusterings. So at most one new cluster continues a known one; of several known ones that a new cluster continues,
    it is the one with the largest Jaccard index. A cluster in `shaped` is continued by every new cluster more than half
    of whose images of the last clustering it has. Members that return are counted as images of the last clustering.

    Args:
        labels: ``int64 (n,)`` from 0 to k − 1, without gaps; −1 is noise.
        known: The known clusters.
        next_number: The first number that was never used.
        shaped: The numbers of clusters that the user made.
    """
    count = int(labels.max(initial=-1)) + 1
    sizes = np.bincount(labels[known.earlier & (labels >= 0)], minlength=count)
    members = dict(zip(*np.unique(known.numbers, return_counts=True), strict=True))
    late = ~known.earlier[known.rows]
    returning = {
        (label, number): shared
        for label, number, shared in _overlaps(
            labels, KnownMembers(known.numbers[late], known.rows[late], known.earlier)
        )
    }
    numbers = np.full(count, -1, dtype=np.int64)
    best = np.zeros(count)
    for label, number, shared in _overlaps(labels, known):
        # Images that return are not in the last clustering.
        size = sizes[label] + returning.get((label, number), 0)
        if number in shaped:
            # More than any Jaccard index.
            likeness = 2.0 if 2 * shared > size else 0.0
        else:
            agree = 2 * shared > max(size, members[number])
            likeness = shared / (size + members[number] - shared) if agree else 0.0
        if likeness > best[label]:
            numbers[label], best[label] = number, likeness
    unmatched = numbers < 0
    numbers[unmatched] = next_number + np.arange(int(unmatched.sum()))
    return numbers


def _successor(clusters: Labels, known: KnownMembers, number: int) -> int | None:
    """Return the cluster of more than half of the former members of one that is gone, or its largest piece."""
    members = known.rows[known.numbers == number]
    inside = clusters[members][clusters[members] >= 0]
    for successor, shared in sorted(
        zip(*np.unique(inside, return_counts=True), strict=True), key=lambda pair: -pair[1]
    ):
        piece = 2 * shared > int((known.earlier & (clusters == successor)).sum())
        if 2 * shared > len(members) or piece:
            return int(successor)
    return None


def _overlaps(labels: Labels, known: KnownMembers) -> list[tuple[int, int, int]]:
    """Return the label, the known number and the shared images of all pairs that share any, in ascending order."""
    inside = labels[known.rows] >= 0
    pairs = np.stack([labels[known.rows[inside]], known.numbers[inside]], axis=1)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    return [(label, number, shared) for (label, number), shared in zip(distinct.tolist(), counts.tolist(), strict=True)]
