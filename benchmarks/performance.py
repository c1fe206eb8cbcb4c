"""Speed and memory of `embed`, as ratios to what the machine can do (``make bench``; with ``QUICK=1`` in seconds).

The bound of a set of images is 1 / (seconds to decode one on all cores + seconds to run the network on one on all
cores), both measured without imgcluster's loop: Pillow in a process per core, and the faster of two ways to run ONNX
Runtime. The second bound counts everything that imgcluster reads and measures of an image as decoding (digest, EXIF,
brightness, colorfulness, contrast, sharpness). What is compared runs in turns, so that another load on the machine
meets all of it alike; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.bounds import decode_and_measure, decode_plainly, decoding, inference, pixels_of, run_network
from benchmarks.common import data_folder, machine
from imgcluster.machine import processors
from imgcluster_training.data.archives import read_idx

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
START, END = "<!-- measured -->", "<!-- end -->"

# A process of its own, whose time and memory are its own.
EMBED = "import sys; from imgcluster.cli.app import main; sys.argv[0] = 'imgcluster'; main()"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        photographs: The number of photographs.
        tiny: The number of MNIST's digits.
        unchanged: The number of files that did not change.
        memory: Two numbers of images, whose peak memory is compared.
        rounds: How often everything is measured.
        fastdup: The Python of an environment with fastdup; without it fastdup is not compared.
    """

    photographs: int
    tiny: int
    unchanged: int
    memory: tuple[int, int]
    rounds: int
    fastdup: str = ""


FULL = Sizes(photographs=3000, tiny=70_000, unchanged=100_000, memory=(2000, 200_000), rounds=3)
QUICK = Sizes(photographs=200, tiny=4000, unchanged=4000, memory=(500, 4000), rounds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; nothing is written")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--fastdup", default="", metavar="PYTHON", help="of an environment with fastdup, to compare")
    arguments = parser.parse_args()
    sizes = dataclasses.replace(QUICK if arguments.quick else FULL, fastdup=arguments.fastdup)
    print(machine())
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            for row in PARTS[name](Path(folder), sizes):
                rows.append(row)
                print(row, flush=True)
    if not arguments.quick and len(arguments.only) == len(PARTS):
        write(rows, sizes)


