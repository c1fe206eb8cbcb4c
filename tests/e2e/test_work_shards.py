"""Four processes embed one collection at once, and one of them is killed: the same bytes as from one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samples import paint


def start(*arguments: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.Popen([sys.executable, "-m", "imgcluster", *map(str, arguments), "-q"], env=environment)


@pytest.mark.slow
def test_four_processes_one_of_them_killed(tmp_path: Path, tiny_encoder: Path) -> None:
    paint(tmp_path / "in", per_folder=40)
    embed = ["embed", tmp_path / "in", "--encoder", tiny_encoder, "--device", "cpu", "--batch-size", "1"]
    out, single = tmp_path / "out", tmp_path / "single"
    shards = [start(*embed, "-w", out, "--shard", f"{number}/4") for number in range(4)]
    # It exists when the first rows are about to be written.
    manifest = out / "shards/2-of-4/manifest.json"
    while not manifest.exists() and shards[2].poll() is None:
        time.sleep(0.005)
    shards[2].kill()
    assert [shard.wait() for number, shard in enumerate(shards) if number != 2] == [0, 0, 0]
    shards[2].wait()
    if json.loads(manifest.read_text(encoding="utf-8"))["state"] != "embedded":
        assert start("cluster", "-w", out).wait() == 1
    assert start(*embed, "-w", out, "--shard", "2/4").wait() == 0
    assert start(*embed, "-w", single).wait() == 0
    for workspace in (out, single):
        assert start("cluster", "-w", workspace).wait() == 0
    assert (out / "assignments.csv").read_bytes() == (single / "assignments.csv").read_bytes()
