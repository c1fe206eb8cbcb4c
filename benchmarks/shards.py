"""How `embed --shard` scales: many processes with an encoder that sleeps, so that two processors can simulate them.

Each process stands for a machine: it lists all images, reads those of its shard and writes their rows, and waits for
its encoder as for a GPU. Images are read in threads of the process, not in processes of its own, whose start would be
counted many times on the shared processors. The number of images grows with that of processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.parquet  # noqa: F401 - imported once, before the processes are forked
from PIL import Image

import imgcluster
from benchmarks.common import machine
from imgcluster.encoders import EncoderInfo, Started
from imgcluster.types import Pixels

SECONDS_PER_IMAGE = 0.1
IMAGES = 400
PROCESSES = (1, 4, 16, 64)
INFO = EncoderInfo(name="sleeping", version="1", embedding_size=384, metric="cosine", width=16, height=16, channels=3)


class SleepingEncoder:
    """An encoder whose time per image is known."""

    info = INFO
    identity = "sleeping"
    device = "cpu"
    path = Path("sleeping.onnx")
    notes = rejected_devices = ()
    batch_size = 32
    seconds = SECONDS_PER_IMAGE

    def __init__(self, *_: Any, **__: Any) -> None:
        self._thread = ThreadPoolExecutor(1)

    def start(self, images: Pixels, *, classes: bool = False) -> Started:
        return Started([self._thread.submit(self._encode, images.reshape(len(images), -1)[:, :384])])

    def images_ahead(self, batch_size: int) -> int:
        return batch_size

    def _encode(self, pixels: Pixels) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        time.sleep(self.seconds * len(pixels))
        return [pixels.astype(np.float32)]

    def stop(self) -> None:
        self._thread.shutdown(wait=False)


def work(folder: str, number: int, count: int) -> float:
    """Embed one shard, and return the seconds that it took."""
    sys.frozen = True  # type: ignore[attr-defined]
    start = time.perf_counter()
    with patch("imgcluster.commands.embed.PixelEncoder", SleepingEncoder):
        imgcluster.embed(f"{folder}/images", workspace=f"{folder}/out", shard=f"{number}/{count}", workers=1)
    return time.perf_counter() - start


def measure(count: int, images: int) -> tuple[float, float, float]:
    """Return the seconds until the last of `count` processes is ready, of an average one, and of joining."""
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (16, 16), "red").save(f"{folder}/red.png")
        content = Path(folder, "red.png").read_bytes()
        for number in range(images):
            path = Path(folder, "images", f"{number // 1000:03d}", f"{number:06d}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content + number.to_bytes(4, "big"))
        with multiprocessing.get_context("fork").Pool(count) as pool:
            start = time.perf_counter()
            seconds = pool.starmap(work, [(folder, number, count) for number in range(count)], chunksize=1)
            last = time.perf_counter() - start
        start = time.perf_counter()
        assert imgcluster.finish_shards(f"{folder}/out").embedded == images
        joined = time.perf_counter() - start
        shutil.rmtree(f"{folder}/out")
    return last, statistics.mean(seconds), joined


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES)
    parser.add_argument("--images", type=int, default=IMAGES, help="images per process")
    parser.add_argument("--seconds", type=float, default=SECONDS_PER_IMAGE, help="of the encoder per image")
    arguments = parser.parse_args()
    SleepingEncoder.seconds = arguments.seconds
    print(machine())
    first = 0.0
    for count in arguments.processes:
        images = count * arguments.images
        last, mean, joined = measure(count, images)
        rate = images / last
        first = first or rate
        print(
            f"{count} processes, {images:,} images: {last:.1f} s ({mean:.1f} s the average one), {rate:.1f} images/s, "
            f"{rate / first:.1f} times one process; joining {joined:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
