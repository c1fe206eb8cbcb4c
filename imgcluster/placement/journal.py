"""The journal of a placement: the source and target of each file, stored until the placement is undone."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from imgcluster.errors import PlacementError, UsageError
from imgcluster.fileio.atomic import atomic_path, is_link
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import from_text, join, relative_to, to_text
from imgcluster.fileio.regular import bounded_lines
from imgcluster.fileio.schema import parse_json, quoted
from imgcluster.fileio.signature import is_signature, sign
from imgcluster.types import PLACE_MODES, PlaceMode
from imgcluster.wording import counted, quoted_argument

__all__ = [
    "CLUSTERS_FOLDER",
    "UNFINISHED",
    "WITHOUT_FILES",
    "Entry",
    "Journal",
    "check_mode",
    "check_signed",
    "choose_mode",
    "one_per_source",
    "read_journal",
    "write_journal",
]

_HEAD: Final = {"mode": frozenset(PLACE_MODES), "folder": str, "signature?": str}
_ENTRY: Final = {"source": str, "target": str}
_SHOWN: Final = 3

UNFINISHED: Final = "unfinished.txt"
"""The file of a workspace with the path of the temporary file that is being written in another folder."""

WITHOUT_FILES: Final = ("manifest", "none")
"""The modes that write no files: what lies where a manifest says that an image belongs, somebody else put there."""

CLUSTERS_FOLDER: Final = "clusters"
"""The folder of a workspace for placed files; it has one folder per cluster."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a placement; both paths are absolute texts."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Journal:
    """A placement; `folder` contains the folders of all clusters.

    It is `signed` if this user made it, or allows that files move from and to the folders of its sources.
    """

    mode: PlaceMode
    folder: str
    entries: tuple[Entry, ...]
    signed: bool = True


def check_mode(mode: str | None, url: str | None = None) -> PlaceMode | None:
    """Return `mode` if it is a placement mode, or None.

    Args:
        mode: The mode.
        url: The address of the workspace, if it is in object storage, where no files can be placed.

    Raises:
        UsageError: It is neither, or not possible there.
    """
    if mode is not None and mode not in PLACE_MODES:
        raise UsageError(f"placement mode {mode!r} is unknown; choose one of {', '.join(PLACE_MODES)}")
    if url and mode not in (None, *WITHOUT_FILES):
        raise UsageError(
            f"--place {mode} is not possible in {url}; choose --place {' or '.join(WITHOUT_FILES)}. After manifest, "
            f"imgcluster export -w {url} -o s3://… makes copies"
        )
    return mode  # type: ignore[return-value]


def choose_mode(
    requested: PlaceMode | None,
    journal: Journal | None,
    locations: Iterable[str],
    *,
    last: object = None,
    url: str | None = None,
) -> PlaceMode:
    """Return the requested mode; without one that of the present placement, or ``none`` if `last`, the last mode, is.

    The first placement is by ``symlink``, or by ``manifest`` if none of the images at `locations` is a file, or if the
    workspace is in object storage, at `url`.

    Raises:
        UsageError: Files would be moved because of a journal that is not signed.
    """
    if requested is None and journal is not None and journal.mode == "move" and not journal.signed:
        raise UsageError(
            "the images of this workspace were moved by another user or computer, or your key of that time is lost; "
            "say with --place whether further ones are moved, such as --place move"
        )
    if requested or journal is not None:
        return requested or cast(Journal, journal).mode
    if last == "none":
        return "none"
    return "manifest" if url or all(map(url_of, locations)) else "symlink"


