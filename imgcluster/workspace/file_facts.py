"""Facts about the files of a workspace's images: size and time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.workspace.shard_file import locations_of, read_keys
from imgcluster.workspace.shards import list_shards

__all__ = ["FileFacts", "read_file_facts"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The files of all images when they were embedded, in the order of `shards.load`.

    Attributes:
        sizes: In bytes, ``int64 (n,)``.
        times: Of the last change, in nanoseconds, ``int64 (n,)``.
    """

    sizes: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]


def read_file_facts(folder: Path, identity: str) -> FileFacts:
    """Read the facts from the shards of one encoder.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    by_location: dict[str, tuple[int, int]] = {}
    for shard in list_shards(folder, identity):
        table = read_keys(shard)
        sizes, times = (table.column(name).to_pylist() for name in ("size", "mtime_ns"))
        by_location |= zip(locations_of(table), zip(sizes, times, strict=True), strict=True)
    facts = [by_location[location] for location in sorted(by_location)]
    return FileFacts(
        sizes=np.array([size for size, _ in facts], np.int64),
        times=np.array([time for _, time in facts], np.int64),
    )
