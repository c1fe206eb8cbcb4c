"""Suggested names of clusters on each of the photo-sets, on the 900 photographs, and on all of them together.

The rule was fixed on `TUNED`. With a folder as first argument, a contact sheet of each named cluster is written there,
and the words to a file beside it, so that a reader can judge the names without having seen them. Further arguments name
the sets to use.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import imgcluster
from benchmarks.common import data_folder, machine

TUNED = ("flowers5", "grocery_fruitveg14", "scenes_intel6")
COLUMNS, ROWS, SIDE = 6, 4, 160


def main(target: Path | None, chosen: list[str]) -> None:
    print(machine())
    sets = [*sorted((data_folder() / "photo-sets").iterdir()), data_folder() / "photos"]
    sets = [folder for folder in sets if folder.name in chosen or not chosen]
    for folder in sets:
        kinds = sum(entry.is_dir() for entry in folder.iterdir())
        title = f"{folder.name} (tuned on)" if folder.name in TUNED else folder.name
        _print_names(title, [folder], (None, kinds, 2 * kinds), target)
    _print_names("all together", sets, (20, 60), target)


def _print_names(title: str, folders: list[Path], ks: tuple[int | None, ...], target: Path | None) -> None:
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folders, workspace=workspace)
        for k in ks:
            result = imgcluster.cluster(workspace=workspace, k=k, place="none")
            named = [row for row in result.clusters if row.suggested_name]
            print(f"\n{title}, k {k or 'estimated'}: {len(named)} of {len(result.clusters)} clusters have a name")
            for row in named:
                print(f"  {row.cluster:3} {row.size:4} images  {row.suggested_name}")
                if target:
                    note = (f"{title}, k {k or 'estimated'}, cluster {row.cluster}", row.suggested_name)
                    _write_sheet(target, workspace, row.cluster, note)


def _write_sheet(target: Path, workspace: str, number: int, note: tuple[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    images = imgcluster.load(workspace)
    assert images.labels is not None
    members = np.random.default_rng(0).permutation(np.flatnonzero(images.labels == number))
    sheet = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE), "white")
    for position, row in enumerate(members[: COLUMNS * ROWS]):
        with Image.open(images.files[row]) as image:
            image.thumbnail((SIDE, SIDE))
            sheet.paste(image.convert("RGB"), (position % COLUMNS * SIDE, position // COLUMNS * SIDE))
    with io.BytesIO() as file:
        sheet.save(file, "png")
        content = file.getvalue()
    earlier = list(target.glob("*.png"))
    if content in (path.read_bytes() for path in earlier):  # the same cluster with another k
        return
    name = f"{len(earlier) + 1:03}.png"
    (target / name).write_bytes(content)
    with target.with_name(f"{target.name}-words.txt").open("a", encoding="utf-8") as words:
        csv.writer(words, delimiter="\t").writerow((name, *note))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None, sys.argv[2:])
