"""`evaluate`: the clustering against labels, from folder names or a CSV file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.commands.confusion import Confusion, write_confusion
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.evaluation.external import Interval, intervals, score
from imgcluster.fileio.atomic import write_json
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, from_text, to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, read_results

__all__ = ["FOLDERS", "EvaluateSummary", "evaluate", "read_labels", "rounded"]

FOLDERS: Final = "folders"
"""The word that takes the name of the folder an image lies in as its label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSummary:
    """How well the clustering agrees with labels; see `external.Scores` for the measures.

    `images` were scored, `unlabelled` had no label and were left out; `noise` counted as one more cluster. `labels`
    says where the labels came from; `classes` is how many different ones there are. The intervals are those of
    `external.intervals`.
    """

    workspace: str
    labels: str
    images: int
    unlabelled: int
    classes: int
    clusters: int
    noise: int
    accuracy: float
    nmi: float
    ari: float
    purity: float
    accuracy_interval: Interval
    nmi_interval: Interval
    ari_interval: Interval
    confusion_table: str
    confusion_picture: str


def evaluate(
    *, labels: str | os.PathLike[str] = FOLDERS, workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE
) -> EvaluateSummary:
    """Score the workspace's clustering, write the confusion matrix, and add the scores to ``metrics.json``.

    Args:
        labels: ``folders``, or a CSV file with the columns ``path`` (absolute, or relative to the images' common
            folder, to the CSV file or to the current folder) and ``label``.
        workspace: The workspace folder.

    Raises:
        UsageError: The CSV file is missing, or names none of the images.
        WorkspaceError: There is no current clustering, or the CSV file is malformed.
    """
    space = Workspace(workspace)
    encoder_identity(space)  # refuses a folder that is not there, which the lock would make
    with space.locked():
        results = read_results(space)
        told = read_labels(labels, results.locations, results.base)
        known = [index for index, location in enumerate(results.locations) if location in told]
        clusters = results.clusters[known]
        scores = score(clusters, [told[results.locations[index]] for index in known])
        sure = intervals(scores)
        write_confusion(space, Confusion(scores.label_names, scores.clusters, scores.confusion), results.names)
        summary = EvaluateSummary(
            workspace=to_text(space.path),
            labels=to_text(labels),
            images=len(known),
            unlabelled=len(results.locations) - len(known),
            classes=len(scores.label_names),
            clusters=sum(number >= 0 for number in scores.clusters),
            noise=int((clusters < 0).sum()),
            accuracy=round(scores.accuracy, 4),
            nmi=round(scores.nmi, 4),
            ari=round(scores.ari, 4),
            purity=round(scores.purity, 4),
            accuracy_interval=rounded(sure.accuracy),
            nmi_interval=rounded(sure.nmi),
            ari_interval=rounded(sure.ari),
            confusion_table=to_text(space.confusion_table),
            confusion_picture=to_text(space.confusion_picture),
        )
        kept = (
            *("labels", "images", "unlabelled", "classes", "noise", "accuracy", "nmi", "ari", "purity"),
            *("accuracy_interval", "nmi_interval", "ari_interval"),
        )
        write_json(space.metrics, results.metrics | {"scores": {name: getattr(summary, name) for name in kept}})
    return summary


def read_labels(labels: str | os.PathLike[str], locations: Sequence[str], base: str) -> Mapping[str, str]:
    """Return the label of each location that has one.

    Args:
        labels: As for `evaluate`.
        locations: Absolute paths of the images.
        base: The images' common folder.

    Raises:
        UsageError: The CSV file is missing, or names none of the images, or there is one folder only.
        WorkspaceError: The CSV file is malformed.
    """
    by_folder = os.fspath(labels) == FOLDERS
    told = _from_folders(locations) if by_folder else _from_csv(Path(labels), locations, base)
    if not told:
        raise UsageError(
            f"{labels} names none of the {len(locations)} images; its paths are taken as absolute, or relative to "
            f"{base}, to the file or to the current folder"
        )
    if by_folder and len(set(told.values())) == 1:
        raise UsageError(
            "all images lie in one folder, so folder names say nothing; give --labels FILE.csv with the columns "
            "path and label"
        )
    return told


def rounded(ends: Interval) -> Interval:
    """Round to the four digits that are shown."""
    return round(ends[0], 4), round(ends[1], 4)


def _from_folders(locations: Sequence[str]) -> Mapping[str, str]:
    return {location: location.rsplit("/", 2)[-2] for location in locations}


def _from_csv(path: Path, locations: Sequence[str], base: str) -> Mapping[str, str]:
    if not path.is_file():
        raise UsageError(f"there is no label file {path}; give {FOLDERS} or a CSV file with the columns path, label")
    present = set(locations)
    found: dict[str, str] = {}
    bases = [base, to_text(os.path.abspath(path.parent)), to_text(os.getcwd())]
    for row in read_table(path, ("path", "label")):
        name = row["path"].replace("\\", "/") if os.name == "nt" else row["path"]
        # As written by us or by another program: with our escapes, or without.
        for text in dict.fromkeys((name, to_text(from_text(name)), to_text(name))):
            location = next((place for base in bases if (place := _absolute(text, base)) in present), None)
            if location is not None:
                if found.setdefault(location, row["label"]) != row["label"]:
                    raise WorkspaceError(f"{path} gives {name} two labels: {found[location]!r} and {row['label']!r}")
                break
    return found


def _absolute(text: str, base: str) -> str:
    if text.startswith("/") or text[1:3] == ":/" or not base:
        return text
    return absolute_path(base, text.removeprefix("./"))
