"""Writing shards, and removing those that were replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import link_or_copy, remove, remove_temporary_files
from imgcluster.workspace.shard_file import Row, write_rows
from imgcluster.workspace.shards import all_shards, shard_number

__all__ = ["ROWS_PER_SHARD", "ShardWriter", "remove_shards"]

ROWS_PER_SHARD: Final = 2048
"""About 20 MB at 2,688 values; five million images make 2,500 files."""

_SECONDS_PER_SHARD: Final = 60.0
"""An interruption costs at most a minute of work; later runs merge small shards."""


class ShardWriter:
    """Buffers rows and writes them to shards.

    Args:
        folder: The folder of the shards.
        identity: The encoder's identity, which is stored in each shard.
        archive: The folder of replaced shards, whose names are not used again.
        rows_per_shard: The number of rows of a full shard.
    """

    def __init__(
        self, folder: Path, identity: str, *, archive: Path | None = None, rows_per_shard: int = ROWS_PER_SHARD
    ) -> None:
        self._folder = folder
        remove_temporary_files(folder)
        self._identity = identity
        self._capacity = rows_per_shard
        self._rows: list[Row] = []
        self._written = time.monotonic()
        folders = (folder,) if archive is None else (folder, archive)
        self._next = 1 + max((shard_number(shard) for one in folders for shard in all_shards(one)), default=-1)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows; write a shard if one is full, or if the last one is a minute old."""
        self._rows.extend(rows)
        while len(self._rows) >= self._capacity:
            self._write(self._rows[: self._capacity])
            del self._rows[: self._capacity]
        if self._rows and time.monotonic() - self._written > _SECONDS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows as a smaller shard."""
        if self._rows:
            self._write(self._rows)
            self._rows = []

    def adopt(self, shard: Path) -> None:
        """Add a shard of another folder, as a link to its bytes, which never change, or a copy."""
        link_or_copy(shard, self._next_path())

    def _write(self, rows: Sequence[Row]) -> None:
        write_rows(self._next_path(), self._identity, rows)
        self._written = time.monotonic()

    def _next_path(self) -> Path:
        self._next += 1
        return self._folder / f"shard-{self._next - 1:06d}.parquet"


def remove_shards(shards: Sequence[Path], archive: Path | None = None) -> None:
    """Remove shards that were replaced, or move them to the folder `archive`."""
    for shard in shards:
        # An archived shard of the same name is older, and belongs to the saved state.
        if archive is None or os.path.lexists(archive / shard.name):
            remove(shard)
        elif os.path.lexists(shard):
            archive.mkdir(exist_ok=True)
            os.replace(shard, archive / shard.name)
