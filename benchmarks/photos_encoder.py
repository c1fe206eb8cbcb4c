"""The figures on the cards of `photos` and `photos-fast`: scores per set, cosine to full precision, milliseconds.

The data is the five tuning sets, each clustered with its number of folders, one run each. Full precision (fp32), which
is not shipped, is exported first, from the packages of the extra `photos-source`; the bands of Lite0 alone are the
encoder `photos` of version 2. The times are of one thread on the CPU, in turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from benchmarks.common import data_folder, machine
from benchmarks.scores import reduced, scored
from imgcluster.encoders.precision import cosines
from imgcluster.encoders.registry import bundled_folder
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels
from imgcluster_training.export.photos import MEAN, NETWORKS, OUTPUTS, SCALE, Network, PhotoFeatures
from imgcluster_training.export.to_onnx import export_encoder

Run = Callable[[Pixels], npt.NDArray[np.float32]]

BATCH = 16
HEAD = 1280
TIMED = 8
ROUNDS = 15


@dataclass(frozen=True)
class Row:
    """One file: what it is, its input size and what runs it."""

    name: str
    spec: InputSpec
    run: Run
    full: Run


def main() -> None:
    print(f"{machine()}, onnxruntime {onnxruntime.__version__}")
    root = data_folder() / "photo-sets"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sets, kinds = (np.array([path.parts[-depth] for path in files]) for depth in (3, 2))
    names = sorted(set(sets))
    print(f"{len(files):,} photographs; accuracy, NMI with the number of kinds given, one run each\n")
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for network in NETWORKS for row in rows_of(network, Path(folder))]
    pixels: dict[int, Pixels] = {}
    for row in rows:
        if row.spec.width not in pixels:
            pixels[row.spec.width] = np.stack([decode(path.read_bytes(), row.spec).pixels for path in files])
    milliseconds = timed(rows, pixels)
    print(f"| file | {' | '.join(names)} | mean | cosine to fp32: mean, least | ms per image |")
    print("| --- " * (len(names) + 4) + "|")
    for row in rows:
        vectors, full = (in_batches(run, pixels[row.spec.width]) for run in (row.run, row.full))
        values = cosines(vectors, full) if vectors.shape == full.shape else None
        found = []
        for name in names:
            inside = sets == name
            space = reduced(vectors[inside], kinds[inside], "cosine", 0, name)
            scores = scored(space, "kmeans", len(set(kinds[inside])))
            found.append((scores["accuracy"], scores["nmi"]))
        cells = " | ".join(f"{accuracy:.3f}, {nmi:.3f}" for accuracy, nmi in [*found, np.mean(found, axis=0)])
        alike = "–" if values is None else f"{values.mean():.4f}, {values.min():.4f}"
        print(f"| {row.name} | {cells} | {alike} | {milliseconds[row.name]:.1f} |", flush=True)


def rows_of(network: Network, folder: Path) -> list[Row]:
    """Return the rows of a network: in full precision, and its files."""
    info = network.info
    path = folder / f"{info.name}.onnx"
    export_encoder(PhotoFeatures(network.number), info, path, mean=MEAN, scale=SCALE, outputs=OUTPUTS)
    full = session(path)
    rows = [Row(f"Lite{network.number}, fp32", info.input_spec, full, full)]
    if network.number == 0:
        rows.insert(0, Row("Lite0, bands and center alone, fp32", info.input_spec, lambda x: full(x)[:, HEAD:], full))
    for precision in network.precisions:
        file = f"{info.name}.{precision}.onnx"
        rows.append(Row(file, info.input_spec, session(bundled_folder() / file), full))
    return rows


def session(path: Path) -> Run:
    """Return a function that computes embeddings in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    opened = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(opened.run([OUTPUTS[0]], {"images": images})[0])


def in_batches(run: Run, pixels: Pixels) -> npt.NDArray[np.float32]:
    return np.concatenate([run(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)])


def timed(rows: list[Row], pixels: dict[int, Pixels]) -> dict[str, float]:
    """Return the milliseconds per image of each row, in the median of some rounds."""
    seconds: dict[str, list[float]] = {row.name: [] for row in rows}
    for _ in range(ROUNDS):
        # In turns, so that another load on the machine meets all of them alike.
        for row in rows:
            batch = pixels[row.spec.width][:TIMED]
            start = time.perf_counter()
            row.run(batch)
            seconds[row.name].append((time.perf_counter() - start) / TIMED)
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
