"""Prints what the checksums of the pages of shards cost: processor seconds with and without, in turns."""

from __future__ import annotations

import argparse
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
        Row(f"{row:08d}.jpg", "/images", 1, 1, bytes(16), 1, 1, vector, thumbnail=generator.bytes(2000))
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
