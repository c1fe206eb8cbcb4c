"""Encoders of the hub through the command line, with a server on this machine in the place of the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from typer.testing import CliRunner, Result

import imgcluster
import tiny_models
from imgcluster import EncoderError, EncoderOptions, UsageError
from imgcluster.cli.app import app
from imgcluster.commands.encoders import encoder_info, encoder_list
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from local_hub import LocalHub, Repo, serve

CONFIG: dict[str, Any] = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 8},
    "crop_size": {"height": 4, "width": 4},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "resample": 2,
}
OPEN_SHAPE = ["batch_size", "num_channels", "height", "width"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's encoder folder; nothing of the user's settings for the hub is used."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalHub]:
    """A hub with the repository test/tiny."""
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        server.repos["test/tiny"] = Repo(
            {"onnx/model.onnx": open_model(tmp_path), "preprocessor_config.json": json.dumps(CONFIG).encode()}
        )
        yield server


def open_model(folder: Path) -> bytes:
    return tiny_models.identity(folder / "open.onnx", OPEN_SHAPE).read_bytes()


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fails(code: int, *words: str | Path, says: tuple[str, ...]) -> None:
    """Run a command that must fail with one line, after that on the license, that contains all of `says`."""
    result = invoke(*words)
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == (2 if "has the license" in lines[0] else 1), result.stderr
    for part in says:
        assert part in lines[-1]


def lock(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "hub.lock.json").read_text(encoding="utf-8"))["encoders"])


OFFLINE = """
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"network: {event} {arguments}")
sys.addaudithook(refuse)
from imgcluster.cli.app import main
main()
"""


def offline(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that cannot use the network."""
    command = [sys.executable, "-c", OFFLINE, *map(str, words)]
    source = str(Path(imgcluster.__file__).parents[1])
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source})


def test_downloads_verifies_embeds_clusters_and_then_needs_no_network(
    hub: LocalHub, folder: Path, pictures: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "out"
    first = invoke("run", pictures, "--encoder", "hub:test/tiny", "--device", "cpu", "-w", workspace, "--k", "3")
    assert first.exit_code == 0, first.output
    assert "license apache-2.0" in first.stderr
    commit = hub.repos["test/tiny"].commit
    entry = lock(folder)["hub:test/tiny"]
    assert entry["commit"] == commit
    assert set(entry["files"]) == {"onnx/model.onnx", "preprocessor_config.json"}
    encoder = json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]
    assert (encoder["name"], encoder["licence"], encoder["version"]) == ("hub:test/tiny", "apache-2.0", commit[:12])
    before = len(hub.requests)
    again = offline("embed", pictures, "--encoder", "hub:test/tiny", "--device", "cpu", "-w", tmp_path / "new")
    assert again.returncode == 0, again.stderr
    assert "license" not in again.stderr
    assert len(hub.requests) == before
    np.testing.assert_array_equal(imgcluster.load(workspace).vectors, imgcluster.load(tmp_path / "new").vectors)


def test_the_network_is_really_blocked(hub: LocalHub) -> None:
    result = offline("encoders", "pull", "hub:test/tiny")
    assert result.returncode != 0
    assert hub.requests == []


def test_a_changed_file_is_refused(hub: LocalHub, folder: Path, pictures: Path, tmp_path: Path) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    for file in ("onnx/model.onnx", "preprocessor_config.json"):
        path = folder / "hub/test--tiny" / file
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        words = ("embed", pictures, "--encoder", "hub:test/tiny", "-w", tmp_path / "out")
        fails(1, *words, says=(file, "SHA-256", lock(folder)["hub:test/tiny"]["files"][file]["sha256"], "remove"))
        # The same size and time do not help.
        path.write_bytes(bytes([before[0] ^ 1]) + before[1:])
        os.utime(path, (0, 0))
        fails(1, *words, says=(file, "SHA-256"))
        path.write_bytes(before)
    assert not (tmp_path / "out").exists()
    (folder / "hub/test--tiny/onnx/model.onnx").write_bytes(b"changed")
    assert invoke("encoders", "remove", "hub:test/tiny").exit_code == 0
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0


