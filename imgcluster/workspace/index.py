"""An index of the stored images: lookup by path, and removal of outdated rows.

It needs about 60 bytes per stored image: 300 MB for five million.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import from_text
from imgcluster.workspace import shard_writer
from imgcluster.workspace.shard_file import Row, locations_of, read_keys, read_pairs, read_rows, rows_of
from imgcluster.workspace.shard_writer import ShardWriter
from imgcluster.workspace.shards import all_shards, list_shards

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Index", "StoredImage", "is_gone"]

# This many shards that are less than half full are merged.
_SMALL_SHARDS: Final = 8
_SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A stored image: the position of its row in the index, and the size, mtime and digest of the embedded file."""

    position: int
    size: int
    mtime_ns: int
    digest: bytes


class Index:
    """The stored images of one encoder, by absolute path.

    Args:
        folder: The folder of the shards.
        identity: The encoder's identity.
        fresh: Whether to leave out the shards in `folder`; `compact` then removes them.
        below: Older shards of another folder, which are only read.

    Attributes:
        removed: The locations of the dropped images, and of those that are no longer readable.
        first_files: The path of the embedded file by that of the second file, for images with two.

    Raises:
        WorkspaceError: A shard is damaged.
    """

    def __init__(self, folder: Path, identity: str, *, fresh: bool = False, below: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._identity = identity
        self._present = all_shards(folder)
        self._shards: list[Path] = [*below, *([] if fresh else list_shards(folder, identity))]
        self._below = len(below)
        self.removed: list[str] = []
        keys, sizes, times, digests, self._starts = [], [], [], [], [0]
        self._companions: dict[int, str] = {}
        self.first_files: dict[str, str] = {}
        self._has_new_companion = False
        for shard in self._shards:
            table = read_keys(shard)
            keys.append(_keys(locations_of(table)))
            sizes.append(table.column("size").to_numpy())
            times.append(table.column("mtime_ns").to_numpy())
            digests.append(np.array(table.column("digest").to_pylist(), dtype=f"V{DIGEST_BYTES}"))
            for row, (first, second) in read_pairs(shard).items():
                self._companions[self._starts[-1] + row] = second.rpartition("/")[2]
                self.first_files[second] = first
            self._starts.append(self._starts[-1] + len(table))
        count = self._starts[-1]
        self._keys = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        self._sizes = np.concatenate(sizes) if sizes else np.empty(0, np.int64)
        self._times = np.concatenate(times) if times else np.empty(0, np.int64)
        self._digests = np.concatenate(digests) if digests else np.empty(0, f"V{DIGEST_BYTES}")
        # Of several rows of one file the last one is current: shards are read oldest first.
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        self._current = np.zeros(count, dtype=bool)
        if count:
            last = np.append(self._sorted[1:] != self._sorted[:-1], True)
            self._current[self._order[last]] = True
        self._seen = np.zeros(count, dtype=bool)
        self._has_new_facts = np.zeros(count, dtype=bool)
        self._by_digest: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]] | None = None
        self._open: tuple[int, pa.Table] | None = None

    def __len__(self) -> int:
        return int(self._current.sum())

    def find(self, location: str) -> StoredImage | None:
        """Return the stored image of the file at `location`; None if there is none."""
        return self.find_all([location])[0]

    def companion(self, image: StoredImage) -> str:
        """Return the name of the second file of a stored image; "" if there is none."""
        return self._companions.get(image.position, "")

    def find_all(self, locations: Sequence[str]) -> list[StoredImage | None]:
        """Return what `find` returns for each of `locations`, in a fraction of the time."""
        if not len(self._sorted):
            return [None] * len(locations)
        keys = _keys(locations)
        found = np.maximum(np.searchsorted(self._sorted, keys, side="right") - 1, 0)
        positions = self._order[found]
        present = (self._sorted[found] == keys) & self._current[positions]
        rows = zip(
            present.tolist(),
            positions.tolist(),
            self._sizes[positions].tolist(),
            self._times[positions].tolist(),
            self._digests[positions],
            strict=True,
        )
        return [
            StoredImage(position, size, mtime_ns, digest.tobytes()) if is_present else None
            for is_present, position, size, mtime_ns, digest in rows
        ]

    def mark_unchanged(self, image: StoredImage, mtime_ns: int, companion: str = "") -> None:
        """Record that the content of a stored image is unchanged; `compact` writes a new `mtime_ns` or `companion`."""
        self._seen[image.position] = True
        if mtime_ns != image.mtime_ns:
            self._times[image.position] = mtime_ns
            self._has_new_facts[image.position] = True
        if companion != self._companions.get(image.position, ""):
            self._companions[image.position] = companion
            self._has_new_facts[image.position] = self._has_new_companion = True

    def mark_outdated(self, image: StoredImage) -> None:
        """Record that a stored row is outdated: its file has changed."""
        self._current[image.position] = False

    def mark_removed(self, image: StoredImage, location: str) -> None:
        """Record that the file at `location` is no longer readable."""
        self._current[image.position] = False
        self.removed.append(location)

    def row_with_content(self, digest: bytes) -> Row | None:
        """Return a stored row whose file has this digest, whether it is current or not; None if there is none."""
        if not len(self._digests):
            return None
        if self._by_digest is None:
            prefixes = _prefixes(self._digests.tobytes())
            order = np.argsort(prefixes, kind="stable")
            self._by_digest = order, prefixes[order]
        order, prefixes = self._by_digest
        first, end = (int(np.searchsorted(prefixes, _prefixes(digest)[0], side=side)) for side in _SIDES)
        for position in order[first:end].tolist():
            if self._digests[position].tobytes() == digest:
                number = int(np.searchsorted(self._starts, position, side="right")) - 1
                table = self._shard_rows(number).slice(position - self._starts[number], 1)
                return rows_of(table)[0]
        return None

    def _shard_rows(self, number: int) -> pa.Table:
        # Renamed folders are looked up in nearly the order in which they are stored.
        if self._open is None or self._open[0] != number:
            self._open = number, read_rows(self._shards[number])
        return self._open[1]

    def drop_unseen(self, scope: Container[str]) -> list[bytes]:
        """Drop the images in `scope` that were not marked, and return their digests."""
        return self._drop(lambda location, digest: location in scope)

    def drop_renamed(self, found: Sequence[bytes]) -> list[bytes]:
        """Drop images that were not marked and whose file is gone, one for each digest found; return their digests.

        So a folder that was renamed, or moved to another disk, is recognized although it was not searched.
        """
        if not found:
            return []
        rest = Counter(found)

        def is_renamed(location: str, digest: bytes) -> bool:
            if not rest[digest] or not is_gone(location):
                return False
            rest[digest] -= 1
            return True

        return self._drop(is_renamed)

    def unseen(self) -> Iterator[str]:
        """Yield the locations of the images that were not marked."""
        for _, location in self._unseen():
            yield location

    def _drop(self, leaves: Callable[[str, bytes], bool]) -> list[bytes]:
        dropped: list[bytes] = []
        for position, location in self._unseen():
            digest = self._digests[position].tobytes()
            if leaves(location, digest):
                self._current[position] = False
                dropped.append(digest)
                self.removed.append(location)
        return dropped

    def _unseen(self) -> Iterator[tuple[int, str]]:
        for number, shard in enumerate(self._shards):
            part = slice(self._starts[number], self._starts[number + 1])
            rows = np.flatnonzero(self._current[part] & ~self._seen[part])
            if rows.size:
                positions = (part.start + rows).tolist()
                yield from zip(positions, locations_of(read_keys(shard).take(rows)), strict=True)

    @property
    def has_outdated_rows(self) -> bool:
        """Whether the shards contain outdated rows, those of images with another second file included."""
        return self._has_new_companion or not bool(self._current.all()) or self._has_foreign_shards

    @property
    def _has_foreign_shards(self) -> bool:
        return len(self._shards) - self._below < len(self._present)

    def compact(self, writer: ShardWriter, archive: Path | None = None) -> None:
        """Rewrite the current rows of shards with outdated ones, then move these shards to `archive`, or remove them.

        Shards of other encoders are removed, too; call it only when their replacement is on disk.
        """
        outdated = self._shards_to_rewrite()
        for number in outdated:
            start, stop = self._starts[number], self._starts[number + 1]
            current = self._current[start:stop]
            rows = np.flatnonzero(current & self._has_new_facts[start:stop] if number < self._below else current)
            if rows.size:
                table = read_rows(self._shards[number]).take(rows)
                writer.add(
                    [
                        dataclasses.replace(
                            row,
                            mtime_ns=int(self._times[start + position]),
                            companion=self._companions.get(start + int(position), ""),
                        )
                        for position, row in zip(rows, rows_of(table), strict=True)
                    ]
                )
        writer.flush()
        foreign = set(self._present) - set(self._shards)
        replaced = sorted(foreign | {self._shards[number] for number in outdated if number >= self._below})
        shard_writer.remove_shards(replaced, archive)

    def _shards_to_rewrite(self) -> Sequence[int]:
        outdated, small = set(), []
        for number in range(len(self._shards)):
            start, stop = self._starts[number], self._starts[number + 1]
            if self._has_new_facts[start:stop].any() or not self._current[start:stop].all():
                outdated.add(number)
            elif number < self._below:
                continue
            elif stop - start < shard_writer.ROWS_PER_SHARD // 2:
                small.append(number)
        if len(small) >= _SMALL_SHARDS:
            outdated.update(small)
        return sorted(outdated)


def _keys(locations: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.fromiter((_key(location) for location in locations), dtype=np.uint64, count=len(locations))


def is_gone(location: str) -> bool:
    """Return whether there is no such file; a folder that cannot be read may contain it."""
    if url_of(location):
        return False
    try:
        os.lstat(from_text(location))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _prefixes(digests: bytes) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each digest."""
    return np.frombuffer(digests, dtype=np.uint64)[:: DIGEST_BYTES // 8]


def _key(location: str) -> int:
    # With 64 bits, the probability of a collision among five million files is below one in a million.
    return int.from_bytes(hashlib.blake2b(location.encode(), digest_size=8).digest(), "little")
