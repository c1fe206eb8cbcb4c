"""What decoding a JPEG at reduced size gains in time, and what it costs in accuracy, for the `photos` encoder.

The test photographs are small, so each is enlarged sixfold first, to the size of a camera's picture.
"""

from __future__ import annotations

import io
import statistics
import time

import numpy as np
from PIL import Image

from benchmarks.common import data_folder, machine
from imgcluster import Encoder
from imgcluster.images import decode as images
from imgcluster.images.decode import decode

IMAGES = 40
RUNS = 5


def main() -> None:
    print(machine())
    encoder = Encoder("photos", device="cpu")
    spec = encoder.info.input_spec
    files = sorted((data_folder() / "photos").rglob("*.jpg"))[:: 900 // IMAGES][:IMAGES]
    large = [enlarged(path.read_bytes()) for path in files]
    margins = (1e9, 4.0, 2.0, 1.0)
    seconds: dict[float, list[float]] = {margin: [] for margin in margins}
    vectors = {}
    for _ in range(RUNS):
        # In turns, so that another load on the machine meets all of them alike.
        for margin in margins:
            images._DRAFT_MARGIN = margin  # the constant under test
            start = time.perf_counter()
            pixels = np.stack([decode(data, spec).pixels for data in large])
            seconds[margin].append((time.perf_counter() - start) / len(large))
            vectors[margin] = encoder.encode(pixels)
    full = normalised(vectors[margins[0]])
    print(f"{len(large)} JPEGs of {len(large[0]) / 1e6:.1f} MB and more, {RUNS} runs each, one thread")
    for margin in margins:
        cosine = (normalised(vectors[margin]) * full).sum(axis=1)
        name = "full decode" if margin > 100 else f"margin {margin:g}"
        ratio = statistics.median(a / b for a, b in zip(seconds[margin], seconds[margins[0]], strict=True))
        print(
            f"  {name:12} {1000 * statistics.median(seconds[margin]):6.1f} ms per image ({ratio:.2f} of the full), "
            f"cosine to the full decode: mean {cosine.mean():.5f}, least {cosine.min():.5f}"
        )


def enlarged(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        large = picture.convert("RGB").resize((picture.width * 6, picture.height * 6), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
