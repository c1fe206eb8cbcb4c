"""Plans: names, merges and corrected images that a user saved on the page, and the clustering that results.

A plan is a JSON file::

    {"imgcluster_plan": 1, "clustering": "<identity>", "names": {"3": "beach"},
     "merges": [{"from": 5, "into": 2}], "misplaced": [{"path": "a/b.jpg", "to": 4}]}

where ``"into"`` and ``"to"`` may be ``"noise"``. Clusters keep their numbers; that of a merged cluster is not used
again.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import PlanError

__all__ = ["VERSION", "Plan", "PlanResult", "apply_plan", "identity_of", "read_plan"]

VERSION: Final = 1
"""The version of the plan's format; newer ones are refused."""

_KEYS: Final = {"imgcluster_plan", "clustering", "names", "merges", "misplaced"}
_LONGEST_NAME: Final = 80
_NOISE: Final = -1
_REMEDY: Final = "save it again on the page"


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed plan; −1 stands for noise.

    Attributes:
        clustering: The identity of the clustering that the plan was made for.
        names: New names by cluster; "" removes the name.
        merges: The target cluster of each merged cluster.
        misplaced: The target cluster of each corrected image, by its path in ``assignments.csv``.
    """

    clustering: str
    names: Mapping[int, str]
    merges: Mapping[int, int]
    misplaced: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The clustering after a plan.

    Attributes:
        clusters: ``int64 (n,)``; −1 is noise.
        names: The names of the named clusters.
        merged: The final cluster of each merged cluster.
        moved: Which images were corrected one by one, ``bool (n,)``.
    """

    clusters: npt.NDArray[np.int64]
    names: dict[int, str]
    merged: dict[int, int]
    moved: npt.NDArray[np.bool_]


def identity_of(paths: Sequence[str], clusters: npt.NDArray[np.int64]) -> str:
    """Return a digest of the assignment of images to clusters."""
    digest = hashlib.blake2b(digest_size=12)
    for path, cluster in zip(paths, clusters.tolist(), strict=True):
        digest.update(f"{cluster} {path}\0".encode())
    return digest.hexdigest()


def read_plan(text: str, name: str) -> Plan:
    """Parse a plan; messages call it `name`.

    Raises:
        PlanError: It is not a valid plan.
    """
    try:
        value = json.loads(text, object_pairs_hook=_reject_duplicate_keys)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{name} is not valid JSON ({' '.join(str(error).split())}); {_REMEDY}") from None
    if not isinstance(value, dict) or "imgcluster_plan" not in value:
        raise PlanError(f"{name} is not a plan: the key imgcluster_plan is missing; {_REMEDY}")
    version = value["imgcluster_plan"]
    if not _is_integer(version) or version < 1:
        raise PlanError(
            f"{name} has format version {_quoted(version)}; this imgcluster reads version {VERSION}; {_REMEDY}"
        )
    if version > VERSION:
        raise PlanError(
            f"{name} has format version {version}; this imgcluster reads version {VERSION}: upgrade imgcluster"
        )
    for key in value.keys() - _KEYS:
        raise PlanError(f"{name} has the unknown key {_quoted(key)}; allowed are {', '.join(sorted(_KEYS))}")
    if not isinstance(value.get("clustering"), str):
        raise PlanError(f"{name} is not a valid plan: the key clustering is missing or not text; {_REMEDY}")
    return Plan(value["clustering"], _names(value, name), _merges(value, name), _misplaced(value, name))


def apply_plan(
    plan: Plan,
    paths: Sequence[str],
    clusters: npt.NDArray[np.int64],
    names: Mapping[int, str],
    *,
    name: str = "the plan",
) -> PlanResult:
    """Return the clustering after `plan`; nothing is modified.

    Merges are applied first, then corrections; a correction to a merged cluster follows the merge. An unnamed cluster
    inherits the name of the first cluster merged into it. Empty clusters lose their names.

    Args:
        plan: The plan.
        paths: The images' paths, as in ``assignments.csv``.
        clusters: ``int64 (n,)``; −1 is noise.
        names: The present names of clusters.
        name: The plan's name in messages.

    Raises:
        PlanError: The plan was made for another clustering, contradicts itself, or refers to missing clusters or
            images.
    """
    if plan.clustering != identity_of(paths, clusters):
        raise PlanError(
            f"{name} was made for another clustering than the current one of the workspace; open the current page and "
            "save a new plan"
        )
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    for number in (*plan.names, *plan.merges, *plan.merges.values(), *plan.misplaced.values()):
        if number != _NOISE and number not in present:
            raise PlanError(f"{name} refers to cluster {number}, which does not exist; {_REMEDY}")
    rows = {path: row for row, path in enumerate(paths) if path in plan.misplaced}
    for path in plan.misplaced.keys() - rows.keys():
        raise PlanError(f"{name} refers to the image {_quoted(path)}, which does not exist; {_REMEDY}")
    final = {number: _final_cluster(number, plan.merges, name) for number in present}
    for number, new in plan.names.items():
        if new and final[number] != number:
            raise PlanError(
                f"{name} gives cluster {number} the name {_quoted(new)} and merges it into another; remove one of these"
            )

    result = np.array([final.get(number, _NOISE) for number in clusters.tolist()], dtype=np.int64)
    moved = np.zeros(len(clusters), dtype=bool)
    for path, target in plan.misplaced.items():
        row, cluster = rows[path], final.get(target, _NOISE)
        moved[row] = cluster != result[row]
        result[row] = cluster
    merged = {number: cluster for number, cluster in final.items() if cluster != number}
    return PlanResult(result, _names_after(plan, names, merged, result, name), merged, moved)


