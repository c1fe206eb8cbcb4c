"""Finding files: folders are walked in sorted order, once each, without holding the list in memory.

No file is opened here; whether a file is an image is decided from its content later.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import from_text, join, to_text
from imgcluster.fileio.regular import special_kind
from imgcluster.images.formats import has_image_extension
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.scope import Scope, is_below

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["Finder", "Remote", "read_list"]

_SYSTEM_FOLDERS: Final = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})


@dataclass(frozen=True, slots=True)
class _Link:
    """A symbolic link; resolved after everything else, so that a file is reported under its real name."""

    root: str
    path: str
    native: str


class Remote(Protocol):
    """Images that are not in the file system; see `remote.RemoteImages`."""

    @property
    def roots(self) -> list[str]:
        """The folders that paths are relative to."""

    @property
    def folders(self) -> list[str]:
        """The URLs that stand for everything below them."""

    @property
    def files(self) -> list[str]:
        """The URLs of single files."""

    def find(self, includes: Callable[..., bool], *, recursive: bool) -> Iterator[FoundFile | UnreadablePath]:
        """Yield every object."""

    def read(self, file: FoundFile, seconds: float) -> bytes:
        """Return the content of an object."""


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Which files to find.

    Attributes:
        paths: Folders and files, as the user gave them.
        listed: More files, from a list; a missing one is yielded as `UnreadablePath`, not raised.
        exclude: Patterns of a ``.gitignore`` file, matched against paths relative to the folder in `paths`; of
            several matching patterns the last one counts. They never exclude a path in `paths` or `listed`.
        recursive: Whether subfolders are searched.
        skips: Called with the path of each subfolder, which is skipped if it returns True (another workspace).
        remote: More images, in object storage or on web servers.
        takes: Called with each file's absolute path, as text; only those are found for which it returns True.
        moved: Absolute paths, as texts, of files that ``--place move`` moved: that their folder is empty now says
            nothing about them.

    Raises:
        UsageError: A path does not exist, or a pattern is invalid.
    """

    paths: Sequence[str | os.PathLike[str]] = ()
    listed: Sequence[str | os.PathLike[str]] = ()
    exclude: Sequence[str] = ()
    recursive: bool = True
    skips: Callable[[str], bool] | None = None
    remote: Remote | None = None
    takes: Callable[[str], bool] | None = None
    moved: Collection[str] = ()
    _excluded: GitIgnoreSpec | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A single text would be taken for a sequence of letters.
        for name in ("paths", "listed", "exclude"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, (getattr(self, name),))
        for path in self.paths:
            if not os.path.lexists(path):
                raise UsageError(f"no such file or folder: {to_text(path)}")
        object.__setattr__(self, "_excluded", _compile(self.exclude) if self.exclude else None)

    def includes(self, name: str, path: str, *, is_folder: bool = False) -> bool:
        """Return whether the entry `name` at `path`, relative to its root, is neither hidden nor excluded."""
        if name.startswith(".") or name in _SYSTEM_FOLDERS:
            return False
        if self._excluded is None:
            return True
        path = path.replace(os.sep, "/")
        return not self._excluded.match_file(f"{path}/" if is_folder else path)

    def find(self, *, sizes: bool = True) -> Iterator[FoundFile | UnreadablePath]:
        """Yield every file once: by folder in sorted order, then files reached only through links and lists.

        Without `sizes`, files in folders have a size and time of 0, which takes less time.

        Loops of symbolic links end. A file that is reached in several ways (a link beside it, overlapping folders)
        is yielded under its real name, or else under the first of its links.
        """
        reported: set[str] = set()
        for entry in _Search(self, sizes).run():
            if isinstance(entry, UnreadablePath):
                if entry.location in reported:
                    continue
                reported.add(entry.location)
            yield entry
        for entry in self.remote.find(self.includes, recursive=self.recursive) if self.remote else ():
            if self.takes is None or self.takes(entry.location):
                yield entry

    def roots(self) -> list[str]:
        """Return the folders, as absolute texts, that the paths of found files are relative to."""
        current = os.path.realpath(os.getcwd())
        roots = set()
        for path in (*self.paths, *self.listed):
            native = _canonical(path)
            roots.add(to_text(native if os.path.isdir(native) else _root_of_file(native, current)))
        return sorted(roots.union(self.remote.roots if self.remote else ()))

    def scope(self) -> Scope:
        """Return what was searched, which tells files that vanished from files that were not searched for."""
        folders: set[str] = set()
        files: set[str] = set()
        for path in self.paths:
            (folders if os.path.isdir(path) else files).add(to_text(_canonical(path)))
        files.update(to_text(_canonical(path)) for path in self.listed)
        empty = frozenset(folder for folder in folders if _is_empty(from_text(folder)))
        files.update(file for file in self.moved if is_below(file, empty))
        if self.remote:
            folders.update(self.remote.folders)
            files.update(self.remote.files)
        return Scope(frozenset(folders), frozenset(files), empty)


