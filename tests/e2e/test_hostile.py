"""Workspaces and models from strangers are data: whatever is in one of their files, nothing outside is touched.

Each trial writes a hostile value into one place of one file of a workspace, or of the metadata of a model, and runs a
command. A folder beside it, which no command was told about, must not be opened, listed or changed, and every original
must survive.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import onnx
import pytest
from faults import FaultServer

import pages
from samples import paint
from tiny_models import TINY, mean_colour

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="needs fork")

OUTSIDE, RELATIVE = "OUTSIDE/victim.png", "../../outside/victim.png"
VALUES: Final[list[Any]] = [
    *(OUTSIDE, RELATIVE, "OUTSIDE", "", "..", "/", "\0", "clusters/../../outside/victim.png", "=1+1", "\x1b[2J"),
    *("\ud800", "9" * 5000, None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, float("nan")),
    *([], {}, [[]], {"a": {"b": []}}),
]
COMMANDS: Final = [
    *(["cluster", "--k", "2"], ["cluster", "--k", "3", "--place", "copy"], ["assign"], ["report"], ["undo"]),
    *(["history"], ["apply", "PLAN"], ["duplicates"], ["outliers"], ["similar", "red/00.png"], ["evaluate"]),
    *(["verify", "--rerun"], ["verify", "--repair"], ["export", "-o", "EXPORT"], ["report", "--figures"]),
    *(["embed", "PICTURES", "--encoder", "ENCODER"], ["run", "PICTURES", "--encoder", "ENCODER"]),
]
FILES: Final = [
    *("manifest.json", "metrics.json", "assignments.csv", "clusters.csv", "skipped.csv", "placed.jsonl"),
    *("set_aside.jsonl", "decisions.json", "duplicates.csv", "outliers.csv", "applied/001/step.json"),
    *("applied/001/metrics.json", "applied/001/manifest.json", "applied/001/assignments.csv"),
    *("applied/001/clusters.csv", "applied/001/placed.jsonl", "known_clusters.parquet", "layers.parquet"),
    *("layout.parquet", "neighbors.parquet", "signatures.parquet", "report.html"),
]


class Trial:
    """A workspace with all its files, of moved or linked originals, that can be restored."""

    def __init__(self, server: FaultServer, folder: Path, place: str) -> None:
        self.server, self.work, self.kept = server, folder / "work", folder / "kept"
        self.outside = folder / "outside"
        self.outside.mkdir(parents=True)
        self.out, self.pictures = self.work / "out", self.work / "pictures"
        paint(self.pictures, per_folder=3)
        shutil.copyfile(self.pictures / "red/00.png", self.pictures / "red/copy.png")
        shutil.copyfile(self.pictures / "red/00.png", self.outside / "victim.png")
        mean_colour(self.work / "tiny.onnx")
        run = ["run", "PICTURES", "--encoder", "ENCODER", "--k", "3", "--place", place, "--device", "cpu"]
        names = {"names": {"0": "first"}, "merges": [{"from": 1, "into": 2}]}
        corrections: dict[str, Any] = {"misplaced": [{"path": "red/01.png", "to": 2}]}
        if place == "symlink":
            corrections["set_aside"] = ["red/copy.png"]
        for words, plan in ((run, names), (["duplicates"], corrections), (["outliers"], {"pinned": ["red/02.png"]})):
            assert self.run(words).code == 0
            self._plan(plan)
            assert self.run(["apply", "PLAN"]).code == 0
        self._plan({"unsorted": ["green/00.png"]})
        self.originals = self._contents()
        shutil.copytree(self.work, self.kept, symlinks=True)

    def run(self, words: list[str]) -> Any:
        paths = {name: str(self.work / name.lower()) for name in ("PICTURES", "PLAN", "EXPORT")}
        paths |= {"ENCODER": str(self.work / "tiny.onnx")}
        return self.server.run([*(paths.get(word, word) for word in words), "-w", self.out, "-q"], [self.outside])

    def attempt(self, generator: random.Random) -> None:
        """Put a hostile value into a file, run two commands, and check that nothing outside was touched."""
        shutil.rmtree(self.work)
        shutil.copytree(self.kept, self.work, symlinks=True)
        file = self.out / generator.choice([name for name in FILES if (self.out / name).exists()])
        value = self._value(generator)
        spoil(file, value, generator)
        for words in generator.sample(COMMANDS, 2):
            outcome = self.run(words)
            about = (file.name, value if len(str(value)) < 100 else "long", words, outcome.stderr[-2000:])
            assert outcome.code in range(6), about
            assert outcome.calls == 0, about
            assert "Traceback" not in outcome.stderr, about
        assert sorted(path.name for path in self.outside.iterdir()) == ["victim.png"]
        # A copy of an original may have been made, but its content is never lost.
        assert self.originals <= self._contents(), about

    def _value(self, generator: random.Random) -> Any:
        value = generator.choice(VALUES)
        return value.replace("OUTSIDE", str(self.outside)) if isinstance(value, str) else value

    def _contents(self) -> set[str]:
        files = [path for path in self.work.rglob("*.png") if path.is_file()]
        return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def _plan(self, plan: dict[str, Any]) -> None:
        identity = pages.read(self.out / "report.html").document["identity"]
        (self.work / "plan").write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **plan}))


def spoil(file: Path, value: Any, generator: random.Random) -> None:
    """Replace one value in a file; in a Parquet file or a page some bytes."""
    if file.suffix == ".json":
        document = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(replaced(document, value, generator)), encoding="utf-8")
    elif file.suffix == ".jsonl":
        lines = file.read_text(encoding="utf-8").splitlines()
        at = generator.randrange(len(lines))
        lines[at] = json.dumps(replaced(json.loads(lines[at]), value, generator))
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif file.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
        row = generator.choice(rows)
        row[generator.randrange(len(row))] = str(value).encode(errors="replace").decode().replace("\0", "?")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        file.write_text(text.getvalue(), encoding="utf-8")
    else:
        content = bytearray(file.read_bytes())
        for _ in range(20):
            content[generator.randrange(len(content))] = generator.randrange(256)
        file.write_bytes(content)


def replaced(document: Any, value: Any, generator: random.Random) -> Any:
    """Return a JSON document with one of its values, or keys, replaced."""
    if not isinstance(document, dict | list) or not document or generator.random() < 0.05:
        return value
    if isinstance(document, list):
        at = generator.randrange(len(document))
        return [*document[:at], replaced(document[at], value, generator), *document[at + 1 :]]
    key = generator.choice(sorted(document))
    if generator.random() < 0.05:
        return {**{name: entry for name, entry in document.items() if name != key}, str(value): document[key]}
    return {**document, key: replaced(document[key], value, generator)}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["symlink", "move"])
def test_hostile_workspaces(server: FaultServer, tmp_path: Path, place: str) -> None:
    trial = Trial(server, tmp_path, place)
    for seed in range(400):
        trial.attempt(random.Random(seed))


@pytest.mark.slow
def test_hostile_name_of_a_model(server: FaultServer, tmp_path: Path) -> None:
    embed_with(server, tmp_path, "name", ["../outside/x"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(asdict(TINY))))
def test_hostile_metadata_of_a_model(server: FaultServer, tmp_path: Path, name: str) -> None:
    embed_with(server, tmp_path, name, [str(tmp_path / "outside/x"), "../outside/x", "-1", "9" * 30, "NaN", "", "\0"])


def embed_with(server: FaultServer, tmp_path: Path, name: str, values: list[str]) -> None:
    """Embed with hostile values in a field of the model's metadata, and check that nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    paint(tmp_path / "pictures", per_folder=1)
    encoder = mean_colour(tmp_path / "tiny.onnx")
    for value in values:
        model = onnx.load(encoder)
        # What is empty, as the license, has no entry.
        fields = {entry.key: entry.value for entry in model.metadata_props} | {f"imgcluster.{name}": value}
        onnx.helper.set_model_props(model, fields)
        onnx.save(model, tmp_path / "hostile.onnx")
        words = ["embed", tmp_path / "pictures", "--encoder", tmp_path / "hostile.onnx", "-w", tmp_path / "out", "-q"]
        outcome = server.run([*words, "--device", "cpu", "--fresh"], [outside])
        assert outcome.code in range(6), (value, outcome.stderr)
        assert outcome.calls == 0, (value, outcome.stderr)
        assert "Traceback" not in outcome.stderr, (value, outcome.stderr[-2000:])
        assert not list(outside.iterdir())
