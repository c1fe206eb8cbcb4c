"""The journal of a placing: which file was to go where, kept until it is taken back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from imgcluster.errors import PlacementError, UsageError
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
        return Journal(head["mode"], head["folder"], tuple(Entry(**entry) for entry in entries))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise PlacementError(
            f"the journal {path} is damaged ({error}); it says which files were placed: mend it, or move them by hand"
        ) from None


def write_journal(journal: Journal, path: Path) -> None:
    """Replace the journal at `path`."""
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({"mode": journal.mode, "folder": journal.folder}, ensure_ascii=False) + "\n")
        for entry in journal.entries:
            file.write(json.dumps({"source": entry.source, "target": entry.target}, ensure_ascii=False) + "\n")
