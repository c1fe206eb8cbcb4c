"""`cluster` passes on what it has read: no file of the workspace is read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import imgcluster

TOP = Path(imgcluster.__file__).parents[1]

# Python reports the files it opens, of shards to check their footers; pyarrow is asked which columns it reads.
PROGRAM = """
import json, sys

reads = []

def record(event, arguments):
    if event == "open" and arguments[1] in ("r", "rb") and not str(arguments[0]).endswith(".parquet"):
        reads.append([str(arguments[0]), None])

sys.addaudithook(record)

import pyarrow.parquet

class Recorded(pyarrow.parquet.ParquetFile):
    def __init__(self, path, **options):
        super().__init__(path, **options)
        self.path = path

    def read(self, columns=None, **options):
        reads.append([str(self.path), columns])
        return super().read(columns=columns, **options)

pyarrow.parquet.ParquetFile = Recorded
from imgcluster.cli.app import main

sys.argv[0] = "imgcluster"
try:
    main()
finally:
    sys.stderr.write(json.dumps(reads))
"""


@pytest.mark.parametrize("place", ["symlink", pytest.param("copy", marks=pytest.mark.slow)])
def test_cluster_reads_manifest_journal_and_shards_once(
    tmp_path: Path, pictures: Path, tiny_encoder: Path, place: str
) -> None:
    workspace = tmp_path / "out"
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=workspace, k=2, place="symlink")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "cluster", "-w", workspace, "--k", "3", "--place", place],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    reads = Counter()
    for path, columns in json.loads(run.stderr):
        if columns is None or "embedding" in columns:
            reads[Path(path)] += 1
    # Once to read it, and once to copy it for undo.
    assert reads[workspace / "manifest.json"] == 2
    assert reads[workspace / "placed.jsonl"] == 2
    shards = list((workspace / "embeddings").iterdir())
    assert shards
    assert [reads[shard] for shard in shards] == [1] * len(shards)
