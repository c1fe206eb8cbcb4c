"""Pairs of a camera raw file and its JPEG: same folder, same name but for the extension and upper or lower case."""

from __future__ import annotations

from imgcluster.images.formats import is_jpeg_name, is_raw_name
from imgcluster.images.found import FoundFile

__all__ = ["RawFiles"]


class RawFiles:
    """The camera raw files of a search; each is taken once, by its JPEG or at the end.

    A JPEG can be found before its raw file, so all raw files are added before the first one is taken.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], dict[str, FoundFile]] = {}
        self._taken: set[str] = set()

    def add(self, file: FoundFile) -> bool:
        """Return whether a file is a camera raw file, and keep it unless it was taken."""
        if not is_raw_name(file.path):
            return False
        if file.location not in self._taken:
            self._waiting.setdefault(_key(file), {})[file.location] = file
        return True

    def take(self, jpeg: FoundFile) -> FoundFile | None:
        """Return the raw file of a JPEG, the first of several; None if there is none or the file is no JPEG."""
        waiting = self._waiting.get(_key(jpeg)) if is_jpeg_name(jpeg.path) else None
        if not waiting:
            return None
        raw = waiting.pop(min(waiting))
        self._taken.add(raw.location)
        return raw

    def rest(self) -> list[FoundFile]:
        """Return the raw files that no JPEG has taken, sorted."""
        return sorted(
            (file for files in self._waiting.values() for file in files.values()), key=lambda one: one.location
        )


def _key(file: FoundFile) -> tuple[str, str]:
    folder, _, name = file.location.rpartition("/")
    return folder, name.rpartition(".")[0].casefold()