def write(rows: Sequence[str], sizes: Sizes) -> None:
    """Put the table into the documentation."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    onnx = f"onnxruntime {onnxruntime.__version__}"
    head = [f"{machine()}, {onnx}; medians of {sizes.rounds} rounds.", "", "| what | measured | goal |"]
    table = "\n".join([*head, "| --- | --- | --- |", *rows])
    DOCUMENT.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


def photographs(folder: Path, sizes: Sizes) -> list[str]:
    """`embed` on JPEGs of 150 to 600 pixels, beside the bound and beside a plain script."""
    pictures = sorted((data_folder() / "photo-sets").rglob("*.jpg"))
    files = copies(folder / "photographs", pictures, sizes.photographs, ".jpg")
    rows = []
    for encoder in ("photos", "photos-fast"):
        compared = {"embed": lambda name=encoder: embed(folder / "photographs", folder / "out", name)}
        if encoder == "photos":
            compared["script"] = lambda: script(files, "photos")
            if sizes.fastdup:
                compared["fastdup"] = lambda: fastdup(folder / "photographs", sizes.fastdup)
        rates, measured = in_turns(encoder, files, compared, sizes)
        goal = "0.93 of the bound" if encoder == "photos" else "300 images/s"
        rows.append(f"| {len(files):,} photographs, encoder `{encoder}` | {measured} | {goal} |")
        for peer, title, wanted in (
            ("script", "a torch `DataLoader` and ONNX Runtime", 1.3),
            ("fastdup", "fastdup", 1.5),
        ):
            if peer in rates:
                times = rates["embed"] / rates[peer]
                rows.append(f"| the same, beside {title} | {times:.2f} times as fast | {wanted} |")
    return rows


def tiny(folder: Path, sizes: Sizes) -> list[str]:
    """`embed` on MNIST as PNG files."""
    files = digits(folder / "tiny", sizes.tiny)
    _, measured = in_turns("mnist", files, {"embed": lambda: embed(folder / "tiny", folder / "out", "mnist")}, sizes)
    return [f"| {len(files):,} MNIST PNG files, encoder `mnist` | {measured} | 8,000 images/s, 0.8 of the bound |"]


def unchanged(folder: Path, sizes: Sizes) -> list[str]:
    """`embed` again on files that did not change."""
    files = digits(folder / "unchanged", sizes.unchanged)
    embed(folder / "unchanged", folder / "out", "mnist")
    seconds = [embed(folder / "unchanged", folder / "out", "mnist", fresh=False) for _ in range(sizes.rounds)]
    rate = len(files) / statistics.median(seconds)
    return [f"| `embed` again on {len(files):,} unchanged files | {rate:,.0f} files/s | 40,000 files/s |"]


def memory(folder: Path, sizes: Sizes) -> list[str]:
    """Peak memory of all processes of `embed` for few and for many images."""
    peaks = []
    for count in sizes.memory:
        digits(folder / "memory", count)
        peaks.append(peak_of_embed(folder / "memory", folder / "out", "mnist"))
    few, many = sizes.memory
    measured = f"{peaks[0]:.0f} MB and {peaks[1]:.0f} MB"
    return [f"| peak memory of all processes, {few:,} and {many:,} images | {measured} | at most 150 MB more |"]


def threads(folder: Path, sizes: Sizes) -> list[str]:
    """The network's processor time in two ways, and `embed` with several numbers of readers."""
    files = copies(
        folder / "photographs", sorted((data_folder() / "photo-sets").rglob("*.jpg")), sizes.photographs, ".jpg"
    )
    rows = []
    for encoder in ("photos", "photos-fast"):
        images = pixels_of(encoder, files)
        ways = {"one image on each core": (1, 1), "batches of 32 on all cores": (0, 32)}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(sizes.rounds):
            for name, (count, batch) in ways.items():
                seconds[name].append(run_network(encoder, images, count, batch)[1])
        times = ", ".join(f"{name}: {1000 * statistics.median(values):.1f} ms" for name, values in seconds.items())
        rows.append(f"| processor time of `{encoder}` per image | {times} | |")
    counts = (1, processors(), 2 * processors())
    readers: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(sizes.rounds):
        for count in counts:
            options = ["--workers", str(count)]
            readers[count].append(embed(folder / "photographs", folder / "out", "photos", options=options))
    times = ", ".join(f"{count}: {statistics.median(values):.1f} s" for count, values in readers.items())
    return [*rows, f"| `embed` with several numbers of readers (`--workers`) | {times} | |"]


PARTS: dict[str, Callable[[Path, Sizes], list[str]]] = {
    "photographs": photographs,
    "tiny": tiny,
    "unchanged": unchanged,
    "memory": memory,
    "threads": threads,
}


def in_turns(
    encoder: str, files: Sequence[Path], compared: dict[str, Callable[[], float]], sizes: Sizes
) -> tuple[dict[str, float], str]:
    """Return images per second of the bounds and of what is compared, and a text about `embed`."""
    rates: dict[str, list[float]] = {name: [] for name in ("bound", "second bound", *compared)}
    for _ in range(sizes.rounds):
        network = inference(encoder, files)
        for name, function in (("bound", decode_plainly), ("second bound", decode_and_measure)):
            rates[name].append(1 / (decoding(encoder, files, function.__name__) / len(files) + network))
        for name, run in compared.items():
            rates[name].append(len(files) / run())
    ratios = [
        statistics.median(rate / bound for rate, bound in zip(rates["embed"], rates[name], strict=True))
        for name in ("bound", "second bound")
    ]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    measured = (
        f"{medians['embed']:,.0f} images/s, {ratios[0]:.2f} of the bound of {medians['bound']:,.0f}, "
        f"{ratios[1]:.2f} of the second bound of {medians['second bound']:,.0f}"
    )
    return medians, measured


