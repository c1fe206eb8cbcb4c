"""`evaluate`: score the clustering against labels, from folder names or a CSV file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.confusion import Confusion, write_confusion
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.evaluation.external import Interval, Scores, intervals, score
from imgcluster.fileio.atomic import write_json
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import absolute_path, from_text, to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import read_results

__all__ = ["FOLDERS", "EvaluateSummary", "evaluate", "require_labels", "score_labeled"]

FOLDERS: Final = "folders"
"""The value of `labels` that takes the name of each image's folder as its label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSummary:
    """The scores of a clustering against labels; see `external.Scores` and `external.intervals`.

    Attributes:
        workspace: The workspace folder.
        labels: The source of the labels.
        images: The number of scored images.
        unlabelled: The number of images without a label, which are not scored.
        classes: The number of different labels.
        clusters: The number of clusters without noise.
        noise: The number of scored images in no cluster; they count as one more cluster.
        accuracy: Under the best matching of clusters and labels, in [0, 1].
        nmi: Normalized mutual information, in [0, 1].
        ari: Adjusted Rand index, in [-0.5, 1].
        purity: In [0, 1].
        accuracy_interval: The 95 % confidence interval of `accuracy`.
        nmi_interval: The 95 % confidence interval of `nmi`.
        ari_interval: The 95 % confidence interval of `ari`.
        confusion_table: The confusion matrix as a CSV file.
        confusion_picture: The confusion matrix as a plot.
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


@in_object_storage_too
def evaluate(
    *, labels: str | os.PathLike[str] = FOLDERS, workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE
) -> EvaluateSummary:
    """Score the workspace's clustering, write the confusion matrix, and add the scores to ``metrics.json``.

    Args:
        labels: ``folders``, or a CSV file with the columns ``path`` (absolute, or relative to the images' common
            folder, to the CSV file or to the current folder) and ``label``.
        workspace: The workspace folder.

    Raises:
        UsageError: The CSV file is missing, or contains none of the images.
        WorkspaceError: There is no current clustering, or the CSV file is invalid.
    """
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked() as manifest:
        results = read_results(workspace, manifest)
        scores, fields = score_labeled(results.clusters, results.locations, results.base, labels)
        write_confusion(workspace, Confusion(scores.label_names, scores.clusters, scores.confusion), results.names)
        summary = EvaluateSummary(
            workspace=workspace.name,
            labels=to_text(labels),
            unlabelled=len(results.locations) - fields["images"],
            classes=len(scores.label_names),
            confusion_table=to_text(workspace.confusion_table),
            confusion_picture=to_text(workspace.confusion_picture),
            **fields,
        )
        recorded = (
            *("labels", "images", "unlabelled", "classes", "noise", "accuracy", "nmi", "ari", "purity"),
            *("accuracy_interval", "nmi_interval", "ari_interval"),
        )
        write_json(workspace.metrics, results.metrics | {"scores": {name: getattr(summary, name) for name in recorded}})
    return summary


def score_labeled(
    clusters: npt.NDArray[np.int64], locations: Sequence[str], base: str, labels: str | os.PathLike[str]
) -> tuple[Scores, dict[str, Any]]:
    """Score the images that have a label.

    Args:
        clusters: ``int64 (n,)``; −1 is noise.
        locations: The n absolute paths of the images, as texts.
        base: The images' common folder.
        labels: As for `evaluate`.

    Returns:
        The scores, and the fields that `EvaluateSummary` and `compare_clusterings.ComparisonRow` share, rounded to four
        digits.

    Raises:
        UsageError: The CSV file is missing or contains none of the images, or there is only one folder.
        WorkspaceError: The CSV file is invalid.
    """
    label_of = _read_labels(labels, locations, base)
    labeled = [index for index, location in enumerate(locations) if location in label_of]
    scores = score(clusters[labeled], [label_of[locations[index]] for index in labeled])
    confidence = intervals(scores)
    fields: dict[str, Any] = {
        "images": len(labeled),
        "clusters": sum(number >= 0 for number in scores.clusters),
        "noise": int((clusters[labeled] < 0).sum()),
        **{name: round(getattr(scores, name), 4) for name in ("accuracy", "nmi", "ari", "purity")},
    }
    for name in ("accuracy", "nmi", "ari"):
        low, high = getattr(confidence, name)
        fields[f"{name}_interval"] = (round(low, 4), round(high, 4))
    return scores, fields


def _read_labels(labels: str | os.PathLike[str], locations: Sequence[str], base: str) -> Mapping[str, str]:
    """Return the label of each location that has one."""
    by_folder = os.fspath(labels) == FOLDERS
    if by_folder:
        label_of = {location: location.rsplit("/", 2)[-2] for location in locations}
    else:
        label_of = _read_csv(Path(labels), locations, base)
    if not label_of:
        raise UsageError(
            f"{labels} contains no label of the {len(locations)} images; its paths must be absolute, or relative "
            f"to {base}, to the file's folder or to the current folder"
        )
    if by_folder and len(set(label_of.values())) == 1:
        raise UsageError(
            "all images are in one folder, so folder names cannot be labels; give --labels FILE.csv with the columns "
            "path and label"
        )
    return label_of


def require_labels(labels: str | os.PathLike[str]) -> None:
    """Check that the file of labels exists, if they are in a file.

    Raises:
        UsageError: It does not.
    """
    if os.fspath(labels) != FOLDERS and not Path(labels).is_file():
        raise UsageError(
            f"label file {Path(labels)} does not exist; give {FOLDERS} or a CSV file with the columns path and label"
        )


def _read_csv(path: Path, locations: Sequence[str], base: str) -> dict[str, str]:
    require_labels(path)
    present = set(locations)
    label_of: dict[str, str] = {}
    bases = [base, to_text(os.path.abspath(path.parent)), to_text(os.getcwd())]
    for row in read_table(path, ("path", "label")):
        # As other programs write a missing value.
        if not row["label"].strip():
            continue
        name = row["path"].replace("\\", "/") if os.name == "nt" else row["path"]
        # Other programs write paths without the escapes of `to_text`.
        for text in dict.fromkeys((name, to_text(from_text(name)), to_text(name))):
            candidates = (absolute_path(base, text.removeprefix("./")) for base in bases)
            location = next((candidate for candidate in candidates if candidate in present), None)
            if location is not None:
                if label_of.setdefault(location, row["label"]) != row["label"]:
                    raise WorkspaceError(
                        f"{path} contains two labels of {name}: {label_of[location]!r} and {row['label']!r}"
                    )
                break
    return label_of
