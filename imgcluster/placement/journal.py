"""The journal of a placement: which file goes where, kept until the placement is undone."""

from __future__ import annotations

import json
import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from imgcluster.errors import PlacementError, UsageError
from imgcluster.fileio.atomic import atomic_path, is_link
from imgcluster.fileio.path_text import from_text, join, relative_to, to_text

__all__ = [
    "CLUSTERS_FOLDER",
    "PLACE_MODES",
    "Entry",
    "Journal",
    "PlaceMode",
    "check_mode",
    "read_journal",
    "write_journal",
]

PlaceMode = Literal["symlink", "copy", "hardlink", "move", "none"]
PLACE_MODES: Final[tuple[str, ...]] = get_args(PlaceMode)

CLUSTERS_FOLDER: Final = "clusters"
"""The folder of a workspace that placed files lie in, one folder deeper for each cluster."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a placement: absolute paths as texts of `path_text`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Journal:
    """A placement: `folder` is the one that holds the folders of all clusters."""

    mode: PlaceMode
    folder: str
    entries: tuple[Entry, ...]


def check_mode(mode: str) -> PlaceMode:
    """Return `mode` if there is such a way to place files.

    Raises:
        UsageError: There is none.
    """
    if mode not in PLACE_MODES:
        raise UsageError(f"placing by {mode!r} is unknown; choose one of {', '.join(PLACE_MODES)}")
    return mode  # type: ignore[return-value]


def read_journal(path: Path, embedded: Container[str]) -> Journal | None:
    """Return the journal of the last placement; None where nothing is placed.

    Targets are stored relative to the journal's folder, the workspace, so that they are found after it was renamed or
    moved. A journal may come from a stranger, so every entry is checked before any of it is used.

    Args:
        path: The journal's file, in the workspace folder.
        embedded: The absolute paths, as texts, of the images that the workspace holds embeddings of.

    Raises:
        PlacementError: The journal is damaged: it is not as `write_journal` writes it, a target is not a file in a
            folder of ``clusters/``, or a source is not an embedded image.
    """
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            entries = [json.loads(line) for line in file]
        if head["mode"] not in PLACE_MODES:
            raise ValueError(f"its mode is {head['mode']!r}")
        workspace = Path(os.path.abspath(path.parent))
        folder = workspace / CLUSTERS_FOLDER
        if head["folder"] != CLUSTERS_FOLDER:
            raise ValueError(f"its folder is {head['folder']!r}, not {CLUSTERS_FOLDER!r}")
        checked = tuple(_checked(entry, workspace, embedded) for entry in entries)
        for parent in sorted({folder, *(from_text(entry.target).parent for entry in checked)}):
            if is_link(parent):
                raise ValueError(f"{parent} is a link, which is not followed")
        return Journal(head["mode"], to_text(folder), checked)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PlacementError(
            f"the journal {path} is damaged ({error}); nothing was changed. It records where placed files came from: "
            f"correct it, or remove it to go on without undo"
        ) from None


def _checked(entry: dict[str, Any], workspace: Path, embedded: Container[str]) -> Entry:
    """Return an entry with its absolute target.

    Raises:
        ValueError: A target is not a file in a folder of ``clusters/``, or a source is not an embedded image.
    """
    source, target = entry["source"], entry["target"]
    if not (isinstance(source, str) and isinstance(target, str)):
        raise ValueError("one of its paths is not text")
    parts = target.split("/")
    if len(parts) != 3 or parts[0] != CLUSTERS_FOLDER or not all(map(_is_plain_name, parts)):
        raise ValueError(f"the target {target!r} is not a file in a folder of {CLUSTERS_FOLDER}/")
    if source not in embedded:
        raise ValueError(f"the source {source!r} is not an embedded image of this workspace")
    absolute = join(to_text(workspace), target)
    if source == absolute:
        raise ValueError(f"the source {source!r} is its own target")
    return Entry(source, absolute)


def _is_plain_name(name: str) -> bool:
    """Say whether `name` is one path component on every system."""
    native = os.fspath(from_text(name)) if name not in ("", ".", "..") else ""
    return bool(native) and "\0" not in native and os.path.basename(native) == native and native not in (".", "..")


def write_journal(journal: Journal, path: Path) -> None:
    """Replace the journal at `path`."""
    workspace = to_text(os.path.abspath(path.parent))
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        head = {"mode": journal.mode, "folder": relative_to(journal.folder, workspace)}
        file.write(json.dumps(head, ensure_ascii=False) + "\n")
        for entry in journal.entries:
            line = {"source": entry.source, "target": relative_to(entry.target, workspace)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
