"""Converts a clustering, as plain arrays and table rows, to the values of the page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import from_text
from imgcluster.images.types import Exif
from imgcluster.report.page_content import Cluster, Images
from imgcluster.report.sprites import MAX_BYTES, tile_side

__all__ = ["MAX_EMBEDDED", "Tier", "choose_embedded", "cluster_rows", "image_rows", "thumbnail_tiers"]

MAX_EMBEDDED: Final = 10_000
"""Most thumbnails in a page; it then has less than 15 MB, which opens at once and can be mailed."""

# Representatives are shown larger than the other images.
_LARGE_SIDE: Final = 128
_LARGE_COUNT: Final = 600
_LARGE_BYTES: Final = 1_500_000


@dataclass(frozen=True, slots=True)
class Tier:
    """Thumbnails of one size: pixels of a side, rows of the images, and bytes that their sheets may take."""

    side: int
    images: list[int]
    max_bytes: int


def cluster_rows(
    labels: npt.NDArray[np.int64],
    medoids: npt.NDArray[np.bool_],
    table: dict[int, dict[str, str]],
    representatives: dict[int, list[int]],
    nearest: dict[int, list[tuple[int, float]]],
) -> tuple[Cluster, ...]:
    """Return the clusters of the page, in the order of `representatives`.

    Args:
        labels: Cluster of each image, ``int64 (n,)``; −1 is noise.
        medoids: Which images are medoids, ``bool (n,)``.
        table: The rows of ``clusters.csv`` by cluster.
        representatives: Typical images of each cluster.
        nearest: The nearest clusters of each cluster, with their distances.
    """
    rows = []
    for number, shown in representatives.items():
        row = table.get(number, {})
        inside = labels == number
        medoid = np.flatnonzero(inside & medoids)
        rows.append(
            Cluster(
                number=number,
                name=row.get("name", ""),
                suggested_name=row.get("suggested_name", ""),
                size=int(inside.sum()),
                silhouette=_float(row, "silhouette"),
                stability=_float(row, "stability"),
                mean_distance=_float(row, "mean_distance"),
                medoid=int(medoid[0]) if number >= 0 and len(medoid) else None,
                nearest=tuple((other, round(distance, 4)) for other, distance in nearest.get(number, [])),
                representatives=tuple(shown),
            )
        )
    return tuple(rows)


def image_rows(
    page_folder: Path | None,
    paths: Sequence[str],
    locations: Sequence[str],
    current: Sequence[str],
    *,
    labels: npt.NDArray[np.int64],
    runner_ups: npt.NDArray[np.int32] | None,
    confidence: npt.NDArray[np.float64],
    distances: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int32],
    points: npt.NDArray[np.float32],
    decisions: Mapping[int, str],
    exif: Sequence[Exif],
    base: str,
) -> Images:
    """Return the images of the page, with links to the originals.

    Args:
        page_folder: The folder that the page is written to, for relative links; None for absolute ones.
        paths: Paths relative to the common folder of all images, as text.
        locations: Absolute paths when the images were embedded, as text.
        current: Where the files are now, as text; another place after ``--place move``.
        labels: ``int64 (n,)``; −1 is noise.
        runner_ups: ``int32 (n,)``; −1 for none.
        confidence: ``float64 (n,)``.
        distances: ``float64 (n,)``.
        sizes: Width and height of the originals, ``int32 (n, 2)``.
        points: Positions on the map, ``float32 (n, 2)``.
        decisions: What the user decided about single images, by row.
        exif: Capture time and camera of each image.
        base: The common folder of all images, as text; "" for none.
    """
    folders: dict[str, int] = {}
    names, folder = [], np.empty(len(paths), np.int32)
    for index, path in enumerate(paths):
        parent, _, name = path.rpartition("/")
        folder[index] = folders.setdefault(parent, len(folders))
        names.append(name)
    folder_links = [""] * len(folders)
    links: dict[int, str] = {}
    for index, location in enumerate(locations):
        if not folder_links[folder[index]]:
            folder_links[folder[index]] = _link(location.rpartition("/")[0] + "/", page_folder)
        # The page joins a folder's link and an encoded name, which is not so for moved files, names that are not UTF-8
        # and the addresses of web servers.
        if current[index] != location or "\\" in names[index] or location.startswith("http"):
            links[index] = _link(current[index], page_folder)
    return Images(
        names=names,
        folders=list(zip(folders, folder_links, strict=True)),
        folder=folder,
        links=links,
        cluster=labels.astype(np.int32),
        runner_up=runner_ups,
        confidence=confidence,
        distance=distances.astype(np.float32),
        pixels=sizes.prod(axis=1, dtype=np.int32),
        points=points,
        decisions=decisions,
        exif=exif,
        base=base,
    )


def thumbnail_tiers(
    labels: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    representatives: dict[int, list[int]],
    largest: int,
    *,
    most: int = MAX_EMBEDDED,
) -> list[Tier]:
    """Return which images get thumbnails of which size, the largest size first.

    Args:
        labels: ``int64 (n,)``; −1 is noise.
        confidence: ``float64 (n,)``.
        representatives: Typical images of each cluster.
        largest: The longest side of all images, in pixels: thumbnails are never enlarged.
        most: Number of images that get a thumbnail.
    """
    chosen = choose_embedded(labels, confidence, representatives, most=most)
    tiers = [Tier(tile_side(len(chosen), largest), chosen, MAX_BYTES)]
    large_side = min(_LARGE_SIDE, largest)
    if tiers[0].side < large_side:
        each = max(1, _LARGE_COUNT // max(1, len(representatives)))
        typical = [index for shown in representatives.values() for index in shown[:each]]
        tiers.insert(0, Tier(large_side, typical, _LARGE_BYTES))
    return tiers


def choose_embedded(
    labels: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    representatives: dict[int, list[int]],
    *,
    most: int,
) -> list[int]:
    """Choose the images whose thumbnails are in the page: all, or `most` of them spread over the clusters.

    All clusters get the same share; what small clusters do not need goes to larger ones. Each cluster contributes its
    representatives, then its least confident images, then others evenly from high to low confidence. Images of a
    cluster are adjacent, so that the page decodes few sheets at a time.
    """
    sizes = {number: int((labels == number).sum()) for number in representatives}
    shares = _shares(sizes, most)
    chosen: list[int] = []
    for number, shown in representatives.items():
        inside = np.flatnonzero(labels == number)
        order = inside[np.lexsort((inside, -np.nan_to_num(confidence[inside])))]
        share = shares[number]
        first = shown[:share]
        if share < len(order):
            tail = order[::-1][: share // 4].tolist()
            rest = max(0, share - len(first) - len(tail))
            first = [*first, *tail, *order[np.linspace(0, len(order) - 1, rest).astype(np.int64)].tolist()]
        chosen.extend(list(dict.fromkeys([*first, *order.tolist()]))[:share])
    return chosen


def _shares(sizes: dict[int, int], most: int) -> dict[int, int]:
    shares: dict[int, int] = {}
    left = most
    for position, number in enumerate(sorted(sizes, key=lambda number: (sizes[number], number))):
        shares[number] = min(sizes[number], left // (len(sizes) - position))
        left -= shares[number]
    return shares


def _float(row: dict[str, str], column: str) -> float | None:
    return float(row[column]) if row.get(column) else None


def _link(location: str, folder: Path | None) -> str:
    """Return a link from a page in `folder`, or from anywhere, to a file, a folder or an address."""
    if url := url_of(location):
        return url if url.startswith("http") else quote(url.rstrip("/"), safe=":/")
    path = from_text(location)
    try:
        relative = os.path.relpath(path, folder) if folder else ""
    except ValueError:  # another drive of Windows
        relative = ""
    if not relative:
        return path.as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))
