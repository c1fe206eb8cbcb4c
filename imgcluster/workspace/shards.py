"""Embeddings as Parquet shards: written once each, read by column, the newest row of a file counting.

A shard is never changed. What is added goes into new shards; rows that no longer count are left behind when their
shard is written again under a higher number. So an interruption at any point leaves rows that are right or
outdated, never half of one, and two rows of one file resolve themselves: the higher shard wins.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, remove_drafts
from imgcluster.fileio.path_text import absolute_path

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DIGEST_BYTES",
    "Contents",
    "Embeddings",
    "Row",
    "ShardWriter",
    "all_shards",
    "contents",
    "discard",
    "list_shards",
    "load",
    "locations",
    "read_keys",
    "read_rows",
    "rows_of",
]

DIGEST_BYTES: Final = 16

ROWS_PER_SHARD: Final = 2048
"""About 10 MB at 1,280 values; five million images make 2,500 files."""

_SECONDS_PER_SHARD: Final = 60.0
"""A kill costs a minute's work at most, however slow the encoder; later runs gather small shards into full ones."""

_NAME: Final = re.compile(r"shard-[0-9]{6,}\.parquet")
_IDENTITY_KEY: Final = b"imgcluster.encoder"
_LOOKS: Final = ("brightness", "colour")


@dataclass(frozen=True, slots=True)
class Row:
    """One embedded image as it is stored.

    `path` is relative to `root`, the `base` of the workspace; `source` is the folder that the user named. All three
    are texts of `path_text`. `digest` is the BLAKE2b-128 of the file's bytes; `width` and
    `height` are those of the upright original, in pixels; `embedding` is ``float32 (embedding_size,)``; `brightness`
    and `colour` are those of `decode.Decoded`, NaN where an older imgcluster did not measure them.
    """

    path: str
    root: str
    size: int
    mtime_ns: int
    digest: bytes
    width: int
    height: int
    embedding: npt.NDArray[np.float32]
    brightness: float = math.nan
    colour: float = math.nan
    source: str = ""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """All embeddings of a workspace, sorted by location.

    Attributes:
        locations: Absolute paths as texts, ``n`` of them.
        roots: The distinct folders that the images were found under, sorted.
        sizes: Width and height of the originals in pixels; ``int32 (n, 2)``.
        looks: Brightness and colour, ``float32 (n, 2)``; NaN where they were not measured.
        vectors: ``float32 (n, embedding_size)``.
        fingerprint: Changes whenever an image or the encoder does.
        content_order: The rows sorted by the digests of the files, ``int64 (n,)``; it does not depend on file names.
    """

    locations: list[str]
    roots: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    looks: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]
    fingerprint: str
    content_order: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contents:
    """How many images there are, the distinct folders they were found under (sorted), and their fingerprint."""

    images: int
    roots: tuple[str, ...]
    fingerprint: str


def list_shards(folder: Path, identity: str) -> list[Path]:
    """Return the shards of this encoder in `folder`, oldest first; those of another encoder are passed over.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    return [path for path in all_shards(folder) if _identity_of(path) == identity]


def all_shards(folder: Path) -> list[Path]:
    """Return every shard in `folder`, oldest first, whatever encoder it was made with."""
    # A copy that somebody made (a cloud folder's "shard-000001 (1).parquet") is none of ours.
    return sorted((path for path in folder.glob("shard-*.parquet") if _NAME.fullmatch(path.name)), key=_number)


def read_keys(shard: Path) -> pa.Table:
    """Read the columns that tell files apart, without the vectors.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return _read(shard, ["path", "root", "size", "mtime_ns", "digest"])


def read_rows(shard: Path) -> pa.Table:
    """Read a whole shard.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return _read(shard, None)


def locations(folder: Path) -> set[str]:
    """Return the absolute paths, as texts, of all images that any shard in `folder` has a row of.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    found: set[str] = set()
    for shard in all_shards(folder):
        table = _read(shard, ["path", "root"])
        found.update(map(absolute_path, table.column("root").to_pylist(), table.column("path").to_pylist()))
    return found


