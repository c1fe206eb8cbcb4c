"""What the page knows, as plain values, and the sentences that say it in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Cluster", "Images", "Page", "Thumbnails", "choose_embedded", "facts", "overview", "quality"]

_METHODS: Final = {"kmeans": "k-means", "hdbscan": "HDBSCAN", "evoc": "EVoC"}
_DEFAULTS: Final = {
    "k": None,
    "level": None,
    "min_cluster_size": None,
    "assign_noise": False,
    "reduce": "auto",
    "method": "auto",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster; `number` is −1 for noise, whose other values are None or empty.

    `medoid` and `representatives` are places in `Images`; `nearest` are other clusters with their distances.
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


@dataclass(frozen=True, slots=True)
class Images:
    """All images, row by row.

    Attributes:
        names: File names as text, without their folders.
        folders: Each folder as its path relative to the images' common one, and as a link.
        folder: Which of these an image lies in; ``int32 (n,)``.
        links: Links of the images that do not lie under their folder's link and their own name.
        cluster: ``int32 (n,)``; −1 is noise.
        runner_up: The next best cluster, ``int32 (n,)``, −1 for none; None where nobody computed it.
        confidence: ``float64 (n,)`` in [0, 1].
        distance: ``float32 (n,)``, NaN where there is none.
        points: Places on the map, ``float32 (n, 2)`` in [−1, 1].
    """

    names: list[str]
    folders: list[tuple[str, str]]
    folder: npt.NDArray[np.int32]
    links: dict[int, str]
    cluster: npt.NDArray[np.int32]
    runner_up: npt.NDArray[np.int32] | None
    confidence: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Pictures of `images` (places in `Images`), tile by tile on WebP `sheets` of so many columns and rows; `missing`
    are the tiles, counted over all sheets, that are blank."""

    side: int
    columns: int
    images: npt.NDArray[np.int32]
    missing: tuple[int, ...]
    sheets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page.

    Attributes:
        identity: Of the clustering, for plans made on the page.
        title: The heading.
        sentences: The overview in words.
        warnings: What the reader should know first.
        facts: Names and values for a table.
        clusters: By number, noise last.
        images: Every image.
        thumbnails: Pictures, the largest first.
        map_how: How the map was made, in words.
        skipped: Reasons and numbers of the images that could not be read.
        command: What carries out a plan that was saved as ``imgcluster-plan.json``.
        made_by: The last line.
    """

    identity: str
    title: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    clusters: tuple[Cluster, ...]
    images: Images
    thumbnails: tuple[Thumbnails, ...]
    map_how: str
    skipped: tuple[tuple[str, int], ...]
    command: str
    made_by: str


def choose_embedded(
    clusters: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    representatives: dict[int, list[int]],
    *,
    most: int,
) -> list[int]:
    """Choose the images whose pictures are in the page: all, or `most` spread over the clusters.

    Each cluster gets the same room, what small ones leave going to the larger. In it come first its representatives,
    then its least confident members, then others evenly from sure to doubtful. The images of a cluster come together,
    so that few sheets are looked at at a time.
    """
    numbers = list(representatives)
    sizes = {number: int((clusters == number).sum()) for number in numbers}
    room = _shared_out(sizes, most)
    chosen = []
    for number in numbers:
        inside = np.flatnonzero(clusters == number)
        order = inside[np.lexsort((inside, -np.nan_to_num(confidence[inside])))]
        first = representatives[number][: room[number]]
        if room[number] < len(order):
            tail = order[::-1][: room[number] // 4].tolist()
            rest = max(0, room[number] - len(first) - len(tail))
            even = order[np.linspace(0, len(order) - 1, rest).astype(np.int64)].tolist()
            wanted = list(dict.fromkeys([*first, *tail, *even, *order.tolist()]))[: room[number]]
        else:
            wanted = list(dict.fromkeys([*first, *order.tolist()]))
        chosen.extend(wanted)
    return chosen


def _shared_out(sizes: dict[int, int], most: int) -> dict[int, int]:
    room: dict[int, int] = {}
    left, waiting = most, sorted(sizes, key=lambda number: (sizes[number], number))
    for position, number in enumerate(waiting):
        room[number] = min(sizes[number], left // (len(waiting) - position))
        left -= room[number]
    return room


def overview(metrics: dict[str, Any], manifest: dict[str, Any], noise: int) -> tuple[str, ...]:
    """Return the sentences that say how sure the clustering is, first of all, and what it was made of."""
    encoder = manifest.get("encoder", {})
    count, clusters = metrics["images"], metrics["clusters"]
    reduction = "" if metrics["reduction"] == "none" else f" after {metrics['reduction']}"
    method = _METHODS.get(metrics["method"], metrics["method"])
    asked = isinstance(metrics["options"].get("k"), int)
    sentences = [quality(metrics)] if quality(metrics) else []
    sentences.append(
        f"The encoder {encoder.get('name', '?')} turned {_number(count, 'image')} into vectors; {method}{reduction} "
        f"{'made' if asked else 'found'} {_number(clusters, 'cluster')} of them."
    )
    if noise:
        sentences.append(
            f"{_number(noise, 'image')} ({noise / count:.0%}) in no cluster: noise, like no group of others."
        )
    scores = metrics.get("scores")
    if scores:
        sentences.append(
            f"Against the labels ({scores['labels']}): accuracy {scores['accuracy']:.3f}, NMI {scores['nmi']:.3f}, "
            f"ARI {scores['ari']:.3f}, purity {scores['purity']:.3f}."
        )
    return tuple(sentences)


def quality(metrics: dict[str, Any]) -> str:
    """Return one sentence on how far the clusters can be trusted; "" where nothing is known of it."""
    if metrics.get("quality"):
        return str(metrics["quality"])
    silhouette = metrics.get("silhouette")
    return "" if silhouette is None else f"Mean silhouette {silhouette + 0.0:.2f}: {_in_words(silhouette)}."


def facts(metrics: dict[str, Any], manifest: dict[str, Any], how: str) -> tuple[tuple[str, str], ...]:
    """Return names and values of everything that decided on the result; options only where they were given."""
    encoder, options = manifest.get("encoder", {}), metrics["options"]
    given = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in options.items()
        if name in _DEFAULTS and value != _DEFAULTS[name]
    ]
    method = _METHODS.get(metrics["method"], str(metrics["method"]))
    rows = [
        ("Encoder", str(encoder.get("name", "?"))),
        ("Method", method if metrics["reduction"] == "none" else f"{method}, after {metrics['reduction']}"),
        ("Options", " ".join(given) or "the defaults"),
        ("Seed", str(options["seed"])),
        ("Parameters", ", ".join(f"{name} {_short(value)}" for name, value in metrics.get("parameters", {}).items())),
        ("Map", how),
        ("Version", str(metrics.get("imgcluster", ""))),
    ]
    return tuple((name, value) for name, value in rows if value)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_words(silhouette: float) -> str:
    # The bands that Kaufman & Rousseeuw (1990) give, less strict by one: features of photographs have hundreds
    # of dimensions, in which silhouettes are small throughout.
    if silhouette >= 0.5:
        return "the clusters are well apart"
    if silhouette >= 0.25:
        return "the clusters are apart, with some overlap"
    if silhouette >= 0.05:
        return "the clusters overlap; images on their borders could as well be next door"
    return "the clusters hardly differ from each other"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
