"""Finding files: walking folders in sorted order, once each, without holding the list in memory.

Nothing is opened here; whether a file is an image is decided from its content later on.
"""

from __future__ import annotations

import codecs
import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import join, to_text
from imgcluster.images.formats import has_image_extension

__all__ = ["Finder", "FoundFile", "Scope", "UnreadablePath", "read_list"]

_SYSTEM_FOLDERS: Final = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: `path` relative to `root` (both texts of `path_text`), bytes, and time of last change."""

    root: str
    path: str
    size: int
    mtime_ns: int

    @property
    def location(self) -> str:
        """The absolute path as text; it identifies the file in a workspace."""
        return join(self.root, self.path)


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A folder or file that should have been looked at and could not be; `reason` in plain words.

    `is_folder` says that images inside it, if any, were not looked for.
    """

    root: str
    path: str
    reason: str
    is_folder: bool = False

    @property
    def location(self) -> str:
        """The absolute path as text."""
        return join(self.root, self.path) if self.path else self.root


@dataclass(frozen=True, slots=True)
class _Link:
    """A symbolic link, looked at after everything else so that the real file's name is the one that counts."""

    root: str
    path: str
    native: str


@dataclass(frozen=True, kw_only=True)
class Finder:
    """What to look for, and where.

    Attributes:
        paths: Folders and files, as the user gave them.
        listed: More files, from a list; one that is missing is reported, not raised.
        exclude: Globs. One without ``/`` leaves out files and folders of that name; one with ``/`` is matched
            against the path relative to its root.
        recursive: Whether folders inside the given ones count.
        marker: Folders that hold a file of this name are left out (another program's, or our own, output).
    """

    paths: Sequence[str | os.PathLike[str]] = ()
    listed: Sequence[str | os.PathLike[str]] = ()
    exclude: Sequence[str] = ()
    recursive: bool = True
    marker: str | None = None

    def __post_init__(self) -> None:
        for path in self.paths:
            if not os.path.lexists(path):
                raise UsageError(f"no such file or folder: {to_text(path)}")

    def find(self) -> Iterator[FoundFile | UnreadablePath]:
        """Yield every wanted file once: by folder in sorted order, then what only links and lists lead to.

        Loops of symbolic links end; a file that is reached by several ways (a link beside it, overlapping folders)
        is yielded under its real name, or the first of its links.
        """
        reported: set[str] = set()
        for entry in _Search(self).run():
            if isinstance(entry, UnreadablePath):
                if entry.location in reported:
                    continue
                reported.add(entry.location)
            yield entry

    def roots(self) -> list[str]:
        """Return the folders, as absolute texts, that the paths of found files are relative to."""
        here = os.path.realpath(os.getcwd())
        found = set()
        for path in (*self.paths, *self.listed):
            native = _place(path)
            found.add(to_text(native if os.path.isdir(native) else _root_of_file(native, here)))
        return sorted(found)

    def scope(self) -> Scope:
        """Return what a later look-up needs to tell "vanished" from "not looked for"."""
        folders: set[str] = set()
        files: set[str] = set()
        for path in self.paths:
            (folders if os.path.isdir(path) else files).add(to_text(_place(path)))
        files.update(to_text(_place(path)) for path in self.listed)
        return Scope(frozenset(folders), frozenset(files))