def contents(folder: Path, identity: str) -> Contents:
    """Say what `load` would read, without reading the vectors; some 40 bytes for each image are held.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    numbers: dict[str, int] = {}
    # Per row: 128 bits that stand for the location, the 128 bits of `_row_hash` in four parts, and the root's number.
    keys = [np.empty((0, 2), np.uint64)]
    hashes = [np.empty((0, 4), np.uint32)]
    homes = [np.empty(0, np.int32)]
    for shard in list_shards(folder, identity):
        table = _read(shard, ["path", "root", "digest"])
        sources = _sources(shard)
        columns = [table.column(name).to_pylist() for name in ("root", "path", "digest")]
        rows = [(absolute_path(root, path), digest) for root, path, digest in zip(*columns, strict=True)]
        located = b"".join(hashlib.blake2b(location.encode(), digest_size=16).digest() for location, _ in rows)
        hashed = b"".join(_row_hash(location, digest).to_bytes(16, "little") for location, digest in rows)
        keys.append(np.frombuffer(located, "<u8").reshape(-1, 2))
        hashes.append(np.frombuffer(hashed, "<u4").reshape(-1, 4))
        homes.append(np.array([numbers.setdefault(source, len(numbers)) for source in sources], np.int32))
    key = np.concatenate(keys)
    order = np.lexsort((key[:, 0], key[:, 1]))
    # Equal keys stay in the order of the shards: of several rows of one file the last one counts.
    last = np.append((key[order[1:]] != key[order[:-1]]).any(axis=1), True)[: len(order)]
    newest = order[last]
    parts = np.concatenate(hashes)[newest].sum(axis=0, dtype=np.uint64)
    total = sum(int(part) << (32 * place) for place, part in enumerate(parts))
    present = set(np.concatenate(homes)[newest].tolist())
    roots = tuple(sorted(root for root, number in numbers.items() if number in present))
    return Contents(len(newest), roots, _seal(total, identity))


def load(folder: Path, identity: str) -> Embeddings:
    """Read the embeddings that count, sorted by location so that the history of the workspace does not matter.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    shards = list_shards(folder, identity)
    found: dict[str, tuple[int, int, bytes, str]] = {}
    # Where the row at (shard, row) goes in the sorted result; -1 for one that is superseded.
    targets = []
    for number, shard in enumerate(shards):
        table = _read(shard, ["path", "root", "digest"])
        targets.append(np.full(len(table), -1, dtype=np.int64))
        columns = (table.column(name).to_pylist() for name in ("root", "path", "digest"))
        for row, (root, path, digest, source) in enumerate(zip(*columns, _sources(shard), strict=True)):
            found[absolute_path(root, path)] = (number, row, digest, source)
    newest = sorted(found.items())
    for place, (_, (number, row, _, _)) in enumerate(newest):
        targets[number][row] = place

    vectors: npt.NDArray[np.float32] | None = None
    sizes = np.zeros((len(newest), 2), dtype=np.int32)
    looks = np.full((len(newest), 2), np.nan, dtype=np.float32)
    for shard, target in zip(shards, targets, strict=True):
        measured = _has_looks(shard)
        table = _read(shard, ["width", "height", *(_LOOKS if measured else ()), "embedding"])
        column = table.column("embedding").combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
        if vectors is None:
            vectors = np.empty((len(newest), values.shape[1]), dtype=np.float32)
        used = target >= 0
        vectors[target[used]] = values[used]
        sizes[target[used], 0] = table.column("width").to_numpy()[used]
        sizes[target[used], 1] = table.column("height").to_numpy()[used]
        if measured:
            for place, name in enumerate(_LOOKS):
                looks[target[used], place] = table.column(name).to_numpy()[used]
    if vectors is None:
        vectors = np.empty((0, 0), dtype=np.float32)
    total = sum(_row_hash(location, digest) for location, (_, _, digest, _) in newest)
    roots = tuple(sorted({root for _, (_, _, _, root) in newest}))
    digests = [digest for _, (_, _, digest, _) in newest]
    return Embeddings(
        locations=[location for location, _ in newest],
        roots=roots,
        sizes=sizes,
        looks=looks,
        vectors=vectors,
        fingerprint=_seal(total, identity),
        content_order=np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64),
    )


