"""The file of a plan: names, merges and corrected images that a user saved on the page.

A plan is a JSON file; all keys after the second are optional::

    {"imgcluster_plan": 1, "clustering": "<identity>", "names": {"3": "beach"},
     "merges": [{"from": 5, "into": 2}], "misplaced": [{"path": "a/b.jpg", "to": 4}],
     "new_clusters": [{"name": "boats", "images": ["c.jpg"]}], "split": [{"cluster": 3, "into": 2}],
     "unsorted": ["d.jpg"], "pinned": ["e.jpg"], "set_aside": ["f.jpg"]}

where ``"into"`` of a merge and ``"to"`` may be ``"noise"``. An image is in one of misplaced, new_clusters,
unsorted and pinned only.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from imgcluster.errors import PlanError
from imgcluster.fileio.schema import parse_integer, quoted
from imgcluster.workspace.decisions import HIGHEST_NUMBER, name_problem

__all__ = ["MOST_PARTS", "REMEDY", "VERSION", "NewCluster", "Plan", "read_plan"]

VERSION: Final = 1
"""The version of the plan's format; newer ones are refused."""

MOST_PARTS: Final = 20
"""The most parts that a cluster is split into."""

REMEDY: Final = "save it again on the page"

_KEYS: Final = {
    *("imgcluster_plan", "clustering", "names", "merges", "misplaced"),
    *("new_clusters", "split", "unsorted", "pinned", "set_aside"),
}
_NOISE: Final = -1


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster that is created: its name, "" for none, and the paths of its images, at least one."""

    name: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed plan; −1 stands for noise. Paths are those of ``assignments.csv``.

    Attributes:
        clustering: The identity of the clustering that the plan was made for.
        names: New names by cluster; "" removes the name.
        merges: The target cluster of each merged cluster.
        misplaced: The target cluster of each corrected image, by its path.
        new_clusters: The clusters that are created.
        split: The number of parts of each split cluster.
        unsorted: The images that belong to no cluster.
        pinned: The images that stay in their clusters.
        set_aside: The images whose files move to the folder of duplicates; they may be in another list as well.
    """

    clustering: str
    names: Mapping[int, str]
    merges: Mapping[int, int]
    misplaced: Mapping[str, int]
    new_clusters: tuple[NewCluster, ...] = ()
    split: Mapping[int, int] = field(default_factory=dict)
    unsorted: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    @property
    def images(self) -> Iterator[str]:
        """The paths of the images that the plan decides about, apart from those that it sets aside."""
        yield from self.misplaced
        for cluster in self.new_clusters:
            yield from cluster.images
        yield from self.unsorted
        yield from self.pinned


def read_plan(text: str, name: str) -> Plan:
    """Parse a plan; messages call it `name`.

    Raises:
        PlanError: It is not a valid plan.
    """
    try:
        value = json.loads(text, object_pairs_hook=_reject_duplicate_keys, parse_int=parse_integer)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{name} is not valid JSON ({' '.join(str(error).split())}); {REMEDY}") from None
    if not isinstance(value, dict) or "imgcluster_plan" not in value:
        raise PlanError(f"{name} is not a plan: the key imgcluster_plan is missing; {REMEDY}")
    version = value["imgcluster_plan"]
    if not _is_integer(version) or version < 1:
        raise PlanError(
            f"{name} has format version {quoted(version)}; this imgcluster reads version {VERSION}; {REMEDY}"
        )
    if version > VERSION:
        raise PlanError(
            f"{name} has format version {quoted(version)}; this imgcluster reads version {VERSION}: upgrade imgcluster"
        )
    for key in value.keys() - _KEYS:
        raise PlanError(f"{name} has the unknown key {quoted(key)}; allowed are {', '.join(sorted(_KEYS))}")
    if not isinstance(value.get("clustering"), str):
        raise PlanError(f"{name} is not a valid plan: the key clustering is missing or not text; {REMEDY}")
    plan = Plan(
        clustering=value["clustering"],
        names=_names(value, name),
        merges=_merges(value, name),
        misplaced=_misplaced(value, name),
        new_clusters=_new_clusters(value, name),
        split=_split(value, name),
        unsorted=_paths(value.get("unsorted", []), "unsorted", name),
        pinned=_paths(value.get("pinned", []), "pinned", name),
        set_aside=_paths(value.get("set_aside", []), "set_aside", name),
    )
    _refuse_contradictions(plan, name)
    return plan


