"""The options of ``train-encoder``: name, default and meaning, for the command line, Python and the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

__all__ = ["TrainingOptions", "meaning_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How `train_encoder` builds, trains and exports an encoder. The annotations are the help of the command line."""

    recipe: Annotated[str | None, "What to build and how to train it; by default the data set's own recipe."] = None
    refine: Annotated[
        int | Literal["auto"] | None, "Train until the codes form K clusters; auto estimates their number."
    ] = None
    name: Annotated[
        str | None, "The encoder's name; by default the recipe's or the folder's, with my- if a bundled encoder has it."
    ] = None
    output: Annotated[Path | None, "The folder for the files; by default your encoder folder."] = None
    data_dir: Annotated[Path | None, "The folder with the published files, instead of a download."] = None
    folds: Annotated[int, "Cross-validate with this many folds and export the best; 0 for none."] = 0
    epochs: Annotated[int | None, "Replaces the recipe's number of epochs."] = None
    steps_per_epoch: Annotated[int | None, "Batches that count as one epoch; replaces the recipe's."] = None
    limit: Annotated[int | None, "Use at most this many images of each part, for a quick try."] = None
    image_size: Annotated[int | None, "Side in pixels to which images of a folder are resized."] = None
    seed: Annotated[int | None, "Replaces the recipe's seed."] = None
    device: Annotated[str, "auto, cpu, cuda or mps."] = "auto"
    resume: Annotated[bool, "Continue from the checkpoints of an interrupted training."] = False


def meaning_of(option: str) -> str:
    """Return the meaning of an option of `TrainingOptions`."""
    return str(get_type_hints(TrainingOptions, include_extras=True)[option].__metadata__[0])
