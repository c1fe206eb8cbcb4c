"""What became of the clusters of the last clustering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from imgcluster.types import Labels

__all__ = ["ABSENT", "ClusterChange", "compare_clusterings", "count_moved"]

ABSENT: Final = -2
"""The cluster of an image that was not in the last clustering."""

Change = Literal["kept", "grown", "split", "merged", "new", "removed"]

_Flows = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChange:
    """What became of one cluster; `size_before` and `size` are the sums of the other numbers.

    Attributes:
        cluster: Its number.
        change: ``kept``, or ``grown`` if it has more images than before; ``split`` if several clusters consist mostly
            of its images; ``merged`` if it received most images of another cluster, or its own went to one; ``new`` or
            ``removed`` in all other cases in which it was not in the last clustering, or is not in this one.
        size_before: The number of its images in the last clustering.
        size: The number of its images.
        stayed: Its images of both clusterings.
        new_images: Its images that were not in the last clustering.
        removed_images: Its former images that are no longer in the workspace.
        came_from: The former clusters of its other images, with their numbers of images; −1 is noise.
        went_to: The clusters of its other former images, with their numbers of images.
    """

    cluster: int
    change: Change
    size_before: int
    size: int
    stayed: int
    new_images: int
    removed_images: int
    came_from: _Flows
    went_to: _Flows


def compare_clusterings(before: Labels, after: Labels, removed: Mapping[int, int]) -> tuple[ClusterChange, ...]:
    """Compare two clusterings of n images, cluster by cluster.

    Args:
        before: ``int64 (n,)``; −1 is noise, `ABSENT` an image that was not in the last clustering.
        after: ``int64 (n,)``; −1 is noise.
        removed: The number of images of each former cluster that are no longer in the workspace.
    """
    flows = Counter(zip(before.tolist(), after.tolist(), strict=True))
    old = sorted({number for number, _ in flows if number >= 0} | {number for number in removed if number >= 0})
    new = sorted({number for _, number in flows if number >= 0})
    incoming: dict[int, dict[int, int]] = {number: {} for number in new}
    outgoing: dict[int, dict[int, int]] = {number: {} for number in old}
    for (source, target), count in flows.items():
        incoming.get(target, {})[source] = count
        outgoing.get(source, {})[target] = count
    # The cluster of more than half of the former images, and the former cluster of more than half of the images.
    parents = {number: _majority(incoming[number]) for number in new}
    children = {number: _majority(outgoing[number]) for number in old}
    changes = []
    for number in sorted({*old, *new}):
        sources, targets = incoming.get(number, {}), outgoing.get(number, {})
        gone = removed.get(number, 0)
        size_before, size = sum(targets.values()) + gone, sum(sources.values())
        parts = [part for part, parent in parents.items() if parent == number]
        joined = [part for part, child in children.items() if child == number]
        if number not in children:
            change: Change = "merged" if len(joined) > 1 else "new"
        elif len(parts) > 1:
            change = "split"
        elif number not in parents:
            change = "merged" if children[number] is not None else "removed"
        elif any(part != number for part in joined):
            change = "merged"
        else:
            change = "grown" if size > size_before else "kept"
        changes.append(
            ClusterChange(
                cluster=number,
                change=change,
                size_before=size_before,
                size=size,
                stayed=targets.get(number, 0),
                new_images=sources.get(ABSENT, 0),
                removed_images=gone,
                came_from=_ranked(sources, number),
                went_to=_ranked(targets, number),
            )
        )
    return tuple(changes)


def count_moved(before: Labels, after: Labels) -> int:
    """Return how many images of both clusterings are in another cluster than before."""
    return int(((before != after) & (before != ABSENT)).sum())


def _majority(flows: Mapping[int, int]) -> int | None:
    """Return the cluster that more than half of the images came from or went to, new images left out."""
    known = {number: count for number, count in flows.items() if number != ABSENT}
    largest = max(known, key=lambda number: known[number], default=-1)
    return largest if largest >= 0 and 2 * known[largest] > sum(known.values()) else None


def _ranked(flows: Mapping[int, int], own: int) -> _Flows:
    others = [(number, count) for number, count in flows.items() if number not in (own, ABSENT)]
    return tuple(sorted(others, key=lambda flow: (-flow[1], flow[0])))
