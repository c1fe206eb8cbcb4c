"""The command line: exit codes, one-line errors, JSON, streams, help."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image
from typer.testing import CliRunner

import pages
from imgcluster import cli
from imgcluster.cli.app import app
from samples import paint

Run = subprocess.CompletedProcess[str]

TRAINING = ["train-encoder", "reconstruct", "generate"]


@pytest.fixture
def tool(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Tool(folder, tiny_encoder)


class Tool:
    """Runs imgcluster in a folder of its own: when called in this process, which is quick, else in another."""

    def __init__(self, folder: Path, encoder: Path) -> None:
        self.folder = folder
        self.encoder = encoder

    def __call__(self, *words: str | Path, stdin: str | None = None, **environment: str) -> Run:
        texts = [str(word) for word in words]
        done = CliRunner().invoke(
            app, texts, input=stdin, env={"COLUMNS": "200", **environment}, catch_exceptions=False
        )
        return subprocess.CompletedProcess(texts, done.exit_code, done.stdout, done.stderr)

    def process(self, *words: str | Path, stdin: str | None = None, **environment: str) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "imgcluster", *map(str, words)],
            cwd=self.folder,
            env=self.environment(**environment),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    def python(self, program: str) -> Run:
        """Run a program of Python's instead of the command."""
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    def environment(self, **more: str) -> dict[str, str]:
        top = Path(cli.__file__).parents[2]
        path = os.pathsep.join([str(top), str(top / "training")])
        return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **more}

    def embed(self, *words: str | Path) -> Run:
        return self("embed", *words, *self.cheaply)

    @property
    def cheaply(self) -> list[str]:
        return ["--encoder", str(self.encoder), "--device", "cpu"]


def one_line(run: Run) -> str:
    """Return the one line of a failed command."""
    assert "Traceback" not in run.stderr
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("imgcluster: ")
    return lines[0]


def test_commands_share_the_default_workspace(tool: Tool, pictures: Path) -> None:
    first = tool.process("embed", pictures, *tool.cheaply)
    assert first.returncode == 0, first.stderr
    assert "Embedded 24 images with encoder tiny on CPU" in first.stdout
    second = tool.process("cluster", "--k", "3")
    assert second.returncode == 0, second.stderr
    assert second.stdout.rstrip().endswith(f"Page: {tool.folder / 'imgcluster-out/report.html'}")
    assert second.stderr == ""
    # Two processes share it; for the others this one does.
    assert "accuracy 1.000" in tool("evaluate").stdout
    assert tool("report").returncode == 0
    assert "24 files (by symlink)" in tool("undo").stdout


def test_run_skips_damaged_images(tool: Tool, pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    words = ["run", pictures, "--k", "3", "--encoder", tool.encoder]
    run = tool(*words)
    assert run.returncode == 0
    assert "Skipped 1 image" in run.stdout
    assert tool(*words, "--strict").returncode == 3


@pytest.mark.parametrize(
    "command", ["embed", "cluster", "run", "evaluate", "report", "undo", "doctor", "encoders list", *TRAINING]
)
def test_every_command_has_help(command: str, tool: Tool) -> None:
    run = tool(*command.split(), "--help")
    assert run.returncode == 0
    assert "--json" in run.stdout


def test_help_is_quick_and_imports_nothing_heavy(tool: Tool) -> None:
    program = (
        "import sys; sys.argv = ['imgcluster', '--help']\n"
        "from imgcluster.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = 'torch onnxruntime sklearn pyarrow hdbscan numba matplotlib scipy numpy PIL'.split()\n"
        "print('heavy:', sorted(set(heavy) & set(sys.modules)))\n"
    )
    run = tool.python(program)
    assert run.stdout.endswith("heavy: []\n")


@pytest.mark.slow
def test_the_tool_needs_no_torch(tool: Tool, pictures: Path) -> None:
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'onnx', 'onnxscript'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"import imgcluster; imgcluster.run([{str(pictures)!r}], encoder={str(tool.encoder)!r}, workspace='o', k=3)\n"
        "imgcluster.evaluate(workspace='o'); imgcluster.doctor(); imgcluster.encoder_list()\n"
        "print('imgcluster_training' in sys.modules)"
    )
    run = tool.python(program)
    assert run.stdout == "False\n", run.stderr


def test_usage_errors_are_2(tool: Tool, pictures: Path) -> None:
    assert tool("cluster", "--bogus").returncode == 2
    assert tool("nonsense").returncode == 2
    run = tool.embed("missing-folder")
    assert run.returncode == 2
    assert "missing-folder" in one_line(run)
    run = tool("embed", pictures, "--encoder", "nothing")
    assert run.returncode == 2
    assert "encoder 'nothing' is unknown" in one_line(run)
    run = tool.embed(pictures, "--mean", "a,b")
    assert run.returncode == 2
    assert "--mean 'a,b'" in one_line(run)
    run = tool("cluster", "-q", "-v")
    assert run.returncode == 2


