"""`encoders list` and `encoders info`: which encoders there are and what they say about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgcluster.encoders.encoder import describe
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.registry import bundled_folder, card_of, find_encoder, list_encoders
from imgcluster.errors import ImgclusterError
from imgcluster.fileio.path_text import to_text

__all__ = ["EncoderEntry", "encoder_info", "encoder_list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderEntry:
    """One encoder: its `name`, file, whether it came with imgcluster, what it says, and its card (Markdown).

    `info` is None where the file cannot be used; `problem` then says why.
    """

    name: str
    file: str
    bundled: bool
    info: EncoderInfo | None
    problem: str
    card: str


def encoder_list() -> tuple[EncoderEntry, ...]:
    """Return all encoders, by name: the bundled ones and those in the user's own folder."""
    entries = []
    for name, path in list_encoders().items():
        try:
            entries.append(_entry(name, path, describe(path), ""))
        except ImgclusterError as error:
            entries.append(_entry(name, path, None, str(error)))
    return tuple(entries)


def encoder_info(name: str) -> EncoderEntry:
    """Return one encoder, by name or file.

    Raises:
        UsageError: There is none of this name.
        EncoderError: It cannot be used.
    """
    path = find_encoder(name)
    info = describe(path)
    return _entry(path.stem, path, info, "")


def _entry(name: str, path: Path, info: EncoderInfo | None, problem: str) -> EncoderEntry:
    return EncoderEntry(
        name=name,
        file=to_text(path),
        bundled=path.parent == bundled_folder(),
        info=info,
        problem=problem,
        card=card_of(path),
    )
