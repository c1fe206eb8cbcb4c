"""Planning a placement: the folder of each cluster, and a free file name for each image."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement.journal import Entry, Journal, PlaceMode

__all__ = [
    "NOISE_FOLDER",
    "folder_name",
    "free_name",
    "names_in",
    "plan",
]

NOISE_FOLDER: Final = "noise"

# The longest file name that common file systems take.
_NAME_BYTES: Final = 255
_SLUG_BYTES: Final = 40


def folder_name(cluster: int, name: str = "") -> str:
    """Return the folder of a cluster: its number, and what of its name any file system takes; −1 is noise."""
    if cluster < 0:
        return NOISE_FOLDER
    slug = _slug(name)
    return f"cluster_{cluster:03d}" + (f"_{slug}" if slug else "")


def _slug(name: str) -> str:
    """Return letters, their combining marks and digits of a name in lower case, joined by ``_``; at most 40 bytes.

    No character of it has a meaning in a shell, a path or on Windows, and all spellings of one name give one slug.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    # Without combining marks, words in Hindi or Thai would fall apart.
    slug = "_".join("".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text).split())
    cut = len(slug.encode()[:_SLUG_BYTES].decode(errors="ignore"))
    # A letter stays with all its marks, or none of it stays.
    while 0 < cut < len(slug) and unicodedata.category(slug[cut]).startswith("M"):
        cut -= 1
    return slug[:cut].strip("_")


def plan(
    locations: Sequence[str],
    clusters: Iterable[int],
    folder: Path,
    mode: PlaceMode,
    names: Mapping[int, str] = MappingProxyType({}),
) -> Journal:
    """Decide where each image goes: into its cluster's folder, under its own name.

    Of several images with one name in a cluster (also where only the case differs, which is the same name on many
    systems) the later ones get ``_2``, ``_3``, … before their extension. Names of files that lie in the folders
    already and are not ours count as taken.
    """
    taken: dict[str, dict[str, int]] = {}
    entries = []
    for location, cluster in zip(locations, clusters, strict=True):
        home = folder / folder_name(int(cluster), names.get(int(cluster), ""))
        if home.name not in taken:
            taken[home.name] = dict.fromkeys(names_in(home), 1)
        name = free_name(from_text(location).name, taken[home.name])
        entries.append(Entry(location, to_text(home / name)))
    return Journal(mode, to_text(folder), tuple(entries))


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder, in the form that `free_name` compares; none where there is no folder."""
    try:
        return {_key(name) for name in os.listdir(folder)}
    except FileNotFoundError:
        return set()


def free_name(name: str, taken: dict[str, int]) -> str:
    """Return `name`, or the first free numbered form of it, and note it; `taken` holds the last number of each."""
    wanted = _key(name)
    if wanted not in taken:
        taken[wanted] = 1
        return name
    stem, extension = os.path.splitext(name)
    if len(os.fsencode(extension)) > _NAME_BYTES // 2:
        stem, extension = name, ""
    while True:
        taken[wanted] += 1
        ending = f"_{taken[wanted]}{extension}"
        room = _NAME_BYTES - len(os.fsencode(ending))
        if len(os.fsencode(stem)) > room:
            stem = os.fsencode(stem)[:room].decode(errors="ignore")
        candidate = stem + ending
        if _key(candidate) not in taken:
            taken[_key(candidate)] = 1
            return candidate


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
