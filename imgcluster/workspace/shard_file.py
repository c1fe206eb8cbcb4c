"""One shard: a Parquet file of embeddings, with the facts of their files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.parquet import add_footer_checksum, open_parquet, read_parquet, refuse_damaged
from imgcluster.fileio.path_text import absolute_path
from imgcluster.images.types import NO_EXIF, Exif
from imgcluster.types import TOP_CLASSES, ClassScores
from imgcluster.workspace.shard_columns import (
    COMPANION,
    EXIF,
    OPTIONAL,
    SCORES,
    STATISTICS,
    check_column,
    column_types,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Row",
    "count_rows",
    "exif_of",
    "identity_of",
    "locations_of",
    "no_scores",
    "read_columns",
    "read_files",
    "read_keys",
    "read_pairs",
    "read_rows",
    "read_schema",
    "read_vectors",
    "rows_of",
    "scores_of",
    "thumbnails_of",
    "write_rows",
]

_IDENTITY_KEY: Final = b"imgcluster.encoder"
_REMEDY: Final = "delete that file, then run the same embed command again"


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
        thumbnail: A JPEG or PNG of the image's square; empty if an older version embedded it.
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


def read_keys(shard: Path) -> pa.Table:
    """Read the columns that identify files, without the vectors.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return read_columns(shard, ["path", "root", "size", "mtime_ns", "digest"])


def read_pairs(shard: Path) -> dict[int, tuple[str, str]]:
    """Return the absolute paths, as texts, of both files of each image with two, by row.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    if COMPANION not in read_schema(shard).names:
        return {}
    return {row: (first, second) for row, (first, _, _, second) in enumerate(read_files(shard)) if second}


def read_rows(shard: Path) -> pa.Table:
    """Read a whole shard.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return read_columns(shard, None)


def read_vectors(shard: Path, dimensions: int | None = None) -> npt.NDArray[np.float32]:
    """Return all vectors of a shard, ``float32 (rows, d)``.

    Raises:
        WorkspaceError: The shard is damaged, or its vectors do not have this many dimensions.
    """
    column = read_columns(shard, ["embedding"]).column("embedding").combine_chunks()
    if dimensions not in (None, column.type.list_size):
        why = f"its vectors have {column.type.list_size} values, those of other shards {dimensions}"
        raise WorkspaceError(f"{shard} is damaged ({why}); {_REMEDY}")
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1), dtype=np.float32)


