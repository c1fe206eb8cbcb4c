"""Labelled folders: placing images as links, copies or by moving them, and taking all of it back.

A plan is written to the journal before the first file is touched, so that whatever happens, `take_back` knows each
file that may have been placed. It removes only what is still as it was placed, and only where the original is
still there; it never overwrites.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from imgcluster.errors import PlacementError, UsageError
from imgcluster.pathtext import from_text, to_text
from imgcluster.store.atomic import atomic_path

__all__ = [
    "NOISE_FOLDER",
    "PLACE_MODES",
    "Journal",
    "PlaceMode",
    "Placed",
    "TakenBack",
    "check_mode",
    "folder_name",
    "place",
    "plan",
    "read_journal",
    "take_back",
]

_LOG = logging.getLogger(__name__)

PlaceMode = Literal["symlink", "copy", "hardlink", "move", "none"]
PLACE_MODES: Final[tuple[str, ...]] = get_args(PlaceMode)

NOISE_FOLDER: Final = "noise"

# What is tried where a file system or its rights do not allow what was asked (Windows without developer mode has
# no symbolic links, no system has hard links between two disks).
_FALLBACK: Final[dict[str, str]] = {"symlink": "hardlink", "hardlink": "copy"}


# The longest file name that common file systems take.
_NAME_BYTES: Final = 255


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


@dataclass(frozen=True, slots=True)
class Placed:
    """How many files were placed, by the way that was taken; `missing` are images whose file is gone."""

    counts: dict[str, int]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What `take_back` did: files removed or moved back, and those left in place with the reason."""

    done: int
    left: tuple[tuple[str, str], ...]


def check_mode(mode: str) -> PlaceMode:
    """Return `mode` if there is such a way to place files.

    Raises:
        UsageError: There is none.
    """
    if mode not in PLACE_MODES:
        raise UsageError(f"placing by {mode!r} is unknown; choose one of {', '.join(PLACE_MODES)}")
    return mode  # type: ignore[return-value]


def folder_name(cluster: int) -> str:
    """Return the folder of a cluster; −1 is noise."""
    return NOISE_FOLDER if cluster < 0 else f"cluster_{cluster:03d}"


def plan(locations: Sequence[str], clusters: Iterable[int], folder: Path, mode: PlaceMode) -> Journal:
    """Decide where each image goes: into its cluster's folder, under its own name.

    Of several images with one name in a cluster (also where only the case differs, which is the same name on many
    systems) the later ones get ``_2``, ``_3``, … before their extension. Names of files that lie in the folders
    already and are not ours count as taken.
    """
    taken: dict[str, dict[str, int]] = {}
    entries = []
    for location, cluster in zip(locations, clusters, strict=True):
        home = folder / folder_name(int(cluster))
        if home.name not in taken:
            taken[home.name] = dict.fromkeys(_names_in(home), 1)
        name = _free_name(from_text(location).name, taken[home.name])
        entries.append(Entry(location, to_text(home / name)))
    return Journal(mode, to_text(folder), tuple(entries))


