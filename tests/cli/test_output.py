"""What commands print, and standard output that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imgcluster.cli.app import app


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_output_to_a_full_disk_is_an_error_of_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imgcluster", "--version"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def said(*words: object) -> str:
    """Return what a command that succeeds prints."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_embed_explains_each_image_of_the_workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    words = ["-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu"]
    assert "--fresh" not in said("embed", pictures / "red", pictures / "blue", *words)
    (pictures / "red/00.png").unlink()
    lines = said("embed", pictures / "red", *words)
    assert "15 images: 7 unchanged, 8 of folders not named now (--fresh" in lines
    assert "1 image removed" in lines
