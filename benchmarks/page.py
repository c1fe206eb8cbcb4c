"""How large the page is and how fast it opens and moves, at 10,000 and 100,000 images, in headless Chromium.

Half of the images are links to the 900 photographs of the test data, half are MNIST digits; their vectors are drawn at
random around 30 centers, because the result does not depend on an encoder. Needs Chromium and Playwright.

    python -m benchmarks.page [--images 10000 --images 100000] [--keep DIR] [--runs 5]
    python -m benchmarks.page OLD.html NEW.html    # compares pages, written by two versions for example
"""

from __future__ import annotations

import argparse
import functools
import gzip
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.fileio.path_text import to_text
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster.progress import Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter
from imgcluster.workspace.shards import summarize_shards

_IDENTITY = "benchmark"
# Swings the map, or zooms it in and out, once per frame, and returns the frames per second.
_MOVE = """([action, frames]) => new Promise((resolve) => {
  const view = document.getElementById("map-view"), box = view.getBoundingClientRect();
  const x = box.left + box.width / 2, y = box.top + box.height / 2, start = performance.now();
  let frame = 0;
  const step = () => {
    if (frame === frames) return resolve((1000 * frames) / (performance.now() - start));
    frame++;
    const place = { bubbles: true, pointerId: 1, clientX: x + 80 * Math.sin(frame / 10), clientY: y + frame / 3 };
    if (action === "drag") view.dispatchEvent(new PointerEvent("pointermove", place));
    else view.dispatchEvent(new WheelEvent("wheel", { ...place, deltaY: Math.sin(frame / 10) > 0 ? -8 : 8 }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
_FRAMES = 100
_DECODING_MS = 1500  # until the thumbnails in view are decoded
_FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_UNLIMITED = ["--disable-gpu-vsync", "--disable-frame-rate-limit"]


def build(folder: Path, count: int) -> Path:
    """Make a folder of `count` images and a workspace that holds vectors of them."""
    photos = sorted(path for path in (data_folder() / "photos").rglob("*") if path.is_file())
    digits = folder / "digits"
    digits.mkdir(parents=True)
    with gzip.open(data_folder() / "mnist/t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    for number in range(min(count // 2, len(pixels))):
        Image.fromarray(pixels[number]).save(digits / f"{number:05d}.png", compress_level=1)
    sources = [photos[number % len(photos)] for number in range(count - count // 2)]
    sources += [digits / f"{number % len(pixels):05d}.png" for number in range(count // 2)]
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(30, 64))
    workspace = Workspace(folder / "out")
    with workspace.locked():
        writer = ShardWriter(workspace.embeddings, _IDENTITY)
        root = to_text(folder / "in")
        for number, source in enumerate(sources):
            path = f"folder-{number % 25:02d}/a picture with a name of usual length {number:06d}{source.suffix}"
            (folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source.resolve(), folder / "in" / path)
            vector = centers[number % 30] + generator.normal(0, 0.9, 64)
            digest, thumbnail = number.to_bytes(16, "big"), _thumbnail(source)
            row = Row(path, root, 1, 1, digest, 400, 533, vector.astype(np.float32), thumbnail=thumbnail)
            writer.add([row])
        writer.flush()
        workspace.write_manifest(
            {
                "state": "embedded",
                "base": root,
                "encoder": {"name": "random", "identity": _IDENTITY, "metric": "cosine"},
            }
        )
    assert summarize_shards(workspace.embeddings, _IDENTITY).images == count
    return workspace.path


@functools.cache
def _thumbnail(source: Path) -> bytes:
    """Return the thumbnail that `embed` would store."""
    return decode(source.read_bytes(), InputSpec(width=64, height=64, channels=3), thumbnail=True).thumbnail


def stages(workspace: Path) -> dict[str, tuple[float, float]]:
    """Write the page from nothing and return the seconds, and CPU seconds, of each of its stages."""
    (workspace / "layout.parquet").unlink(missing_ok=True)
    seconds: dict[str, tuple[float, float]] = {}
    stage, before = "start", (time.monotonic(), time.process_time())

    def end_stage() -> None:
        nonlocal before
        now = time.monotonic(), time.process_time()
        earlier = seconds.get(stage, (0.0, 0.0))
        seconds[stage] = (earlier[0] + now[0] - before[0], earlier[1] + now[1] - before[1])
        before = now

    def report(step: Progress) -> None:
        nonlocal stage
        end_stage()
        stage = step.stage

    imgcluster.report_page(workspace=workspace, on_progress=report)
    end_stage()
    return seconds


def cpu_seconds() -> dict[int, float]:
    """Return the processor time of each process that this one started; it depends less on other programs than time.

    Needs Linux.
    """
    children: dict[int, list[int]] = defaultdict(list)
    seconds = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a process that has ended since
            fields = stat.read_text().rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
            seconds[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found, waiting = {}, list(children[os.getpid()])
    while waiting:
        process = waiting.pop()
        found[process] = seconds[process]
        waiting += children[process]
    return found


def cpu_since(before: dict[int, float]) -> float:
    """Return the processor time since `cpu_seconds` returned `before`."""
    return sum(seconds - before.get(process, 0.0) for process, seconds in cpu_seconds().items())


def open_page(browser: Any, page: Path) -> tuple[Any, dict[str, float]]:
    """Open a page; return its tab, and the seconds until the page and its map were ready."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(300_000)
    tab.goto("about:blank")
    start, cpu = time.monotonic(), cpu_seconds()
    tab.goto(page.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-state=ready]")
    ready = time.monotonic() - start
    tab.wait_for_selector("#map[data-state=ready]")
    return tab, {
        "seconds until the page is ready": ready,
        "seconds until the map is ready": time.monotonic() - start,
        "CPU seconds until the map is ready": cpu_since(cpu),
    }


