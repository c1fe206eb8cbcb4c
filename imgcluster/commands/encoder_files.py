"""`encoders pull`, `remove`, `export` and `import`: the encoders of the hub on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from imgcluster.commands.encoders import EncoderEntry, entry_of
from imgcluster.commands.support.text import open_text, require_text
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.installed import (
    InstalledEncoder,
    folder_of,
    installation_lock,
    installed_encoders,
    pin,
    pinned,
)
from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.registry import bundled_encoders, list_encoders
from imgcluster.encoders.tar import export_encoder, import_encoder
from imgcluster.encoders.text_encoder import WORD_VECTORS
from imgcluster.errors import UsageError
from imgcluster.fileio.atomic import remove_if_empty
from imgcluster.fileio.path_text import to_text
from imgcluster.progress import OnProgress, ignore_progress

__all__ = ["EncoderFiles", "encoder_export", "encoder_import", "encoder_pull", "encoder_remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFiles:
    """A downloaded encoder that was removed, exported or imported.

    Attributes:
        name: Its name.
        commit: The commit of its repository.
        license: The license that the repository states; empty if it states none.
        file: The tar file; empty after `encoder_remove`.
        files: The number of its files.
        size: Their size in bytes.
    """

    name: str
    commit: str
    license: str
    file: str
    files: int
    size: int


def encoder_pull(
    name: str, *, precision: str = "auto", text: bool = False, on_progress: OnProgress = ignore_progress
) -> EncoderEntry:
    """Download an encoder of the hub, verify it and run a trial batch.

    Args:
        name: A name of ``encoders list``, or ``hub:OWNER/REPO[@REVISION][:FILE]``.
        precision: ``fp32``, ``fp16``, ``int8``, or ``auto`` for the one that this machine runs by default.
        text: Whether to download the text part, too.
        on_progress: Called with the megabytes that are there.

    Raises:
        UsageError: The name is not that of an encoder of the hub, or it has no text part.
        EncoderError: It cannot be downloaded, verified or run.
    """
    if hub_name(name) is None:
        if name in list_encoders():
            raise UsageError(f"{name} is on this machine already; only encoders of the hub are downloaded")
        raise UsageError(
            f"{name!r} is not an encoder of the hub; choose one of {', '.join(NAMED_ENCODERS)}, or hub:OWNER/REPO"
        )
    if text:
        require_text(name)
    encoder = PixelEncoder(name, precision=precision, on_progress=on_progress)
    if text:
        open_text(encoder.info, on_progress=on_progress)
    return entry_of(encoder, name)


def encoder_remove(name: str) -> EncoderFiles:
    """Remove a downloaded encoder: the files that were downloaded, and its entry in the lock file.

    Raises:
        UsageError: No downloaded encoder has this name.
    """
    with installation_lock():
        encoder = _installed(name)
        folder = folder_of(name)
        # First the entry: without it, the files are only leftovers.
        pin(name, None)
        leftovers = (*folder.rglob("*.part"), *folder.glob(WORD_VECTORS))
        for path in (*(folder / file for file in encoder.files), *leftovers):
            path.unlink(missing_ok=True)
        for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            remove_if_empty(path)
        remove_if_empty(folder)
    return _files(encoder, "")


def encoder_export(name: str, file: str | os.PathLike[str] | None = None) -> EncoderFiles:
    """Write a downloaded encoder to a tar file, for a machine without network.

    Args:
        name: Its name.
        file: The tar file; by default ``NAME.tar`` in the current folder.

    Raises:
        UsageError: No downloaded encoder has this name, or the file exists.
        EncoderError: A file of the encoder has changed.
    """
    encoder = _installed(name)
    target = Path(file) if file else Path(folder_of(name).name + ".tar")
    if target.exists():
        raise UsageError(f"{target} exists; give another file, or remove it")
    export_encoder(encoder, target)
    return _files(encoder, to_text(target))


def encoder_import(file: str | os.PathLike[str]) -> EncoderFiles:
    """Install the encoder of a tar file that `encoder_export` wrote.

    Raises:
        UsageError: The file does not exist.
        EncoderError: It is damaged, not such a file, or has other content than is installed under that name.
    """
    if not Path(file).is_file():
        raise UsageError(f"there is no file {to_text(file)}")
    return _files(import_encoder(Path(file)), to_text(file))


def _installed(name: str) -> InstalledEncoder:
    encoder = pinned(name)
    if encoder is None:
        if name in bundled_encoders():
            raise UsageError(f"encoder {name} comes with imgcluster, so it needs no export and cannot be removed")
        names = ", ".join(installed_encoders()) or "none"
        raise UsageError(f"no downloaded encoder is called {name!r}; downloaded are: {names}")
    return encoder


def _files(encoder: InstalledEncoder, file: str) -> EncoderFiles:
    return EncoderFiles(
        name=encoder.name,
        commit=encoder.commit,
        license=encoder.license,
        file=file,
        files=len(encoder.files),
        size=encoder.size,
    )
