"""What the page knows, as plain values: an overview, and the clusters with the images to show of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Cluster", "Member", "Page", "choose_members", "overview"]

# So many thumbnails of 2 to 4 kB keep the file small enough to mail.
_THUMBNAILS: Final = 1500
_PER_CLUSTER_AT_LEAST: Final = 12


@dataclass(frozen=True, slots=True)
class Member:
    """One image on the page: its path to read, a link to open it by, its picture, and how sure the clustering is.

    `thumbnail` is a data URI, empty where the file cannot be read any more.
    """

    path: str
    link: str
    thumbnail: str
    confidence: float
    is_medoid: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """One section of the page; `number` is −1 for noise, `facts` are short texts to show beside the title."""

    number: int
    title: str
    size: int
    share: float
    facts: tuple[str, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page: sentences for the overview, warnings, the clusters, and the skipped images by reason."""

    title: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    skipped: tuple[tuple[str, int], ...]
    made_by: str


def choose_members(
    clusters: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    medoids: npt.NDArray[np.bool_],
) -> dict[int, list[int]]:
    """Choose the images to show of each cluster, by index: the medoid, then the most confident ones.

    Clusters come by number, noise (−1) last. At most 1,500 images are chosen in all, but 12 of each cluster.
    """
    numbers = [int(number) for number in np.unique(clusters)]
    numbers = [number for number in numbers if number >= 0] + [number for number in numbers if number < 0]
    most = max(_PER_CLUSTER_AT_LEAST, _THUMBNAILS // max(1, len(numbers)))
    chosen = {}
    for number in numbers:
        inside = np.flatnonzero(clusters == number)
        order = np.lexsort((inside, -np.nan_to_num(confidence[inside]), ~medoids[inside]))
        chosen[number] = inside[order][:most].tolist()
    return chosen


def overview(metrics: dict[str, Any], manifest: dict[str, Any], noise: int) -> tuple[str, ...]:
    """Return the sentences that say what was clustered, how, and how well."""
    encoder = manifest.get("encoder", {})
    sentences = [
        f"Encoder {encoder.get('name', '?')}, method {metrics['method']}"
        + ("" if metrics["reduction"] == "none" else f" after {metrics['reduction']}")
        + f", seed {metrics['options']['seed']}.",
    ]
    if noise:
        share = noise / metrics["images"]
        sentences.append(f"{_number(noise, 'image')} ({share:.0%}) in no cluster: noise, like no group of others.")
    silhouette = metrics.get("silhouette")
    if silhouette is not None:
        sentences.append(f"Mean silhouette {silhouette:.2f}: {_quality(silhouette)}.")
    scores = metrics.get("scores")
    if scores:
        sentences.append(
            f"Against the labels ({scores['labels']}): accuracy {scores['accuracy']:.3f}, NMI {scores['nmi']:.3f}, "
            f"ARI {scores['ari']:.3f}, purity {scores['purity']:.3f}."
        )
    return tuple(sentences)


def _quality(silhouette: float) -> str:
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
