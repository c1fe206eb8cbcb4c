"""Prints what the checksums of shards cost, and how many wrong bits of the footer stay unnoticed without them.

Processor seconds are measured with and without checksums of the pages, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imgcluster.fileio.parquet import read_parquet
from imgcluster.workspace.shard_file import Row, read_vectors, write_rows


def main() -> None:
    """Write and read a shard of random vectors and thumbnails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--values", type=int, default=2688)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(options.rows, options.values)).astype(np.float32)
    rows = [
        Row(f"{row:08d}.jpg", "/images", 1, 1, bytes(16), 1, 1, vector, 1, 2, 3, 4, thumbnail=generator.bytes(2000))
        for row, vector in enumerate(vectors)
    ]
    with tempfile.TemporaryDirectory() as folder:
        shard, without = Path(folder) / "shard.parquet", Path(folder) / "without.parquet"
        write_rows(shard, "encoder", rows)
        table = pq.read_table(shard)
        print(f"{platform.processor() or platform.machine()}, pyarrow {pa.__version__}, {options.runs} runs in turns")
        print(f"shard: {options.rows:,} rows, {os.path.getsize(shard) / 1e6:.0f} MB")
        settings = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        compare(
            "write",
            lambda: pq.write_table(table, without, **settings, write_page_checksum=True),
            lambda: pq.write_table(table, without, **settings),
            options.runs,
        )
        compare(
            "read",
            lambda: pq.read_table(shard, columns=["embedding"], use_threads=False, page_checksum_verification=True),
            lambda: pq.read_table(shard, columns=["embedding"], use_threads=False),
            options.runs,
        )
        print(f"read_vectors as a whole: {seconds(lambda: read_vectors(shard)):.3f} s")
        write_rows(shard, "encoder", rows[:20])
        wrong_bits(shard)


def wrong_bits(shard: Path) -> None:
    """Print how many single wrong bits in a shard's footer give other values or another encoder without an error."""
    good, table = shard.read_bytes(), pq.read_table(shard)
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    readers: dict[str, Callable[[Path], pa.Table]] = {
        "without a checksum of the footer": lambda path: pq.ParquetFile(path, page_checksum_verification=True).read(),
        "with it": read_parquet,
    }
    unnoticed = dict.fromkeys(readers, 0)
    bits = range(8 * footer, 8 * len(good))
    for bit in bits:
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(data)
        for name, read in readers.items():
            # Arrow raises arbitrary exceptions for damaged files.
            with contextlib.suppress(Exception):
                found = read(shard)
                unnoticed[name] += not found.equals(table) or identity(found) != identity(table)
    for name, count in unnoticed.items():
        print(f"{name}: {count:,} of {len(bits):,} wrong bits are not noticed")


def identity(table: pa.Table) -> bytes | None:
    """Return the name of the encoder of a shard's table."""
    found: bytes | None = (table.schema.metadata or {}).get(b"imgcluster.encoder")
    return found


def compare(name: str, checked: Callable[[], object], plain: Callable[[], object], runs: int) -> None:
    """Print the medians of both, and their difference."""
    times = [(seconds(checked), seconds(plain)) for _ in range(runs)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name}: {first:.3f} s with checksums, {second:.3f} s without, {first - second:+.3f} s")


def seconds(function: Callable[[], object]) -> float:
    """Return the processor seconds of a call."""
    before = time.process_time()
    function()
    return time.process_time() - before


if __name__ == "__main__":
    main()
