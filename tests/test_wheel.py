"""The wheel holds what it should and nothing else, and the tool runs from it in an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from what git would hand to somebody else, not from whatever lies in this folder."""
    source = tmp_path_factory.mktemp("source") / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to it")
    for name in filter(None, listed.stdout.split("\0")):
        if (TOP / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = out.glob("*.whl")
    return path


def test_size(wheel: Path) -> None:
    assert wheel.stat().st_size < 40_000_000


def test_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    sources = {
        "imgcluster": "imgcluster",
        "imgcluster/exported": "exported",
        "imgcluster_training": "training/imgcluster_training",
        "imgcluster_training/recipes": "training/recipes",
    }
    expected = {
        f"{target}/{path.relative_to(TOP / folder).as_posix()}"
        for target, folder in sources.items()
        for path in _files(TOP / folder)
    }
    assert packaged == expected
    assert {
        "imgcluster/py.typed",
        "imgcluster/exported/photos.int8.onnx",
        "imgcluster/report/page.html",
        "imgcluster/report/scripts/map.js",
    } <= packaged
    metadata = {name.split("/", 1)[1] for name in names - packaged}
    assert metadata == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"}


def test_it_runs_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    # What surrounds this test run must not help.
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python"]
    install = ["install", "--quiet", "--no-compile", wheel, "-c", TOP / "constraints.txt"]
    subprocess.run([*pip, *install], check=True, env=clean, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(TOP / "examples/photos", elsewhere / "photos")
    run = subprocess.run(
        [scripts / "imgcluster", "run", "photos", "--k", "5"],
        cwd=elsewhere,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # On a busy machine there are lines of progress.
    assert all(line.startswith("imgcluster: ") for line in run.stderr.splitlines()), run.stderr
    assert "Embedded 60 images with encoder photos" in run.stdout
    assert (elsewhere / "imgcluster-out/report.html").is_file()
    installed = {path.name for path in home.rglob("*.dist-info")}
    assert any(name.startswith("imgcluster-") for name in installed)
    assert not any(name.startswith("torch-") for name in installed)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