def test_no_image_is_4(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = tool.process("embed", tmp_path / "empty", *tool.cheaply)
    assert run.returncode == 4
    assert str(tmp_path / "empty") in one_line(run)


def test_missing_device_is_5(tool: Tool, pictures: Path) -> None:
    # No machine has all of them.
    run = tool.process("embed", pictures, "--encoder", tool.encoder, "--device", "rocm")
    assert run.returncode == 5
    assert "rocm" in one_line(run)


def test_nothing_embedded_is_1(tool: Tool) -> None:
    run = tool.process("cluster")
    assert run.returncode == 1
    assert "imgcluster embed PATH" in one_line(run)


def test_json_is_one_object_and_nothing_else(tool: Tool, pictures: Path) -> None:
    run = tool.process("run", pictures, "--k", "3", "--encoder", tool.encoder, "--json")
    answer = json.loads(run.stdout)
    assert answer["embed"]["embedded"] == 24
    assert [row["size"] for row in answer["cluster"]["clusters"]] == [8, 8, 8]
    assert run.stderr == ""
    run = tool.process("cluster", "--k", "100", "--json")
    assert run.returncode == 1
    answer = json.loads(run.stdout)
    assert answer["exit_code"] == 1
    assert "100 clusters" in answer["error"]


def test_quiet_prints_nothing(tool: Tool, pictures: Path) -> None:
    run = tool.process("run", pictures, "--k", "3", "--encoder", tool.encoder, "-q")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_workspace_from_the_environment(tool: Tool, pictures: Path, tmp_path: Path) -> None:
    run = tool("embed", pictures, "--encoder", tool.encoder, IMGCLUSTER_WORKSPACE=str(tmp_path / "elsewhere"))
    assert run.returncode == 0
    assert (tmp_path / "elsewhere/manifest.json").exists()


def test_files_from_standard_input(tool: Tool, pictures: Path) -> None:
    names = "\n".join(str(path) for path in sorted(pictures.rglob("*.png"))[:5])
    run = tool.process("embed", "--files-from", "-", "--encoder", tool.encoder, stdin=names)
    assert "Embedded 5 images" in run.stdout, run.stderr


def test_version_and_module(tool: Tool) -> None:
    run = tool.process("--version")
    assert re.fullmatch(r"imgcluster \d+\S*\n", run.stdout)


def test_shell_completion(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else Typer asks which shell it was started from, and in the background there is none.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    run = tool.process("--show-completion", "bash")
    assert run.returncode == 0
    assert "IMGCLUSTER" in run.stdout.upper()


def test_encoders(tool: Tool) -> None:
    assert "photos" in tool("encoders", "list").stdout
    assert "EfficientNet-Lite2" in tool("encoders", "info", "photos").stdout
    assert json.loads(tool("encoders", "list", "--json").stdout)["encoders"][0]["info"]["embedding_size"]


@pytest.mark.parametrize("module", [pytest.param("None", marks=pytest.mark.slow), "types.ModuleType('onnx')"])
def test_training_without_its_extra_names_the_command_to_install_it(tool: Tool, module: str) -> None:
    program = (
        f"import sys, types; sys.modules['onnx'] = {module}\n"
        "sys.argv = ['imgcluster', 'train-encoder', '--dataset', 'mnist']\n"
        "from imgcluster.cli.app import main; main()\n"
    )
    run = tool.python(program)
    assert run.returncode == 1
    assert "package onnx " in one_line(run)
    assert one_line(run).endswith("pip install 'imgcluster[train]'")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param("", marks=pytest.mark.slow),
        "raise OSError('libsomething.so: cannot open shared object file')",
    ],
)
def test_a_broken_optional_package_costs_only_what_needs_it(tool: Tool, tmp_path: Path, content: str | None) -> None:
    paint(tmp_path / "many", per_folder=40)
    for package in ("umap", "pillow_heif", "evoc"):
        (tool.folder / package).mkdir()
        if content is not None:
            (tool.folder / package / "__init__.py").write_text(content, encoding="utf-8")
    run = tool.process("run", tmp_path / "many", "--k", "3", "--encoder", tool.encoder, "--json")
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["cluster"]["clusters"]) == 3
    assert (tool.folder / "imgcluster-out/metrics.json").exists()
    assert (tool.folder / "imgcluster-out/report.html").exists()
    if content is None:
        return  # an installed package elsewhere goes before an empty folder
    assert run.stderr == ""
    run = tool.process("run", tmp_path / "many", "-w", "other", "--encoder", tool.encoder, "--reduce", "umap")
    assert run.returncode == 2
    assert "--reduce umap" in one_line(run)
    assert "imgcluster[umap]" in one_line(run)
    assert not (tool.folder / "other").exists()
    missing = json.loads(tool.process("doctor", "--encoder", tool.encoder, "--json").stdout)["missing"]
    assert {"HEIC images", "--reduce umap", "--method evoc"} <= {purpose for purpose, _ in missing}


