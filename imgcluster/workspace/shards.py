"""Embeddings in numbered Parquet shards.

A shard is never modified. New rows are written to new shards; a shard with outdated rows is replaced by one with a
higher number. Of several rows of one file the one in the highest shard is current, so that an interruption at any
moment leaves a consistent state.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, remove_temporary_files
from imgcluster.fileio.path_text import absolute_path, join
from imgcluster.types import NO_EXIF, TOP_CLASSES, ClassScores, Exif

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
    "list_shards",
    "load",
    "locations",
    "read_keys",
    "read_pairs",
    "read_rows",
    "read_vectors",
    "remove_shards",
    "rows_of",
    "thumbnails",
]

DIGEST_BYTES: Final = 16

ROWS_PER_SHARD: Final = 2048
"""About 20 MB at 2,688 values; five million images make 2,500 files."""

_STREAMED_FROM: Final = 256 << 20

_SECONDS_PER_SHARD: Final = 60.0
"""An interruption costs at most a minute of work; later runs merge small shards."""

_NAME: Final = re.compile(r"shard-[0-9]{6,}\.parquet")
_IDENTITY_KEY: Final = b"imgcluster.encoder"
_STATISTICS: Final = ("brightness", "colour", "contrast", "sharpness")
_EXIF: Final = ("captured", "camera", "orientation")
_SCORES: Final = ("classes", "probabilities")
_COMPANION: Final = "companion"
_TEXTS: Final = ("path", "root", "source", "captured", "camera", _COMPANION)


@dataclass(frozen=True, slots=True)
class Row:
    """One stored image.

    Attributes:
        path: Relative to `root`.
        root: The base folder of the workspace, absolute.
        size: Of the file, in bytes.
        mtime_ns: The file's modification time.
        digest: BLAKE2b-128 of the file's bytes.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        embedding: ``float32 (embedding_size,)``.
        brightness: As in `decode.Decoded`; NaN if an older version did not measure it.
        color: Colorfulness, as in `decode.Decoded`; NaN if an older version did not measure it.
        contrast: As in `decode.Decoded`; NaN if an older version did not measure it.
        sharpness: As in `decode.Decoded`; NaN if it has no edges or an older version did not measure it.
        source: The folder that the user named.
        exif: Capture time, camera and orientation; older versions did not read them.
        thumbnail: A JPEG of the image's square; empty if an older version embedded it.
        companion: The name of the picture's second file, in the same folder: a camera raw file and a JPEG are one
            picture; "" if there is none.
        scores: The k most probable classes, arrays of shape ``(k,)``; None for an encoder or an older version without.
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
    color: float = math.nan
    contrast: float = math.nan
    sharpness: float = math.nan
    source: str = ""
    exif: Exif = NO_EXIF
    thumbnail: bytes = b""
    companion: str = ""
    scores: ClassScores | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """All embeddings of a workspace, sorted by location.

    Attributes:
        locations: The n absolute paths, as texts.
        roots: The distinct folders that the user named, sorted.
        sizes: Width and height of the originals in pixels, ``int32 (n, 2)``.
        statistics: Brightness, colorfulness, contrast and sharpness, ``float32 (n, 4)``; NaN if not measured.
        exif: Capture time, camera and orientation of each image.
        vectors: ``float32 (n, embedding_size)``; a `types.VectorRows` if `load` was to leave them in the shards.
        fingerprint: A digest of all paths, contents and the encoder.
        content_order: The rows sorted by the digests of the files, ``int64 (n,)``; it does not depend on file names.
        digests: The digests of the files.
        companions: The absolute path, as text, of the second file of each image; "" if there is none.
        scores: The most probable classes; None if no image has them.
    """

    locations: list[str]
    roots: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    statistics: npt.NDArray[np.float32]
    exif: list[Exif]
    vectors: npt.NDArray[np.float32]
    fingerprint: str
    content_order: npt.NDArray[np.int64]
    digests: list[bytes] = field(default_factory=list)
    companions: list[str] = field(default_factory=list)
    scores: ClassScores | None = None

    @property
    def files(self) -> frozenset[str]:
        """The absolute paths, as texts, of all files of the images."""
        return frozenset(self.locations) | frozenset(filter(None, self.companions))


