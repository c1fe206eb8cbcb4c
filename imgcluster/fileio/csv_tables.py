"""Writing and reading CSV files.

UTF-8, comma-separated, lines end with ``\\n``; fields with commas or quotes are quoted (RFC 4180). File names can be
chosen by strangers, so that texts are written harmless: an apostrophe precedes one that a spreadsheet would take for a
formula, and control characters are written ``\\xNN`` or ``\\u00NN``. `read_table` returns the texts as they were.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.regular import bounded_lines

__all__ = [
    "field",
    "read_table",
    "write_as_parquet",
    "write_table",
]


_FORMULA: Final = re.compile(r"'*[=+\-@]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
# Control characters; a semicolon after which a formula could start, where semicolons separate cells; a backslash that
# looks like the start of one of these. From \x80 on, \xNN is a byte of a path.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]|;(?=\s*'*[=+\-@])|\\(?=x(?:[01][0-9a-f]|7f|5c|3b)|u00[89][0-9a-f])")
_ESCAPED: Final = re.compile(r"\\(?:x([01][0-9a-f]|7f|5c|3b)|u(00[89][0-9a-f]))")

_TYPES: Final = {
    **dict.fromkeys(("cluster", "runner_up", "orientation"), "int32"),
    **dict.fromkeys(("confidence", "distance"), "float32"),
    "is_medoid": "bool",
}


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Replace the CSV file at `path`; values are converted by `field`."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([field(value) for value in row] for row in rows)


def write_as_parquet(table: Path, path: Path) -> None:
    """Write a CSV file of `write_table` as Parquet too, in blocks; numbers and bools have their types."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    with table.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    types = {name: "int32" if name.startswith("layer_") else _TYPES.get(name, "string") for name in names}
    options = pc.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False)
    parse = pc.ParseOptions(newlines_in_values=True)
    with (
        pc.open_csv(table, parse_options=parse, convert_options=options) as reader,
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, reader.schema, compression="zstd") as writer,
    ):
        for batch in reader:
            columns = [
                pa.array([text and _original(text) for text in column.to_pylist()], pa.string())
                if pa.types.is_string(column.type)
                else column
                for column in batch.columns
            ]
            writer.write_batch(pa.record_batch(columns, schema=batch.schema))


def read_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file; commas, semicolons and tabs are accepted as separators.

    Raises:
        WorkspaceError: The file is not readable, lacks one of `columns` or has it twice (any column, if `columns` is
            empty), or has rows of different lengths.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(bounded_lines(file), "")
            file.seek(0)
            # Spreadsheets in some locales write semicolons or tabs.
            delimiter = next((sign for sign in ",;\t" if set(columns) <= set(_split(header, sign))), ",")
            reader = csv.reader(bounded_lines(file), strict=True, delimiter=delimiter)
            names = next(reader, [])
            missing = [name for name in columns if name not in names]
            counts = Counter(names)
            # Spreadsheets write empty columns without names.
            twice = [name for name in (columns or counts) if name and counts[name] > 1]
            if twice:
                raise WorkspaceError(f"{path} has several columns {twice[0]!r}; give each a name of its own")
            if missing:
                raise WorkspaceError(f"{path} has no column {missing[0]!r}; required columns: {', '.join(columns)}")
            for row in filter(None, reader):
                if len(row) != len(names):
                    raise WorkspaceError(f"{path}, line {reader.line_num}: the number of fields is not that of line 1")
                yield dict(zip(names, map(_original, row), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise WorkspaceError(f"{path} cannot be read: {error}") from None


def _split(header: str, sign: str) -> list[str]:
    return [name.strip('"') for name in header.lstrip("\ufeff").rstrip("\r\n").split(sign)]


def field(value: Any) -> str:
    """Return a value as the text of a field: "" for None, ``true`` and ``false`` for bools; other texts harmless."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    # Nearly all texts are printable, which is faster to see.
    if not text.isprintable() or "\\" in text or ";" in text:
        text = _CONTROL.sub(_escape, text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _original(text: str) -> str:
    """Return the text that `field` wrote as `text`."""
    if text.startswith("'") and _FORMULA.match(text):
        text = text[1:]
    return _ESCAPED.sub(lambda match: chr(int(match.group(1) or match.group(2), 16)), text) if "\\" in text else text
