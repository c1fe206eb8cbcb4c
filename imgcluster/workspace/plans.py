"""Applying a plan that a user saved on the page to a clustering."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import PlanError
from imgcluster.fileio.schema import quoted
from imgcluster.workspace.decisions import DecidedImage, Decision, Decisions
from imgcluster.workspace.plan_file import REMEDY, Plan

__all__ = ["PlanResult", "SplitMembers", "apply_plan", "decisions_after", "identity_of", "split_clusters"]

_NOISE: Final = -1

SplitMembers = Callable[[npt.NDArray[np.int64], int], npt.NDArray[np.int64]]
"""Splits images, given by their rows ``int64 (m,)``, into a number of parts: the part of each, the largest is 0."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The clustering after a plan.

    Attributes:
        clusters: ``int64 (n,)``; −1 is noise.
        names: The names of the named clusters.
        merged: The final cluster of each merged cluster.
        moved: Which images were moved to another cluster one by one, ``bool (n,)``.
        decisions: What the plan decides about single images, by path, whether they moved or not. Images of new clusters
            are ``corrected``.
        created: The numbers of the new clusters.
        parts: The numbers of the new parts of each split cluster; the largest part keeps its number.
    """

    clusters: npt.NDArray[np.int64]
    names: dict[int, str]
    merged: dict[int, int]
    moved: npt.NDArray[np.bool_]
    decisions: dict[str, Decision] = field(default_factory=dict)
    created: tuple[int, ...] = ()
    parts: dict[int, tuple[int, ...]] = field(default_factory=dict)


def identity_of(paths: Sequence[str], clusters: npt.NDArray[np.int64]) -> str:
    """Return a digest of the assignment of images to clusters."""
    digest = hashlib.blake2b(digest_size=12)
    for path, cluster in zip(paths, clusters.tolist(), strict=True):
        digest.update(f"{cluster} {path}\0".encode())
    return digest.hexdigest()


def apply_plan(
    plan: Plan,
    paths: Sequence[str],
    clusters: npt.NDArray[np.int64],
    names: Mapping[int, str],
    *,
    highest: int = _NOISE,
    identities: Collection[str] = (),
    name: str = "the plan",
) -> PlanResult:
    """Return the clustering after `plan`, except for its splits; nothing is modified.

    Merges are applied first, then decisions about single images; a correction to a merged cluster follows the merge. An
    unnamed cluster inherits the name of the first cluster merged into it. Empty clusters lose their names. New clusters
    get the next numbers that were never used.

    Args:
        plan: The plan.
        paths: The images' paths, as in ``assignments.csv``.
        clusters: ``int64 (n,)``; −1 is noise.
        names: The present names of clusters.
        highest: The highest number that a cluster ever had, if it is higher than the present ones.
        identities: Those of earlier clusterings, since which images were only added or removed.
        name: The plan's name in messages.

    Raises:
        PlanError: The plan was made for another clustering, contradicts itself, or refers to missing clusters or
            images.
    """
    if plan.clustering not in (identity_of(paths, clusters), *identities):
        raise PlanError(
            f"{name} was made for another clustering than the current one of the workspace; open the current page and "
            "save a new plan"
        )
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    rows = _rows(plan, paths, present, name)
    final = {number: _final_cluster(number, plan.merges, name) for number in present}
    for number, new in plan.names.items():
        if new and final[number] != number:
            raise PlanError(
                f"{name} gives cluster {number} the name {quoted(new)} and merges it into another; remove one of these"
            )

    following = max(highest, int(clusters.max(initial=_NOISE))) + 1
    created = tuple(range(following, following + len(plan.new_clusters)))
    before = np.array([final.get(number, _NOISE) for number in clusters.tolist()], dtype=np.int64)
    result = before.copy()
    for path, target in plan.misplaced.items():
        result[rows[path]] = final.get(target, _NOISE)
    for number, new_cluster in zip(created, plan.new_clusters, strict=True):
        result[[rows[path] for path in new_cluster.images]] = number
    for path in plan.unsorted:
        result[rows[path]] = _NOISE
    merged = {number: cluster for number, cluster in final.items() if cluster != number}
    given = {**plan.names, **{number: new.name for number, new in zip(created, plan.new_clusters, strict=True)}}
    return PlanResult(
        clusters=result,
        names=_names_after(given, names, merged, result, name),
        merged=merged,
        moved=result != before,
        decisions=_decisions(plan, paths, before, clusters),
        created=created,
    )


def split_clusters(
    result: PlanResult,
    plan: Plan,
    paths: Sequence[str],
    split: SplitMembers,
    *,
    decided: Container[str] = (),
    highest: int = _NOISE,
    name: str = "the plan",
) -> PlanResult:
    """Return `result`, as `apply_plan` returned it, after the splits of `plan`.

    Images that the plan names, and those in `decided`, stay in the cluster and do not take part in its split. The other
    parts than the largest get the next numbers that were never used.

    Args:
        result: The clustering after the rest of the plan.
        plan: The plan.
        paths: The images' paths, as for `apply_plan`.
        split: Splits the images of one cluster.
        decided: The paths of images that the user put into their clusters before.
        highest: As for `apply_plan`.
        name: The plan's name in messages.

    Raises:
        PlanError: A cluster has too few images, or too few different ones.
    """
    clusters, parts = result.clusters.copy(), {}
    free = np.array([path not in result.decisions and path not in decided for path in paths], dtype=bool)
    following = max(highest, int(clusters.max(initial=_NOISE)), *result.created, *result.merged, _NOISE) + 1
    for number, into in sorted(plan.split.items()):
        rows = np.flatnonzero((clusters == number) & free)
        labels = split(rows, into) if len(rows) >= into else rows[:0]
        distinct = len(np.unique(labels))
        if distinct < into:
            raise PlanError(
                f"{name} splits cluster {number} into {into} parts, but only {distinct or len(rows)} of its images "
                "differ from each other and were not pinned or put there by you; choose fewer parts, or make new "
                "clusters of some of its images"
            )
        clusters[rows] = np.where(labels > 0, following + labels - 1, number)
        parts[number] = tuple(range(following, following + into - 1))
        following += into - 1
    return dataclasses.replace(result, clusters=clusters, parts=parts)


def _rows(plan: Plan, paths: Sequence[str], present: Collection[int], name: str) -> dict[str, int]:
    """Return the row of each image that the plan names.

    Raises:
        PlanError: It refers to missing images or clusters.
    """
    for number in (*plan.names, *plan.merges, *plan.merges.values(), *plan.misplaced.values(), *plan.split):
        if number != _NOISE and number not in present:
            raise PlanError(f"{name} refers to cluster {number}, which does not exist; {REMEDY}")
    named = {*plan.images, *plan.set_aside}
    rows = {path: row for row, path in enumerate(paths) if path in named}
    for path in sorted(named - rows.keys()):
        raise PlanError(f"{name} refers to the image {quoted(path)}, which does not exist; {REMEDY}")
    return rows


def decisions_after(
    decisions: Decisions,
    names: Mapping[int, str],
    result: PlanResult,
    images: Mapping[str, tuple[bytes, str]],
    decided: Mapping[str, tuple[bytes, str]],
) -> Decisions:
    """Return the decisions after a plan.

    Args:
        decisions: Those before.
        names: The names of clusters before.
        result: The clustering after the plan and its splits.
        images: The digest and the absolute path of each image, by its path in the table.
        decided: The keys in `decisions` of the images that were decided before, by their path in the table.
    """
    clusters = dict(zip(images, result.clusters.tolist(), strict=True))
    changed = {number for number in {*names, *result.names} if names.get(number) != result.names.get(number)}
    unchanged = {number: text for number, text in decisions.names.items() if number not in changed}
    known = {
        key: dataclasses.replace(image, cluster=result.merged.get(image.cluster, image.cluster))
        for key, image in decisions.images.items()
    }
    for path, decision in result.decisions.items():
        known.pop(decided.get(path, images[path]), None)
        known[images[path]] = DecidedImage(clusters[path], decision)
    merges = {number: result.merged.get(into, into) for number, into in decisions.merges.items()} | result.merged
    parts = {part for number, others in result.parts.items() for part in (number, *others)}
    return Decisions(
        names={**unchanged, **{number: result.names[number] for number in changed if number in result.names}},
        merges={number: into for number, into in merges.items() if into != _NOISE},
        made=frozenset({*decisions.made, *result.created, *parts} - result.merged.keys()),
        images=known,
    )


def _decisions(
    plan: Plan, paths: Sequence[str], after_merges: npt.NDArray[np.int64], before: npt.NDArray[np.int64]
) -> dict[str, Decision]:
    """Return what the plan decides about single images; those of clusters that become noise are ``unsorted``."""
    dissolved = np.flatnonzero((after_merges == _NOISE) & (before != _NOISE)).tolist()
    decisions: dict[str, Decision] = dict.fromkeys((paths[row] for row in dissolved), "unsorted")
    decisions |= dict.fromkeys(plan.misplaced, "corrected")
    for cluster in plan.new_clusters:
        decisions |= dict.fromkeys(cluster.images, "corrected")
    decisions |= dict.fromkeys(plan.unsorted, "unsorted")
    return decisions | dict.fromkeys(plan.pinned, "pinned")


def _names_after(
    given: Mapping[int, str],
    names: Mapping[int, str],
    merged: Mapping[int, int],
    clusters: npt.NDArray[np.int64],
    name: str,
) -> dict[int, str]:
    after = {number: text for number, text in names.items() if number not in merged}
    for number in sorted(merged):
        if number in names:
            after.setdefault(merged[number], names[number])
    after |= given
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    after = {number: text for number, text in sorted(after.items()) if text and number in present}
    seen: dict[str, int] = {}
    for number, text in after.items():
        other = seen.setdefault(text.casefold(), number)
        # Clusters that come back from an earlier clustering can have the same name.
        if other != number and (number in given or other in given):
            raise PlanError(f"{name} gives two clusters the name {quoted(text)}; merge them, or change one name")
    return after


def _final_cluster(number: int, merges: Mapping[int, int], name: str) -> int:
    """Return the cluster that `number` is merged into by all `merges`, or `number` itself."""
    chain = [number]
    while number in merges:
        number = merges[number]
        if number in chain:
            cycle = " into ".join(str(one) for one in [*chain[chain.index(number) :], number])
            raise PlanError(f"{name} contains a cycle of merges: {cycle}; remove one of them")
        chain.append(number)
    return number
