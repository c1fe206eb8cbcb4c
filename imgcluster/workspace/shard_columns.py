"""The columns of a shard: names, types, and which of them may lack values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.types import TOP_CLASSES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COMPANION", "EXIF", "OPTIONAL", "SCORES", "STATISTICS", "check_column", "column_types"]

STATISTICS: Final = ("brightness", "colour", "contrast", "sharpness")
EXIF: Final = ("captured", "camera", "orientation")
SCORES: Final = ("classes", "probabilities")
COMPANION: Final = "companion"
# An image need not have these.
OPTIONAL: Final = {*EXIF, "thumbnail", COMPANION}


def column_types() -> dict[str, Any]:
    """Return the types of the columns; vectors can have any length."""
    import pyarrow as pa

    return {
        "path": pa.string(),
        "root": pa.string(),
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
        "digest": pa.binary(DIGEST_BYTES),
        "width": pa.int32(),
        "height": pa.int32(),
        **dict.fromkeys(STATISTICS, pa.float32()),
        "source": pa.string(),
        "captured": pa.string(),
        "camera": pa.string(),
        "orientation": pa.int8(),
        "thumbnail": pa.binary(),
        COMPANION: pa.string(),
        "classes": pa.list_(pa.int16(), TOP_CLASSES),
        "probabilities": pa.list_(pa.float32(), TOP_CLASSES),
    }


def check_column(name: str, column: pa.ChunkedArray) -> None:
    """Raise TypeError if a column that is known here has another type, or lacks values."""
    import pyarrow as pa

    known = column_types()
    is_list = pa.types.is_fixed_size_list(column.type)
    if name == "embedding":
        right = is_list and column.type.value_type == pa.float32()
    else:
        right = column.type == known.get(name, column.type)
    if not right:
        raise TypeError(f"its column {name} is of type {column.type}")
    elements = column.combine_chunks().flatten() if is_list else column
    if name in {"embedding", *known} - OPTIONAL and column.null_count + elements.null_count:
        raise TypeError(f"its column {name} lacks values")
