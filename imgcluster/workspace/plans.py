"""The clustering that results from a plan, and what the user has decided after it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from imgcluster.errors import PlanError
from imgcluster.workspace.decisions import Decisions
from imgcluster.workspace.plan_format import NOISE, REMEDY, VERSION, Plan, quoted, read_plan

__all__ = [
    "VERSION",
    "Plan",
    "PlanResult",
    "apply_plan",
    "check_plan",
    "decisions_after",
    "identity_of",
    "read_plan",
]


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The clustering after a plan.

    Attributes:
        clusters: ``int64 (n,)``; −1 is noise.
        names: The names of the named clusters.
        merged: The final cluster of each merged cluster.
        moved: Which images were corrected one by one, ``bool (n,)``.
        decided: Which images stay in their clusters from now on, ``bool (n,)``: those that were corrected, pinned, put
            into a new cluster, or into noise, and those of split clusters.
        made: The new clusters and the parts of split ones.
        certain: Which images were looked at one by one, ``bool (n,)``: all decided ones but those of split clusters.
    """

    clusters: npt.NDArray[np.int64]
    names: dict[int, str]
    merged: dict[int, int]
    moved: npt.NDArray[np.bool_]
    decided: npt.NDArray[np.bool_]
    made: tuple[int, ...]
    certain: npt.NDArray[np.bool_]


def identity_of(paths: Sequence[str], clusters: npt.NDArray[np.int64]) -> str:
    """Return a digest of the assignment of images to clusters."""
    digest = hashlib.blake2b(digest_size=12)
    for path, cluster in zip(paths, clusters.tolist(), strict=True):
        digest.update(f"{cluster} {path}\0".encode())
    return digest.hexdigest()


def check_plan(
    plan: Plan, paths: Sequence[str], clusters: npt.NDArray[np.int64], *, identities: Collection[str] = (), name: str
) -> None:
    """Check that a plan was made for a clustering.

    Args:
        plan: The plan.
        paths: The images' paths, as in ``assignments.csv``.
        clusters: ``int64 (n,)``; −1 is noise.
        identities: Those of earlier clusterings, to which only images were added since.
        name: The plan's name in messages.

    Raises:
        PlanError: It was made for another clustering, or refers to missing clusters or images.
    """
    if plan.clustering not in (identity_of(paths, clusters), *identities):
        raise PlanError(
            f"{name} was made for another clustering than the current one of the workspace; open the current page and "
            "save a new plan"
        )
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    named = (*plan.names, *plan.merges, *plan.merges.values(), *plan.misplaced.values(), *plan.splits)
    for number in named:
        if number != NOISE and number not in present:
            raise PlanError(f"{name} refers to cluster {number}, which does not exist; {REMEDY}")
    known = set(paths)
    for path in (*plan.misplaced, *(path for _, inside in plan.new_clusters for path in inside), *plan.pinned):
        if path not in known:
            raise PlanError(f"{name} refers to the image {quoted(path)}, which does not exist; {REMEDY}")


