"""Reading Parquet files, and a checksum of their footer: the format has some of its pages only.

The footer says where the columns are, and of which types. Between it and the last page the format allows any bytes;
eight of them hold a name and a CRC-32. Files without them are read as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from imgcluster.errors import WorkspaceError, one_line

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["add_footer_checksum", "open_parquet", "read_parquet", "refuse_damaged"]

_MAGIC: Final = b"PAR1"
_NAME: Final = b"FCRC"
# No file has more rows, but Arrow reserves memory for as many as a footer says.
_ROWS_PER_BYTE: Final = 100


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return these columns, in this order, or all of them.

    Raises:
        Exception: The file is damaged; Arrow raises arbitrary ones.
    """
    with open_parquet(path) as file:
        table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        if len(table) != (rows := file.metadata.num_rows):
            raise ValueError(f"its columns have {len(table)} of {rows} rows")
    return table if columns is None else table.select(list(columns))


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """Open a file as ``pyarrow.parquet.ParquetFile``, which checks the pages that have checksums.

    The number of rows in the footer is checked, too: it decides how much memory is needed.

    Raises:
        Exception: The file is damaged; Arrow raises arbitrary ones.
    """
    import pyarrow.parquet as pq

    if path.is_dir():
        raise ValueError("it is a folder")
    with path.open("rb") as binary:
        start, footer = _footer(binary)
        binary.seek(start - len(_NAME) - 4)
        name, checksum = binary.read(len(_NAME)), binary.read(4)
    if name == _NAME and checksum != _checksum(footer):
        raise ValueError("its footer has another checksum")
    # The reader of whole data sets, `read_table`, takes several times as long to open a file.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _check_rows(file.metadata, most=_ROWS_PER_BYTE * path.stat().st_size)
        yield file


@contextmanager
def refuse_damaged(path: Path, remedy: str) -> Iterator[None]:
    """Replace the exception that the block raises for a damaged file at `path` by one that ends with `remedy`.

    Raises:
        WorkspaceError: The file is damaged.
    """
    try:
        yield
    # Arrow raises arbitrary exceptions for damaged files; only errors of the operating system have an errno.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise WorkspaceError(f"{path} is damaged ({one_line(error)}); {remedy}") from None


def add_footer_checksum(path: Path) -> None:
    """Add the checksum to a file that nobody else uses yet."""
    with path.open("r+b") as file:
        start, footer = _footer(file)
        file.seek(start)
        file.write(_NAME + _checksum(footer) + footer)


def _check_rows(metadata: Any, most: int) -> None:
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if sum(counts) != metadata.num_rows or not all(0 <= count <= most for count in counts):
        raise ValueError(f"its footer says {metadata.num_rows} rows, and {sum(counts)} in its parts")


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the footer starts, and the footer with its length and the last magic bytes."""
    size = file.seek(0, 2)
    file.seek(max(size - 8, 0))
    end = file.read(8)
    start = size - 8 - int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or start < len(_NAME) + 4:
        raise ValueError("its end is missing")
    file.seek(start)
    return start, file.read()


def _checksum(footer: bytes) -> bytes:
    return zlib.crc32(footer).to_bytes(4, "little")
