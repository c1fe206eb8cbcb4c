"""Signals end a command with exit code 130, also while a decoder or an encoder computes, and no process is left."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tiny_models
from interruptions import children
from samples import paint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run the command beside the block, and end it with the block."""
    command = [sys.executable, "-m", "imgcluster", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_while_readers_decode(tmp_path: Path, tiny_encoder: Path, number: signal.Signals) -> None:
    paint(tmp_path / "in", per_folder=30)
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    slow = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tEXt", b"") * 3_000_000
    (tmp_path / "in/blue/slow.png").write_bytes(slow)
    with started("embed", tmp_path / "in", "-w", tmp_path / "out", "--encoder", tiny_encoder) as process:
        while not (readers := children(process.pid)):
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(number)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed.splitlines()[-1].startswith("imgcluster: interrupted")
    command_lines = [Path(f"/proc/{reader}/cmdline") for reader in readers]
    assert not [line for line in command_lines if line.exists() and line.read_bytes()]


def test_a_signal_while_an_encoder_runs_for_ever(tmp_path: Path) -> None:
    paint(tmp_path / "in", per_folder=1)
    encoder = tiny_models.endless(tmp_path / "endless.onnx")
    with started("embed", tmp_path / "in", "-w", tmp_path / "out", "--encoder", encoder) as process:
        # Long enough for the first batch to run, which never ends.
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed.splitlines()[-1].startswith("imgcluster: interrupted")
