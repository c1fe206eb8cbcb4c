"""Plans: what a person decided about clusters on the page (names, merges, misplaced images), and what comes of it.

A plan is a JSON file::

    {"imgcluster_plan": 1, "clustering": "<identity>", "names": {"3": "beach"},
     "merges": [{"from": 5, "into": 2}], "misplaced": [{"path": "a/b.jpg", "to": 4}]}

where ``"into"`` and ``"to"`` may be ``"noise"``. Clusters keep their numbers; a merged one's number is gone.
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

__all__ = ["VERSION", "Decided", "Plan", "carry_out", "identity_of", "read_plan"]

VERSION: Final = 1
"""The version of the plan's format; a newer one is refused."""

_KEYS: Final = {"imgcluster_plan", "clustering", "names", "merges", "misplaced"}
_LONGEST_NAME: Final = 80
_NOISE: Final = -1
_AGAIN: Final = "save it again on the page"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `names` by cluster ("" takes one away), `merges` from cluster into cluster, and for each of the
    `misplaced` images (by path, as ``assignments.csv`` has it) where it belongs; −1 is noise. `clustering` is the
    identity of the clustering that it was made for."""

    clustering: str
    names: Mapping[int, str]
    merges: Mapping[int, int]
    misplaced: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decided:
    """The clustering after a plan: `clusters` ``int64 (n,)``, `names` of those that have one, where each merged
    cluster went (`merged`), and which images were moved one by one (`moved` ``bool (n,)``)."""

    clusters: npt.NDArray[np.int64]
    names: dict[int, str]
    merged: dict[int, int]
    moved: npt.NDArray[np.bool_]


def identity_of(paths: Sequence[str], clusters: npt.NDArray[np.int64]) -> str:
    """Return what tells this clustering from every other one: which image is in which cluster."""
    digest = hashlib.blake2b(digest_size=12)
    for path, cluster in zip(paths, clusters.tolist(), strict=True):
        digest.update(f"{cluster} {path}\0".encode())
    return digest.hexdigest()


def read_plan(text: str, name: str) -> Plan:
    """Read a plan from JSON; `name` is what to call it in messages.

    Raises:
        PlanError: It is something else, or contradicts itself.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{name} is not a plan, which is JSON ({' '.join(str(error).split())}); {_AGAIN}") from None
    if not isinstance(value, dict) or "imgcluster_plan" not in value:
        raise PlanError(f"{name} is not a plan: it has no imgcluster_plan with its version; {_AGAIN}")
    version = value["imgcluster_plan"]
    if not _is_whole(version) or version < 1:
        raise PlanError(f"{name} has the version {_shown(version)}, known is {VERSION}; {_AGAIN}")
    if version > VERSION:
        raise PlanError(f"{name} was made by a newer imgcluster (version {version}, known is {VERSION}); upgrade it")
    for key in value.keys() - _KEYS:
        raise PlanError(f"{name} has the unknown key {_shown(key)}; known are {', '.join(sorted(_KEYS))}")
    if not isinstance(value.get("clustering"), str):
        raise PlanError(f"{name} does not say which clustering it is for; {_AGAIN}")
    return Plan(value["clustering"], _names(value, name), _merges(value, name), _misplaced(value, name))


def carry_out(
    plan: Plan,
    paths: Sequence[str],
    clusters: npt.NDArray[np.int64],
    names: Mapping[int, str],
    *,
    name: str = "the plan",
) -> Decided:
    """Return the clustering after `plan`, changing nothing.

    Merges first, then misplaced images, which may be sent to a merged cluster and arrive where that went. A cluster
    without a name takes over the name of the first one merged into it. What names a cluster that is empty in the end
    is dropped.

    Args:
        plan: The plan.
        paths: Of the images, as ``assignments.csv`` has them.
        clusters: ``int64 (n,)``, −1 for noise.
        names: The names that clusters have already.
        name: What to call the plan in messages.

    Raises:
        PlanError: The plan was made for another clustering, or speaks of what is not there.
    """
    if plan.clustering != identity_of(paths, clusters):
        raise PlanError(
            f"{name} was made for another clustering than the workspace holds now; open the page of this one and "
            "decide there"
        )
    present = {int(number) for number in np.unique(clusters) if number >= 0}
    for number in (*plan.names, *plan.merges, *plan.merges.values(), *plan.misplaced.values()):
        if number != _NOISE and number not in present:
            raise PlanError(f"{name} speaks of cluster {number}, which is not there; {_AGAIN}")
    rows = {path: row for row, path in enumerate(paths) if path in plan.misplaced}
    for path in plan.misplaced.keys() - rows.keys():
        raise PlanError(f"{name} speaks of the image {_shown(path)}, which is not there; {_AGAIN}")
    ends = {number: _end(number, plan.merges, name) for number in present}
    for number, new in plan.names.items():
        if new and ends[number] != number:
            raise PlanError(f"{name} names cluster {number} {_shown(new)} and merges it away; do one of the two")

    decided = np.array([ends.get(number, _NOISE) for number in clusters.tolist()], dtype=np.int64)
    moved = np.zeros(len(clusters), dtype=bool)
    for path, target in plan.misplaced.items():
        row, arrives = rows[path], ends.get(target, _NOISE)
        moved[row] = arrives != decided[row]
        decided[row] = arrives
    merged = {number: end for number, end in ends.items() if end != number}
    return Decided(decided, _names_after(plan, names, merged, decided, name), merged, moved)


