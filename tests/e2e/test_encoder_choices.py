"""The command line with encoders of the user: several outputs, normalization, names of bundled encoders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import imgcluster
import tiny_models
from imgcluster.cli.app import app
from imgcluster.commands.support.workspace_encoder import encoder_name
from imgcluster.workspace.folder import Workspace


def invoke(*words: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def test_a_model_with_class_scores_and_an_embedding(pictures: Path, tmp_path: Path) -> None:
    model = tiny_models.several_outputs(tmp_path / "resnet.onnx", {"logits": ["n", 1000], "embedding": ["n", 64]})
    words = ["embed", pictures, "--encoder", model, "--device", "cpu", "-w", tmp_path / "out"]
    first = invoke(*words)
    assert first.exit_code == 0, first.output
    (note,) = [line for line in first.stdout.splitlines() if line.startswith("Note: ")]
    assert "from embedding." in note
    assert "--output" in note
    assert recorded(tmp_path / "out") == ("embedding", 64)
    assert "Note: " not in invoke(*words, "--output", "embedding").stdout
    other = invoke(*words, "--output", "logits")
    assert other.exit_code == 1
    assert "--fresh" in other.stderr
    again = json.loads(invoke(*words, "--output", "logits", "--fresh", "--json").stdout)
    assert again["notes"] == []
    assert recorded(tmp_path / "out") == ("logits", 1000)
    wrong = invoke(*words, "--output", "features")
    assert wrong.exit_code == 2
    assert "embedding (n, 64)" in wrong.stderr
    assert re.search(
        r"^output +embedding, of logits \(n, 1000\), embedding", invoke("encoders", "info", model).stdout, re.M
    )


def test_the_encoder_of_a_workspace_is_used_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", pictures, "--device", "cpu", "--place", "none", "-w", out]
    (tmp_path / "own").mkdir()
    own = tiny_models.several_outputs(tmp_path / "own/many.onnx", {"logits": ["n", 9], "embedding": ["n", 64]})
    environment = {"IMGCLUSTER_ENCODERS": str(own.parent)}
    assert invoke(*words, "--encoder", "many", "--output", "logits", **environment).exit_code == 0
    again = invoke(*words, "--json", **environment)
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["embed"]["encoder"] == "many"
    assert json.loads(again.stdout)["embed"]["unchanged"] == 24
    assert recorded(out) == ("logits", 9)
    for given in ({"IMGCLUSTER_ENCODER": "mnist"}, {}):
        other = invoke(*words, *([] if given else ["--encoder", "mnist"]), **environment, **given)
        assert other.exit_code == 1
        assert all(way in other.stderr for way in ("--encoder many", "--fresh", "-w DIR"))
    fresh = imgcluster.EmbedOptions(fresh=True)
    assert encoder_name(fresh, Workspace(out), Workspace(out).manifest) == "photos"
    missing = invoke(*words)
    assert missing.exit_code == 1
    assert all(way in missing.stderr for way in ("'many'", "--encoder FILE.onnx", "--fresh"))
    assert recorded(out) == ("logits", 9)


def test_a_workspace_from_a_stranger_chooses_no_file(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    assert invoke("embed", pictures, "--device", "cpu", "-w", out, "--encoder", tiny_encoder).exit_code == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for name, said in ((str(tiny_encoder), "--encoder FILE.onnx"), ("dinov2-small", "encoders pull dinov2-small")):
        manifest["encoder"]["name"] = name
        (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        refused = invoke("embed", pictures, "--device", "cpu", "-w", out)
        assert refused.exit_code == 1
        assert said in refused.stderr


def recorded(workspace: Path) -> tuple[str, int]:
    encoder = json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]
    return encoder["output"], encoder["embedding_size"]


def test_mean_and_std_of_a_float_model(pictures: Path, tmp_path: Path) -> None:
    model = tiny_models.identity(tmp_path / "float.onnx", ["n", 3, 4, 4])
    words = ["embed", pictures, "--encoder", model, "--device", "cpu", "-w", tmp_path / "out"]
    wrong = invoke(*words, "--mean", "123.675,116.28,103.53")
    assert wrong.exit_code == 2
    assert "--scale 1" in wrong.stderr
    assert not (tmp_path / "out").exists()
    hinted = invoke(*words)
    assert re.search("^Note: .*--mean.*--std", hinted.stdout, re.M)
    given = invoke(*words, "--mean", "123.675,116.28,103.53", "--std", "58.4", "--scale", "1", "--fresh")
    assert given.exit_code == 0, given.output
    assert "Note: " not in given.stdout


def test_a_bundled_name_means_the_bundled_encoder(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    own = tiny_models.mean_colour(tmp_path / "own/mnist.onnx")
    environment = {"IMGCLUSTER_ENCODERS": str(own.parent)}
    listing = invoke("encoders", "list", **environment).stdout
    (line,) = [line for line in listing.splitlines() if str(own) in line]
    assert line.startswith("mnist ")
    by_name = invoke("embed", pictures, "--encoder", "mnist", "-w", tmp_path / "a", "--device", "cpu", **environment)
    assert re.search(f"^Note: .*{re.escape(str(own))}", by_name.stdout, re.M)
    assert manifest_file(tmp_path / "a") != str(own)
    by_path = invoke("embed", pictures, "--encoder", own, "-w", tmp_path / "b", "--device", "cpu", **environment)
    assert "Note: " not in by_path.stdout
    assert manifest_file(tmp_path / "b") == str(own)


def manifest_file(workspace: Path) -> str:
    return str(json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]["file"])


def test_exclude_follows_gitignore(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    (pictures / "a/b").mkdir(parents=True)
    source = next(pictures.rglob("*.png"))
    for name in ("a/x.png", "a/b/z.png"):
        (pictures / name).write_bytes(source.read_bytes())
    words = ["embed", pictures, "--encoder", tiny_encoder, "--device", "cpu", "--json", "-w"]
    assert json.loads(invoke(*words, tmp_path / "1", "--exclude", "a/*.png").stdout)["embedded"] == 25
    assert json.loads(invoke(*words, tmp_path / "2", "--exclude", "b/").stdout)["embedded"] == 25
    wrong = invoke(*words, tmp_path / "3", "--exclude", "[a")
    assert wrong.exit_code == 2
    assert "'[a'" in wrong.stderr


def test_options_of_other_commands_have_environment_variables(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    found = invoke(
        "embed", pictures, "-w", tmp_path / "out", IMGCLUSTER_ENCODER=str(tiny_encoder), IMGCLUSTER_JSON="1",
        IMGCLUSTER_DEVICE="cpu", IMGCLUSTER_NO_RECURSIVE="1", IMGCLUSTER_OUTPUT="",
    )  # fmt: skip
    assert found.exit_code == 4  # the images are in subfolders
    checked = invoke("doctor", "--json", IMGCLUSTER_ENCODER=str(tiny_encoder), IMGCLUSTER_DEVICE="cpu")
    assert [device["device"] for device in json.loads(checked.stdout)["devices"]] == ["cpu"]


@pytest.mark.parametrize("k", [np.int64(3), np.uint8(3)])
def test_numbers_of_numpy(pictures: Path, tmp_path: Path, tiny_encoder: Path, k: np.integer) -> None:
    imgcluster.embed(str(pictures), workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    summary = imgcluster.cluster(workspace=tmp_path / "out", k=k, seed=np.int64(1))  # type: ignore[arg-type]
    assert len(summary.clusters) == 3
    assert json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))["options"]["k"] == 3


def test_booleans_of_numpy(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(pictures, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", recursive=np.True_)
    imgcluster.cluster(workspace=tmp_path / "out", k=3, assign_noise=np.True_, name_clusters=np.False_)
    options = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))["options"]
    assert (options["assign_noise"], options["name_clusters"]) == (True, False)


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (imgcluster.ClusterOptions, "assign_noise", "yes"),
        (imgcluster.ClusterOptions, "seed", "1"),
        (imgcluster.ClusterOptions, "cluster_selection_epsilon", "near"),
        (imgcluster.EmbedOptions, "recursive", "no"),
        (imgcluster.EmbedOptions, "read_timeout", "long"),
        (imgcluster.EncoderOptions, "scale", "large"),
        (imgcluster.RayOptions, "gpus_per_worker", "all"),
    ],
)
def test_a_value_of_another_type_is_named(options: type, name: str, value: str) -> None:
    with pytest.raises(imgcluster.UsageError, match=f"{name} '{value}'"):
        options(**{name: value})
