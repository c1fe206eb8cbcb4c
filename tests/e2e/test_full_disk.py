"""Commands on a full disk: one line that says which disk is full and which file was not written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from faults import FILLER, fill, refuse_writes
from typer.testing import CliRunner

import imgcluster
from imgcluster.cli.app import app


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*map(str, words), "-q"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stderr


def test_a_full_disk(pictures: Path, tiny_encoder: Path, small_disk: Path) -> None:
    fill(small_disk, left=100)
    command = ["run", pictures, "-w", small_disk / "out", "--encoder", tiny_encoder, "--device", "cpu", "--k", "3"]
    code, line = run(*command)
    assert code == 1
    assert line.count("\n") == 1
    assert f"full at {small_disk}, so {small_disk / 'out'}" in line
    assert ".tmp" not in line
    (small_disk / FILLER).unlink()
    assert run(*command)[0] == 0


def test_a_full_disk_before_anything_is_written(pictures: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    command = ["embed", pictures, "-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu"]
    for number, what in ((errno.ENOSPC, "disk is full"), (errno.EDQUOT, "your share")):
        with refuse_writes(tmp_path / "out", number):
            code, line = run(*command)
        assert code == 1
        assert what in line
        assert str(tmp_path / "out") in line
        assert not any(word in line for word in ("kept", "continue"))


def test_a_file_in_place_of_a_folder_is_named(pictures: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    code, line = run("embed", pictures, "-w", tmp_path / "taken/out", "--encoder", tiny_encoder, "--device", "cpu")
    assert (code, str(tmp_path / "taken") in line) == (1, True)


def test_hard_links_of_files_that_move_to_another_disk(pictures: Path, tiny_encoder: Path, small_disk: Path) -> None:
    os.link(pictures / "red/00.png", pictures.parent / "linked.png")
    summary = imgcluster.run(pictures, workspace=small_disk / "out", encoder=tiny_encoder, k=3, place="move")
    assert [" disk: 1." in warning for warning in summary.cluster.warnings].count(True) == 1
    assert (pictures.parent / "linked.png").exists()