def test_a_name_stays_at_its_commit(hub: LocalHub, folder: Path, tmp_path: Path) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    pinned = lock(folder)["hub:test/tiny"]["commit"]
    hub.repos["test/tiny"].files["onnx/model.onnx"] = tiny_models.identity(
        tmp_path / "other.onnx", OPEN_SHAPE, output_rank=4
    ).read_bytes()
    before = len(hub.requests)
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert (lock(folder)["hub:test/tiny"]["commit"], len(hub.requests)) == (pinned, before)
    assert invoke("encoders", "remove", "hub:test/tiny").exit_code == 0
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert lock(folder)["hub:test/tiny"]["commit"] != pinned


def test_a_missing_file_is_downloaded_again_as_it_was_pinned(hub: LocalHub, folder: Path) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    path = folder / "hub/test--tiny/onnx/model.onnx"
    path.unlink()
    fails(1, "encoders", "info", "hub:test/tiny", says=("not installed", "pull"))
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    path.unlink()
    entry = json.loads((folder / "hub.lock.json").read_text(encoding="utf-8"))
    entry["encoders"]["hub:test/tiny"]["files"]["onnx/model.onnx"]["sha256"] = "0" * 64
    (folder / "hub.lock.json").write_text(json.dumps(entry), encoding="utf-8")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("other content", "0" * 64, "refused"))
    assert not path.exists()


def test_content_that_is_not_what_the_hub_says_is_refused(hub: LocalHub, folder: Path) -> None:
    for file in ("preprocessor_config.json", "onnx/model.onnx"):
        hub.replace = {file: hub.repos["test/tiny"].files[file][:-1] + b"?"}
        fails(1, "encoders", "pull", "hub:test/tiny", says=(file, "damaged", "hub says"))
        assert not list(folder.rglob("*.part"))
        assert not (folder / "hub/test--tiny" / file).exists()
    hub.replace = {}
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0


def large_model(folder: Path) -> bytes:
    """Return a model of 100 kB."""
    path = tiny_models.identity(folder / "large.onnx", OPEN_SHAPE)
    model = onnx.load(path)
    values = np.random.default_rng(0).normal(size=25_000).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "unused"))
    return bytes(model.SerializeToString())


def test_a_download_continues_in_the_same_command(hub: LocalHub, tmp_path: Path) -> None:
    hub.repos["test/tiny"].files["onnx/model.onnx"] = large_model(tmp_path)
    hub.truncate = {"onnx/model.onnx": 40_000}
    steps: list[imgcluster.Progress] = []
    imgcluster.encoder_pull("hub:test/tiny", on_progress=steps.append)
    assert steps[-1] == imgcluster.Progress("download", 1, 1)
    assert [entry[2] for entry in hub.asked("GET", "/storage")] == ["", "bytes=40000-", "bytes=80000-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_continues_in_the_next_command(hub: LocalHub, folder: Path, tmp_path: Path, ranges: bool) -> None:
    hub.repos["test/tiny"].files["onnx/model.onnx"] = large_model(tmp_path)
    hub.truncate = {"onnx/model.onnx": 40_000}
    hub.after_truncation = [("GET /storage", 403)]
    fails(1, "encoders", "pull", "hub:test/tiny", says=("HF_TOKEN",))
    (partial,) = folder.rglob("*.part")
    assert partial.stat().st_size == 40_000
    hub.truncate, hub.failures, hub.ranges = {}, [], ranges
    hub.requests.clear()
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert [entry[2] for entry in hub.asked("GET", "/storage")] == ["bytes=40000-"]
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize("part", ["GET /api/models", "HEAD /test/tiny", "GET /test/tiny", "GET /storage"])
def test_a_busy_hub_is_asked_again(hub: LocalHub, part: str) -> None:
    hub.failures = [(part, 503)]
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert hub.failures == []


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("test/tiny", "http://127.0.0.1:9", "HF_ENDPOINT", "import"))


def test_missing_and_gated_repositories(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(1, "encoders", "pull", "hub:test/none", says=("test/none", "does not exist", "HF_TOKEN"))
    hub.repos["test/tiny"].gated, hub.repos["test/tiny"].token = True, "hf_right"
    fails(1, "encoders", "pull", "hub:test/tiny", says=("gated", "accept its terms", "HF_TOKEN"))
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("HF_TOKEN",))
    # The server checks that its storage does not get the token.
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0


