"""`train-encoder` that is killed, or whose file-system calls fail: the same command completes with the same encoder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")

from faults import FaultServer, Outcome, some_calls

from tiny import FOLDER_RECIPE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


@pytest.fixture(scope="module")
def server():
    server = FaultServer(training=True)
    yield server
    server.close()


@pytest.fixture(params=["one device", "two devices"])
def folders(request: pytest.FixtureRequest, tmp_path: Path):
    """The folders of the images and of the results."""
    if request.param == "one device":
        yield tmp_path / "images", tmp_path / "out"
        return
    shared = Path("/dev/shm")
    if not shared.is_dir() or os.stat(shared).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no other device")
    folder = Path(tempfile.mkdtemp(prefix="imgcluster-", dir=shared))
    yield tmp_path / "images", folder / "out"
    shutil.rmtree(folder)


def results(out: Path) -> dict[str, bytes]:
    """Return the encoder, its decoder and the losses, without times."""
    found = {path.name: path.read_bytes() for path in out.glob("*.onnx")}
    for path in out.rglob("history.csv"):
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [column for column, name in enumerate(rows[0]) if "second" not in name]
        found["losses"] = json.dumps([[row[column] for column in kept] for row in rows]).encode()
    return found


@pytest.mark.parametrize("turn", range(4))
def test_every_call(server: FaultServer, folders: tuple[Path, Path], tmp_path: Path, turn: int) -> None:
    """Every turn tries every call, with another fault."""
    images, out = folders
    images.mkdir()
    generator = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(images / f"{number:02d}.png")
    (tmp_path / "small.toml").write_text(FOLDER_RECIPE, encoding="utf-8")
    words = ["train-encoder", "--dataset", images, "--recipe", tmp_path / "small.toml", "--output", out, "--resume"]

    def train(**options: Any) -> Outcome:
        # An image that cannot be read is left out, which is another training.
        return server.run([*words, "--device", "cpu", "-q"], [out], **options)

    whole = train()
    assert whole.code == 0, whole.stderr
    expected = results(out)
    for at in some_calls(whole.calls):
        shutil.rmtree(out)
        fault = ("kill", "EIO", "ENOSPC", "EACCES")[(at + turn) % 4]
        disturbed = train(fault=fault, at=at)
        assert "Traceback" not in disturbed.stderr, (at, disturbed.stderr)
        if disturbed.code:
            assert fault == "kill" or disturbed.stderr.count("\n") == 1, (at, disturbed.stderr)
            again = train()
            assert again.code == 0, (at, disturbed.stderr, again.stderr)
        assert results(out) == expected, (at, disturbed.stderr)
        assert not list(out.rglob(".imgcluster-*")), at
