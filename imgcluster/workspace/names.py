"""Names of clusters across clusterings: what people named once is found again by its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import read_table, write_table
from imgcluster.workspace.folder import Workspace

__all__ = ["find_again", "read_names", "write_names"]

_COLUMNS = ("path", "name")


def read_names(space: Workspace) -> dict[str, str]:
    """Return the name that the cluster of each image had, by location; "" for an image of a cluster without one."""
    if not space.names.exists():
        return {}
    return {row["path"]: row["name"] for row in read_table(space.names, _COLUMNS)}


def write_names(
    space: Workspace,
    locations: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    *,
    shown: Collection[str] = (),
) -> None:
    """Keep which images the named clusters hold, and which the others, for `find_again`; no file without a name.

    Names of before that are not among those `shown`, which people saw and could change, stay with their images where
    these have no other now: another layer, or another clustering, may find them again.
    """
    decided = {*shown, *names.values()}
    before = {place: name for place, name in read_names(space).items() if name not in decided}
    rows = [
        (place, names.get(cluster) or before.get(place, "")) for place, cluster in zip(locations, clusters, strict=True)
    ]
    if not any(name for _, name in rows):
        remove(space.names)
        return
    write_table(space.names, _COLUMNS, rows)


def find_again(known: Mapping[str, str], locations: Sequence[str], clusters: npt.NDArray[np.int64]) -> dict[int, str]:
    """Return the names of those clusters that are, for the most part, what was named so before.

    That is, more than half of the images that had the name are in the cluster, and more than half of the cluster's
    images had it; images that are new since then, or gone, do not count on either side.

    Args:
        known: See `read_names`.
        locations: Of all images.
        clusters: ``int64 (n,)``; −1 is noise.
    """
    if not known:
        return {}
    had: Counter[str] = Counter()
    now: Counter[int] = Counter()
    shared: Counter[tuple[int, str]] = Counter()
    for location, cluster in zip(locations, clusters.tolist(), strict=True):
        name = known.get(location)
        if name is None:
            continue
        had[name] += 1
        now[cluster] += 1
        if name and cluster >= 0:
            shared[cluster, name] += 1
    return {
        cluster: name
        for (cluster, name), count in sorted(shared.items())
        if 2 * count > had[name] and 2 * count > now[cluster]
    }