@dataclass(frozen=True, slots=True)
class Contents:
    """The number of images, and `roots` and `fingerprint` as in `Embeddings`."""

    images: int
    roots: tuple[str, ...]
    fingerprint: str


def list_shards(folder: Path, identity: str) -> list[Path]:
    """Return the shards of one encoder in `folder`, oldest first.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    return [path for path in all_shards(folder) if _identity_of(path) == identity]


def all_shards(folder: Path) -> list[Path]:
    """Return the shards of all encoders in `folder`, oldest first."""
    # Copies such as "shard-000001 (1).parquet", made by cloud folders, are ignored.
    return sorted((path for path in folder.glob("shard-*.parquet") if _NAME.fullmatch(path.name)), key=_number)


def read_keys(shard: Path) -> pa.Table:
    """Read the columns that identify files, without the vectors.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return _read(shard, ["path", "root", "size", "mtime_ns", "digest"])


def read_pairs(shard: Path) -> dict[int, tuple[str, str]]:
    """Return the absolute paths, as texts, of both files of each image with two, by row.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    if _COMPANION not in _schema(shard).names:
        return {}
    return {row: (first, second) for row, (first, _, _, second) in enumerate(_read_files(shard)) if second}


def read_rows(shard: Path) -> pa.Table:
    """Read a whole shard.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return _read(shard, None)


def locations(folder: Path) -> set[str]:
    """Return the absolute paths, as texts, of all files of images in any shard in `folder`.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    found: set[str] = set()
    for shard in all_shards(folder):
        for location, _, _, companion in _read_files(shard):
            found.update((location, companion) if companion else (location,))
    return found


def contents(folder: Path, identity: str) -> Contents:
    """Summarize what `load` would return without reading the vectors; needs about 40 bytes per image.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    numbers: dict[str, int] = {}
    # Per row: a 128-bit hash of the path, the 128 bits of `_row_hash` in four parts, and the source's number.
    keys = [np.empty((0, 2), np.uint64)]
    hashes = [np.empty((0, 4), np.uint32)]
    source_numbers = [np.empty(0, np.int32)]
    for shard in list_shards(folder, identity):
        rows = _read_files(shard)
        located = b"".join(hashlib.blake2b(location.encode(), digest_size=16).digest() for location, *_ in rows)
        hashed = b"".join(
            _row_hash(location, digest, companion).to_bytes(16, "little") for location, digest, _, companion in rows
        )
        keys.append(np.frombuffer(located, "<u8").reshape(-1, 2))
        hashes.append(np.frombuffer(hashed, "<u4").reshape(-1, 4))
        source_numbers.append(
            np.array([numbers.setdefault(source, len(numbers)) for _, _, source, _ in rows], np.int32)
        )
    key = np.concatenate(keys)
    order = np.lexsort((key[:, 0], key[:, 1]))
    # The sort is stable: of several rows of one file the last one is current.
    last = np.append((key[order[1:]] != key[order[:-1]]).any(axis=1), True)[: len(order)]
    newest = order[last]
    parts = np.concatenate(hashes)[newest].sum(axis=0, dtype=np.uint64)
    total = sum(int(part) << (32 * position) for position, part in enumerate(parts))
    present = set(np.concatenate(source_numbers)[newest].tolist())
    roots = tuple(sorted(root for root, number in numbers.items() if number in present))
    return Contents(len(newest), roots, _fingerprint(total, identity))


