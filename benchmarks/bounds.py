"""What the machine can do at most with a set of images, measured without imgcluster's loop; see `performance`."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from imgcluster import Encoder
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.found import FoundFile
from imgcluster.images.load import read_image
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
from imgcluster.types import Pixels

__all__ = ["decode_and_measure", "decode_plainly", "decoding", "inference", "pixels_of", "run_network", "spec_of"]

# A process for each core.
DECODE = """
import sys, time
from pathlib import Path
from benchmarks import bounds
decode = getattr(bounds, sys.argv[2])
spec, files = bounds.spec_of(sys.argv[1]), sys.stdin.read().splitlines()
decode(files[0], spec)
print("ready", flush=True)
start = time.perf_counter()
for file in files:
    decode(file, spec)
print(time.perf_counter() - start)
"""


def decoding(encoder: str, files: Sequence[Path], function: str) -> float:
    """Return the seconds that all cores need to decode all files, with a process for each."""
    count = processors()
    running = []
    for number in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", DECODE, encoder, function], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write("\n".join(map(str, files[number::count])))
        process.stdin.close()
        running.append(process)
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    return max(float(process.stdout.read()) for process in running if process.stdout)


def spec_of(encoder: str) -> InputSpec:
    return Encoder(encoder, device="cpu").info.input_spec


def decode_plainly(path: str | Path, spec: InputSpec) -> Pixels:
    """Read, decode and resize an image as a short script would, with what it can know of the network."""
    with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
        image.draft(None, (2 * spec.width, 2 * spec.height))
        picture = image.convert(spec.mode)
    box = spec.source_box(*picture.size)
    if picture.size != (spec.width, spec.height):
        picture = picture.resize((spec.width, spec.height), Image.Resampling[spec.filter.upper()], box=box)
    return np.asarray(picture, dtype=np.uint8).reshape(spec.height, spec.width, spec.channels)


def decode_and_measure(path: str | Path, spec: InputSpec) -> None:
    """Read an image as `embed` does."""
    size = os.stat(path).st_size
    with quiet_decoders():
        read_image(FoundFile(os.path.dirname(path), os.path.basename(path), size, 0), spec)


def inference(encoder: str, files: Sequence[Path]) -> float:
    """Return the seconds per image of the network on all cores: of batches, or of an image on each core."""
    images = pixels_of(encoder, files)
    return min(run_network(encoder, images, threads, batch)[0] for threads, batch in ((0, 32), (1, 1), (1, 64)))


def pixels_of(encoder: str, files: Sequence[Path]) -> Pixels:
    spec = spec_of(encoder)
    return np.stack([decode_plainly(file, spec) for file in itertools.islice(itertools.cycle(files), 256)])


def run_network(encoder: str, images: Pixels, threads: int, batch: int) -> tuple[float, float]:
    """Return seconds and processor time per image; a session of one `threads` runs on each core, one of 0 on all."""
    model = Encoder(encoder, device="cpu")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work would count as processor time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(os.fspath(model.path), options, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, model.info.output or session.get_outputs()[0].name
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]

    def run(part: Pixels) -> None:
        session.run([output], {name: part})

    with ThreadPoolExecutor(processors() if threads else 1) as pool:
        list(pool.map(run, parts[:4]))
        start, used = time.perf_counter(), time.process_time()
        list(pool.map(run, parts))
        seconds = time.perf_counter() - start, time.process_time() - used
    return seconds[0] / len(images), seconds[1] / len(images)
