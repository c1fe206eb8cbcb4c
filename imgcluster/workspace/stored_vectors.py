"""Vectors that stay in the shards and are read in blocks, for collections that need not fit into memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from imgcluster.types import Vectors

__all__ = ["StoredVectors"]

_Indices = npt.NDArray[np.int64]
_Array = TypeVar("_Array", npt.NDArray[np.int64], npt.NDArray[np.float32])

# A usual shard or a few small ones: the allocator requests more than 32 MB from the system anew each time.
_BLOCK_BYTES: Final = 8 << 20
_PART_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors in shards, as `types.VectorRows`.

    Attributes:
        shards: The shards.
        targets: For each shard the position of its rows among the n vectors, ``int64``; −1 for outdated rows.
        shape: The number of vectors and of their values.
        read: Returns all vectors of a shard, ``float32 (rows, d)``.
        functions: What is applied to each block of vectors, in this order.
    """

    shards: Sequence[Path]
    targets: Sequence[_Indices]
    shape: tuple[int, int]
    read: Callable[[Path], Vectors]
    functions: tuple[Callable[[Vectors], Vectors], ...] = ()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: _Indices) -> Vectors:
        positions = np.full(len(self), -1, dtype=np.int64)
        positions[rows] = np.arange(len(rows))
        result = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        chosen = [np.flatnonzero((target >= 0) & (positions[target] >= 0)) for target in self.targets]
        used = [number for number, part in enumerate(chosen) if len(part)]
        for number, vectors in zip(used, self._read_ahead([self.shards[number] for number in used]), strict=True):
            part = chosen[number]
            result[positions[self.targets[number][part]]] = self._changed(vectors[part])
        # A row that is chosen several times was read for the last of them.
        read = positions[rows]
        repeated = np.flatnonzero(read != np.arange(len(rows)))
        result[repeated] = result[read[repeated]]
        return result

    def blocks(self) -> Iterator[tuple[_Indices, Vectors]]:
        """Yield all vectors in blocks of shards, 8 MB or one shard, each with the positions of its rows."""
        most = max(1, _BLOCK_BYTES // (4 * self.shape[1]))
        rows: list[_Indices] = []
        vectors: list[Vectors] = []
        for target, read in zip(self.targets, self._read_ahead(self.shards), strict=True):
            current = target >= 0
            # Nearly always all rows, which need no copy then.
            rows.append(target[current])
            vectors.append(read if current.all() else read[current])
            if sum(map(len, rows)) >= most:
                yield _joined(rows), self._changed(_joined(vectors))
                rows, vectors = [], []
        if rows:
            yield _joined(rows), self._changed(_joined(vectors))

    def parts(self) -> list[StoredVectors]:
        """Return the vectors in parts of about 64 MB, each of shards of its own."""
        result, begin, size = [], 0, 0
        for end, target in enumerate(self.targets, start=1):
            size += 4 * self.shape[1] * len(target)
            if size >= _PART_BYTES or end == len(self.targets):
                part = slice(begin, end)
                result.append(dataclasses.replace(self, shards=self.shards[part], targets=self.targets[part]))
                begin, size = end, 0
        return result

    def reordered(self, order: _Indices) -> StoredVectors:
        """Return the vectors of different rows: position i has what position ``order[i]`` had."""
        # The last entry is that of −1.
        back = np.full(len(self) + 1, -1, dtype=np.int64)
        back[order] = np.arange(len(order))
        shape = len(order), self.shape[1]
        return dataclasses.replace(self, targets=[back[target] for target in self.targets], shape=shape)

    def transformed(self, function: Callable[[Vectors], Vectors]) -> StoredVectors:
        """Return the vectors with a function applied to each block."""
        return dataclasses.replace(self, functions=(*self.functions, function))

    def _read_ahead(self, shards: Sequence[Path]) -> Iterator[Vectors]:
        """Yield all vectors of each shard; the next one is read meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            following = [pool.submit(self.read, shard) for shard in shards[:1]]
            for number in range(len(shards)):
                vectors = following.pop().result()
                following += [pool.submit(self.read, shard) for shard in shards[number + 1 : number + 2]]
                yield vectors

    def _changed(self, block: Vectors) -> Vectors:
        for function in self.functions:
            block = function(block)
        return block


def _joined(parts: Sequence[_Array]) -> _Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