class ShardWriter:
    """Collects rows and writes a shard whenever enough of them are there.

    Args:
        folder: Where the shards lie.
        identity: Of the encoder; stored in each shard.
        rows_per_shard: How many rows make a shard full.
    """

    def __init__(self, folder: Path, identity: str, *, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        self._folder = folder
        remove_drafts(folder)
        self._identity = identity
        self._capacity = rows_per_shard
        self._rows: list[Row] = []
        self._written = time.monotonic()
        present = all_shards(folder)
        self._next = _number(present[-1]) + 1 if present else 0

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows; write the shards that they fill."""
        self._rows.extend(rows)
        while len(self._rows) >= self._capacity:
            self._write(self._rows[: self._capacity])
            del self._rows[: self._capacity]
        if self._rows and time.monotonic() - self._written > _SECONDS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is left as a last, smaller shard."""
        if self._rows:
            self._write(self._rows)
            self._rows = []

    def _write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        vectors = np.stack([row.embedding for row in rows]).astype(np.float32, copy=False)
        size = vectors.shape[1]
        fields: dict[str, tuple[Any, Any]] = {
            "path": (pa.string(), [row.path for row in rows]),
            "root": (pa.string(), [row.root for row in rows]),
            "size": (pa.int64(), [row.size for row in rows]),
            "mtime_ns": (pa.int64(), [row.mtime_ns for row in rows]),
            "digest": (pa.binary(DIGEST_BYTES), [row.digest for row in rows]),
            "width": (pa.int32(), [row.width for row in rows]),
            "height": (pa.int32(), [row.height for row in rows]),
            "brightness": (pa.float32(), [row.brightness for row in rows]),
            "colour": (pa.float32(), [row.colour for row in rows]),
            "source": (pa.string(), [row.source or row.root for row in rows]),
        }
        arrays = [pa.array(values, type=kind) for kind, values in fields.values()]
        arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), size))
        schema = pa.schema(
            [pa.field(name, kind, nullable=False) for name, (kind, _) in fields.items()]
            + [pa.field("embedding", pa.list_(pa.float32(), size), nullable=False)],
            metadata={_IDENTITY_KEY: self._identity.encode()},
        )
        path = self._folder / f"shard-{self._next:06d}.parquet"
        with atomic_path(path) as draft:
            # Vectors of floats hardly compress; the other columns do, and are read far more often.
            pq.write_table(
                pa.Table.from_arrays(arrays, schema=schema),
                draft,
                compression=dict.fromkeys(fields, "zstd") | {"embedding.list.element": "none"},
                use_dictionary=["root", "source"],
                write_statistics=False,
            )
        self._next += 1
        self._written = time.monotonic()


def rows_of(table: pa.Table) -> list[Row]:
    """Return a shard's table as rows."""
    vectors = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = vectors.reshape(len(table), -1)
    names = ("path", "root", "size", "mtime_ns", "digest", "width", "height")
    columns = [table.column(name).to_pylist() for name in names]
    unknown = [math.nan] * len(table)
    looks = [table.column(name).to_pylist() if name in table.column_names else unknown for name in _LOOKS]
    sources = table.column("source" if "source" in table.column_names else "root").to_pylist()
    return [Row(*values) for values in zip(*columns, vectors, *looks, sources, strict=True)]


def discard(shards: Sequence[Path]) -> None:
    """Remove shards that newer ones replace."""
    for shard in shards:
        remove(shard)


def _row_hash(location: str, digest: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(location.encode() + b"\0" + digest, digest_size=16).digest(), "big")


def _seal(total: int, identity: str) -> str:
    # A sum does not depend on the order of the rows, so shards may be read one after the other in any order.
    return hashlib.blake2b(f"{identity} {total % 2**128}".encode(), digest_size=16).hexdigest()


def _read(shard: Path, columns: list[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(shard, columns=columns, partitioning=None, use_threads=False)
        # Unasked, Arrow takes bytes that are no text for text.
        table.validate(full=True)
        if columns is not None and table.column_names != columns:
            raise KeyError(f"its columns are {table.column_names}")
        if "embedding" in table.column_names and not pa.types.is_fixed_size_list(table.schema.field("embedding").type):
            raise TypeError(f"its embeddings are of type {table.schema.field('embedding').type}")
        return table
    # A damaged file makes Arrow raise whatever its bytes lead to; a number says that the system refused to read.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(shard, error) from None


def _sources(shard: Path) -> list[str]:
    """Return the folder that the user named for each row; older shards have it as `root`."""
    name = "source" if "source" in _schema(shard).names else "root"
    return [str(source) for source in _read(shard, [name]).column(name).to_pylist()]


def _has_looks(shard: Path) -> bool:
    return set(_LOOKS) <= set(_schema(shard).names)


def _identity_of(shard: Path) -> str:
    return ((_schema(shard).metadata or {}).get(_IDENTITY_KEY) or b"").decode(errors="replace")


def _schema(shard: Path) -> pa.Schema:
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(shard)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(shard, error) from None


def _number(shard: Path) -> int:
    return int(shard.stem.removeprefix("shard-"))


def _damaged(shard: Path, error: BaseException) -> WorkspaceError:
    why = " ".join(str(error).split())
    return WorkspaceError(f"{shard} is damaged ({why}); delete that file, then run the same embed command again")
