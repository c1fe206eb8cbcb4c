"""What a workspace holds already: looking files up, and leaving behind the rows that no longer count.

For each stored image the index keeps about 60 bytes in arrays, so that five million fit in 300 MB.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.fileio.path_text import absolute_path
from imgcluster.workspace import shards as shard_files
from imgcluster.workspace.shards import DIGEST_BYTES, ShardWriter

__all__ = ["Index", "Known"]

# So many half-empty shards (a run each) are worth gathering into full ones.
_SMALL_SHARDS: Final = 8


@dataclass(frozen=True, slots=True)
class Known:
    """A stored image: where its row is in the index, and what tells whether the file has changed."""

    position: int
    size: int
    mtime_ns: int
    digest: bytes


class Index:
    """The stored images of one encoder, by location.

    Args:
        folder: Where the shards lie.
        identity: Of the encoder.
        forget: Whether to start over: nothing is known then, and all shards are left behind at the end.

    Raises:
        WorkspaceError: A shard is damaged.
    """

    def __init__(self, folder: Path, identity: str, *, forget: bool = False) -> None:
        self._folder = folder
        self._identity = identity
        self._present = shard_files.all_shards(folder)
        self._shards: list[Path] = [] if forget else shard_files.list_shards(folder, identity)
        keys, sizes, times, digests, self._starts = [], [], [], [], [0]
        for shard in self._shards:
            table = shard_files.read_keys(shard)
            keys.append(_keys(_locations(table)))
            sizes.append(table.column("size").to_numpy())
            times.append(table.column("mtime_ns").to_numpy())
            digests.append(np.array(table.column("digest").to_pylist(), dtype=f"V{DIGEST_BYTES}"))
            self._starts.append(self._starts[-1] + len(table))
        count = self._starts[-1]
        self._keys = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        self._sizes = np.concatenate(sizes) if sizes else np.empty(0, np.int64)
        self._times = np.concatenate(times) if times else np.empty(0, np.int64)
        self._digests = np.concatenate(digests) if digests else np.empty(0, f"V{DIGEST_BYTES}")
        # Of several rows of one file the last one counts: shards are read oldest first.
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        self._current = np.zeros(count, dtype=bool)
        if count:
            last = np.append(self._sorted[1:] != self._sorted[:-1], True)
            self._current[self._order[last]] = True
        self._seen = np.zeros(count, dtype=bool)
        self._touched = np.zeros(count, dtype=bool)

    def __len__(self) -> int:
        return int(self._current.sum())

    def find(self, location: str) -> Known | None:
        """Return what is stored of the file at `location`; None where nothing is."""
        key = np.uint64(_key(location))
        after = int(np.searchsorted(self._sorted, key, side="right"))
        if after == 0 or self._sorted[after - 1] != key:
            return None
        position = int(self._order[after - 1])
        if not self._current[position]:
            return None
        return Known(
            position, int(self._sizes[position]), int(self._times[position]), self._digests[position].tobytes()
        )

    def keep(self, known: Known, mtime_ns: int) -> None:
        """Note that a stored image is still as it was; a new time of change is written at the end."""
        self._seen[known.position] = True
        if mtime_ns != known.mtime_ns:
            self._times[known.position] = mtime_ns
            self._touched[known.position] = True

    def drop(self, known: Known) -> None:
        """Note that a stored row no longer counts: its file has changed or cannot be read any more."""
        self._current[known.position] = False

    def forget_unseen(self, scope: Container[str]) -> int:
        """Drop the images of `scope` that were neither kept nor replaced; return how many vanished."""
        count = 0
        for number, shard in enumerate(self._shards):
            part = slice(self._starts[number], self._starts[number + 1])
            unseen = self._current[part] & ~self._seen[part]
            if not unseen.any():
                continue
            rows = np.flatnonzero(unseen)
            locations = _locations(shard_files.read_keys(shard).take(rows))
            for row, location in zip(rows, locations, strict=True):
                if location in scope:
                    self._current[part.start + row] = False
                    count += 1
        return count

    @property
    def has_outdated_rows(self) -> bool:
        """Whether some rows in the shards no longer count."""
        return not bool(self._current.all()) or len(self._shards) < len(self._present)

    def compact(self, writer: ShardWriter) -> None:
        """Write the rows that count out of shards with outdated ones, then remove those shards.

        Removes the shards of other encoders too; call it only when what replaces them is on disk.
        """
        todo = self._to_rewrite()
        for number in todo:
            start, stop = self._starts[number], self._starts[number + 1]
            rows = np.flatnonzero(self._current[start:stop])
            if rows.size:
                table = shard_files.read_rows(self._shards[number]).take(rows)
                writer.add(
                    [
                        dataclasses.replace(row, mtime_ns=int(self._times[start + position]))
                        for position, row in zip(rows, shard_files.rows_of(table), strict=True)
                    ]
                )
        writer.flush()
        foreign = set(self._present) - set(self._shards)
        shard_files.discard(sorted(foreign | {self._shards[number] for number in todo}))

    def _to_rewrite(self) -> Sequence[int]:
        todo, small = set(), []
        for number in range(len(self._shards)):
            start, stop = self._starts[number], self._starts[number + 1]
            if self._touched[start:stop].any() or not self._current[start:stop].all():
                todo.add(number)
            elif stop - start < shard_files.ROWS_PER_SHARD // 2:
                small.append(number)
        if len(small) >= _SMALL_SHARDS:
            todo.update(small)
        return sorted(todo)


def _locations(table: object) -> list[str]:
    roots = table.column("root").to_pylist()  # type: ignore[attr-defined]
    paths = table.column("path").to_pylist()  # type: ignore[attr-defined]
    return [absolute_path(root, path) for root, path in zip(roots, paths, strict=True)]


def _keys(locations: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.fromiter((_key(location) for location in locations), dtype=np.uint64, count=len(locations))


def _key(location: str) -> int:
    # 64 bits: among five million files two share a key with a chance of one in a million.
    return int.from_bytes(hashlib.blake2b(location.encode(), digest_size=8).digest(), "little")
