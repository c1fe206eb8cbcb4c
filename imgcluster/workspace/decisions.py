"""What the user decided about a workspace's clusters and images, apart from everything that is computed.

``decisions.json``::

    {"imgcluster_decisions": 1, "names": {"3": "beach"}, "merges": [{"from": 5, "into": 2}], "made": [18],
     "images": [{"digest": "…", "path": "/photos/a/b.jpg", "cluster": 18, "decision": "corrected"}]}

Cluster −1 is noise; the decision is ``corrected``, ``unsorted`` or ``pinned``. Images are identified by the digest of
their content and, if it was changed, by their path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from imgcluster.errors import WorkspaceError, one_line
from imgcluster.fileio.atomic import remove, write_json
from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.fileio.regular import read_text
from imgcluster.fileio.schema import parse_json, quoted

__all__ = [
    "HIGHEST_NUMBER",
    "LONGEST_NAME",
    "DecidedImage",
    "Decision",
    "Decisions",
    "as_json",
    "name_problem",
    "read_decisions",
    "write_decisions",
]

LONGEST_NAME: Final = 80
HIGHEST_NUMBER: Final = 10**9
_VERSION: Final = 1

Decision = Literal["corrected", "unsorted", "pinned"]
"""What the user decided about one image."""

_Image = tuple[bytes, str]

_DIGITS: Final = len(str(HIGHEST_NUMBER - 1))
_CLUSTER: Final = range(HIGHEST_NUMBER)
_CLUSTER_OR_NOISE: Final = range(-1, HIGHEST_NUMBER)
_SHAPE: Final = {
    "imgcluster_decisions": int,
    "names": {str: str},
    "merges": [{"from": _CLUSTER, "into": _CLUSTER_OR_NOISE}],
    "made": [_CLUSTER],
    "images": [
        {"digest": str, "path": str, "cluster": _CLUSTER_OR_NOISE, "decision": frozenset(get_args(Decision))},
    ],
}


@dataclass(frozen=True, slots=True)
class DecidedImage:
    """The cluster of an image, −1 for noise, and the decision that put it there."""

    cluster: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of a workspace.

    Attributes:
        names: The names of clusters, also of those that are not in the current clustering.
        merges: The cluster that each merged cluster is part of.
        made: The clusters that were made from chosen images, or by splitting one.
        images: The cluster of each image that was put there, by digest and absolute path.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    merges: Mapping[int, int] = field(default_factory=dict)
    made: frozenset[int] = frozenset()
    images: Mapping[_Image, DecidedImage] = field(default_factory=dict)

    @property
    def shaped(self) -> frozenset[int]:
        """The clusters that keep their images: those that others were merged into, and those that were made."""
        return frozenset(number for number in (*self.merges.values(), *self.made) if number >= 0)

    def __bool__(self) -> bool:
        return bool(self.names or self.merges or self.made or self.images)

    def rows(self, digests: Sequence[bytes], paths: Sequence[str], *, known: Mapping[_Image, int]) -> dict[int, _Image]:
        """Return the decided images that are present, by their row.

        Args:
            digests: The digests of the n present images.
            paths: Their absolute paths, sorted.
            known: The row of each image of the last clustering that is still present, by its digest and path then. No
                decision about another image passes to it.
        """
        if not self.images:
            return {}
        exact = {row: key for row, key in enumerate(zip(digests, paths, strict=True)) if key in self.images}
        found = {known[key]: key for key in self.images if key in known} | exact
        missing = sorted(self.images.keys() - set(found.values()))
        taken, missing_digests = {*found, *known.values()}, {digest for digest, _ in missing}
        at = {path: row for row, path in enumerate(paths) if row not in taken}
        renamed: dict[bytes, list[int]] = {}
        for row in at.values():
            if digests[row] in missing_digests:
                renamed.setdefault(digests[row], []).append(row)
        for key in missing:
            if renamed.get(key[0]):
                found[renamed[key[0]].pop(0)] = key
            elif key[1] in at and at[key[1]] not in found:
                found[at[key[1]]] = key
        return found

    def of_present_files(
        self, digests: Sequence[bytes], paths: Sequence[str], *, known: Mapping[_Image, int]
    ) -> Decisions:
        """Return the decisions with the present digests and paths of renamed and edited files, given as for `rows`."""
        present = {key: (digests[row], paths[row]) for row, key in self.rows(digests, paths, known=known).items()}
        return replace(self, images={present.get(key, key): image for key, image in self.images.items()})


def read_decisions(path: Path) -> Decisions:
    """Read the decisions at `path`; a missing file means that there are none.

    Raises:
        WorkspaceError: The file is not valid.
    """
    try:
        value = parse_json(read_text(path), _SHAPE)
        if value["imgcluster_decisions"] != _VERSION:
            raise ValueError(f"its version is {value['imgcluster_decisions']}, not {_VERSION}")
        return Decisions(
            names={_number(key): _name(name) for key, name in value["names"].items()},
            merges={entry["from"]: entry["into"] for entry in value["merges"]},
            made=frozenset(value["made"]),
            images={
                (_digest(entry["digest"]), entry["path"]): DecidedImage(entry["cluster"], entry["decision"])
                for entry in value["images"]
            },
        )
    except FileNotFoundError:
        return Decisions()
    except ValueError as error:
        raise WorkspaceError(
            f"{path} is damaged ({one_line(error)}); restore it, or delete it to lose the decisions in it"
        ) from None


def write_decisions(path: Path, decisions: Decisions) -> None:
    """Replace the file at `path`; without decisions there is none."""
    if decisions:
        write_json(path, as_json(decisions))
    else:
        remove(path)


def as_json(decisions: Decisions) -> dict[str, Any]:
    """Return decisions as they are written."""
    return {
        "imgcluster_decisions": _VERSION,
        "names": {str(number): name for number, name in sorted(decisions.names.items())},
        "merges": [{"from": number, "into": into} for number, into in sorted(decisions.merges.items())],
        "made": sorted(decisions.made),
        "images": [
            {"digest": digest.hex(), "path": location, "cluster": image.cluster, "decision": image.decision}
            for (digest, location), image in sorted(decisions.images.items(), key=lambda item: item[0][::-1])
        ],
    }


def name_problem(name: str) -> str:
    """Return why a cluster cannot have this name, to follow "the name …"; "" if it can."""
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; at most {LONGEST_NAME} are allowed"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return "contains control characters; remove them"
    return ""


def _number(text: str) -> int:
    if not (text.isdecimal() and len(text) <= _DIGITS):
        raise ValueError(f"{quoted(text)} is not the number of a cluster")
    return int(text)


def _name(name: str) -> str:
    problem = name_problem(name)
    if problem or not name:
        raise ValueError(f"a name {problem or 'is empty'}")
    return name


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"the digest {quoted(text)} has {len(digest)} bytes, not {DIGEST_BYTES}")
    return digest
