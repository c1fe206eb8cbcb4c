"""What people should know about a clustering, in plain sentences: how far to trust it and what may be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from imgcluster.clustering.changes import ClusterChange
from imgcluster.clustering.types import Clustering
from imgcluster.evaluation.confounders import explained_variance, mutual_information
from imgcluster.types import Labels
from imgcluster.wording import counted
from imgcluster.workspace.results import IMPORTED
from imgcluster.workspace.shards import Embeddings

__all__ = [
    "about_changes",
    "about_encoder",
    "about_estimate",
    "about_folders",
    "about_groups",
    "about_statistics",
    "quality",
]

# Hennig (2007): from 0.75 on a cluster is stable, below 0.5 it is unstable.
_STABLE: Final = 0.75
_UNSTABLE: Final = 0.5
_REAPPEAR: Final = f"they reappear when some of the images are left out: bootstrap Jaccard ≥ {_STABLE}"
# Above this share of the variance, or of the information, what the images show may count for less.
_MOST: Final = 0.5
_NAMED: Final = 5
_CHANGES: Final = ("kept", "grown", "split", "merged", "new", "removed")
# Folders with fewer images in the mean are not sources.
_IN_A_FOLDER: Final = 3

# An image is in color above this colorfulness.
_COLORFUL: Final = 0.05
_MANY: Final = 0.5
_SMALL_INPUT: Final = 64
_SCALED: Final = 4


def quality(stability: Mapping[int, float | None], images: int, noise: int) -> str:
    """Return one sentence on how far clusters with this stability, by number, can be trusted."""
    count = len(stability)
    if not count:
        return "There are no clusters."
    if count == 1:
        return "There is one cluster, so there is nothing to compare."
    stable = [number for number, value in stability.items() if value is not None and value >= _STABLE]
    unstable = [number for number, value in stability.items() if value is not None and value < _UNSTABLE]
    outside = f" {noise:,} of {images:,} images are in no cluster." if noise else ""
    if len(stable) == count:
        return f"{'Both' if count == 2 else f'All {count}'} clusters are stable ({_REAPPEAR}).{outside}"
    summary = f"{len(stable)} of {count} clusters are stable ({_REAPPEAR})"
    if unstable:
        verb = "is" if len(unstable) == 1 else "are"
        return f"{summary}; {_clusters(unstable)} {verb} unstable, so look there first.{outside}"
    return f"{summary}, the others partly.{outside}"


def about_changes(changes: Sequence[ClusterChange], moved: int, table: str = "changes.csv") -> str:
    """Return one sentence on what became of the clusters of the last clustering; "" if nothing changed.

    Args:
        changes: The changes.
        moved: The number of images of both clusterings that are in another cluster now.
        table: The file that lists the changes; "" if it was not written.
    """
    counts = {kind: sum(change.change == kind for change in changes) for kind in _CHANGES}
    removed = sum(change.removed_images for change in changes)
    if not moved and not removed and counts["kept"] == len(changes):
        return ""
    parts = [f"{count} {kind}" for kind, count in counts.items() if count]
    return (
        f"Compared with the last clustering: {', '.join(parts)}. {moved:,} earlier images are in another cluster "
        f"than before{table and f'; see {table}'}."
        + (f" {counted(removed, 'image')} left the workspace." if removed else "")
    )


def about_groups(
    clustering: Clustering, stability: Sequence[float | None], *, requested: bool, min_cluster_size: object
) -> Iterator[str]:
    """Warn where most images are noise, and where many of the requested clusters are unstable.

    Args:
        clustering: The clustering.
        stability: Of its clusters.
        requested: Whether its number of clusters was requested.
        min_cluster_size: The smallest cluster, where the method has one.
    """
    labels, notes, count = clustering.labels, clustering.notes, len(clustering.labels)
    noise = int((labels < 0).sum())
    if notes.identical:
        yield (
            f"All {count} images have the same embedding, so they are one cluster; if they look different, try another "
            "--encoder."
        )
    elif notes.too_few:
        yield f"{count} images are too few to estimate the number of clusters, so they are one; use --k N for more."
    elif noise == count:
        yield (
            f"There is no group of {min_cluster_size} or more similar images, so all are noise; try --min-cluster-size "
            "2, or leave out --method: then every image gets a cluster."
        )
    elif noise > count / 2:
        yield (
            f"More than half of the images ({noise} of {count}) are in no cluster: they are too few for groups of "
            f"{min_cluster_size}; --assign-noise assigns each to the cluster of its neighbors, and without --method "
            "every image gets a cluster."
        )
    if notes.sample:
        yield (
            f"The clusters were fitted on a random sample of {notes.sample:,} of the {count:,} images; each other "
            "image was placed among its nearest neighbors in the sample."
        )
    unstable = sum(value is not None and value < _UNSTABLE for value in stability)
    if requested and clustering.count > 2 and unstable > clustering.count / 3:
        yield (
            f"--k {clustering.count} may be more than the number of clusters in these images: {unstable} of the "
            "clusters are unstable; leave out --k to have the number estimated."
        )


def about_estimate(clustering: Clustering, *, requested: bool) -> Iterator[str]:
    """Say how many clusters are estimated, if it is fewer than requested."""
    better = clustering.notes.better_k
    if requested and better and clustering.parameters.get("k", 0) > better:
        yield f"Estimated from the images, without --k, the number of clusters is {better}."


def about_folders(labels: Labels, embeddings: Embeddings) -> Iterator[str]:
    """Say that the clusters are largely the folders: good for kinds of things, but not for cameras, sites or days."""
    if mutual_information(labels, _folders(embeddings)) > _MOST:
        yield "The clusters largely match the folders of the images."


def about_statistics(labels: Labels, embeddings: Embeddings) -> Iterator[str]:
    """Warn of clusters that follow brightness, size or shape.

    Images are compared within their folders, so that folders of different sources do not look like an effect of size.
    """
    # Imported vectors may have no files, and so no sizes.
    width, height = np.where(embeddings.sizes > 0, embeddings.sizes, np.nan).T
    statistics = (
        ("brightness", embeddings.statistics[:, 0].astype(np.float64)),
        ("size", np.log(np.maximum(width * height, 1))),
        ("shape (width to height)", np.log(np.maximum(width, 1) / np.maximum(height, 1))),
    )
    folders = _folders(embeddings)
    sources = folders if len(set(folders)) <= len(folders) / _IN_A_FOLDER else _roots(embeddings)
    for name, values in statistics:
        if explained_variance(labels, values, sources) > _MOST:
            yield (f"The clusters largely follow the {name} of the images, so what the images show may count for less.")


def about_encoder(encoder: dict[str, Any], embeddings: Embeddings) -> Iterator[str]:
    """Warn of an encoder that was not made for such images.

    Args:
        encoder: The encoder's entry in the manifest.
        embeddings: The images.
    """
    name, trained_on = encoder.get("name", "the encoder"), encoder.get("trained_on", "")
    if name == IMPORTED:
        return
    color = embeddings.statistics[:, 1]
    gray = encoder.get("channels") == 1
    input_side = max(int(encoder.get("width") or 0), int(encoder.get("height") or 0))
    side = int(np.median(embeddings.sizes.max(axis=1)))
    sees = f"{name} sees {encoder.get('width')}×{encoder.get('height')} pixels{' in gray' if gray else ''}"
    made_for = f" and was trained on {trained_on}" if trained_on else ""
    colorful = np.mean(color > _COLORFUL)
    if gray and colorful > _MANY:
        yield (
            f"{sees}{made_for}, but {colorful:.0%} of these images are in color; for photographs use --encoder photos."
        )
    elif 0 < input_side <= _SMALL_INPUT and side > _SCALED * input_side:
        yield (
            f"{sees}{made_for}, but the median longer side of these images is {side} pixels; for photographs use "
            "--encoder photos."
        )
    elif not gray and side * _SCALED < input_side and np.mean(color <= _COLORFUL) > _MANY:
        yield (
            f"{sees}{made_for}, but most of these images are gray and their median longer side is {side} pixels; for "
            "digits use --encoder mnist, for clothes --encoder fashion-mnist (imgcluster encoders list shows all)."
        )


def _folders(embeddings: Embeddings) -> list[str]:
    return [location.rpartition("/")[0] for location in embeddings.locations]


def _roots(embeddings: Embeddings) -> list[str]:
    """Return for each image the longest of the folders that the images were found under."""
    roots = sorted(embeddings.roots, key=len, reverse=True)
    return [
        next((root for root in roots if location.startswith(f"{root.rstrip('/')}/")), "")
        for location in embeddings.locations
    ]


def _clusters(numbers: Sequence[int]) -> str:
    named = [str(number) for number in numbers[:_NAMED]]
    rest = len(numbers) - len(named)
    if rest:
        return f"clusters {', '.join(named)} and {rest} more"
    if len(named) == 1:
        return f"cluster {named[0]}"
    return f"clusters {', '.join(named[:-1])} and {named[-1]}"
