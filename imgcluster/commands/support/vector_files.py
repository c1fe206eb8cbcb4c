"""Reading vectors and their paths from files of other programs: NumPy, Parquet, CSV and lists of paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from imgcluster.errors import UsageError, one_line
from imgcluster.features.blocks import blocks
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.parquet import open_parquet
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.images.find import read_list
from imgcluster.types import Vectors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["VECTOR_COLUMN", "read_vectors"]

VECTOR_COLUMN: Final = "embedding"
"""The column of vectors in a Parquet file; a CSV file has ``embedding_0``, ``embedding_1``, …"""

_PATH_COLUMN: Final = "path"
_SUFFIXES: Final = (".npy", ".npz", ".parquet", ".csv")


def read_vectors(source: Path, paths: str | None, column: str | None) -> tuple[Vectors, list[str]]:
    """Return the vectors of a file, ``float32 (n, d)``, and their n paths as texts, relative or absolute.

    Nothing in the files is executed: NumPy files with pickled objects are refused.

    Args:
        source: A file that ends with .npy, .npz, .parquet or .csv.
        paths: A column of `source` (in .npz an array), a CSV file with the column ``path``, or a file with one path per
            line; by default the column ``path``.
        column: The column (array) of the vectors; of a CSV file, what their names start with. By default ``embedding``,
            or else the only one that is possible.

    Raises:
        UsageError: A file is missing or cannot be read, there is no such column, values are not numbers, or there are
            not as many paths as vectors.
    """
    if source.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{source} is no file of vectors; allowed are {', '.join(_SUFFIXES)}")
    _require_file(source)
    try:
        vectors, names = _READERS[source.suffix.lower()](source, paths or _PATH_COLUMN, column)
    # Readers of damaged files raise anything.
    except Exception as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{source} cannot be read: {one_line(error)}") from None
    vectors = _checked(source, vectors)
    if names is None:
        names = _read_paths(source, paths)
    if len(names) != len(vectors):
        raise UsageError(f"{source} has {len(vectors)} vectors, but there are {len(names)} paths; give one for each")
    return vectors, names


def _read_npy(source: Path, paths: str, column: str | None) -> tuple[Any, list[str] | None]:
    with source.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False), None


def _read_npz(source: Path, paths: str, column: str | None) -> tuple[Any, list[str] | None]:
    # NumPy leaves the file open if it is damaged.
    with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = list(map(_path, arrays[paths].tolist())) if paths in arrays.files else None
        vector_names = [name for name in arrays.files if name != paths and arrays[name].ndim == 2]
        chosen = _choose(source, column, vector_names, arrays.files)
        return arrays[chosen], names


def _read_parquet(source: Path, paths: str, column: str | None) -> tuple[Any, list[str] | None]:
    import pyarrow as pa

    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    with open_parquet(source) as file:
        schema = file.schema_arrow
        lists = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
        chosen = _choose(source, column, lists, schema.names)
        table = file.read(columns=[chosen, *({paths} & set(schema.names))])
    names = None
    if paths in table.column_names:
        names = [_path(name) for name in table.column(paths).to_pylist()]
    return _matrix(table.column(chosen)), names


def _matrix(column: pa.ChunkedArray) -> Any:
    """Return the lists of a column as an array; lists of different lengths raise ValueError."""
    values = column.combine_chunks()
    if values.null_count or values.flatten().null_count:
        raise ValueError(f"{values.null_count or values.flatten().null_count} values are missing")
    lengths = values.value_lengths().unique().to_pylist()
    if len(lengths) > 1:
        raise ValueError(f"its vectors have different lengths, among them {lengths[0]} and {lengths[1]}")
    return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1)


def _read_csv(source: Path, paths: str, column: str | None) -> tuple[Any, list[str] | None]:
    rows = list(read_table(source, ()))
    header = list(rows[0]) if rows else []
    start = f"{column or VECTOR_COLUMN}_"
    chosen = [name for name in header if name.startswith(start) and name[len(start) :].isdecimal()]
    chosen.sort(key=lambda name: int(name[len(start) :]))
    if not chosen and column is not None:
        raise UsageError(f"{source} has no columns {start}0, {start}1, …; its columns are {_listed(header)}")
    chosen = chosen or [name for name in header if name != paths]
    names = [_path(row[paths]) for row in rows] if paths in header else None
    return np.array([[float(row[name]) for name in chosen] for row in rows], dtype=np.float64), names


_READERS: Final = {".npy": _read_npy, ".npz": _read_npz, ".parquet": _read_parquet, ".csv": _read_csv}


def _read_paths(source: Path, paths: str | None) -> list[str]:
    if paths is None:
        raise UsageError(f"{source} has no column {_PATH_COLUMN!r}; give --paths FILE with one path per line")
    file = Path(paths)
    if not file.is_file():
        raise UsageError(f"--paths {paths} is neither a column of {source} nor a file; give one of them")
    if file.suffix.lower() == ".csv":
        return [_path(row[_PATH_COLUMN]) for row in read_table(file, (_PATH_COLUMN,))]
    with file.open("rb") as lines:
        return [to_text(path) for path in read_list(lines)]


def _path(value: object) -> str:
    name = to_text(os.fsdecode(value)) if isinstance(value, bytes) else str(value)
    return name if url_of(name) else to_text(from_text(name))


def _choose(source: Path, column: str | None, possible: Sequence[str], present: Sequence[str]) -> str:
    if column is not None and column in present:
        return column
    if column is None and VECTOR_COLUMN in possible:
        return VECTOR_COLUMN
    if column is None and len(possible) == 1:
        return possible[0]
    what = f"has no column {column!r}" if column is not None else "has no column of vectors, or several"
    raise UsageError(f"{source} {what}; name one with --column: {_listed(possible or present)}")


def _checked(source: Path, values: Any) -> Vectors:
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiu":
        raise UsageError(
            f"{source} has values {values.dtype} of shape {values.shape}; vectors are numbers, one row each"
        )
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(values, dtype=np.float32)
        # Of numbers above 10^19 the length is not finite either.
        broken = sum(int((~np.isfinite(np.linalg.norm(block, axis=1))).sum()) for _, block in blocks(vectors))
    if broken:
        raise UsageError(
            f"{broken} of {len(vectors)} vectors in {source} have values that are NaN, infinite or too large (10^19)"
        )
    return vectors


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{os.fspath(path)} does not exist or is no file; give a file with vectors")


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")
