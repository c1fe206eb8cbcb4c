"""Encoders of the Hugging Face hub: by the name of a row, or as ``hub:OWNER/REPO[@REVISION][:FILE]``.

The first use resolves the revision to a commit and pins it; each file is pinned when it is downloaded. Later uses make
no request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from imgcluster.encoders.hub_files import (
    PREPROCESSING_FILE,
    TOKENIZER_FILE,
    install_encoder,
    installed_file,
    is_here,
    precision_of,
)
from imgcluster.encoders.hub_name import HubName, hub_name
from imgcluster.encoders.installed import InstalledEncoder, folder_of, pinned, verified
from imgcluster.encoders.named_encoders import NAMED_ENCODERS, TextTower
from imgcluster.encoders.preprocessing import compare_preprocessing, read_preprocessing
from imgcluster.encoders.source import EncoderSource, filled_in, with_defaults
from imgcluster.errors import EncoderError
from imgcluster.options import EncoderOptions
from imgcluster.progress import OnProgress
from imgcluster.types import Precision

__all__ = ["TextSource", "hub_source", "text_source", "text_tower_of"]


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
        record = install_encoder(name, on_progress)
    if record.repository != name.repository:
        raise EncoderError(
            f"{name.name} was installed from {record.repository}, not {name.repository}; remove it first"
        )
    available = {precision_of(name.file): name.file} if name.file else record.available
    if not install:
        available = {precision: file for precision, file in available.items() if file in record.files}
        if not available:
            raise EncoderError(f"{name.name} is not installed; imgcluster encoders pull {name.name}")
    precisions = cast("tuple[Precision, ...]", tuple(available))
    row = name.row
    facts: dict[str, Any] = {
        "version": record.commit[:12],
        "license": row.license if row else record.license,
        "source": f"{record.repository} on the Hugging Face hub",
    }
    if row is not None:
        facts |= {"metric": row.metric, "trained_on": row.trained_on}
    return EncoderSource(
        name=name.name + (f":{name.file}" if name.file else ""),
        precisions=precisions,
        file_of=lambda precision: installed_file(name, available[precision], install, on_progress),
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
    if record is None or not all(is_here(record, file) for file in files):
        if not install:
            return None
        record = record or install_encoder(name, on_progress)
    if not record.commit.startswith(commit):
        raise EncoderError(
            f"the images were embedded with commit {commit} of {name.repository}, installed is {record.commit[:12]}: "
            "text and images of different commits cannot be compared; embed the images again with --fresh"
        )
    tokenizer, model = (installed_file(name, file, install, on_progress) for file in files)
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
