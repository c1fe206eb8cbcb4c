"""Damaged inputs of everything that reads bytes from strangers; `targets` fuzzes the same with coverage."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from damaged_images import EXTENSIONS, damaged, samples
from seeds import seeds
from targets import TARGETS, run

import imgcluster

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.bin"))


@pytest.fixture(scope="module")
def inputs() -> dict[str, list[bytes]]:
    return seeds()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_valid(name: str, inputs: dict[str, list[bytes]]) -> None:
    """Only damage to a valid input reaches what comes after the first check."""
    for data in inputs[name]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs(name: str, inputs: dict[str, list[bytes]]) -> None:
    mutate(name, inputs[name], 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_inputs(name: str, inputs: dict[str, list[bytes]]) -> None:
    mutate(name, inputs[name], 5000)


def mutate(name: str, valid: list[bytes], count: int) -> None:
    for seed in range(count):
        generator = random.Random(seed)
        data = damaged(generator.choice(valid), generator.choice(valid), generator)
        try:
            run(name, data)
        except BaseException as error:
            error.add_note(f"{name}, seed {seed}")
            raise


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_fuzzing_found(path: Path) -> None:
    run(path.stem.partition("-")[0], path.read_bytes())


def embed_damaged(folder: Path, encoder: Path, count: int) -> None:
    """Embed damaged images of all formats, and check that each is in exactly one row."""
    generator, valid = random.Random(count), samples()
    (folder / "in").mkdir()
    for number in range(count):
        kind, content = valid[number % len(valid)]
        name = f"{number:05d}.{EXTENSIONS.get(kind, kind.lower())}"
        (folder / "in" / name).write_bytes(damaged(content, generator.choice(valid)[1], generator))
    summary = imgcluster.embed(folder / "in", workspace=folder / "out", encoder=encoder, device="cpu", workers=2)
    with (folder / "out/skipped.csv").open(encoding="utf-8", newline="") as file:
        skipped = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    embedded = {Path(path).name for path in imgcluster.load(folder / "out").files}
    assert not embedded & skipped.keys()
    # Files whose signature and extension are no longer those of an image are counted as other files.
    assert summary.found + summary.ignored == count
    assert (summary.embedded, summary.skipped) == (len(embedded), len(skipped))
    assert all(reason and "\n" not in reason and "Traceback" not in reason for reason in skipped.values())
    print(json.dumps({"embedded": summary.embedded, "skipped": summary.skipped, "seconds": summary.seconds}))


def test_damaged_images(tmp_path: Path, tiny_encoder: Path) -> None:
    embed_damaged(tmp_path, tiny_encoder, 300)


@pytest.mark.slow
def test_ten_thousand_damaged_images(tmp_path: Path, tiny_encoder: Path) -> None:
    embed_damaged(tmp_path, tiny_encoder, 10_000)