def frame_rates(tab: Any) -> dict[str, float]:
    """Move and zoom a page's map; return frames per second and processor time per frame."""
    values = {}
    box = tab.locator("#map-view").bounding_box()
    tab.wait_for_timeout(_DECODING_MS)

    def move(action: str, name: str) -> None:
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        if action == "drag":
            tab.mouse.down()
        tab.evaluate(_MOVE, [action, 10])
        cpu = cpu_seconds()
        values[f"frames/s {name}"] = tab.evaluate(_MOVE, [action, _FRAMES])
        values[f"CPU ms per frame {name}"] = 1000 * cpu_since(cpu) / _FRAMES
        if action == "drag":
            tab.mouse.up()

    move("drag", "dragged")
    move("wheel", "zoomed")
    tab.click("#map-all")
    for _ in range(3):
        tab.click("#map-in")
    tab.wait_for_timeout(_DECODING_MS)
    move("drag", "dragged close up")
    return values


def measure(driver: Any, pages: list[Path], runs: int) -> None:
    """Measure pages, one after the other in each run, and print median, smallest and largest values of each."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    usual = driver.chromium.launch(executable_path=found, args=_FLAGS)
    # Without a limit the frame rate shows what a frame costs; opened with it, because it costs time when idle too.
    unlimited = driver.chromium.launch(executable_path=found, args=[*_FLAGS, *_UNLIMITED])
    seen: dict[Path, list[dict[str, float]]] = defaultdict(list)
    for _ in range(runs):
        for page in pages:
            tab, values = open_page(usual, page)
            tab.close()
            tab, _ = open_page(unlimited, page)
            seen[page].append(values | frame_rates(tab))
            tab.close()
    print(f"Chromium {usual.version}, headless, WebGL in software; median of {runs} runs (smallest to largest)")
    for page, rows in seen.items():
        print(f"{page}: {page.stat().st_size / 1e6:.2f} MB")
        for name in rows[0]:
            values_of_runs = [row[name] for row in rows]
            print(
                f"  {statistics.median(values_of_runs):8.2f} ({min(values_of_runs):.2f} to {max(values_of_runs):.2f}) "
                f"{name}"
            )
    usual.close()
    unlimited.close()


def built(folder: Path, count: int) -> Path:
    """Return the page of `count` images, made in `folder` unless it is there, after printing the time of each stage."""
    workspace = folder / "out"
    if not workspace.exists():
        workspace = build(folder, count)
        imgcluster.cluster(workspace=workspace, k=30, place="none")
    took = ", ".join(f"{stage} {seconds:.1f} s ({cpu:.1f} CPU)" for stage, (seconds, cpu) in stages(workspace).items())
    print(f"page of {count:,} images written in {took}")
    return workspace / "report.html"


def main() -> None:
    """Build, measure, print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="*", help="measure these pages, alternating, instead of building any")
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    home = arguments.keep or Path(tempfile.mkdtemp(prefix="imgcluster-page-"))
    try:
        with sync_playwright() as driver:
            if arguments.pages:
                measure(driver, [page.resolve() for page in arguments.pages], arguments.runs)
            else:
                for count in arguments.images or [10_000, 100_000]:
                    measure(driver, [built(home / str(count), count)], arguments.runs)
    finally:
        if arguments.keep is None:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
