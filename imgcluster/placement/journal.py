"""The journal of a placing: which file was to go where, kept until it is taken back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from imgcluster.errors import PlacementError, UsageError
from imgcluster.pathtext import join, relative_to, to_text
from imgcluster.store.atomic import atomic_path

__all__ = ["PLACE_MODES", "Entry", "Journal", "PlaceMode", "check_mode", "read_journal", "write_journal"]

PlaceMode = Literal["symlink", "copy", "hardlink", "move", "none"]
PLACE_MODES: Final[tuple[str, ...]] = get_args(PlaceMode)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a plan: absolute paths as texts of `pathtext`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Journal:
    """What a placing set out to do: `folder` is the one that holds all the labelled folders."""

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


def read_journal(path: Path) -> Journal | None:
    """Return the last placing; None where nothing is placed.

    Targets are kept relative to the journal's folder, so that they are found after that was renamed or moved.

    Raises:
        PlacementError: The journal is damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            entries = [json.loads(line) for line in file]
        if head["mode"] not in PLACE_MODES:
            raise ValueError(f"its mode is {head['mode']!r}")
        texts = [head["folder"], *(text for entry in entries for text in entry.values())]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("one of its paths is not a text")
        home = to_text(os.path.abspath(path.parent))
        return Journal(
            head["mode"],
            _absolute(head["folder"], home),
            tuple(Entry(entry["source"], _absolute(entry["target"], home)) for entry in entries),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlacementError(
            f"the journal {path} is damaged ({error}); it says which files were placed: mend it, or move them by hand"
        ) from None


def write_journal(journal: Journal, path: Path) -> None:
    """Replace the journal at `path`."""
    home = to_text(os.path.abspath(path.parent))
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        head = {"mode": journal.mode, "folder": _relative(journal.folder, home)}
        file.write(json.dumps(head, ensure_ascii=False) + "\n")
        for entry in journal.entries:
            line = {"source": entry.source, "target": _relative(entry.target, home)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _relative(location: str, home: str) -> str:
    return relative_to(location, home) if location.startswith(join(home, "")) else location


def _absolute(text: str, home: str) -> str:
    return text if text.startswith("/") or text[1:3] == ":/" else join(home, text)
