"""Encoders of the Hugging Face hub: by the name of a row, or as ``hub:OWNER/REPO[@REVISION][:FILE]``.

The first use resolves the revision to a commit and pins it; each file is pinned when it is downloaded. Later uses make
no request.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

from imgcluster.encoders.hub import Repository, download, find_repository
from imgcluster.encoders.installed import (
    InstalledEncoder,
    PinnedFile,
    folder_of,
    installation_lock,
    pin,
    pinned,
    verified,
)
from imgcluster.encoders.named_encoders import NAMED_ENCODERS, NamedEncoder, TextTower
from imgcluster.encoders.onnx_graph import is_inside, read_graph
from imgcluster.encoders.preprocessing import compare_preprocessing, read_preprocessing
from imgcluster.encoders.source import EncoderSource, filled_in, with_defaults
from imgcluster.errors import EncoderError, UsageError
from imgcluster.options import EncoderOptions
from imgcluster.progress import OnProgress
from imgcluster.types import Precision

__all__ = [
    "PREPROCESSING_FILE",
    "TOKENIZER_FILE",
    "HubName",
    "TextSource",
    "hub_name",
    "hub_source",
    "text_source",
    "text_tower_of",
    "weights_of",
]

_LOG = logging.getLogger(__name__)

_SYNTAX: Final = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([^:@\s]+))?(?::(.+))?")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HubName:
    """What an encoder of the hub is called by.

    Attributes:
        name: The name in the lock file: that of a row, or without the file.
        repository: ``OWNER/REPO``.
        revision: A branch, tag or commit; None for the default branch.
        file: The ONNX file, if it is given.
        row: The row of `NAMED_ENCODERS`, if it is one.
    """

    name: str
    repository: str
    revision: str | None = None
    file: str | None = None
    row: NamedEncoder | None = None


def hub_name(text: str) -> HubName | None:
    """Return what the text that names an encoder means on the hub; None if it does not name one of the hub.

    Raises:
        UsageError: It begins with ``hub:`` but is not ``hub:OWNER/REPO[@REVISION][:FILE.onnx]``.
    """
    if text in NAMED_ENCODERS:
        row = NAMED_ENCODERS[text]
        return HubName(name=text, repository=row.repository, row=row)
    if not text.startswith("hub:"):
        return None
    match = _SYNTAX.fullmatch(text)
    repository, revision, file = match.groups() if match else ("", None, None)
    # The hub allows neither in names.
    if not match or any(part in f"{repository}@{revision}" for part in ("..", "--")):
        raise UsageError(
            f"{text} is not the name of an encoder; write hub:OWNER/REPO, hub:OWNER/REPO@REVISION or …:FILE.onnx"
        )
    if file is not None and not (file.endswith(".onnx") and is_inside(file)):
        raise UsageError(
            f"{file} of {repository} is not used: encoders are .onnx files, and nothing else is downloaded"
        )
    name = f"hub:{repository}" + (f"@{revision}" if revision else "")
    return HubName(name=name, repository=repository, revision=revision, file=file)


def hub_source(name: HubName, options: EncoderOptions, *, install: bool, on_progress: OnProgress) -> EncoderSource:
    """Return the source of an encoder of the hub.

    Args:
        name: What it is called by.
        options: The options given by the user.
        install: Whether it may be downloaded.
        on_progress: Called during downloads.

    Raises:
        EncoderError: It is not installed and may not be, or its repository has no ONNX file of images, or its
            preprocessing is not supported and the options do not replace it.
    """
    record = pinned(name.name)
    if record is None or (name.file is None and not record.available):
        if not install:
            raise EncoderError(f"{name.name} is not installed; imgcluster encoders pull {name.name}")
        record = _install(name, on_progress)
    if record.repository != name.repository:
        raise EncoderError(
            f"{name.name} was installed from {record.repository}, not {name.repository}; remove it first"
        )
    available = {_precision_of(name.file): name.file} if name.file else record.available
    if not install:
        available = {precision: file for precision, file in available.items() if file in record.files}
        if not available:
            raise EncoderError(f"{name.name} is not installed; imgcluster encoders pull {name.name}")
    precisions = cast("tuple[Precision, ...]", tuple(available))
    row = name.row
    facts: dict[str, Any] = {
        "version": record.commit[:12],
        "licence": row.license if row else record.license,
        "source": f"{record.repository} on the Hugging Face hub",
    }
    if row is not None:
        facts |= {"metric": row.metric, "trained_on": row.trained_on}
    return EncoderSource(
        name=name.name + (f":{name.file}" if name.file else ""),
        precisions=precisions,
        file_of=lambda precision: _file(name, available[precision], install, on_progress),
        reference=record.reference,
        checked=bool(record.reference),
        defaults=_defaults(name, record, options),
        facts=facts,
        row=row,
        from_hub=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """The files of an encoder's text part, of the same commit as its image part.

    Attributes:
        model: The ONNX file.
        tokenizer: The file ``tokenizer.json``.
        tower: What is known of the text part.
        folder: The folder of the encoder's files.
        commit: The commit.
        digest: A digest of both files.
    """

    model: Path
    tokenizer: Path
    tower: TextTower
    folder: Path
    commit: str
    digest: str


def text_tower_of(encoder: str) -> TextTower | None:
    """Return the text part of an encoder, given by the name or the repository of a row; None if it has none."""
    if encoder not in NAMED_ENCODERS and not encoder.startswith("hub:"):
        return None
    name = hub_name(encoder)
    assert name is not None
    rows = [row for row in NAMED_ENCODERS.values() if row.repository == name.repository]
    return rows[0].text if rows else None


def text_source(
    encoder: str, precision: Precision, *, commit: str, install: bool, on_progress: OnProgress
) -> TextSource | None:
    """Return the verified files of the text part of an encoder that is installed.

    Args:
        encoder: The encoder's name, which `text_tower_of` knows.
        precision: The precision of the text part.
        commit: The commit of the image part, or its first digits.
        install: Whether missing files may be downloaded; if not, None is returned where they are missing.
        on_progress: Called during downloads.

    Raises:
        EncoderError: A file cannot be downloaded or has changed, or the encoder is installed from another commit.
    """
    name, tower = hub_name(encoder), text_tower_of(encoder)
    assert name is not None
    assert tower is not None
    files = (TOKENIZER_FILE, tower.files[precision])
    record = pinned(name.name)
    if record is None or not all(_is_here(record, file) for file in files):
        if not install:
            return None
        record = record or _install(name, on_progress)
    if not record.commit.startswith(commit):
        raise EncoderError(
            f"the images were embedded with commit {commit} of {name.repository}, installed is {record.commit[:12]}: "
            "text and images of different commits cannot be compared; embed the images again with --fresh"
        )
    tokenizer, model = (_file(name, file, install, on_progress) for file in files)
    record = pinned(name.name)
    assert record is not None
    digest = hashlib.sha256("".join(record.files[file].sha256 for file in files).encode()).hexdigest()
    return TextSource(
        model=model,
        tokenizer=tokenizer,
        tower=tower,
        folder=folder_of(name.name),
        commit=record.commit,
        digest=digest,
    )


def _install(name: HubName, on_progress: OnProgress) -> InstalledEncoder:
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
            found = {
                precision: path
                for precision, suffixes in _SUFFIXES.items()
                for suffix in reversed(suffixes)
                if repository.has(path := f"{folder}{stem}{suffix}.onnx")
            }
            if found:
                return found
    others = sorted(entry for entry in repository.files or () if entry.endswith(".onnx"))
    if len(others) == 1:
        return {_precision_of(others[0]): others[0]}
    if not others:
        raise EncoderError(
            f"{repository.name} has no ONNX file, and other formats are not used; look for a repository with ONNX "
            "files, for example of onnx-community"
        )
    raise EncoderError(
        f"{repository.name} has several ONNX files; choose one: hub:{repository.name}:FILE with {', '.join(others)}"
    )


def _precision_of(file: str) -> Precision:
    stem = PurePosixPath(file).stem
    return next(
        (key for key, values in _SUFFIXES.items() for value in values if value and stem.endswith(value)), "fp32"
    )


def _file(name: HubName, file: str, install: bool, on_progress: OnProgress) -> Path:
    """Return a verified file, after downloading it, or a file with its weights, if one is not here.

    A pinned file that is missing is downloaded again, and must be what was pinned.
    """
    record = pinned(name.name)
    assert record is not None
    folder = folder_of(name.name)
    if _is_here(record, file):
        path = verified(record, file)
        weights = weights_of(folder, file) if file.endswith(".onnx") else []
        if all(_is_here(record, entry) for entry in weights):
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


def _is_here(record: InstalledEncoder, file: str) -> bool:
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
    if _is_here(record, file):
        verified(record, file)
        return record
    found: PinnedFile = download(record.repository, record.commit, file, target, record.files.get(file), on_progress)
    return replace(record, files={**record.files, file: found})


def _defaults(name: HubName, record: InstalledEncoder, options: EncoderOptions) -> EncoderOptions:
    """Return the preprocessing and pooling of an encoder of the hub."""
    row = name.row.options if name.row else EncoderOptions(pool=None)
    if PREPROCESSING_FILE not in record.files:
        return row
    path = verified(record, PREPROCESSING_FILE)
    try:
        stated = read_preprocessing(path)
    except EncoderError:
        # The user, or the row, may say all of it.
        said = with_defaults(options, row)
        if None in (said.mean, said.std, said.image_size):
            raise
        return row
    if name.row is not None:
        compare_preprocessing(name.name, row, stated)
    return filled_in(row, stated)