class _Search:
    """One search of a `Finder`, and what it has visited."""

    def __init__(self, finder: Finder, sizes: bool) -> None:
        self.finder = finder
        self.sizes = sizes
        self.folders: dict[tuple[int, int] | str, str] = {}  # visited folders, with their path below the root
        self.files: set[str] = set()  # real paths of files reached by a link or by name
        self.links: list[_Link] = []

    def run(self) -> Iterator[FoundFile | UnreadablePath]:
        singles: list[str] = []
        for path in self.finder.paths:
            native = _canonical(path)
            if os.path.isdir(native):
                yield from self._walk(to_text(native), "", native)
            else:
                singles.append(native)
        singles += [_canonical(path) for path in self.finder.listed]
        current = os.path.realpath(os.getcwd())
        for native in singles:
            # Files under the current folder keep their path relative to it.
            folder = _root_of_file(native, current)
            yield from self._file(to_text(folder), os.path.relpath(native, folder), native)
        # A linked folder may contain further links, which are appended to this list.
        for link in self.links:
            yield from self._follow(link)

    def _walk(self, root: str, path: str, native: str) -> Iterator[FoundFile | UnreadablePath]:
        # Depth-first with an explicit stack: folders can nest deeper than Python's recursion limit.
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
                    # Only a folder behind a link can contain files that a link or list has yielded before.
                    if self.files and os.path.realpath(entry.path) in self.files:
                        continue
                    if not self._takes(root, relative):
                        continue
                    if not self.sizes:
                        yield FoundFile(root, to_text(relative), 0, 0)
                        continue
                    facts = entry.stat()
                    yield FoundFile(root, to_text(relative), facts.st_size, facts.st_mtime_ns)
                elif self._takes(root, relative):
                    yield _special(root, relative, entry.stat().st_mode)
            except OSError as error:
                if self._takes(root, relative):
                    yield UnreadablePath(root, to_text(relative), _reason(error))

    def _entries(self, root: str, path: str, native: str) -> Iterator[os.DirEntry[str] | UnreadablePath]:
        """Return the included entries of one folder, sorted by name; none if it was visited before."""
        try:
            key = _identity(native)
            if key in self.folders:
                return iter(())
            with os.scandir(native) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
            # A folder the user named is searched whatever it contains; only its subfolders can be skipped.
            if path and self.finder.skips and self.finder.skips(native):
                return iter(())
        except OSError as error:
            return iter([UnreadablePath(root, to_text(path), f"the folder cannot be read: {_reason(error)}", True)])
        self.folders[key] = path
        return _consume([entry for entry in ordered if self._includes(entry, _below(path, entry.name))])

    def _follow(self, link: _Link) -> Iterator[FoundFile | UnreadablePath]:
        if os.path.isdir(link.native):
            if self.finder.recursive:
                yield from self._walk(link.root, link.path, link.native)
        elif os.path.exists(link.native) or has_image_extension(link.path):
            yield from self._file(link.root, link.path, link.native)

    def _takes(self, root: str, path: str) -> bool:
        return self.finder.takes is None or self.finder.takes(join(root, to_text(path)))

    def _file(self, root: str, path: str, native: str) -> Iterator[FoundFile | UnreadablePath]:
        """Yield a file reached by a link or by name, unless the walk has yielded, or will yield, it itself."""
        entry = self._look_at(root, path, native)
        if entry is not None and self._takes(root, path):
            yield entry

    def _look_at(self, root: str, path: str, native: str) -> FoundFile | UnreadablePath | None:
        try:
            facts = os.stat(native)
            if stat.S_ISDIR(facts.st_mode):
                return UnreadablePath(root, to_text(path), "a folder, where a file was expected")
            if not stat.S_ISREG(facts.st_mode):
                return _special(root, path, facts.st_mode)
            real = os.path.realpath(native)
            folder, name = os.path.split(real)
            walked = self.folders.get(_identity(folder))
            if real in self.files or (walked is not None and self.finder.includes(name, _below(walked, name))):
                return None
        except OSError as error:
            broken = os.path.islink(native) and isinstance(error, FileNotFoundError)
            reason = "a symbolic link to a file that does not exist" if broken else _reason(error)
            return UnreadablePath(root, to_text(path), reason)
        self.files.add(real)
        return FoundFile(root, to_text(path), facts.st_size, facts.st_mtime_ns)

    def _includes(self, entry: os.DirEntry[str], path: str) -> bool:
        try:
            # A link to a folder counts as a folder, so that the pattern "raw/" keeps it from being followed.
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        return self.finder.includes(entry.name, path, is_folder=is_folder)


