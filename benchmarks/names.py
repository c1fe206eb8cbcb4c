"""Suggested names of clusters on each of the photo-sets, on the 900 photographs, and on all of them together.

The rule was fixed on `TUNED`. With a folder as argument, a contact sheet of each named cluster is written there, to
judge the names by.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import imgcluster
from benchmarks.common import data_folder, machine

TUNED = ("flowers5", "grocery_fruitveg14", "scenes_intel6")
COLUMNS, ROWS, SIDE = 8, 5, 120


def main(sheets: Path | None = None) -> None:
    print(machine())
    photos = data_folder() / "photos"
    sets = [*sorted((data_folder() / "photo-sets").iterdir()), photos]
    for folder in sets:
        kinds = sum(entry.is_dir() for entry in folder.iterdir())
        title = f"{folder.name} (tuned on)" if folder.name in TUNED else folder.name
        _print_names(title, [folder], (None, kinds, 2 * kinds), sheets)
    _print_names("all together", sets, (20, 60), sheets)


def _print_names(title: str, folders: list[Path], ks: tuple[int | None, ...], sheets: Path | None) -> None:
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folders, workspace=workspace)
        for k in ks:
            result = imgcluster.cluster(workspace=workspace, k=k, place="none")
            named = {row.cluster: row.suggested_name for row in result.clusters if row.suggested_name}
            print(f"\n{title}, k {k or 'estimated'}: {len(named)} of {len(result.clusters)} clusters have a name")
            for row in result.clusters:
                if row.suggested_name:
                    print(f"  {row.cluster:3} {row.size:4} images  {row.suggested_name}")
            if sheets:
                _write_sheets(sheets / f"{title}-{k or 'estimated'}", workspace, named)


def _write_sheets(target: Path, workspace: str, named: dict[int, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    images = imgcluster.load(workspace)
    assert images.labels is not None
    for number, name in named.items():
        members = [images.files[row] for row in np.flatnonzero(images.labels == number)]
        # Evenly spread over the members, not the most typical ones.
        shown = members[:: max(1, len(members) // (COLUMNS * ROWS))][: COLUMNS * ROWS]
        sheet = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE), "white")
        for position, path in enumerate(shown):
            with Image.open(path) as image:
                image.thumbnail((SIDE, SIDE))
                sheet.paste(image.convert("RGB"), (position % COLUMNS * SIDE, position // COLUMNS * SIDE))
        sheet.save(target / f"{number:02}_{name.replace('/', ' ').replace(' ', '_')}.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