def load(folder: Path, identity: str, *, streamed: bool = False) -> Embeddings:
    """Read the current embeddings, sorted by path, so that the order of embedding does not matter.

    Args:
        folder: The folder of the shards.
        identity: The encoder's.
        streamed: Whether vectors of more than 256 MB stay in the shards; then `vectors` is a `types.VectorRows`.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    shards = list_shards(folder, identity)
    found: dict[str, tuple[int, int, bytes, str, str]] = {}
    # For each shard, the position of each row in the result; -1 for outdated rows.
    targets = []
    for number, shard in enumerate(shards):
        rows = _read_files(shard)
        targets.append(np.full(len(rows), -1, dtype=np.int64))
        for row, (location, digest, source, companion) in enumerate(rows):
            found[location] = (number, row, digest, source, companion)
    newest = sorted(found.items())
    for position, (_, (number, row, *_)) in enumerate(newest):
        targets[number][row] = position

    dimensions = _dimensions(shards[0]) if shards else 0
    stays = streamed and 4 * dimensions * len(newest) > _STREAMED_FROM
    vectors = np.empty((0 if stays else len(newest), dimensions), dtype=np.float32)
    sizes = np.zeros((len(newest), 2), dtype=np.int32)
    statistics = np.full((len(newest), len(_STATISTICS)), np.nan, dtype=np.float32)
    exif = [NO_EXIF] * len(newest)
    scores: ClassScores | None = None
    for shard, target in zip(shards, targets, strict=True):
        present = set(_schema(shard).names)
        measured = [name for name in _STATISTICS if name in present]
        further = [name for names in (_EXIF, _SCORES) if set(names) <= present for name in names]
        table = _read(shard, ["width", "height", *measured, *further])
        used = target >= 0
        if not stays:
            vectors[target[used]] = read_vectors(shard)[used]
        sizes[target[used], 0] = table.column("width").to_numpy()[used]
        sizes[target[used], 1] = table.column("height").to_numpy()[used]
        for name in measured:
            statistics[target[used], _STATISTICS.index(name)] = table.column(name).to_numpy()[used]
        for position, value in zip(target.tolist(), _exif_of(table), strict=True):
            if position >= 0:
                exif[position] = value
        if set(_SCORES) <= present:
            scores = scores or _no_scores(len(newest))
            stored = _scores_of(table)
            scores.classes[target[used]] = stored.classes[used]
            scores.probabilities[target[used]] = stored.probabilities[used]
    total = sum(_row_hash(location, digest, companion) for location, (_, _, digest, _, companion) in newest)
    roots = tuple(sorted({root for _, (_, _, _, root, _) in newest}))
    digests = [digest for _, (_, _, digest, _, _) in newest]
    return Embeddings(
        locations=[location for location, _ in newest],
        roots=roots,
        sizes=sizes,
        statistics=statistics,
        exif=exif,
        vectors=_stored_vectors(shards, targets, (len(newest), dimensions)) if stays else vectors,
        fingerprint=_fingerprint(total, identity),
        content_order=np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64),
        digests=digests,
        companions=[companion for _, (_, _, _, _, companion) in newest],
        scores=scores,
    )


def read_vectors(shard: Path) -> npt.NDArray[np.float32]:
    """Return all vectors of a shard, ``float32 (rows, d)``.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    column = _read(shard, ["embedding"]).column("embedding").combine_chunks()
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1), dtype=np.float32)


def _dimensions(shard: Path) -> int:
    return int(read_vectors(shard).shape[1])


def _stored_vectors(shards: Sequence[Path], targets: Sequence[npt.NDArray[np.int64]], shape: tuple[int, int]) -> Any:
    from imgcluster.workspace.stored_vectors import StoredVectors

    return StoredVectors(shards, targets, shape, read_vectors)


