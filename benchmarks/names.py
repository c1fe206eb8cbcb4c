"""Suggested names of clusters on the photo-sets and, with other numbers of clusters, on the 900 photographs.

The rule was fixed on `TUNED`. With a folder as argument, a contact sheet of each named cluster is written there, to
judge the names by.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

from PIL import Image

import imgcluster
from benchmarks.common import data_folder, machine

TUNED = ("flowers5", "grocery_fruitveg14", "scenes_intel6")
COLUMNS, ROWS, SIDE = 8, 5, 120


def main(sheets: Path | None = None) -> None:
    print(machine())
    folders = [*sorted((data_folder() / "photo-sets").iterdir()), data_folder() / "photos"]
    for folder in folders:
        kinds = sum(entry.is_dir() for entry in folder.iterdir())
        with tempfile.TemporaryDirectory() as workspace:
            imgcluster.embed([folder], workspace=workspace)
            for k in (None, kinds, 2 * kinds):
                result = imgcluster.cluster(workspace=workspace, k=k, place="none")
                named = {row.cluster: row.suggested_name for row in result.clusters if row.suggested_name}
                title = f"{folder.name}{' (tuned on)' if folder.name in TUNED else ''}, k {k or 'estimated'}"
                print(f"\n{title}: {len(named)} of {len(result.clusters)} clusters have a name")
                for row in result.clusters:
                    if row.suggested_name:
                        print(f"  {row.cluster:3} {row.size:4} images  {row.suggested_name}")
                if sheets:
                    _write_sheets(sheets / f"{folder.name}-{k or 'estimated'}", folder, Path(workspace), named)


def _write_sheets(target: Path, folder: Path, workspace: Path, named: dict[int, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with (workspace / "assignments.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, name in named.items():
        members = [folder / row["path"] for row in rows if int(row["cluster"]) == number]
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