def _names_after(
    plan: Plan, names: Mapping[int, str], merged: Mapping[int, int], decided: npt.NDArray[np.int64], name: str
) -> dict[int, str]:
    after = {number: text for number, text in names.items() if number not in merged}
    for number in sorted(merged):
        if number in names:
            after.setdefault(merged[number], names[number])
    after |= plan.names
    left = {int(number) for number in np.unique(decided) if number >= 0}
    after = {number: text for number, text in sorted(after.items()) if text and number in left}
    seen: dict[str, int] = {}
    for number, text in after.items():
        if seen.setdefault(text.casefold(), number) != number:
            raise PlanError(f"{name} names two clusters {_shown(text)}; merge them, or name one otherwise")
    return after


def _end(number: int, merges: Mapping[int, int], name: str) -> int:
    passed = [number]
    while number in merges:
        number = merges[number]
        if number in passed:
            circle = " into ".join(str(one) for one in [*passed[passed.index(number) :], number])
            raise PlanError(f"{name} merges in a circle: {circle}; leave out one of these")
        passed.append(number)
    return number


def _names(value: dict[str, Any], name: str) -> dict[int, str]:
    names = value.get("names", {})
    if not isinstance(names, dict):
        raise PlanError(f"{name}: names is {_shown(names)}, but gives cluster numbers their names; {_AGAIN}")
    found = {}
    for key, text in names.items():
        if not re.fullmatch(r"[0-9]{1,9}", key):
            raise PlanError(f"{name} names {_shown(key)}, which is no cluster number; {_AGAIN}")
        if int(key) in found:
            raise PlanError(f"{name} names cluster {int(key)} twice; {_AGAIN}")
        found[int(key)] = _checked_name(text, name)
    return found


def _checked_name(text: Any, name: str) -> str:
    if not isinstance(text, str):
        raise PlanError(f"{name} has the name {_shown(text)}, which is no text; {_AGAIN}")
    checked = unicodedata.normalize("NFC", text.strip())
    if len(checked) > _LONGEST_NAME:
        raise PlanError(
            f"{name} has a name of {len(checked)} characters, the limit is {_LONGEST_NAME}: {_shown(checked)}"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in checked):
        raise PlanError(f"{name} has a name with control characters: {_shown(checked)}; leave them out")
    return checked


def _merges(value: dict[str, Any], name: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for entry in _entries(value, "merges", {"from", "into"}, name):
        source, target = _cluster(entry["from"], name), _cluster(entry["into"], name)
        if source == _NOISE:
            raise PlanError(f"{name} merges noise into cluster {target}; imgcluster cluster --assign-noise does that")
        if source == target:
            raise PlanError(f"{name} merges cluster {source} into itself; leave that out")
        if source in found:
            raise PlanError(f"{name} merges cluster {source} twice; leave out one of these")
        found[source] = target
    return found


def _misplaced(value: dict[str, Any], name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in _entries(value, "misplaced", {"path", "to"}, name):
        path = entry["path"]
        if not isinstance(path, str):
            raise PlanError(f"{name} speaks of the image {_shown(path)}, which is no path; {_AGAIN}")
        if path in found:
            raise PlanError(f"{name} speaks of the image {_shown(path)} twice; leave out one of these")
        found[path] = _cluster(entry["to"], name)
    return found


def _entries(value: dict[str, Any], key: str, keys: set[str], name: str) -> list[dict[str, Any]]:
    entries = value.get(key, [])
    if not isinstance(entries, list):
        raise PlanError(f"{name}: {key} is {_shown(entries)}, but is a list; {_AGAIN}")
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != keys:
            raise PlanError(
                f"{name}: an entry of {key} has {' and '.join(sorted(keys))}, not {_shown(entry)}; {_AGAIN}"
            )
    return entries


def _cluster(value: Any, name: str) -> int:
    if value == "noise":
        return _NOISE
    if not _is_whole(value) or value < 0:
        raise PlanError(f'{name} speaks of cluster {_shown(value)}; a cluster is a number from 0 on, or "noise"')
    return int(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(_shown(key) for key in keys if keys.count(key) > 1)} stands there twice")
    return found


def _shown(value: Any) -> str:
    """Return a value as a message can show it: in one line, and not too long."""
    text = json.dumps(value, ensure_ascii=True) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