def thumbnails(folder: Path, identity: str, requested: Collection[str]) -> dict[str, bytes]:
    """Return the thumbnails of the images at these locations, as far as there are any.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    found: dict[str, bytes] = {}
    for shard in list_shards(folder, identity):
        if "thumbnail" not in _schema(shard).names:
            continue
        table = _read(shard, ["root", "path"])
        paths = map(absolute_path, table.column("root").to_pylist(), table.column("path").to_pylist())
        rows = [(row, location) for row, location in enumerate(paths) if location in requested]
        if rows:
            chosen = _read(shard, ["thumbnail"]).take([row for row, _ in rows])
            found |= zip((location for _, location in rows), _thumbnails_of(chosen), strict=True)
    return found


class ShardWriter:
    """Buffers rows and writes them to shards.

    Args:
        folder: The folder of the shards.
        identity: The encoder's identity, which is stored in each shard.
        rows_per_shard: The number of rows of a full shard.
    """

    def __init__(self, folder: Path, identity: str, *, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        self._folder = folder
        remove_temporary_files(folder)
        self._identity = identity
        self._capacity = rows_per_shard
        self._rows: list[Row] = []
        self._written = time.monotonic()
        present = all_shards(folder)
        self._next = _number(present[-1]) + 1 if present else 0

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

    def _write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields: dict[str, tuple[Any, Any]] = {
            "path": (pa.string(), [row.path for row in rows]),
            "root": (pa.string(), [row.root for row in rows]),
            "size": (pa.int64(), [row.size for row in rows]),
            "mtime_ns": (pa.int64(), [row.mtime_ns for row in rows]),
            "digest": (pa.binary(DIGEST_BYTES), [row.digest for row in rows]),
            "width": (pa.int32(), [row.width for row in rows]),
            "height": (pa.int32(), [row.height for row in rows]),
            "brightness": (pa.float32(), [row.brightness for row in rows]),
            "colour": (pa.float32(), [row.color for row in rows]),
            "contrast": (pa.float32(), [row.contrast for row in rows]),
            "sharpness": (pa.float32(), [row.sharpness for row in rows]),
            "source": (pa.string(), [row.source or row.root for row in rows]),
        }
        known: dict[str, tuple[Any, Any]] = {
            "captured": (pa.string(), [row.exif.captured or None for row in rows]),
            "camera": (pa.string(), [row.exif.camera or None for row in rows]),
            "orientation": (pa.int8(), [row.exif.orientation or None for row in rows]),
            "thumbnail": (pa.binary(), [row.thumbnail or None for row in rows]),
            _COMPANION: (pa.string(), [row.companion or None for row in rows]),
        }
        arrays = [pa.array(values, type=kind) for kind, values in (fields | known).values()]
        lists: dict[str, npt.NDArray[Any]] = {}
        if any(row.scores for row in rows):
            scores = [row.scores or _no_scores() for row in rows]
            lists["classes"] = np.stack([entry.classes for entry in scores])
            lists["probabilities"] = np.stack([entry.probabilities for entry in scores])
        lists["embedding"] = np.stack([row.embedding for row in rows]).astype(np.float32, copy=False)
        vectors = [_list_array(values) for values in lists.values()]
        schema = pa.schema(
            [pa.field(name, kind, nullable=False) for name, (kind, _) in fields.items()]
            + [pa.field(name, kind) for name, (kind, _) in known.items()]
            + [pa.field(name, entry.type, nullable=False) for name, entry in zip(lists, vectors, strict=True)],
            metadata={_IDENTITY_KEY: self._identity.encode()},
        )
        path = self._folder / f"shard-{self._next:06d}.parquet"
        with atomic_path(path) as temporary:
            # Float vectors and JPEG hardly compress; the other columns do, and are read more often.
            pq.write_table(
                pa.Table.from_arrays(arrays + vectors, schema=schema),
                temporary,
                compression=dict.fromkeys(fields | known, "zstd")
                | dict.fromkeys(("thumbnail", *(f"{name}.list.element" for name in lists)), "none"),
                use_dictionary=["root", "source", "camera"],
                write_statistics=False,
            )
        self._next += 1
        self._written = time.monotonic()


def _list_array(values: npt.NDArray[Any]) -> Any:
    """Return an array ``(n, k)`` as n lists of a fixed size."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of a shard's table."""
    vectors = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = vectors.reshape(len(table), -1)
    names = ("path", "root", "size", "mtime_ns", "digest", "width", "height")
    columns = [table.column(name).to_pylist() for name in names]
    unknown = [math.nan] * len(table)
    statistics = [table.column(name).to_pylist() if name in table.column_names else unknown for name in _STATISTICS]
    sources = table.column("source" if "source" in table.column_names else "root").to_pylist()
    scores: list[ClassScores | None] = [None] * len(table)
    if set(_SCORES) <= set(table.column_names):
        stored = _scores_of(table)
        scores = [ClassScores(*entry) for entry in zip(stored.classes, stored.probabilities, strict=True)]
    companions = _companions_of(table) if _COMPANION in table.column_names else [""] * len(table)
    further = (sources, _exif_of(table), _thumbnails_of(table), companions, scores)
    return [Row(*values) for values in zip(*columns, vectors, *statistics, *further, strict=True)]


