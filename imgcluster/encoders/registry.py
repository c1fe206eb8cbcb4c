"""Encoders by name: the bundled ones and the user's own, and what each says about itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from imgcluster.errors import UsageError

__all__ = ["DEFAULT_ENCODER", "bundled_folder", "card_of", "find_encoder", "list_encoders", "user_folder"]

DEFAULT_ENCODER: Final = "photos"

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_DECODER_SUFFIX: Final = ".decoder.onnx"


def bundled_folder() -> Path:
    """Return the folder of the encoders that come with imgcluster.

    It lies inside the package in a wheel, and beside it in a source tree or an editable install.
    """
    inside = _PACKAGE / "exported"
    return inside if inside.is_dir() else _PACKAGE.parent / "exported"


def user_folder() -> Path:
    """Return the folder of the user's own encoders; ``IMGCLUSTER_ENCODERS`` names another. It may not exist."""
    told = os.environ.get("IMGCLUSTER_ENCODERS")
    if told:
        return Path(told)
    from platformdirs import user_data_path

    return user_data_path("imgcluster", appauthor=False) / "encoders"


def list_encoders() -> dict[str, Path]:
    """Return all encoders by name, sorted; one of the user's goes before a bundled one of the same name."""
    found = dict(_in_folder(bundled_folder()))
    found.update(_in_folder(user_folder()))
    return dict(sorted(found.items()))


def find_encoder(name: str | os.PathLike[str]) -> Path:
    """Return the ONNX file of an encoder given by name or as a file.

    Raises:
        UsageError: No encoder has this name, or the file is not there.
    """
    text = os.fspath(name)
    if text.lower().endswith(".onnx") or os.sep in text or (os.altsep and os.altsep in text):
        path = Path(text)
        if not path.is_file():
            raise UsageError(f"there is no encoder file {text}; give an .onnx file or one of: {_names()}")
        return path
    encoders = list_encoders()
    if text not in encoders:
        raise UsageError(f"encoder {text!r} is unknown; there are: {_names()} (or give an .onnx file)")
    return encoders[text]


def card_of(path: Path) -> str:
    """Return the text of the card that lies beside an encoder; empty where there is none."""
    card = path.with_suffix(".md")
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""


def _in_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    if folder.is_dir():
        for path in folder.glob("*.onnx"):
            if not path.name.endswith(_DECODER_SUFFIX):
                yield path.stem, path


def _names() -> str:
    return ", ".join(list_encoders()) or "none"
