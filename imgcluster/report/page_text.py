"""The content of the page as plain values, and its sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import Exif
from imgcluster.report.findings import Findings
from imgcluster.wording import counted

__all__ = ["Cluster", "Images", "Page", "SkippedFiles", "Thumbnails", "details", "headline", "quality", "sentences"]

# The bands of Kaufman & Rousseeuw (1990), one step lower: in many dimensions silhouettes are small.
_SEPARATION: Final = (
    (0.5, "The clusters are well separated."),
    (0.25, "The clusters are separated, with some overlap."),
    (0.05, "The clusters overlap: images near a border could also belong to the neighboring cluster."),
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster.

    Attributes:
        number: Its number; −1 is noise, whose scores and medoid are None.
        name: Its name; "" without one.
        size: Number of images.
        silhouette: Mean silhouette, in [−1, 1].
        stability: Bootstrap Jaccard index, in [0, 1].
        mean_distance: Mean distance of its images to the medoid.
        medoid: Row of its medoid in `Images`.
        nearest: The nearest other clusters, with their distances.
        representatives: Rows of typical images in `Images`.
        suggested_name: A word for what most of its images show; "" without one.
    """

    number: int
    name: str
    size: int
    silhouette: float | None
    stability: float | None
    mean_distance: float | None
    medoid: int | None
    nearest: tuple[tuple[int, float], ...]
    representatives: tuple[int, ...]
    suggested_name: str = ""


@dataclass(frozen=True, slots=True)
class Images:
    """All images, one per row.

    Attributes:
        names: File names as text, without folders.
        folders: Path of each folder relative to the common folder of all images, and a link to it.
        folder: Index of each image's folder in `folders`; ``int32 (n,)``.
        links: Links of the images that cannot be reached by their folder's link and their name, by row.
        cluster: ``int32 (n,)``; −1 is noise.
        runner_up: The second-best cluster, ``int32 (n,)``, −1 for none; None if it was not computed.
        confidence: ``float64 (n,)`` in [0, 1].
        distance: Distance to the medoid, ``float32 (n,)``; NaN where it is not defined.
        pixels: Width times height of the original, ``int32 (n,)``.
        points: Positions on the map, ``float32 (n, 2)`` in [−1, 1].
        decisions: What the user decided about single images, by row: ``corrected``, ``unsorted`` or ``pinned``.
        exif: Capture time and camera of each image; empty if they are not known.
        base: The folder that the paths of folders are relative to, as text; "" if they are absolute.
    """

    names: list[str]
    folders: list[tuple[str, str]]
    folder: npt.NDArray[np.int32]
    links: dict[int, str]
    cluster: npt.NDArray[np.int32]
    runner_up: npt.NDArray[np.int32] | None
    confidence: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.int32]
    points: npt.NDArray[np.float32]
    decisions: Mapping[int, str] = field(default_factory=dict)
    exif: Sequence[Exif] = ()
    base: str = ""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Thumbnails of one size, as square tiles on WebP sheets.

    Attributes:
        side: Pixels of a tile.
        columns: Tiles per row and per column of a full sheet.
        images: The row in `Images` of each tile, counted over all sheets; ``int32``.
        missing: The tiles that are blank because their file could not be read.
        sheets: The WebP files.
    """

    side: int
    columns: int
    images: npt.NDArray[np.int32]
    missing: tuple[int, ...]
    sheets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SkippedFiles:
    """Images that could not be read for one reason.

    Attributes:
        reason: Why.
        count: Their number.
        paths: The paths of the first ones.
    """

    reason: str
    count: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page.

    Attributes:
        identity: Identity of the clustering, stored in plans that are saved on the page.
        title: What was found, in the heading.
        sentences: The overview in words.
        warnings: Problems to know before using the clusters.
        facts: Names and values for the collapsed details.
        clusters: By number, noise last.
        images: All images.
        thumbnails: The largest first.
        skipped: The images that could not be read, by reason, the most frequent first.
        workspace_option: The option that names the workspace, as on the command line.
        made_by: The last line.
        findings: Similar images, duplicates, bursts and outliers.
        folder: The name of the folder that contains all images, in the heading; "" without one.
        earlier: Identities of earlier clusterings, to which only images were added since; the newest last.
        applied_to: Identities of the clustering that became this one by a plan, and of the one the plan was made for.
    """

    identity: str
    title: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    clusters: tuple[Cluster, ...]
    images: Images
    thumbnails: tuple[Thumbnails, ...]
    skipped: tuple[SkippedFiles, ...]
    workspace_option: str
    made_by: str
    findings: Findings = field(default_factory=Findings)
    folder: str = ""
    earlier: tuple[str, ...] = ()
    applied_to: tuple[str, ...] = ()