def _scores_of(table: pa.Table) -> ClassScores:
    lists = (table.column(name).combine_chunks().flatten().to_numpy() for name in _SCORES)
    return ClassScores(*(values.reshape(-1, TOP_CLASSES) for values in lists))


def _no_scores(*shape: int) -> ClassScores:
    return ClassScores(np.zeros((*shape, TOP_CLASSES), np.int16), np.zeros((*shape, TOP_CLASSES), np.float32))


def _thumbnails_of(table: pa.Table) -> list[bytes]:
    if "thumbnail" not in table.column_names:
        return [b""] * len(table)
    return [value or b"" for value in table.column("thumbnail").to_pylist()]


def _exif_of(table: pa.Table) -> list[Exif]:
    """Return what a table's columns say; most images of a collection without EXIF share one value."""
    if not set(_EXIF) <= set(table.column_names):
        return [NO_EXIF] * len(table)
    rows = zip(*(table.column(name).to_pylist() for name in _EXIF), strict=True)
    return [Exif(row[0] or "", row[1] or "", row[2] or 0) if any(row) else NO_EXIF for row in rows]


def _companions_of(table: pa.Table) -> list[str]:
    """Return the names in the column; one that leads to another folder counts as none."""
    names = (name or "" for name in table.column(_COMPANION).to_pylist())
    return ["" if {"/", os.sep} & set(name) or name in (".", "..") else name for name in names]


def remove_shards(shards: Sequence[Path], archive: Path | None = None) -> None:
    """Remove shards that were replaced, or move them to the folder `archive`."""
    for shard in shards:
        if archive is None:
            remove(shard)
        elif os.path.lexists(shard):
            archive.mkdir(exist_ok=True)
            os.replace(shard, archive / shard.name)


def _row_hash(location: str, digest: bytes, companion: str) -> int:
    content = location.encode() + b"\0" + digest + companion.encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=16).digest(), "big")


def _fingerprint(total: int, identity: str) -> str:
    # `total` is a sum, so it does not depend on the order in which shards are read.
    return hashlib.blake2b(f"{identity} {total % 2**128}".encode(), digest_size=16).hexdigest()


def _read(shard: Path, columns: list[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(shard, columns=columns, partitioning=None, use_threads=False)
        # Without validation, Arrow accepts text that is not UTF-8.
        table.validate(full=True)
        if columns is not None and table.column_names != columns:
            raise KeyError(f"its columns are {table.column_names}")
        wrong = [field for field in table.schema if field.name in _TEXTS and not pa.types.is_string(field.type)]
        if wrong:
            raise TypeError(f"its column {wrong[0].name} is of type {wrong[0].type}")
        if "embedding" in table.column_names and not pa.types.is_fixed_size_list(table.schema.field("embedding").type):
            raise TypeError(f"its embeddings are of type {table.schema.field('embedding').type}")
        for name, kind in zip(_SCORES, (pa.int16(), pa.float32()), strict=True):
            if name in table.column_names:
                column = table.column(name).combine_chunks()
                if column.type != pa.list_(kind, TOP_CLASSES) or column.null_count or column.flatten().null_count:
                    raise TypeError(f"its column {name} is of type {column.type}, or incomplete")
        return table
    # Arrow raises arbitrary exceptions for damaged files; only errors of the operating system have an errno.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(shard, error) from None


def _read_files(shard: Path) -> list[tuple[str, bytes, str, str]]:
    """Return each row's absolute path, digest, folder that the user named, and second file ("" if there is none)."""
    # Older shards have the named folder as `root`.
    source = "source" if "source" in _schema(shard).names else "root"
    table = _read(shard, list(dict.fromkeys(["root", "path", "digest", source])))
    columns = (table.column(name).to_pylist() for name in ("root", "path", "digest", source))
    paired = _COMPANION in _schema(shard).names
    names = _companions_of(_read(shard, [_COMPANION])) if paired else [""] * len(table)
    files = []
    for root, path, digest, named, name in zip(*columns, names, strict=True):
        location = absolute_path(root, path)
        files.append((location, digest, named, join(location.rpartition("/")[0], name) if name else ""))
    return files


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
