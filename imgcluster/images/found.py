"""What a search finds: files that can be read, and paths that cannot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from imgcluster.fileio.path_text import from_text, join

__all__ = ["FoundFile", "UnreadablePath"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file.

    Attributes:
        root: Absolute folder, as text (see `fileio.path_text`).
        path: Path below `root`, as text.
        size: In bytes.
        mtime_ns: Time of the last change, in nanoseconds.
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
        object.__setattr__(self, "location", join(self.root, self.path))

    @property
    def file(self) -> Path:
        """Where the file is now."""
        return from_text(self.moved_to or self.location)


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