def write_rows(path: Path, identity: str, rows: Sequence[Row]) -> None:
    """Write a shard of an encoder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values: dict[str, list[Any]] = {
        "path": [row.path for row in rows],
        "root": [row.root for row in rows],
        "size": [row.size for row in rows],
        "mtime_ns": [row.mtime_ns for row in rows],
        "digest": [row.digest for row in rows],
        "width": [row.width for row in rows],
        "height": [row.height for row in rows],
        "brightness": [row.brightness for row in rows],
        "colour": [row.color for row in rows],
        "contrast": [row.contrast for row in rows],
        "sharpness": [row.sharpness for row in rows],
        "source": [row.source or row.root for row in rows],
        "captured": [row.exif.captured or None for row in rows],
        "camera": [row.exif.camera or None for row in rows],
        "orientation": [row.exif.orientation or None for row in rows],
        "thumbnail": [row.thumbnail or None for row in rows],
        COMPANION: [row.companion or None for row in rows],
    }
    types = column_types()
    arrays = [pa.array(column, type=types[name]) for name, column in values.items()]
    lists: dict[str, npt.NDArray[Any]] = {}
    if any(row.scores for row in rows):
        scores = [row.scores or no_scores() for row in rows]
        lists["classes"] = np.stack([entry.classes for entry in scores])
        lists["probabilities"] = np.stack([entry.probabilities for entry in scores])
    lists["embedding"] = np.stack([row.embedding for row in rows]).astype(np.float32, copy=False)
    vectors = [_list_array(values) for values in lists.values()]
    fields = zip((*values, *lists), (*arrays, *vectors), strict=True)
    schema = pa.schema(
        [pa.field(name, array.type, nullable=name in OPTIONAL) for name, array in fields],
        metadata={_IDENTITY_KEY: identity.encode()},
    )
    with atomic_path(path) as temporary:
        # Float vectors and JPEG hardly compress; the other columns do, and are read more often.
        pq.write_table(
            pa.Table.from_arrays(arrays + vectors, schema=schema),
            temporary,
            compression=dict.fromkeys(values, "zstd")
            | dict.fromkeys(("thumbnail", *(f"{name}.list.element" for name in lists)), "none"),
            use_dictionary=["root", "source", "camera"],
            write_statistics=False,
            write_page_checksum=True,
        )
        add_footer_checksum(temporary)


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
    statistics = [table.column(name).to_pylist() if name in table.column_names else unknown for name in STATISTICS]
    sources = table.column("source" if "source" in table.column_names else "root").to_pylist()
    scores: list[ClassScores | None] = [None] * len(table)
    if set(SCORES) <= set(table.column_names):
        stored = scores_of(table)
        scores = [ClassScores(*entry) for entry in zip(stored.classes, stored.probabilities, strict=True)]
    companions = _companions_of(table) if COMPANION in table.column_names else [""] * len(table)
    further = (sources, exif_of(table), thumbnails_of(table), companions, scores)
    return [Row(*values) for values in zip(*columns, vectors, *statistics, *further, strict=True)]


def locations_of(table: pa.Table) -> list[str]:
    """Return the absolute path, as text, of each row."""
    return list(map(absolute_path, table.column("root").to_pylist(), table.column("path").to_pylist()))


def scores_of(table: pa.Table) -> ClassScores:
    """Return the most probable classes of each row."""
    lists = (table.column(name).combine_chunks().flatten().to_numpy() for name in SCORES)
    return ClassScores(*(values.reshape(-1, TOP_CLASSES) for values in lists))


def no_scores(*shape: int) -> ClassScores:
    """Return the scores of `shape` images without any."""
    return ClassScores(np.zeros((*shape, TOP_CLASSES), np.int16), np.zeros((*shape, TOP_CLASSES), np.float32))


def thumbnails_of(table: pa.Table) -> list[bytes]:
    """Return the thumbnail of each row; empty where there is none."""
    if "thumbnail" not in table.column_names:
        return [b""] * len(table)
    return [value or b"" for value in table.column("thumbnail").to_pylist()]


def exif_of(table: pa.Table) -> list[Exif]:
    """Return what a table's columns say; most images of a collection without EXIF share one value."""
    if not set(EXIF) <= set(table.column_names):
        return [NO_EXIF] * len(table)
    rows = zip(*(table.column(name).to_pylist() for name in EXIF), strict=True)
    return [Exif(row[0] or "", row[1] or "", row[2] or 0) if any(row) else NO_EXIF for row in rows]


def _companions_of(table: pa.Table) -> list[str]:
    """Return the names in the column; one that leads to another folder counts as none."""
    names = (name or "" for name in table.column(COMPANION).to_pylist())
    return ["" if {"/", os.sep} & set(name) or name in (".", "..") else name for name in names]


def read_columns(shard: Path, columns: list[str] | None) -> pa.Table:
    """Read these columns, or all of them, and check their types.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    with refuse_damaged(shard, _REMEDY):
        table = read_parquet(shard, columns)
        # Without validation, Arrow accepts text that is not UTF-8.
        table.validate(full=True)
        for name, column in zip(table.column_names, table.columns, strict=True):
            check_column(name, column)
        return table


def read_files(shard: Path) -> list[tuple[str, bytes, str, str]]:
    """Return each row's absolute path, digest, folder that the user named, and second file ("" if there is none)."""
    stored = read_schema(shard).names
    # Older shards have the named folder as `root`.
    source = "source" if "source" in stored else "root"
    paired = [COMPANION] if COMPANION in stored else []
    table = read_columns(shard, list(dict.fromkeys(["root", "path", "digest", source, *paired])))
    digests, sources = (table.column(name).to_pylist() for name in ("digest", source))
    names = _companions_of(table) if paired else [""] * len(table)
    return [
        (location, digest, named, f"{location.rpartition('/')[0]}/{name}" if name else "")
        for location, digest, named, name in zip(locations_of(table), digests, sources, names, strict=True)
    ]


def count_rows(shard: Path) -> int:
    """Return the number of rows, without reading them.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    with refuse_damaged(shard, _REMEDY), open_parquet(shard) as file:
        return int(file.metadata.num_rows)


def identity_of(shard: Path) -> str:
    """Return the identity of the encoder of a shard.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    return ((read_schema(shard).metadata or {}).get(_IDENTITY_KEY) or b"").decode(errors="replace")


def read_schema(shard: Path) -> pa.Schema:
    """Return the names and types of the columns.

    Raises:
        WorkspaceError: The shard is damaged.
    """
    with refuse_damaged(shard, _REMEDY), open_parquet(shard) as file:
        return file.schema_arrow
