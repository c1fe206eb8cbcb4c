"""The formats of `export`: each is a function that writes one file or one new folder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from imgcluster.commands.support.thumbnails import read_tiles
from imgcluster.commands.support.vector_files import VECTOR_COLUMN
from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import folder_name
from imgcluster.placement.place import copy_new
from imgcluster.placement.plan import free_name
from imgcluster.progress import OnProgress, Progress
from imgcluster.types import Vectors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "Exported", "Format"]

_TILE: Final = 96
# The README keeps `datasets` from taking file names such as "test" for the names of splits.
_IMAGEFOLDER_README: Final = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "**"
---
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is exported, one entry per image.

    Attributes:
        columns: The columns of the table by name; values are None where they are unknown.
        vectors: ``float32 (n, d)``.
        files: Where the image files are now; they may be missing.
        companions: Where the second file of each image is now; None for none.
        points: Returns the positions on the map, ``float32 (n, 2)``.
        on_progress: Called with each step.
    """

    columns: dict[str, list[Any]]
    vectors: Vectors
    files: Sequence[Path]
    companions: Sequence[Path | None]
    points: Callable[[], npt.NDArray[np.float32]]
    on_progress: OnProgress

    @property
    def titles(self) -> list[str]:
        """The name of each image's cluster, or else its number in words; "" where nothing is clustered."""
        numbers, names = self.columns["cluster"], self.columns["name"]
        return [
            name or ("" if number is None else folder_name(number)) for number, name in zip(numbers, names, strict=True)
        ]


def _write_parquet(exported: Exported, target: Path) -> None:
    _save(_table(exported), target)


def _write_npy(exported: Exported, target: Path) -> None:
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.save(file, exported.vectors, allow_pickle=False)
    write_table(target.with_suffix(".csv"), list(exported.columns), zip(*exported.columns.values(), strict=True))


def _write_csv(exported: Exported, target: Path) -> None:
    names = [f"{VECTOR_COLUMN}_{number}" for number in range(exported.vectors.shape[1])]
    # Nine digits are enough for 32 bits.
    rows = (
        (*row, *(f"{value:.9g}" for value in vector.tolist()))
        for row, vector in zip(zip(*exported.columns.values(), strict=True), exported.vectors, strict=True)
    )
    write_table(target, [*exported.columns, *names], rows)


def _write_fiftyone(exported: Exported, target: Path) -> None:
    """Write a ``FiftyOneImageClassificationDataset`` with the paths of the files, and a table with the vectors."""
    labels = {}
    for row, title in enumerate(exported.titles):
        values = {name: column[row] for name, column in exported.columns.items() if name not in ("file", "confidence")}
        confidence = exported.columns["confidence"][row]
        # FiftyOne drops what follows a dot.
        labels[f"{row:08d}"] = {"label": title, "confidence": confidence, "attributes": values} if title else None
    names = (url_of(name) or str(file) for name, file in zip(exported.columns["file"], exported.files, strict=True))
    files = dict(zip(labels, names, strict=True))
    (target / "data.json").write_text(json.dumps(files, indent=1), encoding="utf-8")
    content = {"classes": sorted(set(exported.titles) - {""}), "labels": labels}
    (target / "labels.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    _save(_table(exported), target / "images.parquet")


def _write_embedding_atlas(exported: Exported, target: Path) -> None:
    """Write a Parquet file with the positions on the map and small pictures."""
    import pyarrow as pa

    points = exported.points()
    tiles = []
    for tile in read_tiles(exported.files, _TILE):
        tiles.append(None if tile is None else {"bytes": _jpeg(tile), "path": None})
        exported.on_progress(Progress("thumbnails", len(tiles), len(exported.files)))
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = _table(exported).append_column("label", pa.array(exported.titles, pa.string()))
    for position, name in enumerate("xy"):
        table = table.append_column(name, pa.array(points[:, position], pa.float32()))
    _save(table.append_column("image", pa.array(tiles, kind)), target)


def _write_imagefolder(exported: Exported, target: Path) -> None:
    """Copy the files into one folder per cluster, with ``metadata.parquet``; images without a file are left out."""
    import pyarrow as pa

    taken: dict[str, dict[str, int]] = {}
    names: list[str] = []
    rows = []
    for row, file in enumerate(exported.files):
        exported.on_progress(Progress("place", row, len(exported.files)))
        if not file.is_file():
            continue
        number = exported.columns["cluster"][row]
        folder = "images" if number is None else folder_name(number)
        # A table holds no bytes that are not UTF-8.
        name = free_name(to_text(file.name), taken.setdefault(folder, {}))
        copy_new(file, target / folder / name)
        second = exported.companions[row]
        if second is not None and second.is_file():
            copy_new(second, target / folder / free_name(to_text(second.name), taken[folder]))
        names.append(f"{folder}/{name}")
        rows.append(row)
    table = _table(exported).take(pa.array(rows, pa.int64())).drop_columns(["file"])
    _save(table.add_column(0, "file_name", pa.array(names, pa.string())), target / "metadata.parquet")
    (target / "README.md").write_text(_IMAGEFOLDER_README, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the function that writes it, and the ending of its file; "" for a folder, which exists already."""

    write: Callable[[Exported, Path], None]
    suffix: str = ""


FORMATS: Final = {
    "parquet": Format(_write_parquet, ".parquet"),
    "npy": Format(_write_npy, ".npy"),
    "csv": Format(_write_csv, ".csv"),
    "fiftyone": Format(_write_fiftyone),
    "embedding-atlas": Format(_write_embedding_atlas, ".parquet"),
    "imagefolder": Format(_write_imagefolder),
}


def _table(exported: Exported) -> pa.Table:
    import pyarrow as pa

    kinds = {"cluster": pa.int64(), "runner_up": pa.int64(), "confidence": pa.float64()}
    kinds |= {name: pa.int32() for name in ("width", "height", "orientation")}
    arrays = {name: pa.array(values, kinds.get(name, pa.string())) for name, values in exported.columns.items()}
    size = exported.vectors.shape[1]
    arrays[VECTOR_COLUMN] = pa.FixedSizeListArray.from_arrays(pa.array(exported.vectors.reshape(-1)), size)
    return pa.table(arrays)


def _save(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def _jpeg(tile: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
