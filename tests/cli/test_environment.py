"""Every option can be set by an environment variable, which ``--help`` shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import imgcluster
from imgcluster import ClusterOptions, EmbedOptions
from imgcluster.cli.app import app

# What these options mean differs between commands.
OWN_VARIABLES = {
    ("report", "--output"): "IMGCLUSTER_OUTPUT_PAGE",
    **{("evaluate", f"--{name}"): f"IMGCLUSTER_EVALUATE_{name.upper()}" for name in ("k", "method")},
    ("evaluate", "--assign-noise"): "IMGCLUSTER_EVALUATE_ASSIGN_NOISE",
}


@pytest.mark.parametrize("name", ["embed", "cluster", "run", "evaluate", "report", "apply", "undo"])
def test_every_option_has_its_variable(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = [entry for entry in command.params if entry.param_type_name == "option" and entry.name != "help"]
    assert options
    for entry in options:
        flag = next(word for word in reversed(entry.opts) if word.startswith("--"))
        usual = "IMGCLUSTER_" + flag.lstrip("-").replace("-", "_").upper()
        assert entry.envvar == OWN_VARIABLES.get((name, flag), usual)
        assert entry.show_envvar


def test_variables_are_read(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "WORKSPACE": str(tmp_path / "out"),
        "ENCODER": str(tiny_encoder),
        "DEVICE": "cpu",
        "K": "3",
        "PLACE": "none",
        "EXCLUDE": "red/",
        "JSON": "1",
    }.items():
        monkeypatch.setenv(f"IMGCLUSTER_{name}", value)
    done = CliRunner().invoke(app, ["run", str(pictures)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["embed"]["embedded"], len(answer["cluster"]["clusters"]), answer["cluster"]["place"]) == (
        16,
        3,
        "none",
    )


def test_variables_of_cluster_do_not_change_evaluate(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = str(tmp_path / "out")
    imgcluster.embed(pictures, options=EmbedOptions(encoder=tiny_encoder, device="cpu"), workspace=workspace)
    imgcluster.cluster(options=ClusterOptions(k=3, place="none"), workspace=workspace)
    for name, value in {"K": "auto", "METHOD": "hdbscan", "ASSIGN_NOISE": "1"}.items():
        monkeypatch.setenv(f"IMGCLUSTER_{name}", value)
    done = CliRunner().invoke(app, ["evaluate", "-w", workspace, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"] == 24
    for name, value in {"K": "4", "METHOD": "kmeans"}.items():
        monkeypatch.setenv(f"IMGCLUSTER_EVALUATE_{name}", value)
    done = CliRunner().invoke(app, ["evaluate", "-w", workspace, "--json"])
    assert [row["clusters"] for row in json.loads(done.stdout)["rows"]] == [4]


def test_the_image_size_of_embed_is_not_that_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    command = get_command(app).commands["train-encoder"]  # type: ignore[attr-defined]
    monkeypatch.setenv("IMGCLUSTER_IMAGE_SIZE", "32x32")
    assert command.make_context("train-encoder", ["--dataset", "mnist"]).params["image_size"] is None
    monkeypatch.setenv("IMGCLUSTER_TRAIN_ENCODER_IMAGE_SIZE", "32")
    assert command.make_context("train-encoder", ["--dataset", "mnist"]).params["image_size"] == 32
