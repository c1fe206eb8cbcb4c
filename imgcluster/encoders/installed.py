"""The downloaded encoders: their files in the user's encoder folder, and the lock file that pins them.

``hub.lock.json`` has the commit of each encoder's repository and the size and SHA-256 of each file. Files are compared
with it at every use, and a name never gets other content than that: not from the hub, and not from a tar.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from imgcluster.encoders.onnx_graph import is_inside
from imgcluster.encoders.registry import user_folder
from imgcluster.errors import EncoderError
from imgcluster.fileio.atomic import write_json
from imgcluster.fileio.digests import update_from_file
from imgcluster.fileio.locks import take_lock
from imgcluster.fileio.schema import check, parse_json
from imgcluster.types import PRECISIONS

__all__ = [
    "LOCK_FILE",
    "InstalledEncoder",
    "PinnedFile",
    "folder_of",
    "from_json",
    "installation_lock",
    "installed_encoders",
    "pin",
    "pinned",
    "pinned_file",
    "to_json",
    "verified",
]

LOCK_FILE: Final = "hub.lock.json"
_FOLDER: Final = "hub"
_VERSION: Final = 1

_NAME: Final = re.compile(r"(?:hub:[\w.-]+/[\w.-]+(?:@[^:@\s]+)?|[\w.-]+)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

_ENTRY: Final = {
    "repository": str,
    "commit": str,
    "license": str,
    "available": {str: str},
    "files": {str: {"size": int, "sha256": str}},
    "reference?": str,
    "pairing?": {str: float},
}


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """The size in bytes and the SHA-256 (hexadecimal) of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledEncoder:
    """A downloaded encoder, as the lock file describes it.

    Attributes:
        name: A name of `NAMED_ENCODERS`, or ``hub:OWNER/REPO[@REVISION]``.
        repository: ``OWNER/REPO``.
        commit: The commit that the files are of.
        license: The license that the repository states; empty if it states none.
        available: The ONNX file of each precision in the repository.
        files: The files that are here, by their path in the repository.
        reference: The fp32 vectors of `precision.reference_images`, as text; empty until they were computed.
        pairing: The share of plain colors whose image is matched with its name, for each precision of the text part;
            empty until it was computed.
    """

    name: str
    repository: str
    commit: str
    license: str
    available: Mapping[str, str]
    files: Mapping[str, PinnedFile] = field(default_factory=dict)
    reference: str = ""
    pairing: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The size of the files in bytes."""
        return sum(file.size for file in self.files.values())


def folder_of(name: str) -> Path:
    """Return the folder of a downloaded encoder's files. It may not exist."""
    plain = name.removeprefix("hub:").replace("%", "%25")
    # A repository's name has no "--".
    owner, slash, rest = plain.partition("/")
    return user_folder() / _FOLDER / (f"{owner}--{rest.replace('/', '%2F')}" if slash else plain)


@contextmanager
def installation_lock() -> Iterator[None]:
    """Wait until no other process changes the downloaded encoders, and keep others waiting."""
    folder = user_folder() / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder / ".lock", seconds=-1)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def installed_encoders() -> dict[str, InstalledEncoder]:
    """Return the downloaded encoders by name.

    Raises:
        EncoderError: The lock file is damaged.
    """
    path = user_folder() / LOCK_FILE
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"), {"imgcluster_lock": object})
        if content["imgcluster_lock"] != _VERSION:
            raise EncoderError(f"{path} has version {content['imgcluster_lock']}; update imgcluster")
        check(content, {"encoders": {str: object}})
        return {name: from_json(name, value) for name, value in sorted(content["encoders"].items())}
    except (OSError, ValueError):
        raise EncoderError(
            f"{path} is damaged; restore it, or remove it and the folder {_FOLDER} beside it to download again"
        ) from None


def pinned(name: str) -> InstalledEncoder | None:
    """Return a downloaded encoder; None if there is none of this name."""
    return installed_encoders().get(name)


def pin(name: str, encoder: InstalledEncoder | None) -> None:
    """Replace the entry of an encoder in the lock file, or remove it; call it only within `installation_lock`."""
    entries = installed_encoders()
    entries.pop(name, None)
    if encoder is not None:
        entries[name] = encoder
    encoders = {name: to_json(entry) for name, entry in sorted(entries.items())}
    write_json(user_folder() / LOCK_FILE, {"imgcluster_lock": _VERSION, "encoders": encoders})


def verified(encoder: InstalledEncoder, file: str) -> Path:
    """Return the path of a downloaded file after comparing its content with the lock file.

    Raises:
        EncoderError: The file is missing or has other content.
    """
    path = folder_of(encoder.name) / file
    expected = encoder.files[file]
    remedy = f"imgcluster encoders remove {encoder.name}, then imgcluster encoders pull {encoder.name}"
    if not path.is_file():
        raise EncoderError(f"{path} of encoder {encoder.name} is missing; {remedy}")
    pinned = pinned_file(path)
    if pinned != expected:
        raise EncoderError(
            f"{path} of encoder {encoder.name} has changed: its SHA-256 is {pinned.sha256}, pinned is "
            f"{expected.sha256}; it is not used: {remedy}"
        )
    return path


def pinned_file(path: Path) -> PinnedFile:
    """Return the size and SHA-256 of a file."""
    digest = hashlib.sha256()
    size = update_from_file(digest.update, path)
    return PinnedFile(size, digest.hexdigest())


def to_json(encoder: InstalledEncoder) -> dict[str, Any]:
    """Return the entry of the lock file, without the name, which is its key."""
    entry = {key: value for key, value in asdict(replace(encoder, files={})).items() if key not in ("name", "files")}
    return {**entry, "files": {name: asdict(file) for name, file in sorted(encoder.files.items())}}


def from_json(name: str, entry: Any) -> InstalledEncoder:
    """Return what `to_json` wrote, checked: it may be from a stranger.

    Raises:
        ValueError: It is not valid.
    """
    check(entry, _ENTRY)
    encoder = InstalledEncoder(
        name=name,
        repository=entry["repository"],
        commit=entry["commit"],
        license=entry["license"],
        available=dict(entry["available"]),
        files={key: PinnedFile(value["size"], value["sha256"]) for key, value in entry["files"].items()},
        reference=entry.get("reference", ""),
        pairing={key: float(value) for key, value in entry.get("pairing", {}).items()},
    )
    if not (_NAME.fullmatch(name) and ".." not in name and _COMMIT.fullmatch(encoder.commit)):
        raise ValueError(name)
    for precision, file in encoder.available.items():
        if not (precision in PRECISIONS and is_inside(file) and file.endswith(".onnx")):
            raise ValueError(file)
    for file, value in encoder.files.items():
        if not (is_inside(file) and _SHA256.fullmatch(value.sha256) and value.size >= 0):
            raise ValueError(file)
    return encoder