def _special(root: str, path: str, mode: int) -> UnreadablePath:
    """Return a path that is neither a file nor a folder; nothing is read from it, because that might never end."""
    return UnreadablePath(root, to_text(path), f"{special_kind(mode)}, not a file", is_image=has_image_extension(path))


def _root_of_file(native: str, current: str) -> str:
    """Return the current folder for a file below it, else the file's own folder."""
    return current if native.startswith(current.rstrip(os.sep) + os.sep) else os.path.dirname(native)


def _compile(patterns: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    # In a file "#" starts a comment; on a command line it is a name.
    lines = ["\\" + pattern if pattern.startswith("#") else pattern for pattern in patterns]
    for line, pattern in zip(lines, patterns, strict=True):
        try:
            valid = all(entry.include is not None for entry in GitIgnoreSpec.from_lines([line]).patterns)
        except ValueError:
            valid = False
        if not valid and pattern.strip():
            raise UsageError(
                f"--exclude {pattern!r} is not a valid pattern; use those of .gitignore: *.png, raw/ or 2019/*.tif"
            )
    return GitIgnoreSpec.from_lines(lines)


def _consume(entries: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Yield entries and free each one after use: a folder may contain a million."""
    entries.reverse()
    while entries:
        yield entries.pop()


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def read_list(lines: Iterable[bytes]) -> list[str]:
    """Return the paths in a list of files: one per line, or separated by NUL bytes as ``find -print0`` writes."""
    data = b"".join(lines).removeprefix(codecs.BOM_UTF8)
    separator = b"\0" if b"\0" in data else b"\n"
    names = (name if separator == b"\0" else name.removesuffix(b"\r") for name in data.split(separator))
    return [os.fsdecode(name) for name in names if name]


def _canonical(path: str | os.PathLike[str]) -> str:
    """Return the path with links in its folders resolved, so that each image has one path however it is named."""
    native = os.path.abspath(path)
    if os.path.isdir(native):
        return os.path.realpath(native)
    return os.path.join(os.path.realpath(os.path.dirname(native)), os.path.basename(native))


def _is_empty(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder has no entries but hidden ones; False if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return all(entry.name.startswith(".") or entry.name in _SYSTEM_FOLDERS for entry in entries)
    except OSError:
        return False


def _identity(folder: str) -> tuple[int, int] | str:
    """Return a key that is equal for all paths to one folder."""
    facts = os.stat(folder)
    # Some Windows file systems give no inode numbers; the resolved path serves there.
    return (facts.st_dev, facts.st_ino) if facts.st_ino else os.path.realpath(folder)


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a Windows junction, which can form loops as symbolic links can."""
    check = getattr(entry, "is_junction", None)  # Python 3.12
    return bool(check and check())


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
