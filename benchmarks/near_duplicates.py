"""Precision and recall of `duplicates` on twelve kinds of change in three strengths, beside other tools.

The first call makes a folder of photographs, changed copies and hard negatives. Each tool may then be run in its own
environment on the same folder::

    python -m benchmarks.near_duplicates FOLDER                       # made from photo-sets; runs imgcluster
    python -m benchmarks.near_duplicates FOLDER --data photos         # made from the 900 photographs
    python -m benchmarks.near_duplicates FOLDER --tool imagededup     # its perceptual hash
    python -m benchmarks.near_duplicates FOLDER --tool fastdup

Hard negatives: all other photographs of the same kinds of objects, scenes and textures; crops that share little; and
simulated second photographs of the same scene.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.common import data_folder, machine
from benchmarks.image_changes import CHANGES, STRENGTHS, changed, distant_crops, second_photograph

PER_CHANGE: Final = 30
CROPPED: Final = 50
SECOND: Final = 60

# The defaults of imagededup and fastdup, and a stricter limit for each.
HASH_DISTANCES: Final = (10, 4)
SIMILARITIES: Final = (0.9, 0.96)

Pairs = set[tuple[str, str]]


def make(folder: Path, data: str) -> None:
    """Fill the folder, and write what each file is to ``truth.json``: its photograph and how it was changed."""
    random = np.random.default_rng(15)
    sources = sorted(path for path in (data_folder() / data).rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    images = folder / "images"
    images.mkdir(parents=True)
    truth: dict[str, tuple[str, str, str]] = {}
    for number, path in enumerate(sources):
        name = f"{number:04d}{path.suffix}"
        shutil.copyfile(path, images / name)
        truth[name] = (str(number), "", "")
    order = random.permutation(len(sources))
    drawn = (int(order[at % len(order)]) for at in range(10**9))

    def add(number: int, data: bytes, suffix: str, *, photograph: str, kind: str, strength: str) -> None:
        name = f"{number:04d}-{kind}-{strength}{suffix}"
        (images / name).write_bytes(data)
        truth[name] = (photograph, kind, strength)

    for kind in CHANGES:
        for strength, word in enumerate(STRENGTHS):
            for _ in range(PER_CHANGE):
                number = next(drawn)
                with Image.open(sources[number]) as picture:
                    data_of_copy, suffix = changed(picture.convert("RGB"), kind, strength, random)
                add(number, data_of_copy, suffix, photograph=str(number), kind=kind, strength=word)
    for at in range(CROPPED + SECOND):
        number = next(drawn)
        with Image.open(sources[number]) as opened:
            picture = opened.convert("RGB")
        negatives = distant_crops(picture) if at < CROPPED else [second_photograph(picture, random)]
        kind = "part" if at < CROPPED else "second"
        for position, negative in enumerate(negatives):
            stream = io.BytesIO()
            negative.save(stream, "JPEG", quality=92)
            other = f"{number}-{kind}-{position}"
            add(number, stream.getvalue(), ".jpg", photograph=other, kind=kind, strength=str(position))
    (folder / "truth.json").write_text(json.dumps({"data": data, "files": truth}), encoding="utf-8")


def find_with_imgcluster(folder: Path) -> dict[str, Pairs]:
    import imgcluster

    workspace = folder / "workspace"
    imgcluster.embed([folder / "images"], workspace=workspace)
    summary = imgcluster.duplicates(workspace=workspace)
    return {"imgcluster": {(row.best, row.path) for row in summary.duplicates if row.kind != "best"}}


def find_with_imagededup(folder: Path) -> dict[str, Pairs]:
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(
        image_dir=str(folder / "images"), max_distance_threshold=max(HASH_DISTANCES), scores=True
    )
    return {
        f"imagededup PHash, distance ≤ {limit}": {
            (min(one, other), max(one, other))
            for one, others in found.items()
            for other, distance in others
            if distance <= limit
        }
        for limit in HASH_DISTANCES
    }


def find_with_fastdup(folder: Path) -> dict[str, Pairs]:
    import fastdup

    run = fastdup.create(input_dir=str(folder / "images"), work_dir=str(folder / "fastdup"))
    run.run(threshold=min(SIMILARITIES), overwrite=True)
    table = run.similarity()
    columns = ("filename_from", "filename_to", "distance")
    rows = [
        (Path(one).name, Path(other).name, value) for one, other, value in zip(*map(table.get, columns), strict=True)
    ]
    return {
        f"fastdup, similarity ≥ {limit}": {(min(a, b), max(a, b)) for a, b, value in rows if value >= limit}
        for limit in SIMILARITIES
    }


TOOLS: Final[dict[str, Callable[[Path], dict[str, Pairs]]]] = {
    "imgcluster": find_with_imgcluster,
    "imagededup": find_with_imagededup,
    "fastdup": find_with_fastdup,
}


def report(name: str, pairs: Pairs, truth: dict[str, tuple[str, str, str]]) -> None:
    """Print precision, recall for each strength, and recall for each kind of change."""
    right = {pair for pair in pairs if truth[pair[0]][0] == truth[pair[1]][0]}
    together: dict[str, set[str]] = {}
    for one, other in right:
        together.setdefault(one, {one}).add(other)
        together.setdefault(other, {other}).add(one)

    def found(copy: str) -> bool:
        # In a group with its photograph, even if another copy of that is the best of the group.
        beside = together.get(copy, set())
        return any(not truth[other][1] for near in beside for other in together[near])

    def recall(copies: Iterable[str]) -> float:
        results = [found(copy) for copy in copies]
        return sum(results) / len(results)

    copies = {name: fact for name, fact in truth.items() if fact[1] in CHANGES}
    wrong = sorted(pairs - right)
    kinds = [
        "second photographs" if "second" in kinds else "parts" if "part" in kinds else "different photographs"
        for kinds in ({truth[one][1], truth[other][1]} for one, other in wrong)
    ]
    share = len(right) / len(pairs) if pairs else 1.0
    strengths = {word: recall(one for one, fact in copies.items() if fact[2] == word) for word in STRENGTHS}
    both = recall(one for one, fact in copies.items() if fact[2] != "strong")
    print(f"\n{name}: {len(pairs)} pairs, precision {share:.4f}, recall of light and medium changes {both:.3f}")
    print("  recall: " + ", ".join(f"{word} {value:.3f}" for word, value in strengths.items()))
    for kind in CHANGES:
        values = (recall(one for one, fact in copies.items() if fact[1:] == (kind, word)) for word in STRENGTHS)
        print(f"  {kind:12}" + "".join(f"{value:7.2f}" for value in values))
    print("  wrong: " + (", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))) or "none"))
    for pair in [pair for pair, kind in zip(wrong, kinds, strict=True) if kind == "different photographs"][:20]:
        print(f"    {pair[0]} {pair[1]}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="photo-sets")
    parser.add_argument("--tool", default="imgcluster", choices=TOOLS)
    request = parser.parse_args()
    if not (request.folder / "truth.json").exists():
        make(request.folder, request.data)
    known = json.loads((request.folder / "truth.json").read_text(encoding="utf-8"))
    truth = {name: (photograph, kind, strength) for name, (photograph, kind, strength) in known["files"].items()}
    print(f"{machine()}\n{known['data']}: {len(truth)} images")
    started = time.monotonic()
    for name, pairs in TOOLS[request.tool](request.folder).items():
        report(name, pairs, truth)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
