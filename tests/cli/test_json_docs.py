"""docs/json.md is what `--json` prints: the same fields, of the types it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import color_models
import pages
from imgcluster.cli.app import app
from imgcluster.workspace.table_columns import CLUSTERS
from local_hub import Repo, serve

DOCS = Path(__file__).parents[2] / "docs/json.md"

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}


# A folder's pictures as 8×8 grey ones, and a code to draw from.
TINY = """
title = "tiny"
[data]
dataset = "mnist"
image_size = 8
channels = 1
[model]
latent = 2
code = "gaussian"
encoder = [{ type = "conv", filters = 4, stride = 2, activation = "relu", norm = "after-activation" }]
decoder = [
  { type = "dense-to-map" },
  { type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" },
]
"""

VARIATIONAL = """
[training]
loss = "vae"
learning_rate = 1e-3
batch_size = 4
epochs = 1
[split]
validation = 0.25
"""


def documented() -> dict[str, dict[str, str]]:
    """Return the documented fields of each command with their types."""
    found: dict[str, dict[str, str]] = {}
    command = ""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            command = line[3:]
            found[command] = {}
        elif match := re.match(r"\| `(\w+)` \| ([^|]+) \|", line):
            found[command][match[1]] = match[2].strip()
    return found


def check(answer: dict[str, Any], fields: dict[str, str]) -> None:
    assert set(answer) == set(fields)
    for name, kind in fields.items():
        value = answer[name]
        if kind.endswith("or null") and value is None:
            continue
        assert isinstance(value, TYPES[kind.split()[0]]), f"{name} is {value!r}, documented as {kind}"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> dict[str, dict[str, Any]]:
    from samples import paint

    folder = tmp_path_factory.mktemp("json")
    paint(folder / "in", per_folder=6)
    where = ["-w", str(folder / "out"), "--json"]
    encoder = ["--encoder", str(tiny_encoder)]
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    texts = ["-w", str(folder / "texts"), "--json"]
    np.save(folder / "v.npy", np.eye(3))
    (folder / "p.txt").write_text("a\nb\nc\n", encoding="utf-8")
    part = ["-w", str(folder / "part"), "--json"]
    imported = ["-w", str(folder / "imported"), "--json"]
    (folder / "groups.txt").write_text("red\nblue: something blue\n", encoding="utf-8")
    (folder / "tiny.toml").write_text(TINY.replace('"mnist"', '"folder"') + VARIATIONAL, encoding="utf-8")
    trained = str(folder / "encoders/mine.onnx")
    train = ["--dataset", str(folder / "in"), "--recipe", str(folder / "tiny.toml"), "--epochs", "1", "--folds", "2"]
    commands = {
        "embed": ["embed", str(folder / "in"), *encoder, *where],
        "cluster": ["cluster", *where],
        "assign": ["assign", *where],
        "run": ["run", str(folder / "in"), "--k", "3", *encoder, *where],
        "embed --shard": ["embed", str(folder / "in"), "--shard", "0/1", *encoder, *part],
        "embed --status": ["embed", "--status", *part],
        "merge": ["merge", str(folder / "part"), "-w", str(folder / "merged"), "--json"],
        "import": ["import", str(folder / "v.npy"), "--paths", str(folder / "p.txt"), *imported],
        "export": ["export", "-o", str(folder / "x.csv"), *where],
        "evaluate": ["evaluate", *where],
        "evaluate WORKSPACE…": ["evaluate", str(folder / "out"), "--method", "kmeans", "--method", "hdbscan", "--json"],
        "compare": ["compare", str(folder / "in"), *encoder, "--encoder", "mnist", "-w", str(folder / "c"), "--json"],
        "embed texts": ["embed", str(folder / "in"), "--encoder", "clip-vit-b32", *texts],
        "search": ["search", "red", *texts],
        "sort": ["sort", "--into", str(folder / "groups.txt"), *texts],
        "duplicates": ["duplicates", *where],
        "similar": ["similar", "red/00.png", *where],
        "outliers": ["outliers", *where],
        "report": ["report", *where],
        "apply": ["apply", str(folder / "plan.json"), *where],
        "verify": ["verify", "--rerun", *where],
        "history": ["history", *where],
        "undo": ["undo", *where],
        "train-encoder": ["train-encoder", *train, "--name", "mine", "--output", str(folder / "encoders"), "--json"],
        "reconstruct": [
            "reconstruct",
            str(folder / "in"),
            "--encoder",
            trained,
            "--output",
            str(folder / "r"),
            "--json",
        ],
        "generate": ["generate", "--encoder", trained, "-n", "3", "--output", str(folder / "g"), "--json"],
        "encoders list": ["encoders", "list", "--json"],
        "encoders info": ["encoders", "info", str(tiny_encoder), "--json"],
        "encoders pull": ["encoders", "pull", "hub:test/tiny", "--json"],
        "encoders export": ["encoders", "export", "hub:test/tiny", str(folder / "tiny.tar"), "--json"],
        "encoders remove": ["encoders", "remove", "hub:test/tiny", "--json"],
        "encoders import": ["encoders", "import", str(folder / "tiny.tar"), "--json"],
        "doctor": ["doctor", *encoder, "--json"],
    }
    with serve() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        patch.setenv("IMGCLUSTER_ENCODERS", str(folder / "own"))
        hub.repos["Xenova/clip-vit-base-patch32"] = color_models.repository()
        hub.repos["test/tiny"] = Repo({"model.onnx": tiny_encoder.read_bytes()})
        return run_all(commands, folder)


def run_all(commands: dict[str, list[str]], folder: Path) -> dict[str, dict[str, Any]]:
    """Return what each command prints."""
    found = {}
    for name, words in commands.items():
        if name == "apply":
            identity = pages.read(folder / "out/report.html").document["identity"]
            plan = {"imgcluster_plan": 1, "clustering": identity, "names": {"0": "first"}}
            (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        found[name] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("command", list(documented()))
def test_every_field_is_as_documented(command: str, answers: dict[str, dict[str, Any]]) -> None:
    check(answers[command], documented()[command])


def test_parts_are_as_documented(answers: dict[str, dict[str, Any]]) -> None:
    fields = documented()
    check(answers["run"]["embed"], fields["embed"])
    check(answers["run"]["cluster"], fields["cluster"])
    check(answers["encoders list"]["encoders"][0], fields["encoders info"])
    check(answers["encoders pull"], fields["encoders info"])
    columns = list(CLUSTERS)
    assert [list(row) for row in answers["run"]["cluster"]["clusters"]] == [columns] * 3
    assert [list(row) for row in answers["apply"]["clusters"]] == [columns] * 3
    devices = answers["doctor"]["devices"]
    assert all(list(row) == ["device", "runs", "problem", "images_per_second", "difference"] for row in devices)


def test_every_command_is_documented() -> None:
    names = {command.name for command in app.registered_commands}
    names |= {f"encoders {name}" for name in ("list", "info", "pull", "remove", "export", "import")}
    names |= {"evaluate WORKSPACE…", "embed --status"}
    assert set(documented()) == names
