"""What a search finds: files that can be read, and paths that cannot."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from imgcluster.fileio.path_text import from_text, join, to_text

__all__ = ["FoundFile", "UnreadablePath", "found_file", "storable_time"]

_LATEST: Final = 2**63 - 1


def storable_time(mtime_ns: int) -> int:
    """Return a modification time as shards store it, in 64 bits: a damaged one may be after the year 2262."""
    return max(-_LATEST, min(mtime_ns, _LATEST))


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file.

    Attributes:
        root: Absolute folder, as text (see `fileio.path_text`).
        path: Path below `root`, as text.
        size: In bytes.
        mtime_ns: Time of the last change, in nanoseconds, as `storable_time` returns it.
        moved_to: Absolute path, as text, of the file if ``--place move`` moved it; else "".
        location: The absolute path as text; identifies the file in a workspace.
    """

    root: str
    path: str
    size: int
    mtime_ns: int
    moved_to: str = ""
    location: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mtime_ns", storable_time(self.mtime_ns))
        object.__setattr__(self, "location", join(self.root, self.path))

    @property
    def file(self) -> Path:
        """Where the file is now."""
        return from_text(self.moved_to or self.location)


def found_file(path: str | os.PathLike[str]) -> FoundFile:
    """Return a file by its path; one that cannot be read, or is missing, has the size 0."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        facts = os.stat(path)
        size, mtime_ns = facts.st_size, facts.st_mtime_ns
    except OSError:
        size = mtime_ns = 0
    return FoundFile(to_text(folder), to_text(name), size, mtime_ns)


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A requested folder or file that cannot be read, and the `reason`.

    With `is_folder`, images inside it were not searched for. Without `is_image` it does not have the name of an image.
    """

    root: str
    path: str
    reason: str
    is_folder: bool = False
    is_image: bool = True

    @property
    def location(self) -> str:
        """The absolute path as text."""
        return join(self.root, self.path) if self.path else self.root
