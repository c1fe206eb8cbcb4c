"""The files of encoders of the Hugging Face hub: found in the repository, downloaded, pinned and verified."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from imgcluster.encoders.hub import Repository, download, find_repository
from imgcluster.encoders.hub_name import HubName
from imgcluster.encoders.installed import (
    InstalledEncoder,
    PinnedFile,
    folder_of,
    installation_lock,
    pin,
    pinned,
    verified,
)
from imgcluster.encoders.named_encoders import NamedEncoder
from imgcluster.encoders.onnx_graph import is_inside, read_graph
from imgcluster.errors import EncoderError
from imgcluster.progress import OnProgress
from imgcluster.types import Precision

__all__ = [
    "PREPROCESSING_FILE",
    "TOKENIZER_FILE",
    "install_encoder",
    "installed_file",
    "is_here",
    "precision_of",
    "weights_of",
]

_LOG = logging.getLogger(__name__)

PREPROCESSING_FILE: Final = "preprocessor_config.json"
TOKENIZER_FILE: Final = "tokenizer.json"

# The image part of a model comes before the whole model, which may need text, too.
_STEMS: Final = ("vision_model", "model")
_FOLDERS: Final = ("onnx/", "")
_SUFFIXES: Final[dict[Precision, tuple[str, ...]]] = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_quantized", "_int8"),
}


def install_encoder(name: HubName, on_progress: OnProgress) -> InstalledEncoder:
    """Resolve the revision, pin the commit, and download the preprocessing.

    A name with a file says nothing about which file the name without it means; that is found out when it is used.
    """
    with installation_lock():
        present = pinned(name.name)
        if present is not None and (name.file or present.available):
            return present
        revision = present.commit if present else name.revision
        candidates = tuple(name.row.files.values()) if name.row else (name.file,) if name.file else _candidates()
        repository = find_repository(name.repository, revision, candidates)
        available = {} if name.file else _available(repository, name.row)
        record = replace(
            present
            or InstalledEncoder(
                name=name.name,
                repository=name.repository,
                commit=repository.commit,
                license=repository.license,
                available={},
            ),
            available={str(precision): file for precision, file in available.items()},
        )
        if repository.has(PREPROCESSING_FILE):
            record = _download(record, PREPROCESSING_FILE, on_progress)
        pin(name.name, record)
    if name.row is None and present is None:
        _LOG.warning(
            "%s has the license %s; it is recorded with the encoder",
            name.repository,
            record.license or "that its page states (the card names none)",
        )
    return record


def _candidates() -> tuple[str, ...]:
    return tuple(f"{folder}{stem}.onnx" for folder in _FOLDERS for stem in _STEMS)


def _available(repository: Repository, row: NamedEncoder | None) -> dict[Precision, str]:
    """Return the ONNX file of each precision in a repository.

    Raises:
        EncoderError: There is none, or several and it is not clear which.
    """
    if row is not None:
        present = {precision: file for precision, file in row.files.items() if repository.has(file)}
        if not present:
            raise EncoderError(
                f"encoder {row.name} has the files {', '.join(row.files.values())}; its repository "
                f"{repository.name} has none of them at commit {repository.commit[:12]}"
            )
        return present
    for folder in _FOLDERS:
        for stem in _STEMS:
            available = {
                precision: path
                for precision, suffixes in _SUFFIXES.items()
                for suffix in reversed(suffixes)
                if repository.has(path := f"{folder}{stem}{suffix}.onnx")
            }
            if available:
                return available
    others = sorted(entry for entry in repository.files or () if entry.endswith(".onnx"))
    if len(others) == 1:
        return {precision_of(others[0]): others[0]}
    if not others:
        raise EncoderError(
            f"{repository.name} has no ONNX file, and other formats are not used; look for a repository with ONNX "
            "files, for example of onnx-community"
        )
    raise EncoderError(
        f"{repository.name} has several ONNX files; choose one: hub:{repository.name}:FILE with {', '.join(others)}"
    )


def precision_of(file: str) -> Precision:
    """Return the precision that the name of an ONNX file says, fp32 if it says none."""
    stem = PurePosixPath(file).stem
    return next(
        (key for key, values in _SUFFIXES.items() for value in values if value and stem.endswith(value)), "fp32"
    )


def installed_file(name: HubName, file: str, install: bool, on_progress: OnProgress) -> Path:
    """Return a verified file, after downloading it, or a file with its weights, if one is not here.

    A pinned file that is missing is downloaded again, and must be what was pinned.
    """
    record = pinned(name.name)
    assert record is not None
    folder = folder_of(name.name)
    if is_here(record, file):
        path = verified(record, file)
        weights = weights_of(folder, file) if file.endswith(".onnx") else []
        if all(is_here(record, entry) for entry in weights):
            for entry in weights:
                verified(record, entry)
            return path
    if not install:
        raise EncoderError(f"{file} of {name.name} is not installed; imgcluster encoders pull {name.name}")
    with installation_lock():
        record = _download(pinned(name.name) or record, file, on_progress)
        for entry in weights_of(folder, file) if file.endswith(".onnx") else []:
            record = _download(record, entry, on_progress)
        pin(name.name, record)
    return folder / file


def is_here(record: InstalledEncoder, file: str) -> bool:
    """Return whether a file of an encoder is pinned and present."""
    return file in record.files and (folder_of(record.name) / file).is_file()


def weights_of(folder: Path, file: str) -> list[str]:
    """Return the files that an ONNX file keeps weights in; all paths are relative to `folder`.

    Raises:
        EncoderError: They are outside the ONNX file's folder.
    """
    names = sorted(read_graph(folder / file).external_files)
    for name in names:
        if not is_inside(name):
            raise EncoderError(f"{file} refers to the file {name!r} outside its folder, which is refused")
    return [(PurePosixPath(file).parent / name).as_posix() for name in names]


def _download(record: InstalledEncoder, file: str, on_progress: OnProgress) -> InstalledEncoder:
    """Return the record with a file that is here: verified, or downloaded."""
    target = folder_of(record.name) / file
    if is_here(record, file):
        verified(record, file)
        return record
    pinned: PinnedFile = download(record.repository, record.commit, file, target, record.files.get(file), on_progress)
    return replace(record, files={**record.files, file: pinned})