def test_a_folder_of_pictures_trains_an_encoder_that_clusters_it(tool: Tool, pictures: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    own = tool.folder / "own"
    run = tool(
        "train-encoder", "--dataset", pictures, "--image-size", "16", "--epochs", "1", "--name", "mine",
        IMGCLUSTER_ENCODERS=str(own),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.rstrip().endswith(f"Encoder: {own / 'mine.onnx'}")
    run = tool("run", pictures, "--k", "3", "--encoder", "mine", IMGCLUSTER_ENCODERS=str(own))
    assert run.returncode == 0, run.stderr
    assert "Embedded 24 images with encoder mine" in run.stdout
    run = tool("reconstruct", pictures, "--encoder", "mine", "--denoised", "clean", IMGCLUSTER_ENCODERS=str(own))
    assert run.returncode == 0, run.stderr
    assert len(list((tool.folder / "clean").rglob("*.png"))) == 24
    run = tool("generate", "--encoder", "mine", IMGCLUSTER_ENCODERS=str(own))
    assert run.returncode == 1
    assert "variational" in one_line(run)


def test_a_second_process_is_refused(tool: Tool, pictures: Path) -> None:
    from imgcluster.workspace.folder import Workspace

    with Workspace(tool.folder / "imgcluster-out").locked():
        run = tool.process("embed", pictures, *tool.cheaply)
    assert run.returncode == 1
    assert "another imgcluster" in one_line(run)
    assert tool.embed(pictures).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_interruption_is_130_and_the_same_command_resumes(tool: Tool, tmp_path: Path) -> None:
    paint(tmp_path / "many", per_folder=700)
    command = [sys.executable, "-m", "imgcluster", "embed", str(tmp_path / "many"), "--encoder", str(tool.encoder)]
    # Slow enough to be interrupted in the middle.
    command += ["--batch-size", "1", "--workers", "1"]
    process = subprocess.Popen(
        command, cwd=tool.folder, env=tool.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    manifest = tool.folder / "imgcluster-out/manifest.json"
    deadline = time.monotonic() + 60
    while not manifest.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode in (0, -signal.SIGINT) and not errors:
        pytest.skip("this machine was too fast to be interrupted")
    assert process.returncode == 130, errors
    assert errors.startswith("imgcluster: interrupted")
    assert errors.count("\n") == 1
    again = tool.embed(tmp_path / "many", "--json")
    answer = json.loads(again.stdout)
    assert answer["embedded"] == 2100
    assert answer["unchanged"] > 0


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_file_names_that_are_not_text(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [
        b"\xff\xfe.png",
        b"new\nline.png",
        b"carriage\rreturn.png",
        b"a,b\"c'd.png",
        b"<script>alert(1)<b>.png",
    ]
    names += [b"\\xff.png", " spaces  ü €.png".encode()]
    for number, name in enumerate(names):
        Image.new("RGB", (6, 6), (number * 30, 90, 200 - number * 20)).save(os.fsencode(folder) + b"/" + name, "PNG")
    (folder / "bad\n.jpg").write_bytes(b"")
    run = tool.process("run", folder, "--k", "2", "--encoder", tool.encoder)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    out = tool.folder / "imgcluster-out"
    placed = {os.path.basename(path) for path in _files(os.fsencode(out / "clusters"))}
    assert placed == set(names)
    page = pages.read(out / "report.html")
    assert {unquote_to_bytes(link).rsplit(b"/", 1)[-1] for link in page.links} == set(names)
    assert not any("alert(1)" in script for script in page.scripts if not script.startswith("{"))
    assert tool("report").returncode == 0
    assert "7 files" in tool("undo").stdout


def _files(folder: bytes) -> list[bytes]:
    return [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]


def test_number_of_clusters_and_levels(tool: Tool, pictures: Path) -> None:
    assert tool("embed", pictures, "--encoder", tool.encoder).returncode == 0
    run = tool("cluster", "--k", "auto")
    assert run.returncode == 0, run.stderr
    assert "chosen" in run.stdout
    assert "All 3 clusters are stable" in run.stdout
    assert (tool.folder / "imgcluster-out/candidates.png").exists()
    answer = json.loads(tool("cluster", "--k", "2..5", "--json").stdout)
    assert [candidate["k"] for candidate in answer["candidates"]] == [2, 3, 4, 5]
    assert len(answer["clusters"]) == 3
    run = tool("cluster", "--k", "2")
    assert "chosen" not in run.stdout
    for wrong in ("foo", "²"):
        run = tool("cluster", "--k", wrong)
        assert run.returncode == 2
        assert f"--k '{wrong}'" in one_line(run)
    run = tool("cluster", "--level", "9")
    assert run.returncode == 2
    assert "--level 9 " in one_line(run)
    assert "fine, medium, coarse" in one_line(run)
    run = tool("cluster", "--level", "fine")
    assert run.returncode == 0
    assert "--level" in run.stdout
