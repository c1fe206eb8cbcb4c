"""Suggested names from class scores through the command line, with an encoder that knows three colors as classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import pages
import tiny_models
from imgcluster.cli.app import app
from samples import paint

CLASSES = {"red": (934, "hot dog"), "green": (948, "green apple"), "blue": (978, "seashore")}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight pictures of each color, and the encoder."""
    folder = tmp_path_factory.mktemp("names")
    paint(folder / "in", per_folder=8)
    tiny_models.color_classes(folder / "model.onnx", [number for number, _ in CLASSES.values()])
    return folder


@pytest.fixture
def workspace(inputs: Path, tmp_path: Path) -> Path:
    answer(invoke("embed", inputs / "in", "--encoder", inputs / "model.onnx", "-w", tmp_path / "out", "--json"))
    return tmp_path / "out"


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def cluster(workspace: Path, *words: str | Path) -> dict[str, Any]:
    return answer(invoke("cluster", "--k", "3", "-w", workspace, *words, "--json"))


def suggestions(result: dict[str, Any]) -> dict[str, str]:
    return {row["medoid"].split("/")[0]: row["suggested_name"] for row in result["clusters"]}


def folders(workspace: Path) -> set[str]:
    return {path.name for path in (workspace / "clusters").iterdir()}


def test_names_in_all_outputs(workspace: Path) -> None:
    expected = {color: word for color, (_, word) in CLASSES.items()}
    done = cluster(workspace)
    assert suggestions(done) == expected
    assert folders(workspace) == {"cluster_000", "cluster_001", "cluster_002"}
    shown = pages.read(workspace / "report.html").document["clusters"]
    assert {entry["suggestedName"] for entry in shown} == set(expected.values())
    assert {entry["name"] for entry in shown} == {""}
    assert all(word in (workspace / "clusters.csv").read_text(encoding="utf-8") for word in expected.values())
    assert "green apple" in invoke("cluster", "--k", "3", "-w", workspace).stdout
    assert set(suggestions(cluster(workspace, "--vocabulary", "none")).values()) == {""}


def test_folders_with_suggested_names(workspace: Path, tmp_path: Path) -> None:
    done = cluster(workspace, "--name-clusters")
    number = {color: row["cluster"] for color, row in zip(suggestions(done), done["clusters"], strict=True)}
    slugs = {color: f"cluster_{number[color]:03d}_{word.replace(' ', '_')}" for color, (_, word) in CLASSES.items()}
    assert folders(workspace) == set(slugs.values())
    assert all(len(list((workspace / "clusters" / slug).iterdir())) == 8 for slug in slugs.values())

    # The user's name wins, and the other folders keep theirs.
    identity = pages.read(workspace / "report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "names": {str(number["green"]): "Mine"}, "merges": []}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    answer(invoke("apply", tmp_path / "plan.json", "-w", workspace, "--json"))
    named = {slugs["red"], slugs["blue"], f"cluster_{number['green']:03d}_mine"}
    assert folders(workspace) == named
    again = cluster(workspace, "--name-clusters")
    assert folders(workspace) == named
    assert suggestions(again)["green"] == "green apple"
    answer(invoke("undo", "-w", workspace, "--json"))
    answer(invoke("undo", "-w", workspace, "--json"))
    assert folders(workspace) == set(slugs.values())
    # Without the option, folders have the user's names only.
    cluster(workspace)
    assert folders(workspace) == {"cluster_000", "cluster_001", "cluster_002"}


def test_moved_originals_get_them_too(inputs: Path, tmp_path: Path) -> None:
    paint(tmp_path / "in", per_folder=8)
    words = ("--encoder", inputs / "model.onnx", "--k", "3", "--place", "move", "-w", tmp_path / "out")
    answer(invoke("run", tmp_path / "in", *words, "--name-clusters", "--json"))
    assert any(name.endswith("_green_apple") for name in folders(tmp_path / "out"))
    assert not list((tmp_path / "in/green").iterdir())
    answer(invoke("undo", "-w", tmp_path / "out", "--json"))
    assert len(list((tmp_path / "in/green").iterdir())) == 8


def test_a_workspace_of_an_older_version_has_no_names(workspace: Path) -> None:
    import pyarrow.parquet as pq

    (shard,) = (workspace / "embeddings").glob("*.parquet")
    pq.write_table(pq.read_table(shard, partitioning=None).drop_columns(["classes", "probabilities"]), shard)
    done = cluster(workspace, "--name-clusters")
    assert set(suggestions(done).values()) == {""}
    assert folders(workspace) == {"cluster_000", "cluster_001", "cluster_002"}


def test_only_the_bundled_encoders_have_classes_of_imagenet(tmp_path: Path) -> None:
    paint(tmp_path / "in", per_folder=8)
    outputs: dict[str, list[int | str]] = {"embeddings": ["n", 4], "class_scores": ["n", 1000]}
    tiny_models.several_outputs(tmp_path / "mine.onnx", outputs)
    encoder = ("--encoder", tmp_path / "mine.onnx", "--output", "embeddings")
    done = answer(invoke("run", tmp_path / "in", *encoder, "--k", "1", "-w", tmp_path / "out", "--json"))
    assert "suggested_name" in json.dumps(done)
    assert "hot dog" not in (tmp_path / "out/clusters.csv").read_text(encoding="utf-8")
