"""How large the page is and how fast it opens and moves, at 10,000 and 100,000 images, in headless Chromium.

Half of the images are links to the 900 photographs of the test data, half are MNIST digits; their vectors are drawn at
random around 30 centres, because what is measured does not depend on an encoder. Needs a Chromium and playwright.

    python -m benchmarks.page [--images 10000 --images 100000] [--keep DIR]
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.fileio.path_text import to_text
from imgcluster.progress import Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import Row, ShardWriter, contents

_IDENTITY = "benchmark"
_COUNTER = """
for (const name of ["drawArrays", "drawElements"]) {
  const real = WebGL2RenderingContext.prototype[name];
  WebGL2RenderingContext.prototype[name] = function (mode, ...rest) {
    if (mode === 0) window.drawn = (window.drawn ?? 0) + 1;
    return real.call(this, mode, ...rest);
  };
}
"""


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
    centres = generator.normal(size=(30, 64))
    space = Workspace(folder / "out")
    with space.locked():
        writer = ShardWriter(space.embeddings, _IDENTITY)
        root = to_text(folder / "in")
        for number, source in enumerate(sources):
            path = f"folder-{number % 25:02d}/a picture with a name of usual length {number:06d}{source.suffix}"
            (folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source.resolve(), folder / "in" / path)
            vector = centres[number % 30] + generator.normal(0, 0.9, 64)
            digest = number.to_bytes(16, "big")
            writer.add([Row(path, root, 1, 1, digest, 400, 533, vector.astype(np.float32))])
        writer.flush()
        space.write_manifest(
            {
                "state": "embedded",
                "base": root,
                "encoder": {"name": "random", "identity": _IDENTITY, "metric": "cosine"},
            }
        )
    assert contents(space.embeddings, _IDENTITY).images == count
    return space.path


def stages(space: Path) -> dict[str, float]:
    """Write the page from nothing and return the seconds of each of its stages."""
    (space / "layout.parquet").unlink(missing_ok=True)
    seconds: dict[str, float] = defaultdict(float)
    last = ["start", time.monotonic()]

    def report(step: Progress) -> None:
        now = time.monotonic()
        seconds[str(last[0])] += now - float(last[1])
        last[:] = [step.stage, now]

    imgcluster.report_page(workspace=space, on_progress=report)
    seconds[str(last[0])] += time.monotonic() - float(last[1])
    return dict(seconds)


def look(browser: Any, page: Path, runs: int) -> tuple[float, float, float, float]:
    """Return the median seconds until the page is ready and until its map is, and the map's frames a second while it is
    dragged and while it is zoomed."""
    ready, mapped = [], []
    for _ in range(runs):
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.add_init_script(_COUNTER)
        start = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-state=ready]")
        ready.append(time.monotonic() - start)
        tab.wait_for_selector("#map[data-state=ready]", timeout=60_000)
        mapped.append(time.monotonic() - start)
        if len(ready) < runs:
            tab.close()
    box = tab.locator("#map-view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    rates = []
    for act in ("drag", "zoom"):
        tab.mouse.move(x, y)
        before, start = tab.evaluate("window.drawn"), time.monotonic()
        if act == "drag":
            tab.mouse.down()
            tab.mouse.move(x + 150, y + 80, steps=60)
            tab.mouse.up()
        else:
            for _ in range(40):
                tab.mouse.wheel(0, -20)
        tab.wait_for_timeout(200)
        rates.append((tab.evaluate("window.drawn") - before) / (time.monotonic() - start))
    tab.close()
    return statistics.median(ready), statistics.median(mapped), rates[0], rates[1]


def main() -> None:
    """Build, measure, print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    print(machine())
    found = shutil.which("chromium") or shutil.which("google-chrome")
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    home = arguments.keep or Path(tempfile.mkdtemp(prefix="imgcluster-page-"))
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=found, args=flags)
            print(f"Chromium {browser.version}, headless, WebGL in software; median of 5 openings")
            for count in arguments.images or [10_000, 100_000]:
                folder = home / str(count)
                space = folder / "out"
                if not space.exists():
                    space = build(folder, count)
                    imgcluster.cluster(workspace=space, k=30, place="none")
                took = stages(space)
                page = space / "report.html"
                ready, mapped, dragged, zoomed = look(browser, page, 5)
                print(
                    f"{count:,} images: {page.stat().st_size / 1e6:.1f} MB, open after {ready:.2f} s, map after "
                    f"{mapped:.2f} s, {dragged:.0f} frames/s dragged, {zoomed:.0f} zoomed; written in "
                    + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in took.items())
                )
            browser.close()
    finally:
        if arguments.keep is None:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
