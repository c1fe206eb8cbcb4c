"""What commands print, and standard output that cannot be written."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from imgcluster.cli.app import app
from imgcluster.cli.screen import Screen, boundary
from samples import paint


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


@pytest.mark.parametrize("size", ["²", "0", "8x", "8x8x8"])
def test_wrong_image_sizes_are_explained(pictures: Path, tmp_path: Path, size: str) -> None:
    done = CliRunner().invoke(app, ["embed", str(pictures), "--image-size", size, "-w", str(tmp_path / "out")])
    assert (done.exit_code, "give 224, or 320x240" in done.output) == (2, True)


def test_embed_explains_each_image_of_the_workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    words = ["-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu"]
    assert "--fresh" not in said("embed", pictures / "red", pictures / "blue", *words)
    (pictures / "red/00.png").unlink()
    lines = said("embed", pictures / "red", *words)
    assert "15 images: 7 unchanged, 8 of folders that were not searched (--fresh" in lines
    assert "1 image removed" in lines


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["run", "x", "--clusters", "5"], "--k"),
        (["run", "x", "--batch-size", "0"], "--batch-size"),
        (["run", "x", "--k"], "--k"),
        (["report", "--clusters", "5"], "--clusters; see"),
        (["nothing"], "nothing"),
        (["encoders", "nothing"], "nothing"),
        (["similar"], "IMAGE"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], fact: str) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("imgcluster: ")
    assert fact in line
    answer = json.loads(CliRunner().invoke(app, words, env={"IMGCLUSTER_JSON": "1"}).stdout)
    assert (answer["exit_code"], f"imgcluster: {answer['error']}") == (2, line)
    assert json.loads(CliRunner().invoke(app, ["verify", "--json", "--nothing"]).stdout)["exit_code"] == 2


def test_help_without_arguments_is_no_error_message() -> None:
    done = CliRunner().invoke(app, ["encoders"])
    assert "Usage:" in done.output
    assert "imgcluster: " not in done.output


def test_help_has_groups_examples_and_the_default_seed() -> None:
    text = said("cluster", "--help")
    assert re.search(r"k-means ─.*--n-init", text, re.S)
    assert "imgcluster cluster --k 10" in text
    assert re.search(r"--seed.*?default: 0", text, re.S)
    assert "<int" not in text


def test_the_next_command_and_the_page_are_named(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "my out"
    words = [pictures, "-w", out, "--encoder", tiny_encoder, "--device", "cpu"]
    assert f"imgcluster cluster -w '{out}'" in said("embed", *words)
    assert f"imgcluster cluster -w {tmp_path / 'merged'}" in said("merge", out, "-w", tmp_path / "merged")
    assert f"Page: {out / 'report.html'}" in said("run", *words)
    assert f"Page: {out / 'report.html'}" in said("run", *words)
    assert "Page:" not in said("run", *words, "--dry-run")
    assert "imgcluster " not in said("embed", *words)
    (pictures / "red/00.png").unlink()
    assert f"imgcluster assign -w '{out}'" in said("embed", *words)
    assert json.loads(said("embed", *words, "--json"))["outdated"]
    said("assign", "-w", out)
    assert not json.loads(said("embed", *words, "--json"))["outdated"]


def test_errors_name_the_remedy(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code != 0
        return done.stderr

    encoder = ["--encoder", tiny_encoder, "--device", "cpu"]
    out = tmp_path / "out"
    assert "--no-recursive" in error("embed", pictures, "--no-recursive", "-w", out, *encoder)
    assert "imgcluster embed" in error("cluster", "-w", pictures)
    shutil.copy(pictures / "red/00.png", pictures / "red/same.png")
    said("embed", pictures, "-w", out, *encoder)
    assert "only 24 of them are distinct; use --k 24" in error("cluster", "--k", "100", "-w", out)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "-w DIR" in error("embed", pictures, "-w", tmp_path / "new", *encoder)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_is_valid_whatever_the_encoding_of_standard_output_is(
    tmp_path: Path, tiny_encoder: Path, encoding: str
) -> None:
    """That of Windows is none of Unicode; there a backslash and two digits replaced letters."""
    folder, out = tmp_path / "älter 日本 😀", tmp_path / "out é"
    paint(folder, per_folder=1)
    runner = CliRunner(charset=encoding)
    words = ["embed", str(folder), "-w", str(out), "--encoder", str(tiny_encoder), "--device", "cpu", "--json"]
    answer = json.loads(runner.invoke(app, words).stdout_bytes)
    assert (answer["workspace"], answer["roots"]) == (str(out), [str(folder)])
    for missing in (["embed", str(folder / "ö"), "--json"], ["embed", "--ö", "--json"]):
        assert "ö" in json.loads(runner.invoke(app, missing).stdout_bytes)["error"]


def embed_with_many_lines(out: Path, encoder: Path, pictures: Path) -> list[str]:
    """Return a command that embeds pictures, and prints a line for each step."""
    program = (
        "import imgcluster.cli.progress_lines as lines\n"
        "from imgcluster.cli.app import main\n"
        "from imgcluster.cli.interruption import run_interruptibly\n"
        "lines.SECONDS = 0.01\n"
        "run_interruptibly(main)"
    )
    words = ["embed", pictures, "-w", out, "--encoder", encoder, "--device", "cpu", "--json"]
    return [sys.executable, "-c", program, *map(str, words)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("log", ["full", "closed"])
def test_a_log_that_cannot_be_written_does_not_end_the_work(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, log: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if log == "full":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        os.close(reader)
    command = embed_with_many_lines(tmp_path / "out", tiny_encoder, pictures)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, check=False)
    os.close(stderr)
    assert (done.returncode, json.loads(done.stdout)["embedded"]) == (0, 24)
    missing = embed_with_many_lines(tmp_path / "out", tiny_encoder, tmp_path / "missing")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(missing, env=environment, stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 2


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
def test_a_reader_that_ends_early_does_not_change_the_exit_code(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    said("embed", pictures, "-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    codes = []
    for _ in range(2):
        reader, writer = os.pipe()
        os.close(reader)
        words = [sys.executable, "-m", "imgcluster", "verify", "-w", str(tmp_path / "out")]
        codes.append(subprocess.run(words, env=environment, stdout=writer, check=False).returncode)
        os.close(writer)
        (tmp_path / "out/skipped.csv").write_text("damaged\n", encoding="utf-8")
    assert codes == [0, 1]


@pytest.mark.skipif(os.name == "nt", reason="no such file names")
def test_each_message_is_one_line_whatever_the_names_of_files_are(
    pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    damaged = pictures / "a\nimgcluster: b\x1b[31m.png"
    damaged.write_bytes((pictures / "red/00.png").read_bytes()[:60])
    words = ["embed", pictures, "-w", tmp_path / "out", "--encoder", tiny_encoder, "--device", "cpu", "-v"]
    lines = CliRunner().invoke(app, list(map(str, words))).stderr.splitlines()
    assert all(line.startswith("imgcluster: ") and line.isprintable() for line in lines)
    assert [r"a\x0aimgcluster: b\x1b[31m.png" in line for line in lines].count(True) == 1


def test_a_defect_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), boundary(Screen(True, False, False)):
        raise ZeroDivisionError("division by zero")
    answer = json.loads(capsys.readouterr().out)
    assert ("division by zero" in answer["error"], answer["exit_code"]) == (True, 1)


def test_a_broken_pipe_to_another_program_is_an_error() -> None:
    """As to a server, or to a process that this one started."""
    with pytest.raises(typer.Exit) as stopped, boundary(Screen(False, True, False)):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert stopped.value.exit_code == 1