def test_revisions(hub: LocalHub, folder: Path) -> None:
    fails(1, "encoders", "pull", "hub:test/tiny@v9", says=("no revision v9",))
    hub.repos["test/tiny"].revisions["refs/pr/1"] = ""
    assert invoke("encoders", "pull", "hub:test/tiny@refs/pr/1").exit_code == 0
    assert set(lock(folder)) == {"hub:test/tiny@refs/pr/1"}
    assert invoke("encoders", "pull", f"hub:test/tiny@{hub.repos['test/tiny'].commit}").exit_code == 0
    assert len(lock(folder)) == 2


def test_which_file_of_a_repository(hub: LocalHub, folder: Path) -> None:
    model = hub.repos["test/tiny"].files["onnx/model.onnx"]
    config = hub.repos["test/tiny"].files["preprocessor_config.json"]
    hub.repos["test/two"] = Repo({"a.onnx": model, "b/c.onnx": model, "preprocessor_config.json": config})
    fails(1, "encoders", "pull", "hub:test/two", says=("several", "hub:test/two:FILE", "a.onnx", "b/c.onnx"))
    assert invoke("encoders", "pull", "hub:test/two:b/c.onnx").exit_code == 0
    assert "b/c.onnx" in lock(folder)["hub:test/two"]["files"]
    assert invoke("encoders", "pull", "hub:test/two:a.onnx").exit_code == 0
    assert "a.onnx" in lock(folder)["hub:test/two"]["files"]
    assert imgcluster.Encoder("hub:test/two:a.onnx", device="cpu").info.name == "hub:test/two:a.onnx"
    # The name without a file does not depend on what was used before.
    fails(1, "encoders", "pull", "hub:test/two", says=("several", "a.onnx", "b/c.onnx"))
    fails(1, "encoders", "info", "hub:test/two", says=("not installed",))
    assert invoke("encoders", "pull", "hub:test/tiny:onnx/model.onnx").exit_code == 0
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert lock(folder)["hub:test/tiny"]["available"] == {"fp32": "onnx/model.onnx"}
    fails(1, "encoders", "pull", "hub:test/two:missing.onnx", says=("no file missing.onnx",))
    hub.repos["test/one"] = Repo({"only.onnx": model, "preprocessor_config.json": config})
    assert invoke("encoders", "pull", "hub:test/one").exit_code == 0
    hub.repos["test/torch"] = Repo({"pytorch_model.bin": b"\x80\x04", "model.safetensors": b""})
    fails(1, "encoders", "pull", "hub:test/torch", says=("no ONNX file", "onnx-community"))
    assert not hub.asked("GET", ".safetensors")
    assert not hub.asked("GET", ".bin")


@pytest.mark.parametrize(
    "name",
    [
        "hub:",
        "hub:tiny",
        "hub:a/b/c",
        "hub:a/../b",
        "hub:a/b@",
        "hub:a/b:model.bin",
        "hub:a/b:pytorch_model.pkl",
        "hub:a/b:../model.onnx",
        "hub:a/b:/etc/model.onnx",
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"\.onnx"):
        hub_name(name)


def test_names_of_files_are_free() -> None:
    name = hub_name("hub:a/b@refs/pr/1:onnx/model--v1.onnx")
    assert name is not None
    assert (name.repository, name.revision, name.file) == ("a/b", "refs/pr/1", "onnx/model--v1.onnx")
    assert hub_name("photos") is None


def test_a_mirror_without_the_api(hub: LocalHub, folder: Path) -> None:
    hub.api = False
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert lock(folder)["hub:test/tiny"]["commit"] == hub.repos["test/tiny"].commit
    fails(1, "encoders", "pull", "hub:test/none", says=("test/none", "does not exist"))


def test_a_mirror_that_names_no_commit(hub: LocalHub, folder: Path) -> None:
    hub.api = hub.commits = False
    fails(1, "encoders", "pull", "hub:test/tiny", says=("names no commit of test/tiny", "HF_ENDPOINT"))
    assert not (folder / "hub.lock.json").exists()


def external(location: str) -> bytes:
    """Return a model of 4×4 px with its weight in another file."""
    weight = numpy_helper.from_array(np.zeros((1, 48), np.float32), "weight")
    external_data_helper.set_external_data(weight, location, offset=0, length=192)
    weight.ClearField("raw_data")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["pixel_values"], ["flat"], axis=1),
            helper.make_node("Mul", ["flat", "weight"], ["image_embeds"]),
        ],
        "external",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", 48])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def test_weights_in_another_file(hub: LocalHub, folder: Path) -> None:
    files = hub.repos["test/tiny"].files
    files["onnx/model.onnx"] = external("model.onnx_data")
    files["onnx/model.onnx_data"] = np.arange(48, dtype=np.float32).tobytes()
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    assert "onnx/model.onnx_data" in lock(folder)["hub:test/tiny"]["files"]
    weights = folder / "hub/test--tiny/onnx/model.onnx_data"
    weights.write_bytes(np.ones(48, dtype=np.float32).tobytes())
    fails(1, "encoders", "info", "hub:test/tiny", says=("model.onnx_data", "SHA-256"))
    weights.unlink()
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0


