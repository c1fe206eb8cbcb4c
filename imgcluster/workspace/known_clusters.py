"""The images of every cluster that a workspace has had, by content, so that clusters keep their numbers.

``known_clusters.parquet`` has one row per image of the current clustering, noise (−1) included, and the rows of earlier
clusters whose numbers are not in use now, and of images that have left, which may return. A missing file means that
nothing is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.parquet import read_parquet, refuse_damaged

__all__ = ["NOTHING_KNOWN", "KnownClusters", "find_rows", "read_known_clusters", "write_known_clusters"]

_HIGHEST_KEY: Final = b"imgcluster.highest_cluster"
_COLUMNS: Final = ("cluster", "current", "digest", "path")
# Earlier clusters are forgotten, the oldest first, when they have more images than this multiple of the current ones.
_REMEMBERED: Final = 10


@dataclass(frozen=True, slots=True)
class KnownClusters:
    """The images of the current clusters, then those of earlier ones, the oldest last; m rows.

    Attributes:
        clusters: ``int64 (m,)``; −1 is noise, of the current clustering only.
        current: ``bool (m,)``.
        digests: The digest of each image's file.
        paths: The absolute path of each image, as text.
        highest: The highest cluster number that was ever used; −1 for none.
    """

    clusters: npt.NDArray[np.int64]
    current: npt.NDArray[np.bool_]
    digests: list[bytes]
    paths: list[str]
    highest: int

    def after(
        self, clusters: npt.NDArray[np.int64], digests: Sequence[bytes], paths: Sequence[str], *, keep: Collection[int]
    ) -> KnownClusters:
        """Return what is known after a new clustering; of earlier clusters those in `keep` are never forgotten."""
        present = np.unique(clusters)
        earlier = [row for row in range(len(self.clusters)) if self.clusters[row] >= 0]
        gone, present_images = ~np.isin(self.clusters, present), set(digests)
        left = [row for row in earlier if gone[row] or self.digests[row] not in present_images]
        rows = self._within(_REMEMBERED * len(clusters), left, keep)
        return KnownClusters(
            clusters=np.concatenate([clusters, self.clusters[rows]]).astype(np.int64),
            current=np.repeat([True, False], [len(clusters), len(rows)]),
            digests=[*digests, *(self.digests[row] for row in rows)],
            paths=[*paths, *(self.paths[row] for row in rows)],
            highest=max(self.highest, int(clusters.max(initial=-1))),
        )

    def _within(self, most: int, rows: list[int], keep: Collection[int]) -> list[int]:
        """Return the rows of as many whole clusters as have at most `most` images, the first ones and those to keep."""
        sizes: dict[int, int] = {}
        for row in rows:
            sizes[int(self.clusters[row])] = sizes.get(int(self.clusters[row]), 0) + 1
        chosen, total = set(keep), 0
        for number, size in sizes.items():
            total += size
            if total <= most:
                chosen.add(number)
        return [row for row in rows if int(self.clusters[row]) in chosen]


NOTHING_KNOWN: Final = KnownClusters(np.empty(0, np.int64), np.empty(0, bool), [], [], -1)


def find_rows(
    digests: Sequence[bytes],
    paths: Sequence[str],
    present: Sequence[bytes],
    present_paths: Sequence[str],
    *,
    current: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.int64]:
    """Return the row of each image among the present ones, ``int64 (m,)``; −1 where its content is gone.

    An image is the present one with the same content and path. If there is none, it was renamed: it is the next one
    with the same content that is no other image.

    Args:
        digests: The digest of each of m images.
        paths: Their absolute paths.
        present: The digests of the n present images.
        present_paths: Their absolute paths, sorted.
        current: ``bool (m,)``, which of them are of the last clustering and are found first; by default all.
    """
    keys = list(zip(digests, paths, strict=True))
    known = set(keys)
    rows: dict[tuple[bytes, str], int] = {}
    others: dict[bytes, list[int]] = {}
    for row, key in enumerate(zip(present, present_paths, strict=True)):
        if key in known:
            rows[key] = row
        else:
            others.setdefault(key[0], []).append(row)
    later = known - {keys[row] for row in np.flatnonzero(current)} if others and current is not None else set()
    for key in sorted(known - rows.keys(), key=lambda key: (key in later, key)) if others else ():
        if others.get(key[0]):
            rows[key] = others[key[0]].pop(0)
    return np.fromiter((rows.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))


def read_known_clusters(path: Path) -> KnownClusters:
    """Read the file at `path`.

    Raises:
        WorkspaceError: It is damaged.
    """
    import pyarrow as pa

    if not path.exists():
        return NOTHING_KNOWN
    with refuse_damaged(path, "delete it, after which clusters may get other numbers"):
        table = read_parquet(path)
        table.validate(full=True)
        clusters = table.column("cluster").cast(pa.int64()).to_numpy()
        highest = int(table.schema.metadata[_HIGHEST_KEY])
        if clusters.min(initial=0) < -1 or clusters.max(initial=-1) > highest or highest >= 1 << 31:
            raise ValueError("a cluster's number is out of range")
        return KnownClusters(
            clusters=clusters,
            current=table.column("current").to_numpy(zero_copy_only=False).astype(bool),
            digests=table.column("digest").cast(pa.binary()).to_pylist(),
            paths=table.column("path").cast(pa.string()).to_pylist(),
            highest=highest,
        )


def write_known_clusters(path: Path, known: KnownClusters) -> None:
    """Replace the file at `path`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: Iterable[pa.Array] = (
        pa.array(known.clusters.astype(np.int32)),
        pa.array(known.current),
        pa.array(known.digests, pa.binary()),
        pa.array(known.paths, pa.string()),
    )
    table = pa.Table.from_arrays(list(columns), names=list(_COLUMNS))
    table = table.replace_schema_metadata({_HIGHEST_KEY: str(known.highest).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
