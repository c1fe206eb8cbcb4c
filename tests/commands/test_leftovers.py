"""Commands remove the temporary files of killed ones, and no other file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imgcluster
from imgcluster.fileio.atomic import write_text

OWN = ".imgcluster-123-4.tmp"
FOREIGN = (".imgcluster-notes.tmp", ".imgcluster-1.tmp", "notes.txt", ".imgcluster-1-2.tmp.txt")


@pytest.fixture
def workspace(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    imgcluster.cluster(workspace=out, k=2)
    return out


def plant(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{folder} {name}", encoding="utf-8")
    return [folder / name for name in names]


def intact(files: list[Path]) -> bool:
    return all(file.read_text(encoding="utf-8") == f"{file.parent} {file.name}" for file in files)


def test_own_temporary_files_are_removed_and_no_others(workspace: Path, pictures: Path) -> None:
    folders = [workspace / name for name in (".", "embeddings", "figures", "applied/001")]
    foreign = [file for folder in folders for file in plant(folder, *FOREIGN)]
    foreign += plant(workspace / "clusters/cluster_000", *FOREIGN) + plant(pictures, *FOREIGN, OWN)
    own = [file for folder in folders for file in plant(folder, OWN)]
    imgcluster.report_page(workspace=workspace)
    assert not any(file.exists() for file in own)
    imgcluster.cluster(workspace=workspace, k=3, place="copy")
    imgcluster.undo(workspace=workspace)
    assert intact(foreign)


def test_files_of_the_user_beside_saved_states_stay(workspace: Path, pictures: Path, tiny_encoder: Path) -> None:
    applied = workspace / "applied"
    foreign = [
        *plant(applied, "notes.txt"),
        *plant(applied / "001", "notes.txt"),
        *plant(applied / "001/embeddings", "notes.txt"),
        *plant(applied / "7", "notes.txt", "metrics.json.txt"),
        *plant(applied / ".draft", "notes.txt"),
        *plant(applied / ".removed", "notes.txt"),
    ]
    before = (workspace / "assignments.csv").read_bytes()
    imgcluster.cluster(workspace=workspace, k=4)
    assert imgcluster.undo(workspace=workspace).what == "cluster"
    assert (workspace / "assignments.csv").read_bytes() == before
    assert imgcluster.undo(workspace=workspace).what == "cluster"
    assert imgcluster.undo(workspace=workspace).what == "placing"
    imgcluster.cluster(workspace=workspace, k=2)
    imgcluster.embed([pictures], workspace=workspace, encoder=tiny_encoder, device="cpu", fresh=True)
    for _ in range(2):
        imgcluster.cluster(workspace=workspace, k=2)
    notes = {path.relative_to(applied) for path in applied.rglob("notes.txt")}
    # A state takes the files in its draft along.
    assert len(notes) == 6
    assert intact([file for file in foreign if ".draft" not in file.parts])


def run_killed(program: str, *arguments: Path) -> None:
    """Run a program that kills its process instead of finishing the first copy of a file."""
    start = (
        "import os, shutil, sys, imgcluster\n"
        "def die(source, target, **options):\n"
        "    with open(target, 'wb') as file: file.write(b'half')\n"
        "    os._exit(9)\n"
        "def refuse(*arguments): raise OSError(18, 'Invalid cross-device link')\n"
        "shutil.copy2, os.rename = die, refuse\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", start + program, *map(str, arguments)]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 9


def hidden(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob(".imgcluster-*") if path.name.endswith(".tmp"))


def test_a_killed_undo_across_disks(workspace: Path, pictures: Path) -> None:
    originals = {path: path.read_bytes() for path in pictures.rglob("*.png")}
    for _ in range(2):
        imgcluster.undo(workspace=workspace)
    imgcluster.cluster(workspace=workspace, k=2, place="move")
    foreign = plant(pictures / "red", *FOREIGN, OWN)
    before = hidden(pictures)
    run_killed("imgcluster.undo(workspace=sys.argv[1])", workspace)
    assert len(hidden(pictures)) == len(before) + 1
    with pytest.raises(imgcluster.WorkspaceError, match="interrupted"):
        imgcluster.report_page(workspace=workspace)
    assert hidden(pictures) == before
    while list((workspace / "clusters").rglob("*.png")):
        imgcluster.undo(workspace=workspace)
    assert {path: path.read_bytes() for path in pictures.rglob("*.png")} == originals
    assert intact(foreign)


def test_a_killed_export(workspace: Path, tmp_path: Path) -> None:
    target = tmp_path / "exports/folder"
    foreign = plant(target.parent, *FOREIGN, OWN)
    run_killed("imgcluster.export(sys.argv[2], workspace=sys.argv[1], format='imagefolder')", workspace, target)
    assert len(list(target.parent.iterdir())) == len(foreign) + 1
    imgcluster.export(target, workspace=workspace, format="imagefolder")
    assert intact(foreign)
    assert len(list(target.parent.iterdir())) == len(foreign) + 1
    assert len(list(target.rglob("*.png"))) == 24


@pytest.mark.slow
def test_a_killed_reconstruct_and_checkpoint(tmp_path: Path) -> None:
    reconstruct = (
        "import numpy, pathlib, PIL.Image\n"
        "from imgcluster.commands.reconstruct import write_png\n"
        "PIL.Image.Image.save = lambda self, path, **options: die(None, path)\n"
        "write_png(pathlib.Path(sys.argv[1]), numpy.zeros((2, 2, 3), 'uint8'))\n"
    )
    checkpoint = (
        "import pathlib, torch\n"
        "from imgcluster_training.fit.checkpoints import save_checkpoint\n"
        "torch.save = lambda content, file: os._exit(9)\n"
        "save_checkpoint(pathlib.Path(sys.argv[1]), {}, {})\n"
    )
    for program in (reconstruct, reconstruct, checkpoint):
        run_killed(program, tmp_path / "folder/file")
        assert len(hidden(tmp_path)) == 1
    foreign = plant(tmp_path / "folder", *FOREIGN, OWN)
    write_text(tmp_path / "folder/file", "done")
    assert intact(foreign)
    assert len(list((tmp_path / "folder").iterdir())) == len(foreign) + 1


def test_a_stranger_cannot_name_a_file_to_remove(workspace: Path, pictures: Path) -> None:
    foreign = plant(pictures, "red.png", *FOREIGN)
    (folder,) = {file.parent for file in plant(pictures / OWN, "notes.txt")}
    foreign.append(folder / "notes.txt")
    for file in (*foreign, folder):
        (workspace / "unfinished.txt").write_text(str(file), encoding="utf-8")
        imgcluster.report_page(workspace=workspace)
    for text in (b"", b"\0", b"\xff", b"..", b"x" * 100_000):
        (workspace / "unfinished.txt").write_bytes(text)
        imgcluster.report_page(workspace=workspace)
    assert intact(foreign)


def test_a_list_of_files_cannot_name_those_of_the_workspace(
    workspace: Path, pictures: Path, tiny_encoder: Path
) -> None:
    inside = next((workspace / "clusters").rglob("*.png"))
    files = [pictures / "red/00.png", inside]
    with pytest.raises(imgcluster.UsageError, match="inside the workspace"):
        imgcluster.embed([], files=files, workspace=workspace, encoder=tiny_encoder, device="cpu")