def test_sizes_include_weights_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    model = external("model.onnx_data")
    (tmp_path / "own.onnx").write_bytes(model)
    (tmp_path / "model.onnx_data").write_bytes(np.zeros(48, dtype=np.float32).tobytes())
    (tmp_path / "damaged.onnx").write_bytes(b"damaged")
    sizes = {entry.name: entry.size for entry in encoder_list()}
    assert (sizes["own"], sizes["damaged"]) == (len(model) + 192, 7)
    assert encoder_info("own").size == len(model) + 192


def test_weights_outside_are_refused_before_anything_else_is_read(hub: LocalHub, folder: Path) -> None:
    (folder / "hub").mkdir(parents=True)
    (folder / "hub/secret").write_bytes(bytes(192))
    hub.repos["test/tiny"].files["onnx/model.onnx"] = external("../../secret")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("../../secret", "outside its folder"))
    assert not hub.asked("GET", "secret")


def test_offline_by_variable(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("HF_HUB_OFFLINE", "encoders import"))
    assert hub.requests == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0


def test_the_cache_of_huggingface_hub_is_used(hub: LocalHub, folder: Path, tmp_path: Path) -> None:
    """In processes of their own, because huggingface_hub reads HF_HOME when it is imported."""
    files = sorted(hub.repos["test/tiny"].files)
    fill = f"import huggingface_hub as h; [h.hf_hub_download('test/tiny', file) for file in {files}]"
    subprocess.run([sys.executable, "-c", fill], check=True, env=dict(os.environ), capture_output=True)
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        result = offline("encoders", "pull", "hub:test/tiny")
    finally:
        del os.environ["HF_HUB_OFFLINE"]
    assert result.returncode == 0, result.stderr
    assert lock(folder)["hub:test/tiny"]["commit"] == hub.repos["test/tiny"].commit
    assert not list((folder / "hub").rglob("*.part"))


