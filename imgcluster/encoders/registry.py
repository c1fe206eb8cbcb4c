"""The registry of encoders: the bundled ones and the user's own, by name.

To bundle an encoder, put its files into the folder ``exported`` at the top of the repository: nothing here changes.
``NAME.onnx``, ``NAME.fp16.onnx`` and ``NAME.int8.onnx`` are one encoder in several precisions; one of them is enough.

A bundled name always means the bundled encoder. A file of the same name in the user's folder is shadowed: it is used
only if it is given as a path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.precision import split_precision
from imgcluster.errors import UsageError
from imgcluster.types import PRECISIONS, Precision

__all__ = [
    "bundled_encoders",
    "bundled_folder",
    "card_of",
    "find_encoder",
    "is_file_name",
    "is_same_file",
    "list_encoders",
    "precision_files",
    "shadowed_encoders",
    "user_folder",
]


_PACKAGE: Final = Path(__file__).resolve().parent.parent
_DECODER_SUFFIX: Final = ".decoder.onnx"


def bundled_folder() -> Path:
    """Return the folder of the bundled encoders: inside the package in a wheel, beside it in a source tree."""
    inside = _PACKAGE / "exported"
    return inside if inside.is_dir() else _PACKAGE.parent / "exported"


def user_folder() -> Path:
    """Return the folder of the user's own encoders, ``IMGCLUSTER_ENCODERS`` if that is set. It may not exist."""
    folder = os.environ.get("IMGCLUSTER_ENCODERS")
    if folder:
        return Path(folder)
    from platformdirs import user_data_path

    return user_data_path("imgcluster", appauthor=False) / "encoders"


def bundled_encoders() -> dict[str, Path]:
    """Return the ONNX files of the bundled encoders by name."""
    return _in_folder(bundled_folder())


def list_encoders() -> dict[str, Path]:
    """Return the ONNX files of the bundled encoders and the user's by name, sorted, without those that are shadowed.

    Of an encoder with several precisions it is the file of the highest.
    """
    own = {name: path for name, path in _in_folder(user_folder()).items() if name not in NAMED_ENCODERS}
    return dict(sorted({**own, **bundled_encoders()}.items()))


def shadowed_encoders() -> dict[str, Path]:
    """Return the files in the user's folder that have the name of a bundled encoder or of one of the hub, by name."""
    bundled = _in_folder(bundled_folder())
    own = _in_folder(user_folder())
    return {
        name: path
        for name, path in own.items()
        if (name in bundled and not is_same_file(path, bundled[name]))
        or (name in NAMED_ENCODERS and name not in bundled)
    }


def find_encoder(encoder: str | os.PathLike[str]) -> Path:
    """Return the ONNX file of an encoder given by name or path.

    Raises:
        UsageError: No encoder has this name, or the file does not exist.
    """
    text = os.fspath(encoder)
    if is_file_name(text):
        path = Path(text)
        if not path.is_file():
            raise UsageError(f"there is no encoder file {text}; give an .onnx file or one of: {_names()}")
        return path
    encoders = list_encoders()
    if text not in encoders:
        raise UsageError(
            f"encoder {text!r} is unknown; choose one of: {_names()} (or give hub:OWNER/REPO, or an .onnx file)"
        )
    return encoders[text]


def is_file_name(text: str) -> bool:
    """Return whether the text that names an encoder is that of a file."""
    return text.lower().endswith(".onnx") or os.sep in text or bool(os.altsep and os.altsep in text)


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths are one file; a link to a file that is not there is no file."""
    try:
        return first.samefile(second)
    except OSError:
        return False


def precision_files(path: Path) -> dict[Precision, Path]:
    """Return the files of all precisions of the encoder that the file `path` belongs to, the highest first."""
    name = split_precision(path.stem)[0]
    files = {split_precision(file.stem)[1]: file for file in path.parent.glob("*.onnx") if _name_of(file) == name}
    return {precision: files[precision] for precision in PRECISIONS if precision in files}


def card_of(path: Path) -> str:
    """Return the text of the model card beside an encoder (Markdown); empty if there is none."""
    card = path.with_name(split_precision(path.stem)[0] + ".md")
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""


def _in_folder(folder: Path) -> dict[str, Path]:
    # Of the files of one name the last counts.
    files = sorted(folder.glob("*.onnx"), key=lambda path: -PRECISIONS.index(split_precision(path.stem)[1]))
    return {name: path for path in files if (name := _name_of(path))}


def _name_of(path: Path) -> str:
    """Return the name of the encoder that an ONNX file belongs to; empty for a decoder."""
    return "" if path.name.endswith(_DECODER_SUFFIX) else split_precision(path.stem)[0]


def _names() -> str:
    return ", ".join(sorted({*list_encoders(), *NAMED_ENCODERS}))
