"""`encoders list` and `encoders info`: the available encoders and their descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgcluster.encoders.encoder import Encoder
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.registry import bundled_folder, card_of, find_encoder, list_encoders, shadowed_encoders
from imgcluster.errors import ImgclusterError
from imgcluster.fileio.path_text import to_text

__all__ = ["EncoderEntry", "encoder_info", "encoder_list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderEntry:
    """One encoder.

    Attributes:
        name: The name for ``--encoder``.
        file: The ONNX file.
        bundled: Whether it comes with imgcluster.
        info: Its description; None if it cannot be used.
        problem: Why it cannot be used; empty if it can.
        card: Its model card (Markdown); empty if it has none.
        shadowed: Whether a bundled encoder has the same name, so that this one must be given by its path.
        outputs: The outputs of its graph with their shapes, as text.
    """

    name: str
    file: str
    bundled: bool
    info: EncoderInfo | None
    problem: str
    card: str
    shadowed: bool = False
    outputs: tuple[str, ...] = ()


def encoder_list() -> tuple[EncoderEntry, ...]:
    """Return all encoders by name: the bundled ones and those in the user's folder, also those that are shadowed."""
    files = [(name, path, False) for name, path in list_encoders().items()]
    files += [(name, path, True) for name, path in shadowed_encoders().items()]
    entries = []
    # By name, and the bundled file before the one that it shadows, wherever they lie.
    for name, path, shadowed in sorted(files, key=lambda file: (file[0], file[2])):
        try:
            entries.append(_entry(name, path, Encoder(path, device="cpu"), shadowed=shadowed))
        except ImgclusterError as error:
            entries.append(_entry(name, path, None, shadowed=shadowed, problem=str(error)))
    return tuple(entries)


def encoder_info(name: str) -> EncoderEntry:
    """Return one encoder, by name or file.

    Raises:
        UsageError: No encoder has this name, or the file does not exist.
        EncoderError: It cannot be used.
    """
    path = find_encoder(name)
    return _entry(path.stem, path, Encoder(path, device="cpu"), shadowed=path in shadowed_encoders().values())


def _entry(name: str, path: Path, encoder: Encoder | None, *, shadowed: bool, problem: str = "") -> EncoderEntry:
    return EncoderEntry(
        name=name,
        file=to_text(path),
        bundled=path.parent == bundled_folder(),
        info=encoder.info if encoder else None,
        problem=problem,
        card=card_of(path),
        shadowed=shadowed,
        outputs=encoder.outputs if encoder else (),
    )
