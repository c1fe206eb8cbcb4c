"""Names of clusters: stored by image, so that later clusterings can use them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.workspace.folder import Workspace

__all__ = ["match_names", "read_names", "write_names"]

_COLUMNS = ("path", "name")


def read_names(workspace: Workspace) -> dict[str, str]:
    """Return the name of each image's cluster by the image's absolute path; "" for an unnamed cluster."""
    if not workspace.names.exists():
        return {}
    return {row["path"]: row["name"] for row in read_table(workspace.names, _COLUMNS)}


def write_names(
    workspace: Workspace,
    locations: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    *,
    replaced: Collection[str] = (),
) -> None:
    """Store the name of each image's cluster for `match_names`; without any name there is no file.

    Stored names that are in neither `names` nor `replaced` stay with their images, unless the image's cluster has a
    name now: another layer or a later clustering may match them again.

    Args:
        workspace: The workspace.
        locations: Absolute paths of the images, as texts.
        clusters: The cluster of each image; −1 is noise.
        names: The names of clusters.
        replaced: The names before a plan was applied, which the user could change.
    """
    current = {*replaced, *names.values()}
    earlier = {location: name for location, name in read_names(workspace).items() if name not in current}
    rows = [
        (location, names.get(cluster) or earlier.get(location, ""))
        for location, cluster in zip(locations, clusters, strict=True)
    ]
    if not any(name for _, name in rows):
        remove(workspace.names)
        return
    write_table(workspace.names, _COLUMNS, rows)


def match_names(stored: Mapping[str, str], locations: Sequence[str], clusters: npt.NDArray[np.int64]) -> dict[int, str]:
    """Return the stored names that apply to the clusters of a new clustering.

    A cluster gets a name if it contains more than half of the images stored with that name, and these are more than
    half of its images. Only images that are both in `stored` and in `locations` count.

    Args:
        stored: See `read_names`.
        locations: Absolute paths of all images, as texts.
        clusters: ``int64 (n,)``; −1 is noise.
    """
    if not stored:
        return {}
    name_sizes: Counter[str] = Counter()
    cluster_sizes: Counter[int] = Counter()
    shared: Counter[tuple[int, str]] = Counter()
    for location, cluster in zip(locations, clusters.tolist(), strict=True):
        name = stored.get(location)
        if name is None:
            continue
        name_sizes[name] += 1
        cluster_sizes[cluster] += 1
        if name and cluster >= 0:
            shared[cluster, name] += 1
    return {
        cluster: name
        for (cluster, name), count in sorted(shared.items())
        if 2 * count > name_sizes[name] and 2 * count > cluster_sizes[cluster]
    }
