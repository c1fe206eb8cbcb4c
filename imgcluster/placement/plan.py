"""Planning a placement: the folder of each cluster, and a free file name for each image."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, one_per_source
from imgcluster.types import PlaceMode

__all__ = [
    "NOISE_FOLDER",
    "UNSORTED_FOLDER",
    "FolderName",
    "existing_names",
    "folder_name",
    "free_name",
    "group_folder_name",
    "name_key",
    "plan_placement",
]

NOISE_FOLDER: Final = "noise"
UNSORTED_FOLDER: Final = "unsorted"

FolderName = Callable[[int, str], str]
"""Returns the name of the folder for a cluster's number and name."""

# The longest file name of common file systems.
_NAME_BYTES: Final = 255
_SLUG_BYTES: Final = 40


def folder_name(cluster: int, name: str = "") -> str:
    """Return the folder name of a cluster: its number and a slug of its name; −1 is noise."""
    if cluster < 0:
        return NOISE_FOLDER
    slug = _slug(name)
    return f"cluster_{cluster:03d}" + (f"_{slug}" if slug else "")


def group_folder_name(group: int, name: str = "") -> str:
    """Return the folder name of a described group: a slug of its name; −1 is unsorted."""
    if group < 0:
        return UNSORTED_FOLDER
    return _slug(name) or f"group_{group:03d}"


def _slug(name: str) -> str:
    """Return the lowercase letters, combining marks and digits of a name, with ``_`` between words; at most 40 bytes.

    It contains no special character of a shell, a path or Windows, and is the same for all Unicode forms of a name.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    # Words in scripts such as Devanagari and Thai contain combining marks.
    slug = "_".join("".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text).split())
    cut = len(slug.encode()[:_SLUG_BYTES].decode(errors="ignore"))
    # Do not separate a letter from its marks.
    while 0 < cut < len(slug) and unicodedata.category(slug[cut]).startswith("M"):
        cut -= 1
    return slug[:cut].strip("_")


def plan_placement(
    locations: Sequence[str],
    clusters: Iterable[int],
    folder: Path,
    mode: PlaceMode,
    names: Mapping[int, str] = MappingProxyType({}),
    *,
    folder_name: FolderName = folder_name,
    current: Journal | None = None,
    renamed: Collection[str] = (),
) -> Journal:
    """Return a journal that places each image in its cluster's folder under its own name.

    If a name is taken in the folder, by an earlier image or an existing file, ``_2``, ``_3``, … is added before the
    extension; names that differ only in case or Unicode form count as equal. A file that is in the right folder already
    stays where it is; for noise both `NOISE_FOLDER` and `UNSORTED_FOLDER` are right.

    Args:
        locations: Absolute paths of the images, as texts.
        clusters: The cluster of each image; −1 is noise.
        folder: The folder for the folders of all clusters.
        mode: How the files will be placed.
        names: The names of the named clusters.
        folder_name: Returns the name of a cluster's folder.
        current: The present placement, if its files are to be moved.
        renamed: The images in it that have another name now, and whose files get it.
    """
    at = {} if current is None else {entry.source: entry.target for entry in one_per_source(current.entries)}
    numbers = [int(cluster) for cluster in clusters]
    folders = [folder_name(cluster, names.get(cluster, "")) for cluster in numbers]
    targets: dict[int, str] = {}
    for row, location in enumerate(locations):
        parent = from_text(at[location]).parent.name if location in at and location not in renamed else None
        if parent == folders[row] or (numbers[row] < 0 and parent in (NOISE_FOLDER, UNSORTED_FOLDER)):
            targets[row] = at[location]
    leaving = _names_by_folder(at[path] for row, path in enumerate(locations) if path in at and row not in targets)
    # Those of a manifest are not in the folder.
    staying = _names_by_folder(targets.values())
    taken: dict[str, dict[str, int]] = {}
    for row in sorted(set(range(len(locations))) - targets.keys(), key=lambda row: _number_order(row, locations, at)):
        target = folder / folders[row]
        if target.name not in taken:
            present = existing_names(target) - leaving.get(target, set())
            taken[target.name] = dict.fromkeys(present | staying.get(target, set()), 1)
        name = free_name(from_text(locations[row]).name, taken[target.name])
        targets[row] = to_text(target / name)
    entries = tuple(Entry(location, targets[row]) for row, location in enumerate(locations))
    return Journal(mode, to_text(folder), entries)


def _names_by_folder(paths: Iterable[str]) -> dict[Path, set[str]]:
    """Return the `name_key` of each file by its folder."""
    names: dict[Path, set[str]] = {}
    for path in map(from_text, paths):
        names.setdefault(path.parent, set()).add(name_key(path.name))
    return names


def _number_order(row: int, locations: Sequence[str], at: Mapping[str, str]) -> tuple[bool, bool, int, str | int]:
    """Return a sort key of an image: placed files first, those with their original name before numbered ones.

    So files of one folder keep the order of their numbers, and renaming a cluster renames no file.
    """
    location = locations[row]
    if location not in at:
        return True, False, 0, row
    name = from_text(at[location]).name
    return False, name != from_text(location).name, len(name), name


def existing_names(folder: Path) -> set[str]:
    """Return the names in a folder, normalized as in `free_name`; none if the folder does not exist."""
    try:
        return {name_key(name) for name in os.listdir(folder)}
    except FileNotFoundError:
        return set()


def free_name(name: str, taken: dict[str, int]) -> str:
    """Return `name` or its first free numbered form, and add it to `taken` (the last number of each name)."""
    key = name_key(name)
    if key not in taken:
        taken[key] = 1
        return name
    stem, extension = os.path.splitext(name)
    if len(os.fsencode(extension)) > _NAME_BYTES // 2:
        stem, extension = name, ""
    while True:
        taken[key] += 1
        ending = f"_{taken[key]}{extension}"
        room = _NAME_BYTES - len(os.fsencode(ending))
        if len(os.fsencode(stem)) > room:
            stem = os.fsencode(stem)[:room].decode(errors="ignore")
        candidate = stem + ending
        if name_key(candidate) not in taken:
            taken[name_key(candidate)] = 1
            return candidate


def name_key(name: str) -> str:
    """Return a name as file systems that ignore case and Unicode forms compare it."""
    return unicodedata.normalize("NFC", name).casefold()