def read_journal(
    path: Path, embedded: Container[str], *, workspace: Path | None = None, folder: str = CLUSTERS_FOLDER
) -> Journal | None:
    """Return the journal of the last placement; None if nothing is placed.

    Targets are stored relative to the workspace, so that it can be renamed or moved. Because a journal may be forged,
    all entries are checked before any is used. Images leave a workspace, so a source that is not embedded is allowed in
    a signed journal of moved originals, and where no file is at either path.

    Args:
        path: The journal's file.
        embedded: The absolute paths, as texts, of the workspace's embedded images.
        workspace: The workspace folder, if the file is elsewhere.
        folder: The name of the folder of the placed files in the workspace.

    Raises:
        PlacementError: The format is invalid, a target is not a file in a folder of `folder`, or a source is neither
            an embedded image nor one of those that are allowed above.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = bounded_lines(file)
            head = parse_json(next(lines, ""), _HEAD)
            entries = [parse_json(line, _ENTRY) for line in lines]
        workspace = Path(os.path.abspath(workspace or path.parent))
        if head["folder"] != folder:
            raise ValueError(f"its folder is {quoted(head['folder'])}, not {folder!r}")
        checked = tuple(_checked(entry, workspace, folder) for entry in entries)
        for parent in sorted({workspace / folder, *(from_text(entry.target).parent for entry in checked)}):
            if is_link(parent):
                raise ValueError(f"{parent} is a link, which is not followed")
        moved = head["mode"] == "move"
        signed = moved and is_signature(head.get("signature", ""), _signed_texts(head["mode"], entries))
        for entry in () if signed else checked:
            if entry.source not in embedded and not (moved and _is_lost(entry)):
                raise ValueError(f"the source {quoted(entry.source)} is not an embedded image of this workspace")
        return Journal(head["mode"], to_text(workspace / folder), checked, signed or not moved)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PlacementError(
            f"the journal {path} is damaged ({error}); nothing was changed. It records the original paths of placed "
            "files: repair it, or delete it to continue without undo"
        ) from None


def _checked(entry: dict[str, str], workspace: Path, folder: str) -> Entry:
    """Return an entry with its absolute target.

    Raises:
        ValueError: The target is not a file in a folder of `folder`, or is the source.
    """
    source, target = entry["source"], entry["target"]
    parts = target.split("/")
    if len(parts) != 3 or parts[0] != folder or not all(map(_is_plain_name, parts)):
        raise ValueError(f"the target {quoted(target)} is not a file in a folder of {folder}/")
    absolute = join(to_text(workspace), target)
    if source == absolute:
        raise ValueError(f"the source {quoted(source)} is its own target")
    return Entry(source, absolute)


def _is_lost(entry: Entry) -> bool:
    """Return whether no file is at either path of an entry."""
    return not any(os.path.lexists(from_text(path)) for path in (entry.source, entry.target))


def _is_plain_name(name: str) -> bool:
    """Return whether `name` is a single path component on every operating system."""
    native = os.fspath(from_text(name)) if name not in ("", ".", "..") else ""
    return bool(native) and "\0" not in native and os.path.basename(native) == native and native not in (".", "..")


def one_per_source(entries: Iterable[Entry]) -> list[Entry]:
    """Return one entry per source: after an interrupted relocation there are two, and the file is at one target."""
    current: dict[str, Entry] = {}
    for entry in entries:
        if entry.source not in current or not os.path.lexists(from_text(current[entry.source].target)):
            current[entry.source] = entry
    return list(current.values())


def check_signed(journal: Journal, path: Path, sources: Iterable[str]) -> None:
    """Check that files may move from or to the paths `sources`, since a journal of a stranger can name any path.

    Args:
        journal: The journal, at `path`.
        path: Its file, in the workspace folder.
        sources: The original paths of the files that would move; looked at only if the journal is not signed.

    Raises:
        PlacementError: The journal is not signed, and there are such files.
    """
    folders = sorted({source.rpartition("/")[0] for source in sources}) if not journal.signed else []
    if folders:
        shown = ", ".join(folders[:_SHOWN]) + (", …" if len(folders) > _SHOWN else "")
        raise PlacementError(
            f"{path} says that images were moved from {counted(len(folders), 'folder')} ({shown}), but is not "
            "signed with your key: another user or computer moved them, or the key is lost. Nothing was changed. If "
            "these are folders of your images, move them back with "
            f"imgcluster undo --trust -w {quoted_argument(str(path.parent))}"
        )


def write_journal(journal: Journal, path: Path) -> None:
    """Replace the journal at `path`."""
    workspace = to_text(os.path.abspath(path.parent))
    entries = [{"source": entry.source, "target": relative_to(entry.target, workspace)} for entry in journal.entries]
    head = {"mode": journal.mode, "folder": relative_to(journal.folder, workspace)}
    if journal.mode == "move" and journal.signed:
        head["signature"] = sign(_signed_texts(journal.mode, entries))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for line in (head, *entries):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _signed_texts(mode: str, entries: Iterable[dict[str, str]]) -> Iterator[str]:
    yield mode
    for entry in entries:
        yield from (entry["source"], entry["target"])