def _refuse_contradictions(plan: Plan, name: str) -> None:
    seen: set[str] = set()
    for path in plan.images:
        if path in seen:
            raise PlanError(
                f"{name} decides twice about the image {quoted(path)}; keep it in one of misplaced, new_clusters, "
                "unsorted and pinned"
            )
        seen.add(path)
    for number in plan.split.keys() & plan.merges.keys():
        raise PlanError(f"{name} splits cluster {number} and merges it into another; remove one of these")


def _names(value: dict[str, Any], name: str) -> dict[int, str]:
    names = value.get("names", {})
    if not isinstance(names, dict):
        raise PlanError(f"{name}: names is {quoted(names)}; it must map cluster numbers to names; {REMEDY}")
    checked: dict[int, str] = {}
    for key, text in names.items():
        if not re.fullmatch(r"[0-9]{1,9}", key):
            raise PlanError(f"{name}: the key {quoted(key)} of names is not a cluster number; {REMEDY}")
        if int(key) in checked:
            raise PlanError(f"{name} names cluster {int(key)} twice; {REMEDY}")
        checked[int(key)] = _checked_name(text, name)
    return checked


def _checked_name(text: Any, name: str) -> str:
    if not isinstance(text, str):
        raise PlanError(f"{name}: the name {quoted(text)} is not text; {REMEDY}")
    checked = unicodedata.normalize("NFC", text.strip())
    problem = name_problem(checked)
    if problem:
        raise PlanError(f"{name}: the name {quoted(checked)} {problem}")
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
            raise PlanError(f"{name}: the path {quoted(path)} of a misplaced image is not text; {REMEDY}")
        if path in misplaced:
            raise PlanError(f"{name} corrects the image {quoted(path)} twice; remove one of these entries")
        misplaced[path] = _cluster(entry["to"], name)
    return misplaced


def _new_clusters(value: dict[str, Any], name: str) -> tuple[NewCluster, ...]:
    clusters = []
    for entry in _entries(value, "new_clusters", {"name", "images"}, name):
        images = _paths(entry["images"], "images of a new cluster", name)
        if not images:
            raise PlanError(f"{name} creates a cluster without images; add images, or remove this cluster")
        clusters.append(NewCluster(_checked_name(entry["name"], name), images))
    return tuple(clusters)


def _split(value: dict[str, Any], name: str) -> dict[int, int]:
    split: dict[int, int] = {}
    for entry in _entries(value, "split", {"cluster", "into"}, name):
        number, parts = _cluster(entry["cluster"], name), entry["into"]
        if number == _NOISE:
            raise PlanError(f"{name} splits noise; only a cluster can be split")
        if not _is_integer(parts) or not 2 <= parts <= MOST_PARTS:
            raise PlanError(f"{name} splits cluster {number} into {quoted(parts)} parts; 2 to {MOST_PARTS} are allowed")
        if number in split:
            raise PlanError(f"{name} splits cluster {number} twice; remove one of these entries")
        split[number] = parts
    return split


def _paths(paths: Any, key: str, name: str) -> tuple[str, ...]:
    if not isinstance(paths, list):
        raise PlanError(f"{name}: {key} is {quoted(paths)}; it must be a list of paths; {REMEDY}")
    for path in paths:
        if not isinstance(path, str):
            raise PlanError(f"{name}: {key} contains {quoted(path)}, which is not the path of an image; {REMEDY}")
    return tuple(paths)


def _entries(value: dict[str, Any], key: str, keys: set[str], name: str) -> list[dict[str, Any]]:
    entries = value.get(key, [])
    if not isinstance(entries, list):
        raise PlanError(f"{name}: {key} is {quoted(entries)}; it must be a list; {REMEDY}")
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != keys:
            raise PlanError(
                f"{name}: an entry of {key} is {quoted(entry)}; its keys must be {', '.join(sorted(keys))}; {REMEDY}"
            )
    return entries


def _cluster(value: Any, name: str) -> int:
    if value == "noise":
        return _NOISE
    if not _is_integer(value) or not 0 <= value < HIGHEST_NUMBER:
        raise PlanError(f'{name} refers to cluster {quoted(value)}; a cluster is an integer of at least 0, or "noise"')
    return int(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(quoted(key) for key in keys if keys.count(key) > 1)}")
    return value