def _names_after(
    plan: Plan, names: Mapping[int, str], merged: Mapping[int, int], clusters: npt.NDArray[np.int64], name: str
) -> dict[int, str]:
    after = {number: text for number, text in names.items() if number not in merged}
    for number in sorted(merged):
        if number in names:
            after.setdefault(merged[number], names[number])
    after |= plan.names
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    after = {number: text for number, text in sorted(after.items()) if text and number in present}
    seen: dict[str, int] = {}
    for number, text in after.items():
        if seen.setdefault(text.casefold(), number) != number:
            raise PlanError(f"{name} gives two clusters the name {_quoted(text)}; merge them, or change one name")
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


def _names(value: dict[str, Any], name: str) -> dict[int, str]:
    names = value.get("names", {})
    if not isinstance(names, dict):
        raise PlanError(f"{name}: names is {_quoted(names)}; it must map cluster numbers to names; {_REMEDY}")
    checked: dict[int, str] = {}
    for key, text in names.items():
        if not re.fullmatch(r"[0-9]{1,9}", key):
            raise PlanError(f"{name}: the key {_quoted(key)} of names is not a cluster number; {_REMEDY}")
        if int(key) in checked:
            raise PlanError(f"{name} names cluster {int(key)} twice; {_REMEDY}")
        checked[int(key)] = _checked_name(text, name)
    return checked


def _checked_name(text: Any, name: str) -> str:
    if not isinstance(text, str):
        raise PlanError(f"{name}: the name {_quoted(text)} is not text; {_REMEDY}")
    checked = unicodedata.normalize("NFC", text.strip())
    if len(checked) > _LONGEST_NAME:
        raise PlanError(
            f"{name}: the name {_quoted(checked)} has {len(checked)} characters; at most {_LONGEST_NAME} are allowed"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in checked):
        raise PlanError(f"{name}: the name {_quoted(checked)} contains control characters; remove them")
    return checked


def _merges(value: dict[str, Any], name: str) -> dict[int, int]:
    merges: dict[int, int] = {}
    for entry in _entries(value, "merges", {"from", "into"}, name):
        source, target = _cluster(entry["from"], name), _cluster(entry["into"], name)
        if source == _NOISE:
            raise PlanError(f"{name} merges noise into cluster {target}; use imgcluster cluster --assign-noise instead")
        if source == target:
            raise PlanError(f"{name} merges cluster {source} into itself; remove this merge")
        if source in merges:
            raise PlanError(f"{name} merges cluster {source} twice; remove one of these merges")
        merges[source] = target
    return merges


def _misplaced(value: dict[str, Any], name: str) -> dict[str, int]:
    misplaced: dict[str, int] = {}
    for entry in _entries(value, "misplaced", {"path", "to"}, name):
        path = entry["path"]
        if not isinstance(path, str):
            raise PlanError(f"{name}: the path {_quoted(path)} of a misplaced image is not text; {_REMEDY}")
        if path in misplaced:
            raise PlanError(f"{name} corrects the image {_quoted(path)} twice; remove one of these entries")
        misplaced[path] = _cluster(entry["to"], name)
    return misplaced


def _entries(value: dict[str, Any], key: str, keys: set[str], name: str) -> list[dict[str, Any]]:
    entries = value.get(key, [])
    if not isinstance(entries, list):
        raise PlanError(f"{name}: {key} is {_quoted(entries)}; it must be a list; {_REMEDY}")
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != keys:
            raise PlanError(
                f"{name}: an entry of {key} is {_quoted(entry)}; its keys must be {', '.join(sorted(keys))}; {_REMEDY}"
            )
    return entries


def _cluster(value: Any, name: str) -> int:
    if value == "noise":
        return _NOISE
    if not _is_integer(value) or value < 0:
        raise PlanError(f'{name} refers to cluster {_quoted(value)}; a cluster is an integer of at least 0, or "noise"')
    return int(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(_quoted(key) for key in keys if keys.count(key) > 1)}")
    return value


def _quoted(value: Any) -> str:
    """Return a value for a message: one line of at most 60 characters."""
    text = json.dumps(value, ensure_ascii=True) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