def place(journal: Journal, path: Path, *, step: Callable[[int], None] = lambda done: None) -> Placed:
    """Carry out a plan, after it was written to `path`.

    Args:
        journal: The plan.
        path: Where the journal is kept for `take_back`.
        step: Called with the number of files done.

    Raises:
        PlacementError: A file could not be placed for another reason than that it is gone.
    """
    _write_journal(journal, path)
    counts: dict[str, int] = {}
    missing = []
    mode: str = journal.mode
    for done, entry in enumerate(journal.entries, start=1):
        source, target = from_text(entry.source), from_text(entry.target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not source.exists():
                missing.append(entry.source)
                continue
            mode = _place_one(source, target, mode)
        except OSError as error:
            raise PlacementError(
                f"{entry.source} could not be placed as {entry.target}: {error.strerror or error}; "
                "imgcluster undo takes back what was placed so far"
            ) from None
        counts[mode] = counts.get(mode, 0) + 1
        step(done)
    return Placed(counts, tuple(missing))


def read_journal(path: Path) -> Journal | None:
    """Return the last placing; None where nothing is placed.

    Raises:
        PlacementError: The journal is damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            entries = [json.loads(line) for line in file]
        return Journal(check_mode(head["mode"]), head["folder"], tuple(Entry(**entry) for entry in entries))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise PlacementError(
            f"the journal {path} is damaged ({error}); it says which files were placed: mend it, or move them by hand"
        ) from None


def take_back(
    path: Path,
    *,
    dry_run: bool = False,
    aside: Path | None = None,
    step: Callable[[int], None] = lambda done: None,
) -> TakenBack:
    """Take the last placing back: moved files return, links and copies go, emptied folders go.

    A file stays, and is reported, where taking it back could lose something: it was changed since, its original is
    gone, or another file now lies where it came from. The journal keeps those entries, so that another try can be
    made; with `aside` they are moved into that folder instead, and the journal ends.

    Args:
        path: The journal.
        dry_run: Whether only to say what would be done.
        aside: Where to put links and copies that have to stay.
        step: Called with the number of files looked at.

    Raises:
        PlacementError: The journal is damaged.
    """
    journal = read_journal(path)
    if journal is None:
        return TakenBack(0, ())
    done = 0
    left: list[tuple[Entry, str]] = []
    for number, entry in enumerate(journal.entries, start=1):
        try:
            reason = _take_one_back(entry, journal.mode, dry_run=dry_run)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason is None:
            done += 1
        elif reason:
            left.append((entry, reason))
        step(number)
    if not dry_run:
        if aside is not None:
            _set_aside([entry for entry, _ in left], aside)
        _remove_empty_folders(from_text(journal.folder), journal.entries)
        if left and aside is None:
            _write_journal(Journal(journal.mode, journal.folder, tuple(entry for entry, _ in left)), path)
        else:
            path.unlink(missing_ok=True)
    return TakenBack(done, tuple((entry.target, reason) for entry, reason in left))


def _place_one(source: Path, target: Path, mode: str) -> str:
    """Place one file and return the way that worked; the next file starts with that one."""
    if os.path.lexists(target):
        raise FileExistsError(17, "a file of this name is there already", os.fspath(target))
    if mode == "move":
        _move(source, target)
        return mode
    if mode == "copy":
        with atomic_path(target) as draft:
            shutil.copy2(source, draft)
        return mode
    try:
        if mode == "symlink":
            # Relative links survive moving the folder that holds both images and workspace.
            os.symlink(_relative(source, target.parent), target)
        else:
            os.link(source.resolve(), target)
    except (OSError, NotImplementedError) as error:
        if not _is_unsupported(error):
            raise
        _LOG.warning("no %s possible here (%s): trying a %s", mode, error, _FALLBACK[mode])
        return _place_one(source, target, _FALLBACK[mode])
    return mode


def _move(source: Path, target: Path) -> None:
    if source.is_symlink():
        # A link that is moved must still point to its file.
        destination = os.path.abspath(source.parent / os.readlink(source))
        os.symlink(_relative(Path(destination), target.parent), target)
        source.unlink()
        return
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != 18 and getattr(error, "winerror", None) != 17:  # EXDEV, ERROR_NOT_SAME_DEVICE
            raise
        # Another disk: the original goes only when its copy is safely written.
        with atomic_path(target) as draft:
            shutil.copy2(source, draft)
        source.unlink()


def _take_one_back(entry: Entry, mode: PlaceMode, *, dry_run: bool) -> str | None:
    """Take one file back and return None; "" where there is nothing to do, else why it stays."""
    source, target = from_text(entry.source), from_text(entry.target)
    if not os.path.lexists(target):
        return ""
    if mode == "move":
        if os.path.lexists(source):
            # A kill in the middle of a move to another disk leaves the original beside a complete copy.
            if not _same_content(source, target):
                return "another file lies where it came from"
            if not dry_run:
                target.unlink()
            return None
        if not dry_run:
            source.parent.mkdir(parents=True, exist_ok=True)
            _move(target, source)
        return None
    if target.is_symlink():
        if os.path.realpath(target) != os.path.realpath(source):
            return "the link was changed"
    elif not source.exists():
        return "its original is gone, so this may be the last copy"
    elif not (_same_file(source, target) or _same_content(source, target)):
        return "it was changed"
    if not dry_run:
        target.unlink()
    return None


def _set_aside(entries: Iterable[Entry], folder: Path) -> None:
    for entry in entries:
        target = from_text(entry.target)
        home = folder / target.parent.name
        home.mkdir(parents=True, exist_ok=True)
        _move(target, home / _free_name(target.name, dict.fromkeys(_names_in(home), 1)))


def _same_file(first: Path, second: Path) -> bool:
    return os.path.samefile(first, second)


def _same_content(first: Path, second: Path) -> bool:
    import filecmp

    return filecmp.cmp(first, second, shallow=False)


def _remove_empty_folders(folder: Path, entries: Iterable[Entry]) -> None:
    # rmdir refuses folders that hold anything, which is what is wanted.
    homes = {from_text(entry.target).parent for entry in entries}
    for home in [*sorted(homes), folder]:
        with contextlib.suppress(OSError):
            home.rmdir()


def _relative(path: Path, start: Path) -> str:
    # Without links in either folder's path, ".." leads to where it seems to.
    path = path.parent.resolve() / path.name
    try:
        return os.path.relpath(path, start.resolve())
    except ValueError:  # two drives of Windows
        return os.fspath(path)


def _is_unsupported(error: BaseException) -> bool:
    """Say whether the file system or our rights on it do not allow this kind of link at all."""
    if isinstance(error, NotImplementedError):
        return True
    # EPERM, EXDEV, EMLINK, ENOTSUP (95, 45 on macOS), ENOSYS; 1314 is Windows' missing privilege.
    return getattr(error, "errno", None) in (1, 18, 31, 95, 45, 38) or getattr(error, "winerror", None) in (1, 17, 1314)


def _names_in(folder: Path) -> set[str]:
    try:
        return {_key(name) for name in os.listdir(folder)}
    except FileNotFoundError:
        return set()


def _free_name(name: str, taken: dict[str, int]) -> str:
    """Return `name`, or the first free numbered form of it, and note it; `taken` holds the last number of each."""
    wanted = _key(name)
    if wanted not in taken:
        taken[wanted] = 1
        return name
    stem, extension = os.path.splitext(name)
    while True:
        taken[wanted] += 1
        ending = f"_{taken[wanted]}{extension}"
        room = _NAME_BYTES - len(os.fsencode(ending))
        candidate = os.fsdecode(os.fsencode(stem)[:room]) + ending
        if _key(candidate) not in taken:
            taken[_key(candidate)] = 1
            return candidate


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _write_journal(journal: Journal, path: Path) -> None:
    def lines() -> Iterator[dict[str, Any]]:
        yield {"mode": journal.mode, "folder": journal.folder}
        for entry in journal.entries:
            yield {"source": entry.source, "target": entry.target}

    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines():
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