class _Search:
    """One search of a `Finder`, and what it has come past."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self.folders: dict[tuple[int, int] | str, str] = {}  # walked folders, with their path below the root
        self.files: set[str] = set()  # real paths of files that were reached by a link or by name
        self.links: list[_Link] = []

    def run(self) -> Iterator[FoundFile | UnreadablePath]:
        singles: list[str] = []
        for path in self.finder.paths:
            native = _place(path)
            if os.path.isdir(native):
                yield from self._walk(to_text(native), "", native)
            else:
                singles.append(native)
        singles += [_place(path) for path in self.finder.listed]
        here = os.path.realpath(os.getcwd())
        for native in singles:
            folder = _root_of_file(native, here)
            yield from self._file(to_text(folder), os.path.relpath(native, folder), native)
        # A linked folder may hold further links, which join the end of this list.
        for link in self.links:
            yield from self._follow(link)

    def _walk(self, root: str, path: str, native: str) -> Iterator[FoundFile | UnreadablePath]:
        # Depth-first with a stack of its own: folders nest deeper than Python's recursion limit allows.
        stack: list[Iterator[os.DirEntry[str] | UnreadablePath]] = [self._entries(root, path, native)]
        prefixes = [path]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                prefixes.pop()
                continue
            if isinstance(entry, UnreadablePath):
                yield entry
                continue
            relative = _below(prefixes[-1], entry.name)
            try:
                if entry.is_symlink() or _is_junction(entry):
                    self.links.append(_Link(root, relative, entry.path))
                elif entry.is_dir():
                    if self.finder.recursive:
                        stack.append(self._entries(root, relative, entry.path))
                        prefixes.append(relative)
                elif entry.is_file():
                    # Only a folder behind a link can hold what a file's own link or a list came to before.
                    if self.files and os.path.realpath(entry.path) in self.files:
                        continue
                    facts = entry.stat()
                    yield FoundFile(root, to_text(relative), facts.st_size, facts.st_mtime_ns)
            except OSError as error:
                yield UnreadablePath(root, to_text(relative), _plain(error))

    def _entries(self, root: str, path: str, native: str) -> Iterator[os.DirEntry[str] | UnreadablePath]:
        """Return the wanted entries of one folder, sorted by name; nothing where it was walked before."""
        try:
            key = _identity(native)
            if key in self.folders:
                return iter(())
            with os.scandir(native) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            return iter([UnreadablePath(root, to_text(path), f"the folder cannot be read: {_plain(error)}", True)])
        marker = self.finder.marker
        # The folder the user named is wanted whatever it holds; only those inside it can be left out.
        if path and marker and any(entry.name == marker for entry in found):
            return iter(())
        self.folders[key] = path
        return _handed_out([entry for entry in found if self._wanted(entry.name, _below(path, entry.name))])

    def _follow(self, link: _Link) -> Iterator[FoundFile | UnreadablePath]:
        if os.path.isdir(link.native):
            if self.finder.recursive:
                yield from self._walk(link.root, link.path, link.native)
        elif os.path.exists(link.native) or has_image_extension(link.path):
            yield from self._file(link.root, link.path, link.native)

    def _file(self, root: str, path: str, native: str) -> Iterator[FoundFile | UnreadablePath]:
        """Yield a file that was reached by a link or by name, unless it was, or will be, found without."""
        try:
            facts = os.stat(native)
            if stat.S_ISDIR(facts.st_mode):
                yield UnreadablePath(root, to_text(path), "a folder, where a file was expected")
                return
            if not stat.S_ISREG(facts.st_mode):
                return
            real = os.path.realpath(native)
            folder, name = os.path.split(real)
            walked = self.folders.get(_identity(folder))
            if real in self.files or (walked is not None and self._wanted(name, _below(walked, name))):
                return
        except OSError as error:
            broken = os.path.islink(native) and isinstance(error, FileNotFoundError)
            reason = "a symbolic link to a file that is not there" if broken else _plain(error)
            yield UnreadablePath(root, to_text(path), reason)
            return
        self.files.add(real)
        yield FoundFile(root, to_text(path), facts.st_size, facts.st_mtime_ns)

    def _wanted(self, name: str, path: str) -> bool:
        if name.startswith(".") or name in _SYSTEM_FOLDERS:
            return False
        path = path.replace(os.sep, "/")
        return not any(
            fnmatch.fnmatchcase(path if "/" in pattern else name, pattern.rstrip("/"))
            for pattern in self.finder.exclude
        )


def _root_of_file(native: str, here: str) -> str:
    """Return the current folder for a file below it, else the file's own folder."""
    return here if native.startswith(here.rstrip(os.sep) + os.sep) else os.path.dirname(native)


def _handed_out(entries: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Yield entries and let go of each, with all that it remembers: a folder may hold a million."""
    entries.reverse()
    while entries:
        yield entries.pop()


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, slots=True)
class Scope:
    """The folders and files that a walk looked at; a stored image in it that was not found has vanished."""

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


def read_list(lines: Iterable[bytes]) -> list[Path]:
    """Return the paths of a list of files: one a line, or separated by NUL bytes as ``find -print0`` writes."""
    data = b"".join(lines).removeprefix(codecs.BOM_UTF8)
    separator = b"\0" if b"\0" in data else b"\n"
    names = (name if separator == b"\0" else name.removesuffix(b"\r") for name in data.split(separator))
    return [Path(os.fsdecode(name)) for name in names if name]


def _place(path: str | os.PathLike[str]) -> str:
    """Return where a folder, or the folder of a file, really is: an image has one place by whatever way it is named."""
    native = os.path.abspath(path)
    if os.path.isdir(native):
        return os.path.realpath(native)
    return os.path.join(os.path.realpath(os.path.dirname(native)), os.path.basename(native))


def _identity(folder: str) -> tuple[int, int] | str:
    """Return what tells two ways to one folder from two folders."""
    facts = os.stat(folder)
    # Some Windows file systems give no inode numbers; the resolved path serves there.
    return (facts.st_dev, facts.st_ino) if facts.st_ino else os.path.realpath(folder)


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a junction of Windows, which can loop as a symbolic link can."""
    check = getattr(entry, "is_junction", None)  # Python 3.12
    return bool(check and check())


def _plain(error: OSError) -> str:
    return error.strerror or str(error)
