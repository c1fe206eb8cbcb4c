"""Downloaded encoders as tar files, for machines without network.

The first member describes the encoder as the lock file does; the others are its files under ``files/``. A tar is data
from a stranger: nothing but regular files that its description names is written, and only into the encoder's folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from imgcluster.encoders.hub_files import PREPROCESSING_FILE, TOKENIZER_FILE, weights_of
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.installed import (
    InstalledEncoder,
    PinnedFile,
    folder_of,
    from_json,
    installation_lock,
    pin,
    pinned,
    to_json,
    verified,
)
from imgcluster.errors import EncoderError
from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.schema import check, parse_json

__all__ = ["export_encoder", "import_encoder"]

_DESCRIPTION: Final = "imgcluster-encoder.json"
_FILES: Final = "files/"
_VERSION: Final = 1
_MAX_DESCRIPTION: Final = 1 << 20
_BLOCK: Final = 1 << 20


def export_encoder(encoder: InstalledEncoder, target: Path) -> None:
    """Write a downloaded encoder to the tar file `target`; the same encoder gives the same bytes.

    Raises:
        EncoderError: A file has changed or is missing.
    """
    description = {"imgcluster_encoder": _VERSION, "name": encoder.name, **to_json(encoder)}
    text = json.dumps(description, indent=2, sort_keys=True).encode()
    with atomic_path(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_member(_DESCRIPTION, len(text)), io.BytesIO(text))
        for name, file in sorted(encoder.files.items()):
            with verified(encoder, name).open("rb") as stream:
                tar.addfile(_member(_FILES + name, file.size), stream)


def import_encoder(source: Path) -> InstalledEncoder:
    """Install the encoder of a tar file that `export_encoder` wrote.

    Raises:
        EncoderError: It is not such a file, has members that it does not describe, or content other than it describes
            or than is installed under that name.
    """
    with _explained(source), tarfile.open(source, "r:") as tar:
        encoder = _describe(tar)
        _check_name(encoder)
        folder = folder_of(encoder.name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with installation_lock(), _import_folder(folder.parent) as temporary:
            present = pinned(encoder.name)
            _check_present(encoder, present)
            _extract(tar, encoder, temporary)
            _check_files(encoder, temporary)
            for name in encoder.files:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(temporary / name, target)
            if present is not None:
                encoder = replace(encoder, files={**present.files, **encoder.files})
            pin(encoder.name, encoder)
    return encoder


@contextlib.contextmanager
def _import_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder, which is removed at the end, after one that a killed process left."""
    folder = parent / ".import"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class _Invalid(Exception):  # noqa: N818 - explained by its caller
    """The tar is not one of ours; the message says why."""


@contextlib.contextmanager
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except _Invalid as reason:
        raise EncoderError(f"{source} is not imported: {reason}; nothing was changed") from None
    except (tarfile.TarError, EOFError) as error:
        raise EncoderError(
            f"{source} is not a tar file of imgcluster encoders export, or is damaged ({error}); nothing was changed"
        ) from None


def _member(name: str, size: int) -> tarfile.TarInfo:
    # Without time and owner, which would differ from run to run.
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _describe(tar: tarfile.TarFile) -> InstalledEncoder:
    first = tar.next()
    if first is None or first.name != _DESCRIPTION or not first.isreg() or first.size > _MAX_DESCRIPTION:
        raise _Invalid(f"its first member is not {_DESCRIPTION}")
    try:
        content = parse_json(_open(tar, first).read().decode(), {"imgcluster_encoder": object})
        if content["imgcluster_encoder"] != _VERSION:
            raise _Invalid(f"its version is {content['imgcluster_encoder']}, known is {_VERSION}; update imgcluster")
        check(content, {"name": str})
        return from_json(content["name"], content)
    except ValueError:
        raise _Invalid(f"its {_DESCRIPTION} is not valid") from None


def _check_name(encoder: InstalledEncoder) -> None:
    name = hub_name(encoder.name)
    if name is None or name.file is not None or name.repository != encoder.repository:
        raise _Invalid(f"{encoder.repository} is not the repository of {encoder.name}")


def _check_present(encoder: InstalledEncoder, present: InstalledEncoder | None) -> None:
    if present is None:
        return
    same = present.commit == encoder.commit and all(
        present.files.get(name, file) == file for name, file in encoder.files.items()
    )
    if not same:
        raise _Invalid(
            f"{encoder.name} is installed with other content (commit {present.commit[:12]}, the tar has "
            f"{encoder.commit[:12]}); remove it first: imgcluster encoders remove {encoder.name}"
        )


def _extract(tar: tarfile.TarFile, encoder: InstalledEncoder, folder: Path) -> None:
    missing = dict(encoder.files)
    while (member := tar.next()) is not None:
        expected = missing.pop(member.name.removeprefix(_FILES), None) if member.name.startswith(_FILES) else None
        if expected is None or not member.isreg():
            raise _Invalid(f"its member {member.name!r} is not a file that it describes")
        if member.size != expected.size:
            raise _Invalid(f"its member {member.name!r} has {member.size} bytes, described are {expected.size}")
        target = folder / member.name.removeprefix(_FILES)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as stream, _open(tar, member) as content:
            while block := content.read(_BLOCK):
                digest.update(block)
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        if PinnedFile(member.size, digest.hexdigest()) != expected:
            raise _Invalid(f"the SHA-256 of {member.name!r} is {digest.hexdigest()}, described is {expected.sha256}")
    if missing:
        raise _Invalid(f"{', '.join(sorted(missing))} is missing")


def _check_files(encoder: InstalledEncoder, folder: Path) -> None:
    """Check that every file is a model, the weights of one, its preprocessing, or its tokenizer."""
    models = [name for name in encoder.files if name.endswith(".onnx")]
    weights = (file for name in models for file in weights_of(folder, name))
    known = {PREPROCESSING_FILE, TOKENIZER_FILE, *models, *weights}
    if not models:
        raise _Invalid("it has no ONNX file")
    if unknown := sorted(set(encoder.files) - known):
        raise _Invalid(f"{', '.join(unknown)} is neither a model nor the weights of one")


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content