def apply_plan(
    plan: Plan,
    paths: Sequence[str],
    clusters: npt.NDArray[np.int64],
    names: Mapping[int, str],
    *,
    parts: Mapping[int, npt.NDArray[np.int64]] = MappingProxyType({}),
    next_number: int | None = None,
    identities: Collection[str] = (),
    name: str = "the plan",
) -> PlanResult:
    """Return the clustering after `plan`; nothing is modified.

    Merges and splits are applied first, then corrections; a correction to a merged cluster follows the merge. An
    unnamed cluster inherits the name of the first cluster merged into it. The largest part of a split cluster keeps its
    number and name. Empty clusters lose their names.

    Args:
        plan: The plan.
        paths: The images' paths, as in ``assignments.csv``.
        clusters: ``int64 (n,)``; −1 is noise.
        names: The present names of clusters.
        parts: The parts of each split cluster: for its images, in order, the number of their part, the largest being 0.
        next_number: The first number that no cluster ever had; by default the first after those of `clusters`.
        identities: As for `check_plan`.
        name: The plan's name in messages.

    Raises:
        PlanError: `check_plan` refuses the plan, or it contradicts itself.
    """
    check_plan(plan, paths, clusters, identities=identities, name=name)
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    final = {number: _final_cluster(number, plan.merges, name) for number in present}
    for number, new in plan.names.items():
        if new and final[number] != number:
            raise PlanError(
                f"{name} gives cluster {number} the name {quoted(new)} and merges it into another; remove one of these"
            )
    for number in plan.splits:
        if number in {*plan.merges, *plan.merges.values()}:
            raise PlanError(f"{name} splits cluster {number} and merges it; remove one of these")

    free = itertools.count(int(clusters.max(initial=-1)) + 1 if next_number is None else next_number)
    result = np.array([final.get(number, NOISE) for number in clusters.tolist()], dtype=np.int64)
    decided = (result == NOISE) & (clusters != NOISE)
    made: list[int] = []
    for number, labels in parts.items():
        numbers = np.array([number, *itertools.islice(free, int(labels.max(initial=0)))], dtype=np.int64)
        inside = clusters == number
        result[inside] = numbers[labels]
        decided |= inside
        made += numbers.tolist()
    certain = np.zeros(len(clusters), dtype=bool)
    moved = certain.copy()
    rows = {path: row for row, path in enumerate(paths)}
    for path, target in plan.misplaced.items():
        row, cluster = rows[path], final.get(target, NOISE)
        moved[row] = cluster != result[row]
        certain[row] = True
        result[row] = cluster
    new_names = dict(plan.names)
    for text, inside_paths in plan.new_clusters:
        made.append(next(free))
        chosen = [rows[path] for path in inside_paths]
        result[chosen], certain[chosen] = made[-1], True
        new_names[made[-1]] = text
    certain[[rows[path] for path in plan.pinned]] = True
    merged = {number: cluster for number, cluster in final.items() if cluster != number}
    return PlanResult(
        clusters=result,
        names=_names_after(new_names, names, merged, result, name),
        merged=merged,
        moved=moved,
        decided=decided | certain,
        made=tuple(made),
        certain=certain,
    )


def decisions_after(
    decisions: Decisions,
    names: Mapping[int, str],
    result: PlanResult,
    images: Sequence[tuple[bytes, str]],
    decided: Mapping[int, tuple[bytes, str]],
) -> Decisions:
    """Return the decisions after a plan.

    Args:
        decisions: Those before.
        names: The names of clusters before.
        result: The clustering after the plan.
        images: The digest and the absolute path of each image.
        decided: The images decided before, by row.
    """
    changed = {number for number in {*names, *result.names} if names.get(number) != result.names.get(number)}
    kept = {number: text for number, text in decisions.names.items() if number not in changed}
    known = {key: result.merged.get(cluster, cluster) for key, cluster in decisions.images.items()}
    for row in np.flatnonzero(result.decided).tolist():
        known.pop(decided.get(row, images[row]), None)
        known[images[row]] = int(result.clusters[row])
    merges = {number: result.merged.get(into, into) for number, into in decisions.merges.items()}
    return Decisions(
        names={**kept, **{number: result.names[number] for number in changed if number in result.names}},
        merges={number: into for number, into in {**merges, **result.merged}.items() if into != NOISE},
        made=frozenset({*decisions.made, *result.made} - result.merged.keys()),
        images=known,
    )


def _names_after(
    new: Mapping[int, str],
    names: Mapping[int, str],
    merged: Mapping[int, int],
    clusters: npt.NDArray[np.int64],
    name: str,
) -> dict[int, str]:
    after = {number: text for number, text in names.items() if number not in merged}
    for number in sorted(merged):
        if number in names:
            after.setdefault(merged[number], names[number])
    after |= new
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    after = {number: text for number, text in sorted(after.items()) if text and number in present}
    seen: dict[str, int] = {}
    for number, text in after.items():
        other = seen.setdefault(text.casefold(), number)
        # Clusters that come back from an earlier clustering can have the same name.
        if other != number and (number in new or other in new):
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
