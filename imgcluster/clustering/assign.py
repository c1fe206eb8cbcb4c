"""Assigning new images to existing clusters, in a diffusion map of the new and the earlier images."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.margins import margins
from imgcluster.clustering.types import Confidence, Layer
from imgcluster.features.centroids import centroids, nearest_centroid
from imgcluster.features.neighborhood import Neighborhood
from imgcluster.types import Labels

__all__ = ["assign_new", "similar_unsorted"]

_Rows = npt.NDArray[np.int64]

# An image is unlike all clusters if the images near it in the graph are mostly new, too, and several such images are
# connected.
_NEW_SHARE: Final = 0.3
_SMALLEST_KIND: Final = 5
# Intercept and slope of the logarithmic odds of the right cluster by the margin. All three: benchmarks/assign.py.
_ODDS: Final = (-1.0, 4.4)


def assign_new(
    neighborhood: Neighborhood,
    labels: Labels,
    new: npt.NDArray[np.bool_],
    *,
    returning: npt.NDArray[np.bool_] | None = None,
) -> Layer:
    """Return cluster, confidence and runner-up of new images.

    A new image joins the cluster with the nearest centroid in the diffusion map, which is where k-means would put it.
    The confidence is calibrated (Platt 1999) on the margin between this centroid and the next.

    An image stays outside of all clusters (−1) if a random walk from it ends among images of no cluster more often than
    in clusters, or if it is unlike all of them: if the walk ends at clearly more new images than one from an earlier
    image does, and if at least five such images are connected. A new kind of image is found in this way if there are
    several of it; distances alone hardly distinguish a new kind from an unusual image of a known kind.

    Args:
        neighborhood: Of all new images.
        labels: ``int64 (n,)``, the clusters of all images; −1 for none. Those of new images are read if they return.
        new: ``bool (n,)``, which images are new.
        returning: ``bool (n,)``, which new images return to the cluster that they had; none by default.

    Returns:
        A layer of the new images alone, in the order of their rows.
    """
    rows = np.flatnonzero(new)
    is_new = (new if returning is None else new & ~returning)[neighborhood.rows]
    known = np.where(is_new, -1, labels[neighborhood.rows])
    layer = Layer(np.full(len(new), -1), np.zeros(len(new), np.float32), np.full(len(new), -1))
    if len(rows) and (known >= 0).any():
        # Numbers have gaps where clusters were merged or removed; these have no centroid.
        numbers = np.append(np.unique(known[known >= 0]), -1)
        compact = np.where(known >= 0, np.searchsorted(numbers[:-1], known), -1)
        positions = neighborhood.positions
        nearest = nearest_centroid(positions, centroids(positions, compact, len(numbers) - 1))
        outside = _unlike_all(neighborhood, is_new) | _like_unclustered(neighborhood, known, is_new)
        compact = np.where(is_new, np.where(outside, -1, nearest), compact)
        margin, seconds = margins(positions, compact)
        layer.labels[neighborhood.rows] = numbers[compact]
        layer.confidence[neighborhood.rows] = np.where(compact < 0, 0, _calibrated(margin))
        layer.runner_up[neighborhood.rows] = numbers[seconds]
    return Layer(layer.labels[rows], layer.confidence[rows], layer.runner_up[rows])


def similar_unsorted(neighborhood: Neighborhood, labels: Labels) -> _Rows:
    """Return the images outside of all clusters that are similar to each other, as row numbers.

    These are images from which a random walk often ends at others outside of all clusters.

    Args:
        neighborhood: Of all images outside of all clusters.
        labels: ``int64 (n,)``; −1 for none.
    """
    outside = labels[neighborhood.rows] < 0
    similar = outside & (neighborhood.shares(outside) >= _NEW_SHARE)
    return np.sort(neighborhood.rows[similar & (neighborhood.group_sizes(similar) >= 2)])


def _unlike_all(neighborhood: Neighborhood, new: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which new images have clearly more new images near them in the graph than earlier images have."""
    shares = neighborhood.shares(new)
    usual = float(shares[~new].mean())
    unlike = new & (shares >= usual + _NEW_SHARE * (1 - usual))
    return unlike & (neighborhood.group_sizes(unlike) >= _SMALLEST_KIND)


def _like_unclustered(neighborhood: Neighborhood, known: Labels, new: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which new images are nearer to the earlier images of no cluster than to those of clusters."""
    return new & (neighborhood.shares(~new & (known < 0)) > neighborhood.shares(known >= 0))


def _calibrated(margin: Confidence) -> Confidence:
    intercept, slope = _ODDS
    return np.asarray(1 / (1 + np.exp(-(intercept + slope * margin))), dtype=np.float32)
