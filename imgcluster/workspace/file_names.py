"""The names of all files and folders of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["OWN_NAMES", "WorkspaceFiles"]


class File:
    """The path of a file or folder of a workspace, from its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, workspace: WorkspaceFiles, kind: type) -> Path:
        """Return the path in this workspace."""
        return workspace.path / self.name


class WorkspaceFiles:
    """The paths of what imgcluster creates in a workspace, whether it exists or not.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    marker = File(".imgcluster")
    """Marks the folder as a workspace; users may have files of this name, too, see `folder.is_workspace`."""
    lock = File(".lock")
    """Locked while a command works in the workspace."""
    manifest_file = File("manifest.json")
    """What ran: versions, encoder, options, counts."""
    embeddings = File("embeddings")
    """Folder of the Parquet shards."""
    shards = File("shards")
    """Folder of the workspaces of ``embed --shard``, until they are joined."""
    joined_shards = File("joined_shards")
    """Folder of the shards that are joined, while they are removed."""
    skipped = File("skipped.csv")
    """Table with one row per image that could not be read."""
    assignments = File("assignments.csv")
    """Table with one row per embedded image."""
    assignments_parquet = File("assignments.parquet")
    """The same table as Parquet, for more than a million images."""
    reduction = File("reduction.npz")
    """Cached reduced vectors and neighbor graph; they depend on the embeddings, the metric and the seed only."""
    clusters_table = File("clusters.csv")
    """Table with one row per cluster."""
    metrics = File("metrics.json")
    """Options and measures of the clustering; written last, so it exists only with all other results."""
    confusion_table = File("confusion.csv")
    """Confusion matrix of `evaluate`, as a table."""
    confusion_picture = File("confusion.png")
    """Confusion matrix of `evaluate`, as a plot."""
    layers = File("layers.parquet")
    """Cached layers of the last clustering, for `cluster --level`."""
    candidates_table = File("candidates.csv")
    """Scores of the numbers of clusters under ``--k auto``, as a table."""
    candidates_picture = File("candidates.png")
    """Scores of the numbers of clusters under ``--k auto``, as a plot."""
    report = File("report.html")
    """The HTML page."""
    layout = File("layout.parquet")
    """Cached layout of the map; it depends on the embeddings only, so a new clustering keeps it."""
    figures = File("figures")
    """Folder of the figures."""
    names = File("names.csv")
    """Names of clusters by image, which earlier versions wrote."""
    changes_table = File("changes.csv")
    """What became of each cluster of the last clustering."""
    decisions = File("decisions.json")
    """What the user decided: names, merges, corrections."""
    known_clusters = File("known_clusters.parquet")
    """The images of all clusters, also of earlier ones, so that clusters keep their numbers."""
    applied = File("applied")
    """States before each step, for `undo`: one folder per step, starting with ``001``."""
    clusters = File("clusters")
    """Folder of the placed files, with one folder per cluster."""
    outdated = File("outdated")
    """Folder of placed files that could not be removed."""
    journal = File("placed.jsonl")
    """Journal of the last placement."""
    unfinished = File("unfinished.txt")
    """The path of the temporary file that is being written in another folder."""
    undoing = File("undoing.json")
    """What `undo` is undoing, so that repeating it after a kill undoes nothing else."""
    duplicates = File("duplicates")
    """Folder of the duplicates that were set aside, with one folder per cluster."""
    set_aside_journal = File("set_aside.jsonl")
    """Journal of the duplicates that were set aside."""
    duplicates_table = File("duplicates.csv")
    """Table of exact copies and near-copies."""
    neighbors = File("neighbors.parquet")
    """Cached lists of similar images, for the page."""
    bursts_table = File("bursts.csv")
    """Table of photographs taken one after the other."""
    outliers_table = File("outliers.csv")
    """Table of all images, those that are unlike the others or of low quality first."""
    signatures = File("signatures.parquet")
    """Cached signatures of images, for `duplicates`."""
    removed_table = File("removed.csv")
    """In the workspace of a shard, the table of the images of the shared one that are gone or no longer readable."""


OWN_NAMES: Final = tuple(entry.name for entry in vars(WorkspaceFiles).values() if isinstance(entry, File))
"""The names of all these files and folders."""
