"""The content of the page as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import Exif

__all__ = ["Cluster", "Copy", "Findings", "Images", "Page", "SkippedFiles", "Thumbnails", "Unusual"]


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
class Copy:
    """One image of a group of copies: its row, ``best`` or what kind of copy it is, score, size in pixels and bytes."""

    image: int
    kind: str
    score: float
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Unusual:
    """An image with a reason to look at it: its row, the reasons, and its sharpness (None if it is not known)."""

    image: int
    reasons: tuple[str, ...]
    sharpness: float | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of n images besides the clusters.

    Attributes:
        neighbors: The most similar images of each image, ``int32 (n, k)``; None if they are not known.
        duplicates: Groups of copies; the first of each is the best.
        bursts: The same for photographs that were taken one after the other.
        set_aside: Images that are in the folder of duplicates.
        outliers: The most unusual images first.
        more_outliers: The number of unusual images that are not in `outliers`.
        remaining: The images that are left of groups of copies that are not shown as they were found, because some are
            set aside, say; one image of each group has to stay.
    """

    neighbors: npt.NDArray[np.int32] | None = None
    duplicates: tuple[tuple[Copy, ...], ...] = ()
    bursts: tuple[tuple[Copy, ...], ...] = ()
    set_aside: tuple[int, ...] = ()
    outliers: tuple[Unusual, ...] = ()
    more_outliers: int = 0
    remaining: tuple[tuple[int, ...], ...] = ()


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
