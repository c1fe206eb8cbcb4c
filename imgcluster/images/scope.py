"""What was searched for images, which tells files that vanished from files that were not searched for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imgcluster.fileio.path_text import join

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The folders and files that were searched; a stored image inside it that was not found has vanished."""

    folders: frozenset[str]
    files: frozenset[str]
    unread: frozenset[str] = frozenset()

    def without(self, unread: Iterable[str]) -> Scope:
        """Return the scope without folders that could not be read."""
        return Scope(self.folders, self.files, self.unread | frozenset(unread))

    def __contains__(self, location: object) -> bool:
        if not isinstance(location, str):
            return False
        if location in self.files:
            return True
        return any(location.startswith(join(folder, "")) for folder in self.folders) and not any(
            location.startswith(join(folder, "")) for folder in self.unread
        )
