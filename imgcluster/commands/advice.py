"""What people should know of a clustering, in plain words: how far it can be trusted, and what may be wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.evaluation.confounders import agreement, explained
from imgcluster.types import Clustering
from imgcluster.workspace.shards import Embeddings

__all__ = ["about_encoder", "about_groups", "about_looks", "quality"]

# Hennig (2007): above 0.75 a cluster is stable, below 0.5 it dissolves.
_STABLE: Final = 0.75
_DISSOLVED: Final = 0.5
# So much of the variance, or of the information, leaves little for what the images show.
_MOST: Final = 0.5
_NAMED: Final = 5

# What the encoder sees beside what there is.
_COLOURFUL: Final = 0.05
_MANY: Final = 0.5
_SMALL_INPUT: Final = 64
_SHRUNK: Final = 4


def quality(stability: Sequence[float | None], images: int, noise: int) -> str:
    """Say in one sentence how far clusters of this stability can be trusted."""
    count = len(stability)
    if not count:
        return "There are no clusters."
    if count == 1:
        return "There is one cluster, so there is nothing to tell apart."
    stable = [number for number, value in enumerate(stability) if value is not None and value >= _STABLE]
    weak = [number for number, value in enumerate(stability) if value is not None and value < _DISSOLVED]
    outside = f" {noise:,} of {images:,} images are in none." if noise else ""
    if len(stable) == count:
        return f"All {count} clusters come out again when images are left out.{outside}"
    told = f"{len(stable)} of {count} clusters come out again when images are left out"
    if weak:
        return f"{told}; {_clusters(weak)} dissolve{'s' if len(weak) == 1 else ''}, so look there first.{outside}"
    return f"{told}, the others in part.{outside}"


def about_groups(
    clustering: Clustering, stability: Sequence[float | None], *, asked: bool, min_cluster_size: object
) -> Iterator[str]:
    """Warn of noise that is most of the answer, and of more clusters than the images show."""
    labels, count = clustering.labels, len(clustering.labels)
    noise = int((labels < 0).sum())
    if clustering.parameters.get("identical"):
        yield (
            f"All {count} images are the same to this encoder, so they are one cluster; if they look different, "
            "try another --encoder."
        )
    elif clustering.parameters.get("too_few"):
        yield f"{count} images are too few to find a number of clusters, so they are one; --k N asks for more."
    elif noise == count:
        yield (
            f"No group of {min_cluster_size} or more similar images was found, so all are noise; try "
            "--min-cluster-size 2, or leave out --method: then every image gets a cluster."
        )
    elif noise > count / 2:
        yield (
            f"More than half of the images ({noise} of {count}) are in no cluster: they lie too thinly for groups of "
            f"{min_cluster_size}; --assign-noise gives each to its neighbours' cluster, and without --method every "
            "image gets one."
        )
    weak = sum(value is not None and value < _DISSOLVED for value in stability)
    shown = clustering.parameters.get("shown", math.inf)
    if asked and clustering.parameters.get("k", 0) > shown:
        yield (
            f"--k {clustering.parameters['k']} is more than these images show: they fall into {shown} groups that are "
            "well apart, some of which are parted here; leave out --k to have the number found."
        )
    elif asked and clustering.count > 2 and weak > clustering.count / 3:
        yield (
            f"--k {clustering.count} is more than these images show: {weak} of the clusters do not come out again when "
            "images are left out; leave out --k to have the number found."
        )


def about_looks(labels: npt.NDArray[np.int64], embeddings: Embeddings) -> Iterator[str]:
    """Warn of clusters that follow brightness, size, shape or folder."""
    width, height = embeddings.sizes[:, 0].astype(np.float64), embeddings.sizes[:, 1].astype(np.float64)
    told = (
        ("brightness", embeddings.looks[:, 0].astype(np.float64)),
        ("size", np.log(np.maximum(width * height, 1))),
        ("shape (width to height)", np.log(np.maximum(width, 1) / np.maximum(height, 1))),
    )
    for name, values in told:
        share = explained(labels, values)
        if share > _MOST:
            yield (
                f"The clusters follow the {name} of the images, of which they explain {share:.0%}; what the images "
                "show may count less than that."
            )
    shared = agreement(labels, [location.rpartition("/")[0] for location in embeddings.locations])
    if shared > _MOST:
        yield (
            f"The clusters largely repeat the folders that the images lie in (agreement {shared:.2f} of 1): good where "
            "folders hold kinds of things, a warning where they hold sources, such as cameras, sites or days."
        )


def about_encoder(encoder: dict[str, Any], embeddings: Embeddings) -> Iterator[str]:
    """Warn of an encoder that was not made for such images."""
    name, trained_on = encoder.get("name", "the encoder"), encoder.get("trained_on", "")
    colourful = embeddings.looks[:, 1] > _COLOURFUL
    grey = encoder.get("channels") == 1
    width, height = int(encoder.get("width") or 0), int(encoder.get("height") or 0)
    small = 0 < max(width, height) <= _SMALL_INPUT
    sees = f"{name} sees {width}×{height} pixels{' of grey' if grey else ''}"
    made_for = f" and was trained on {trained_on}" if trained_on else ""
    if grey and np.mean(colourful) > _MANY:
        yield (
            f"{sees}{made_for}, but {np.mean(colourful):.0%} of these images are in colour; for photographs use "
            "--encoder photos."
        )
    elif small and np.median(embeddings.sizes.max(axis=1)) > _SHRUNK * max(width, height):
        side = int(np.median(embeddings.sizes.max(axis=1)))
        yield (
            f"{sees}{made_for}, but the longer side of these images is {side} pixels in the middle; for photographs "
            "use --encoder photos."
        )


def _clusters(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers[:_NAMED]]
    rest = len(numbers) - len(shown)
    if rest:
        return f"clusters {', '.join(shown)} and {rest} more"
    if len(shown) == 1:
        return f"cluster {shown[0]}"
    return f"clusters {', '.join(shown[:-1])} and {shown[-1]}"
