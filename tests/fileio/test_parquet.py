"""The checksum of a Parquet file's footer: other programs read the file as before, and no wrong bit stays unnoticed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcluster.fileio.parquet import add_footer_checksum, read_parquet

TABLE = pa.table({"name": ["a", "b", "c"], "value": pa.array([1.5, None, 3.0], pa.float32())})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pq.write_table(TABLE, tmp_path / "table.parquet", write_page_checksum=True)
    return tmp_path / "table.parquet"


def test_files_with_and_without_it_are_read(file: Path) -> None:
    assert read_parquet(file).equals(TABLE)
    add_footer_checksum(file)
    assert read_parquet(file).equals(TABLE)
    assert pq.read_table(file).equals(TABLE)
    assert read_parquet(file, ["value", "name"]).equals(TABLE.select(["value", "name"]))
    assert read_parquet(file, []).column_names == []


def test_every_wrong_bit_of_the_footer_is_noticed(file: Path) -> None:
    add_footer_checksum(file)
    good = file.read_bytes()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    for bit in range(8 * footer, 8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        with pytest.raises((ValueError, OSError)):
            read_parquet(file)


@pytest.mark.parametrize("size", [0, 7, 8, 12, 20])
def test_a_file_that_ends_early_is_damaged(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[-8:].rjust(size, b"\0")[-size:] if size else b"")
    with pytest.raises(ValueError, match="end"):
        read_parquet(file)


def test_an_unknown_column_is_an_error(file: Path) -> None:
    with pytest.raises(KeyError):
        read_parquet(file, ["other"])


def test_more_rows_than_a_file_can_have_need_no_memory(file: Path) -> None:
    pq.write_table(pa.table({"value": pa.array([0] * 1_000_000)}), file)
    assert file.stat().st_size < 10_000
    with pytest.raises(ValueError, match="1000000 rows"):
        read_parquet(file)
