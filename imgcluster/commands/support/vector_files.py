"""Reading vectors and their paths from files of other programs: NumPy, Parquet, CSV and lists of paths."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from imgcluster.errors import ImgclusterError, UsageError, one_line
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
# The number of the row, which pandas writes, and the name that it gives this column when it reads it.
_ROW_NUMBERS: Final = re.compile(r"(Unnamed: \d+)?")


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
    except ImgclusterError as error:
        raise UsageError(str(error)) from None
    # Readers of damaged files raise anything.
    except Exception as error:
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
        if chosen not in lists:
            raise UsageError(
                f"column {chosen!r} of {source} contains no lists of numbers; give a column with one list for each "
                "image, or write the columns as .csv"
            )
        table = file.read(columns=[chosen, *({paths} & set(schema.names))])
    names = None
    if paths in table.column_names:
        names = [_path(name) for name in table.column(paths).to_pylist()]
    return _matrix(table.column(chosen)), names


def _matrix(column: pa.ChunkedArray) -> Any:
    """Return the lists of a column as an array; lists of different lengths raise ValueError."""
    # Not combined: the offsets of one list column count to two billion values.
    parts = [chunk.flatten() for chunk in column.chunks]
    if missing := column.null_count or sum(part.null_count for part in parts):
        raise ValueError(f"{missing} values are missing")
    lengths = sorted({length for chunk in column.chunks for length in chunk.value_lengths().unique().to_pylist()})
    if len(lengths) > 1:
        raise ValueError(f"its vectors have different lengths, among them {lengths[0]} and {lengths[1]}")
    if not lengths:
        return np.empty((0, 0))
    return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts]).reshape(len(column), -1)


def _read_csv(source: Path, paths: str, column: str | None) -> tuple[Any, list[str] | None]:
    header: list[str] = []
    chosen: list[str] = []
    names: list[str] = []
    # Four bytes for each value, of which there may be billions.
    values = array("f")
    rows = 0
    for rows, row in enumerate(read_table(source, ()), start=1):
        if rows == 1:
            header = list(row)
            chosen = _vector_columns(source, header, paths, column)
        values.extend(float(row[name]) for name in chosen)
        if paths in header:
            names.append(_path(row[paths]))
    vectors = np.frombuffer(values, np.float32).reshape(rows, len(chosen))
    return vectors, names if paths in header else None


def _vector_columns(source: Path, header: Sequence[str], paths: str, column: str | None) -> list[str]:
    """Return the columns of a CSV file that are the values of its vectors, in their order."""
    start = column or VECTOR_COLUMN
    numbered = re.compile(rf"{re.escape(start)}_?([0-9]+)")
    numbers = {name: int(match[1]) for name in header if name != paths and (match := numbered.fullmatch(name))}
    if not numbers and column is not None:
        raise UsageError(f"{source} has no columns {start}_0, {start}_1, …; its columns are {_listed(header)}")
    if not numbers:
        return [name for name in header if name != paths and not _ROW_NUMBERS.fullmatch(name)]
    return sorted(numbers, key=numbers.__getitem__)


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
