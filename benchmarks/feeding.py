"""Whether `embed` feeds a fast device: with one that takes 1 ms per batch, beside reading the files alone.

The device is a stand-in that sleeps. Both run in turns, and the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.common import data_folder, machine
from benchmarks.performance import copies, digits
from imgcluster import Encoder, embed
from imgcluster.encoders.lanes import LANES_PER_DEVICE, Lane
from imgcluster.encoders.runner import Runner
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile
from imgcluster.images.readers import ReaderSettings, Request, read_files
from imgcluster.machine import memory_bytes, processors

SECONDS_PER_BATCH = 0.001


class StandIn(Encoder):
    """An encoder of a device that computes one batch after the other, each in the same time."""

    devices = 1

    def _open_runner(self, devices: list[str]) -> Runner:
        self.device = "cuda"
        lanes = [Lane(f"cuda:{number}", self._sleeper()) for number in range(self.devices)] * LANES_PER_DEVICE
        self._lanes = len(lanes)
        return Runner(self.info.name, lanes, self._run)

    def _sleeper(self) -> Any:
        busy = threading.Lock()

        def run(outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            (images,) = inputs.values()
            with busy:
                time.sleep(SECONDS_PER_BATCH)
            return [np.ones((len(images), self.info.embedding_size), np.float32)] * len(outputs)

        return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=3000)
    parser.add_argument("--tiny", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, nargs="*", default=[32, 256])
    arguments = parser.parse_args()
    print(f"{machine()}; {SECONDS_PER_BATCH * 1000:g} ms per batch, medians of {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = sorted((data_folder() / "photo-sets").rglob("*.jpg"))
        sets = {
            "photos": copies(folder / "photos", pictures, arguments.photographs, ".jpg"),
            "mnist": digits(folder / "mnist", arguments.tiny),
        }
        for encoder, files in sets.items():
            for batch_size in arguments.batch_size:
                compare(folder, encoder, files, batch_size, arguments.rounds)


def compare(folder: Path, encoder: str, files: Sequence[Path], batch_size: int, rounds: int) -> None:
    rates: dict[str, list[float]] = {"read": [], "embedded": []}
    for _ in range(rounds):
        rates["read"].append(len(files) / read(folder / encoder, encoder))
        rates["embedded"].append(len(files) / embedded(folder / encoder, folder / "out", encoder, batch_size))
    ratio = statistics.median(np.divide(rates["embedded"], rates["read"]))
    text = ", ".join(f"{name} {statistics.median(values):,.0f}/s" for name, values in rates.items())
    print(f"{len(files):,} files, encoder {encoder}, batches of {batch_size}: {text}, ratio {ratio:.2f}", flush=True)


def read(folder: Path, encoder: str) -> float:
    """Return the seconds in which all files are found and read."""
    spec = Encoder(encoder, device="cpu").info.input_spec
    settings = ReaderSettings(workers=processors(), memory=memory_bytes() // 8, seconds=20)
    start = time.perf_counter()
    found = Finder(paths=[folder]).find()
    requests = (Request(file, None) for file in found if isinstance(file, FoundFile))
    with quiet_decoders():
        count = sum(map(len, read_files(itertools.chain(requests), spec, settings)))
    assert count
    return time.perf_counter() - start


def embedded(folder: Path, out: Path, encoder: str, batch_size: int) -> float:
    """Return the seconds of `embed` with the stand-in, without opening the encoder."""
    shutil.rmtree(out, ignore_errors=True)
    opened = 0.0

    def stand_in(*arguments: Any, **options: Any) -> StandIn:
        nonlocal opened
        start = time.perf_counter()
        model = StandIn(*arguments, **options)
        opened = time.perf_counter() - start
        return model

    with patch("imgcluster.commands.embed.PixelEncoder", stand_in):
        start = time.perf_counter()
        embed(folder, workspace=out, encoder=encoder, device="cpu", batch_size=batch_size)
        return time.perf_counter() - start - opened


if __name__ == "__main__":
    main()
