"""Pillow's JPEG decoder beside libjpeg-turbo's own interface (simplejpeg) and OpenCV: time, and how colors differ.

simplejpeg and OpenCV are not dependencies: ``pip install simplejpeg opencv-python-headless`` first.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.common import data_folder, machine

IMAGES = 300
RUNS = 5


def pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def opencv(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


DECODERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "pillow": pillow,
    "simplejpeg": simplejpeg.decode_jpeg,
    "opencv": opencv,
}


def main() -> None:
    cv2.setNumThreads(1)
    print(machine() + "".join(f", {name} {version(name)}" for name in ("simplejpeg", "opencv-python-headless")))
    files = sorted((data_folder() / "photo-sets").rglob("*.jpg"))
    images = [path.read_bytes() for path in files[:: max(1, len(files) // IMAGES)][:IMAGES]]
    seconds: dict[str, list[float]] = {name: [] for name in DECODERS}
    for _ in range(RUNS):
        for name, decoder in DECODERS.items():
            start = time.process_time()
            for data in images:
                decoder(data)
            seconds[name].append((time.process_time() - start) / len(images))
    print(f"{len(images)} JPEGs in full size, {RUNS} runs in turns, one thread, processor time")
    for name, decoder in DECODERS.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds["pillow"], strict=True))
        differences = [np.abs(decoder(data).astype(int) - pillow(data)) for data in images]
        print(
            f"  {name:10} {1000 * statistics.median(seconds[name]):.2f} ms per image ({ratio:.2f} of Pillow's), "
            f"largest difference {max(int(values.max()) for values in differences)} of 255, "
            f"mean {statistics.mean(float(values.mean()) for values in differences):.4f}"
        )


if __name__ == "__main__":
    main()
