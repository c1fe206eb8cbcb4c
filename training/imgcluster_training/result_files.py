"""The files of a training: an encoder and what lies beside it. Files of the same names by others are left alone."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.errors import UsageError
from imgcluster.fileio.atomic import is_temporary, write_text
from imgcluster.fileio.path_text import to_text
from imgcluster.types import PRECISIONS

__all__ = ["ResultFiles", "is_picture", "is_training_folder"]

_PICTURE_SUFFIX: Final = ".png"
_FOLDER_SUFFIX: Final = ".training"
# Exists from the start of a training that replaces an earlier one to its end.
_REPLACING: Final = "replacing.txt"
_REMOVING: Final = "Checkpoints of the earlier training are being removed.\n"
_TRAINING: Final = "A training with --fresh has begun, and is not finished.\n"
# The first files that a training writes, and one that remains where somebody deletes the large ones.
_SCORES: Final = "scores.json"
_SIGNS: Final = (_REPLACING, "checkpoint.pt", "stage-1-*.pt", _SCORES)
_CHECKPOINT: Final = re.compile(r"(fold-\d+/)?(checkpoint|stage-\d+-[a-z]+)\.pt")


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Where the results of training the encoder `name` lie in the folder `output`."""

    output: Path
    name: str

    @property
    def encoder(self) -> Path:
        return self.output / f"{self.name}.onnx"

    @property
    def decoder(self) -> Path:
        return self.output / f"{self.name}.decoder.onnx"

    @property
    def card(self) -> Path:
        return self.output / f"{self.name}.md"

    @property
    def picture(self) -> Path:
        return self.output / f"{self.name}{_PICTURE_SUFFIX}"

    @property
    def folder(self) -> Path:
        """The folder for checkpoints, histories, scores and plots."""
        return self.output / f"{self.name}{_FOLDER_SUFFIX}"

    def require_own(self) -> None:
        """Check that these files do not exist, or are those of an earlier training.

        Raises:
            UsageError: A file could be overwritten that no training wrote, or used instead of the new encoder.
        """
        for precision in PRECISIONS:
            other = self.output / f"{self.name}.{precision}.onnx"
            if os.path.lexists(other):
                raise UsageError(
                    f"{to_text(other)} exists, and --encoder {self.name} could use it instead of the new encoder; use "
                    "another --name or --output, or move the file away"
                )
        is_training = is_training_folder(self.folder)
        # The scores are written before all other results beside this folder.
        if is_training and (self.folder / _SCORES).is_file():
            return
        if not is_training and os.path.lexists(self.folder) and not _is_empty(self.folder):
            raise UsageError(
                f"{to_text(self.folder)} exists, but is not the folder of a training; use another --name or --output, "
                "or move it away"
            )
        for path in (self.encoder, self.decoder, self.card, self.picture):
            if os.path.lexists(path):
                reason = "has no results yet" if is_training else "is not beside it"
                raise UsageError(
                    f"{to_text(path)} exists and would be overwritten, but no training wrote it ({self.folder.name} "
                    f"{reason}); use another --name or --output, or move the file away"
                )

    def create_folders(self) -> None:
        """Create the folders, and check before a long training that files can be written there.

        Raises:
            OSError: They cannot.
        """
        for folder in (self.output, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass

    def start_over(self) -> None:
        """Remove the checkpoints of an earlier training, but not those written since an interrupted `start_over`.

        So the same command, repeated, continues what it began. `finish` ends this.
        """
        state = self.folder / _REPLACING
        if state.is_file() and state.read_text(encoding="utf-8") == _TRAINING:
            return
        write_text(state, _REMOVING)
        for path in self.folder.rglob("*.pt"):
            if _CHECKPOINT.fullmatch(path.relative_to(self.folder).as_posix()):
                path.unlink()
        write_text(state, _TRAINING)

    def finish(self) -> None:
        """Note that the training is complete: the next `start_over` replaces it."""
        (self.folder / _REPLACING).unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    """Return whether nothing but what a killed process left is in a folder; a file is no folder."""
    return folder.is_dir() and all(is_temporary(name) for name in os.listdir(folder))


def is_training_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is the folder ``NAME.training`` of a training."""
    folder = Path(path)
    return folder.suffix == _FOLDER_SUFFIX and any(next(folder.glob(sign), None) is not None for sign in _SIGNS)


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is the picture ``NAME.png`` beside the folder of a training."""
    picture = Path(path)
    return picture.suffix == _PICTURE_SUFFIX and is_training_folder(picture.with_suffix(_FOLDER_SUFFIX))