def headline(metrics: dict[str, Any]) -> str:
    """Return the sentence that says what was found."""
    images, clusters = counted(metrics["images"], "image"), metrics["clusters"]
    if not clusters:
        return f"No clusters were found in {images}."
    if metrics.get("method") == "sort":
        return f"{images} {_were(metrics['images'])} sorted into {counted(clusters, 'group')}."
    if isinstance(metrics["options"].get("k"), int):
        return f"{images} {_were(metrics['images'])} divided into {counted(clusters, 'cluster')}."
    return f"{counted(clusters, 'cluster')} {_were(clusters)} found in {images}."


def sentences(metrics: dict[str, Any]) -> tuple[str, ...]:
    """Return the sentences below the headline: how reliable the clusters are, noise, and accuracy if it is known."""
    texts = [quality(metrics)]
    noise = metrics.get("noise", 0)
    if noise:
        share = _percent(noise / metrics["images"])
        texts.append(f"{counted(noise, 'image')} ({share}) {_were(noise)} not assigned to any cluster (noise).")
    texts += metrics.get("remarks", ())
    texts.append(str(metrics.get("changes", "")))
    scores = metrics.get("scores")
    if scores:
        texts.append(f"Compared with the labels ({scores['labels']}), the accuracy is {scores['accuracy']:.3f}.")
    return tuple(filter(None, texts))


def quality(metrics: dict[str, Any]) -> str:
    """Return one sentence on how reliable the clusters are; "" if nothing is known about it."""
    if metrics.get("quality"):
        return str(metrics["quality"])
    silhouette = metrics.get("silhouette")
    if silhouette is None:
        return ""
    return next((words for least, words in _SEPARATION if silhouette >= least), "The clusters hardly differ.")


def details(
    metrics: dict[str, Any], manifest: dict[str, Any], *, method: str, options: str, projection: str
) -> tuple[tuple[str, str], ...]:
    """Return names and values for the collapsed details: how the clusters were made, and expert scores.

    Args:
        metrics: The content of ``metrics.json``.
        manifest: The content of ``manifest.json``.
        method: The name of the clustering method.
        options: The options that were given, as on the command line; "" for the defaults.
        projection: How the map was computed.
    """
    scores = metrics.get("scores", {})
    rows = [
        ("Encoder", str(manifest.get("encoder", {}).get("name", ""))),
        ("Method", method),
        ("Reduction", str(metrics["reduction"])),
        ("Options", options or "defaults"),
        ("Seed", str(metrics["options"]["seed"])),
        ("Mean silhouette", _short(metrics.get("silhouette"))),
        ("Parameters", ", ".join(f"{name} = {_short(value)}" for name, value in metrics.get("parameters", {}).items())),
        *((name, _short(scores.get(key))) for name, key in (("NMI", "nmi"), ("ARI", "ari"), ("Purity", "purity"))),
        ("Map", projection),
        ("Version", str(metrics.get("imgcluster", ""))),
    ]
    return tuple((name, value) for name, value in rows if value)


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value + 0.0:.4g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    """Return a percentage that is 0 % only for none, and 100 % only for all."""
    if 0 < share < 0.005:
        return "less than 1%"
    return "more than 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