def embed(folder: Path, out: Path, encoder: str, *, fresh: bool = True, options: Sequence[str] = ()) -> float:
    """Return the seconds of the whole process."""
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([*embed_command(folder, out, encoder), *options], check=True)
    return time.perf_counter() - start


def embed_command(folder: Path, out: Path, encoder: str) -> list[str]:
    options = ["--encoder", encoder, "--device", "cpu", "-q"]
    return [sys.executable, "-c", EMBED, "embed", str(folder), "-w", str(out), *options]


def peak_of_embed(folder: Path, out: Path, encoder: str) -> float:
    """Return the largest sum of the resident memory of `embed` and its readers, in MB."""
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen(embed_command(folder, out, encoder))
    peak = 0
    while process.poll() is None:
        total = 0
        for number in (str(process.pid), *children(process.pid)):
            try:
                total += int(Path(f"/proc/{number}/statm").read_text(encoding="ascii").split()[1])
            except (OSError, IndexError):
                continue
        peak = max(peak, total)
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(process.returncode)
    return peak * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(parent: int) -> list[str]:
    try:
        tasks = Path(f"/proc/{parent}/task").iterdir()
        return [number for task in tasks for number in (task / "children").read_text(encoding="ascii").split()]
    except OSError:
        return []


SCRIPT = """
import sys
from torch.utils.data import DataLoader, Dataset
import numpy as np, onnxruntime, torch
from benchmarks.bounds import decode_plainly, spec_of
class Files(Dataset):
    def __init__(self, files, spec): self.files, self.spec = files, spec
    def __len__(self): return len(self.files)
    def __getitem__(self, index): return torch.from_numpy(decode_plainly(self.files[index], self.spec).copy())
from imgcluster.encoders.encoder import PixelEncoder
model = PixelEncoder(sys.argv[1], device="cpu")
session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
name, output = session.get_inputs()[0].name, model.info.output or session.get_outputs()[0].name
loader = DataLoader(Files(sys.stdin.read().splitlines(), model.info.input_spec), 32, num_workers=int(sys.argv[2]))
np.save(sys.argv[3], np.concatenate([session.run([output], {name: batch.numpy()})[0] for batch in loader]))
"""


def script(files: Sequence[Path], encoder: str) -> float:
    """Return the seconds of a script with torch's `DataLoader` and ONNX Runtime's defaults."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SCRIPT, encoder, str(processors()), str(Path(folder) / "vectors.npy")]
        start = time.perf_counter()
        subprocess.run(command, input="\n".join(map(str, files)), text=True, check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


FASTDUP = """
import sys, fastdup
fastdup.create(input_dir=sys.argv[1], work_dir=sys.argv[2]).run(overwrite=True, print_summary=False, verbose=False)
"""


def fastdup(pictures: Path, python: str) -> float:
    """Return the seconds of fastdup with its defaults: vectors, and the pairs of similar images."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([python, "-c", FASTDUP, str(pictures), folder], check=True, capture_output=True)
        return time.perf_counter() - start


def copies(folder: Path, pictures: Sequence[Path], count: int, suffix: str) -> list[Path]:
    """Copy pictures, again and again if there are too few, and return the files."""
    folder.mkdir(exist_ok=True)
    files = []
    for number, picture in enumerate(itertools.islice(itertools.cycle(pictures), count)):
        files.append(folder / f"{number:06d}{suffix}")
        shutil.copyfile(picture, files[-1])
    return files


def digits(folder: Path, count: int) -> list[Path]:
    """Write MNIST's digits as PNG files, a thousand per folder; beyond 70,000 with one pixel changed."""
    files = []
    source = data_folder() / "mnist"
    images = np.concatenate([read_idx(source / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")])
    for number in range(count):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.png"
        files.append(path)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = images[number % len(images)].reshape(28, 28).copy()
        pixels[0, 0] = number // len(images)
        Image.fromarray(pixels).save(path)
    return files


if __name__ == "__main__":
    main()