def test_a_cache_without_links_does_not_say_what_is_in_it(hub: LocalHub, folder: Path) -> None:
    """As on Windows, where making links is not allowed by default."""
    files = sorted(hub.repos["test/tiny"].files)
    fill = f"import huggingface_hub as h; [h.hf_hub_download('test/tiny', file) for file in {files}]"
    subprocess.run([sys.executable, "-c", fill], check=True, env=dict(os.environ), capture_output=True)
    for link in [path for path in Path(os.environ["HF_HOME"]).rglob("snapshots/**/*") if path.is_symlink()]:
        content = link.read_bytes()
        link.unlink()
        link.write_bytes(content)
    pull = "import sys; sys.argv[1:] = ['encoders', 'pull', 'hub:test/tiny']; import imgcluster.__main__ as m; m.main()"
    result = subprocess.run([sys.executable, "-c", pull], env=dict(os.environ), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert lock(folder)["hub:test/tiny"]["commit"] == hub.repos["test/tiny"].commit


def test_without_the_package(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert invoke("encoders", "info", "hub:test/tiny").exit_code == 0
    fails(1, "encoders", "pull", "dinov2-small", says=("pip install 'imgcluster[hub]'",))


def test_nothing_is_downloaded_unless_it_is_named(hub: LocalHub) -> None:
    listing = invoke("encoders", "list").stdout
    assert all(name in listing for name in NAMED_ENCODERS)
    information = invoke("encoders", "info", "dinov2-small").stdout
    assert all(part in information for part in ("not installed", "encoders pull dinov2-small", "256 px", "bicubic"))
    fails(1, "encoders", "info", "hub:test/tiny", says=("not installed", "encoders pull hub:test/tiny"))
    assert hub.requests == []


def test_what_the_list_and_the_information_say(hub: LocalHub) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    (line,) = [line for line in invoke("encoders", "list").stdout.splitlines() if line.startswith("hub:test/tiny")]
    assert "apache-2.0" in line
    assert " kB" in line
    text = invoke("encoders", "info", "hub:test/tiny").stdout
    for part in ("shorter side to 8 px", "bilinear", "0.5,0.5,0.5", "0.25,0.25,0.25", "0.00392157", "4×4 px"):
        assert part in text


def test_options_override_the_repository(hub: LocalHub) -> None:
    stated = imgcluster.Encoder("hub:test/tiny", device="cpu")
    assert (stated.info.resize_edge, stated.options.mean) == (8, (0.5, 0.5, 0.5))
    given = EncoderOptions(
        mean=(0.1,), std=(1.0,), scale=1 / 128, resize="stretch", image_size=(6, 5), resample="lanczos"
    )
    encoder = imgcluster.Encoder("hub:test/tiny", device="cpu", options=given)
    info = encoder.info
    assert (info.resize, info.resize_edge, info.width, info.height, info.filter) == ("stretch", 0, 6, 5, "lanczos")
    assert encoder.options.mean == (0.1,)
    assert encoder.identity != stated.identity


def test_an_unknown_processor_can_be_replaced_by_options(hub: LocalHub, pictures: Path, tmp_path: Path) -> None:
    hub.repos["test/tiny"].files["preprocessor_config.json"] = b'{"image_processor_type": "JinaCLIPImageProcessor"}'
    fails(1, "encoders", "pull", "hub:test/tiny", says=("JinaCLIPImageProcessor", "--image-size", "--mean"))
    words = ("--image-size", "4", "--mean", "0.5", "--std", "0.5")
    result = invoke("embed", pictures, "--encoder", "hub:test/tiny", *words, "-w", tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 0, result.output


def test_a_repository_without_preprocessing_is_any_model(hub: LocalHub, pictures: Path, tmp_path: Path) -> None:
    del hub.repos["test/tiny"].files["preprocessor_config.json"]
    words = ("embed", pictures, "--encoder", "hub:test/tiny", "-w", tmp_path / "out", "--device", "cpu")
    fails(1, *words, says=("--image-size",))
    result = invoke(*words, "--image-size", "4")
    assert result.exit_code == 0, result.output
    assert "--mean" in result.stdout


@pytest.mark.parametrize(
    ("outputs", "chosen"),
    [
        ({"last_hidden_state": ["n", 3, 5], "pooler_output": ["n", 6], "image_embeds": ["n", 7]}, "image_embeds"),
        ({"last_hidden_state": ["n", 3, 5], "pooler_output": ["n", 6], "logits": ["n", 7]}, "pooler_output"),
        ({"logits": ["n", 7], "last_hidden_state": ["n", 3, 5]}, "last_hidden_state"),
        ({"logits": ["n", 7], "embedding": ["n", 5]}, "embedding"),
        ({"tokens": ["n", 3, 5]}, ""),
    ],
)
def test_pooling_comes_from_the_outputs(
    hub: LocalHub, tmp_path: Path, outputs: dict[str, list[int | str]], chosen: str
) -> None:
    model = tiny_models.several_outputs(tmp_path / "model.onnx", outputs)
    hub.repos["test/tiny"].files = {"model.onnx": model.read_bytes()}
    encoder = imgcluster.Encoder("hub:test/tiny", device="cpu")
    assert encoder.info.output == chosen
    tokens = chosen in ("last_hidden_state", "")
    assert encoder.options.pool == ("cls" if tokens else None)
    if tokens:
        mean = imgcluster.Encoder("hub:test/tiny", device="cpu", options=EncoderOptions(pool="mean"))
        assert mean.identity != encoder.identity


def test_a_row_that_does_not_fit_its_repository_shows_both(hub: LocalHub, tmp_path: Path) -> None:
    model = tiny_models.identity(tmp_path / "wrong.onnx", OPEN_SHAPE, name="images").read_bytes()
    hub.repos["onnx-community/dinov2-small"] = Repo({"onnx/model.onnx": model})
    says = ("pixel_values", "last_hidden_state", "images", "output")
    fails(1, "encoders", "pull", "dinov2-small", says=says)
    config = {**CONFIG, "size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}
    hub.repos["Xenova/clip-vit-base-patch32"] = Repo(
        {"onnx/vision_model.onnx": model, "preprocessor_config.json": json.dumps(config).encode()}
    )
    fails(1, "encoders", "pull", "clip-vit-b32", says=("0.48145466", "0.5", "resample bicubic", "resample bilinear"))
    small = tiny_models.several_outputs(tmp_path / "small.onnx", {"image_embeds": ["n", 7]})
    renamed = onnx.load(small)
    renamed.graph.input[0].name = "pixel_values"
    renamed.graph.node[0].input[0] = "pixel_values"
    for shape, kind, says in (
        (["n", 4, 4, 3], TensorProto.UINT8, ("float32", "uint8")),
        (["n", 3, 4, 4], TensorProto.FLOAT, ("224", "4")),
        (OPEN_SHAPE, TensorProto.FLOAT, ("512", "7")),
    ):
        renamed.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixel_values", kind, shape))
        hub.repos["Xenova/clip-vit-base-patch32"].files = {"onnx/vision_model.onnx": renamed.SerializeToString()}
        assert invoke("encoders", "remove", "clip-vit-b32").exit_code == 0
        fails(1, "encoders", "pull", "clip-vit-b32", says=("clip-vit-b32", *says))


def test_a_row_whose_repository_has_other_files(hub: LocalHub, tmp_path: Path) -> None:
    for hub.api in (True, False):
        hub.repos["onnx-community/dinov2-small"] = Repo({"model.onnx": open_model(tmp_path)})
        says = ("onnx/model_fp16.onnx", "onnx-community/dinov2-small") if hub.api else ("onnx-community/dinov2-small",)
        fails(1, "encoders", "pull", "dinov2-small", says=says)


def test_a_full_disk_is_not_the_networks_fault(hub: LocalHub, folder: Path) -> None:
    (folder / "hub").mkdir(parents=True)
    (folder / "hub/test--tiny").write_bytes(b"a file in the place of the folder")
    fails(1, "encoders", "pull", "hub:test/tiny", says=("test--tiny",))


def test_damaged_lock_file(folder: Path) -> None:
    folder.mkdir()
    for text in ("{", "[]", '{"imgcluster_lock": 9}', '{"imgcluster_lock": 1, "encoders": {"../x": {}}}'):
        (folder / "hub.lock.json").write_text(text, encoding="utf-8")
        fails(1, "encoders", "info", "hub:test/tiny", says=("hub.lock.json",))


def test_own_encoders_are_not_pulled_removed_or_exported(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    own = tiny_models.mean_colour(folder / "mine.onnx")
    fails(2, "encoders", "pull", "mine", says=("mine", "already"))
    fails(2, "encoders", "pull", "nothing", says=("nothing", "dinov2-small", "hub:OWNER/REPO"))
    fails(2, "encoders", "remove", "mine", says=("mine", "none"))
    fails(2, "encoders", "remove", "photos", says=("photos", "comes with imgcluster"))
    fails(2, "encoders", "export", "mine", tmp_path / "mine.tar", says=("mine",))
    assert own.is_file()


def test_a_row_hides_a_file_of_its_name(folder: Path) -> None:
    folder.mkdir()
    own = tiny_models.mean_colour(folder / "dinov2-small.onnx")
    entries = [entry for entry in imgcluster.encoder_list() if entry.name == "dinov2-small"]
    assert [(entry.installed, entry.shadowed) for entry in entries] == [(False, False), (True, True)]
    assert imgcluster.encoder_info(str(own)).shadowed
    assert imgcluster.Encoder(own, device="cpu").info.name == "tiny"


def test_removing_leaves_what_was_not_downloaded(hub: LocalHub, folder: Path) -> None:
    assert invoke("encoders", "pull", "hub:test/tiny").exit_code == 0
    mine = folder / "hub/test--tiny/onnx/notes.txt"
    mine.write_text("mine", encoding="utf-8")
    result = invoke("encoders", "remove", "hub:test/tiny", "--json")
    assert json.loads(result.stdout)["files"] == 2
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (folder / "hub/test--tiny/onnx/model.onnx").exists()
    assert lock(folder) == {}


def test_errors_of_encoders_are_encoder_errors(hub: LocalHub) -> None:
    with pytest.raises(EncoderError, match="test/none"):
        imgcluster.Encoder("hub:test/none")
