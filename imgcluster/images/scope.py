"""What was searched for images, which tells files that vanished from files that were not searched for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from imgcluster.fileio.path_text import join

__all__ = ["Scope", "is_below"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The folders and files that were searched; a stored image inside it that was not found has vanished.

    Attributes:
        folders: The searched folders.
        files: Single files that were searched for, wherever they are.
        empty: Those of `folders` that are empty, as the folder of a disk that is not mounted: images in them may exist.
        unread: Folders that could not be read.
    """

    folders: frozenset[str]
    files: frozenset[str]
    empty: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()

    def without(self, unread: Iterable[str]) -> Scope:
        """Return the scope without folders that could not be read."""
        return dataclasses.replace(self, unread=self.unread | frozenset(unread))

    def __contains__(self, location: object) -> bool:
        if not isinstance(location, str):
            return False
        if location in self.files:
            return True
        return is_below(location, self.folders) and not is_below(location, self.unread | self.empty)


def is_below(location: str, folders: Iterable[str]) -> bool:
    """Return whether a path is inside one of the folders."""
    return any(location.startswith(join(folder, "")) for folder in folders)
