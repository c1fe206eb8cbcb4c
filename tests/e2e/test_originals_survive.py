"""No command removes the last copy of an image, writes outside the workspace, or follows links in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Command = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")

MODES = ["move", "copy", "hardlink"]


class Collection:
    """24 pictures, clustered into three folders by one of the placement modes."""

    def __init__(self, command: Command, pictures: Path, out: Path, mode: str) -> None:
        self.command, self.pictures, self.out = command, pictures, out
        self.originals = self.contents(pictures)
        assert len(self.originals) == 24
        done = command("run", pictures, "-w", out, "--k", "3", "--place", mode)
        assert done.exit_code == 0, done.output
        lines = (out / "placed.jsonl").read_text(encoding="utf-8").splitlines()
        self.entries = [json.loads(line) for line in lines[1:]]

    @staticmethod
    def contents(*folders: Path) -> set[str]:
        """Return the digest of every regular file below the folders."""
        return {
            hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in folders
            for path in folder.rglob("*.png")
            if path.is_file() and not path.is_symlink()
        }

    def lost(self) -> int:
        return len(self.originals - self.contents(self.pictures, self.out))

    def link_originals(self) -> None:
        """Replace every original by a link to its placed file, as programs that find duplicates do."""
        for entry in self.entries:
            source = Path(entry["source"])
            source.unlink(missing_ok=True)
            source.symlink_to(self.out / entry["target"])


@pytest.fixture(params=MODES)
def collection(request: pytest.FixtureRequest, command: Command, pictures: Path, tmp_path: Path) -> Collection:
    return Collection(command, pictures, tmp_path / "out", request.param)


def add_picture(pictures: Path) -> None:
    Image.new("RGB", (8, 8), "white").save(pictures / "new.png")


@pytest.mark.parametrize("words", [["undo"], ["cluster", "--k", "2"], ["embed"], ["run", "--k", "2"]], ids="".join)
def test_originals_replaced_by_links_to_the_placed_files(collection: Collection, words: list[str]) -> None:
    collection.link_originals()
    first, *options = words
    if first in ("embed", "run"):
        add_picture(collection.pictures)
        options.append(str(collection.pictures))
    collection.command(first, *options, "-w", collection.out)
    assert collection.lost() == 0
    # Every original path still resolves to its image.
    assert all(Path(entry["source"]).is_file() for entry in collection.entries)
    collection.command("undo", "-w", collection.out)
    assert collection.lost() == 0


def test_undo_names_the_link_to_remove(command: Command, pictures: Path, tmp_path: Path) -> None:
    collection = Collection(command, pictures, tmp_path / "out", "move")
    collection.link_originals()
    done = command("undo", "-w", collection.out)
    assert done.exit_code == 1
    assert collection.entries[0]["source"] in done.output
    for entry in collection.entries:
        Path(entry["source"]).unlink()
    assert command("undo", "-w", collection.out).exit_code == 0
    assert collection.contents(pictures) == collection.originals


@pytest.mark.parametrize("mode", ["move", "symlink"])
def test_files_are_placed_again_after_undo(command: Command, pictures: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "out"
    Collection(command, pictures, out, mode)
    before, tables = snapshot(out / "clusters"), (out / "assignments.csv").read_bytes()
    assert f"assign --place {mode}" in command("undo", "-w", out).output
    assert not (out / "clusters").exists()
    assert command("assign", "--place", mode, "-w", out).exit_code == 0
    assert snapshot(out / "clusters") == before
    assert (out / "assignments.csv").read_bytes() == tables


def test_a_folder_replaced_by_a_link_to_a_cluster(collection: Collection) -> None:
    folders = {Path(entry["source"]).parent: Path(entry["target"]).parent for entry in collection.entries}
    for folder, target in folders.items():
        shutil.rmtree(folder)
        folder.symlink_to(collection.out / target)
    for words in (["undo"], ["cluster", "--k", "2"], ["embed", str(collection.pictures)]):
        collection.command(*words, "-w", collection.out)
        assert collection.lost() == 0


def test_placed_files_that_link_to_each_other(command: Command, pictures: Path, tmp_path: Path) -> None:
    first, second = pictures / "red/00.png", pictures / "red/01.png"
    shutil.copy(first, second)
    shutil.copy(first, pictures / "red/02.png")
    out = tmp_path / "out"
    command("run", pictures, "-w", out, "--k", "3", "--place", "copy")
    content = first.read_bytes()
    placed = [path for path in (out / "clusters").rglob("*.png") if path.read_bytes() == content]
    assert len(placed) == 3
    originals = [first, second, pictures / "red/02.png"]
    for original, target in zip(originals, [*placed[1:], placed[0]], strict=True):
        original.unlink()
        original.symlink_to(target)
    command("undo", "-w", out)
    assert all(original.read_bytes() == content for original in originals)


def test_hard_links_and_real_copies_of_originals_are_copies(command: Command, pictures: Path, tmp_path: Path) -> None:
    collection = Collection(command, pictures, tmp_path / "out", "move")
    for number, entry in enumerate(collection.entries):
        (os.link if number % 2 else shutil.copy2)(collection.out / entry["target"], entry["source"])
    assert command("undo", "-w", collection.out).exit_code == 0
    assert collection.contents(pictures) == collection.originals
    assert not (collection.out / "clusters").exists()


TAMPERED: dict[str, list[dict[str, Any]]] = {
    "one path twice": [{"source": "SECRET", "target": "SECRET"}],
    "absolute target": [{"source": "ORIGINAL", "target": "SECRET"}],
    "target outside": [{"source": "ORIGINAL", "target": "clusters/../../secret.txt"}],
    "target outside from a folder": [{"source": "ORIGINAL", "target": "clusters/cluster_000/../../../secret.txt"}],
    "target in another folder": [{"source": "ORIGINAL", "target": "embeddings/x/shard-000000.parquet"}],
    "target of the workspace": [{"source": "ORIGINAL", "target": "manifest.json"}],
    "target directly in clusters": [{"source": "ORIGINAL", "target": "clusters/cluster_000"}],
    "target too deep": [{"source": "ORIGINAL", "target": "clusters/cluster_000/a/b.png"}],
    "target with a dot": [{"source": "ORIGINAL", "target": "clusters/./x.png"}],
    "escaped dots in target": [{"source": "ORIGINAL", "target": "clusters/\\x2e\\x2e/secret.txt"}],
    "escaped slash in target": [{"source": "ORIGINAL", "target": "clusters/a/..\\x2f..\\x2fsecret.txt"}],
    "foreign source": [{"source": "OUTSIDE/.bashrc", "target": "PLACED"}],
    "relative source": [{"source": ".bashrc", "target": "PLACED"}],
    "source in the workspace": [{"source": "OUT/manifest.json", "target": "PLACED"}],
    "empty source": [{"source": "", "target": "PLACED"}],
    "source by a detour": [{"source": "OUTSIDE/pictures/../pictures/red/00.png", "target": "PLACED"}],
    "one good entry, one bad": [{"source": "ORIGINAL", "target": "PLACED"}, {"source": "SECRET", "target": "SECRET"}],
}


def snapshot(folder: Path) -> dict[Path, bytes | str]:
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.name != ".lock" and (path.is_symlink() or path.is_file())
    }


@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_journal_reaches_nothing(command: Command, pictures: Path, tmp_path: Path, case: str) -> None:
    out = tmp_path / "out"
    collection = Collection(command, pictures, out, "copy")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    words = {
        "SECRET": str(tmp_path / "secret.txt"),
        "ORIGINAL": collection.entries[0]["source"],
        "PLACED": collection.entries[0]["target"],
        "OUTSIDE": str(tmp_path),
        "OUT": str(out),
    }
    entries = TAMPERED[case]
    for word, path in words.items():
        entries = [{key: text.replace(word, path) for key, text in entry.items()} for entry in entries]
    add_picture(pictures)
    for mode in (*MODES, "symlink"):
        lines = [{"mode": mode, "folder": "clusters"}, *entries]
        (out / "placed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        before = snapshot(tmp_path)
        for command_words in (["undo"], ["cluster", "--k", "2"], ["embed", str(pictures)]):
            done = command(*command_words, "-w", out)
            assert done.exit_code == 1
            assert "placed.jsonl" in done.output
            assert len(done.output.strip().splitlines()) == 1
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize("folder", ["/", "../..", "clusters/cluster_000", ".", 5])
def test_a_journal_of_another_folder_reaches_nothing(
    command: Command, pictures: Path, tmp_path: Path, folder: object
) -> None:
    out = tmp_path / "out"
    Collection(command, pictures, out, "copy")
    lines = (out / "placed.jsonl").read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({"mode": "copy", "folder": folder})
    (out / "placed.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = snapshot(tmp_path)
    assert command("undo", "-w", out).exit_code == 1
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        *("clusters", "outdated", "outdated/clusters", "applied", "applied/001", "embeddings", "figures"),
        *("clusters/cluster_000", "clusters/noise"),
        *(".lock", "manifest.json", "placed.jsonl", "assignments.csv", "report.html", "names.csv", ".imgcluster"),
    ],
)
def test_planted_links_are_refused_by_name(command: Command, pictures: Path, tmp_path: Path, name: str) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    Collection(command, pictures, out, "copy")
    add_picture(pictures)
    planted = out / name
    if planted.is_dir():
        shutil.move(planted, outside)
    elif planted.is_file():
        outside.write_bytes(planted.read_bytes() or b"foreign file")
        planted.unlink()
    else:
        outside.mkdir()
        (outside / "mine.txt").write_text("mine", encoding="utf-8")
    planted.parent.mkdir(exist_ok=True)
    planted.symlink_to(outside)
    before = snapshot(tmp_path) | {outside: outside.read_bytes() if outside.is_file() else ""}
    for words in (["cluster", "--k", "2"], ["embed", str(pictures)], ["undo"], ["report"]):
        done = command(*words, "-w", out)
        assert done.exit_code == 1
        assert name in done.output
    assert snapshot(tmp_path) | {outside: outside.read_bytes() if outside.is_file() else ""} == before


@pytest.mark.parametrize(
    "name",
    [
        *("manifest.json", "placed.jsonl", "skipped.csv", "applied/001/step.json", "undoing.json"),
        "embeddings/shard-000009.parquet",
    ],
)
def test_named_pipes_are_refused_by_name(command: Command, pictures: Path, tmp_path: Path, name: str) -> None:
    """A tar file can bring them, and reading one waits for ever."""
    out = tmp_path / "out"
    Collection(command, pictures, out, "copy")
    assert command("cluster", "--k", "2", "-w", out).exit_code == 0
    (out / name).unlink(missing_ok=True)
    os.mkfifo(out / name)
    for words in (["cluster", "--k", "3"], ["embed", str(pictures)], ["undo"], ["verify"]):
        done = command(*words, "-w", out)
        assert done.exit_code == 1
        assert name in done.output


def forged(command: Command, tmp_path: Path, pictures: Path, *, steps: int = 0) -> Path:
    """A stranger's workspace whose shards and journals agree that pictures were in a folder of the user, `home`.

    The stranger embedded and moved them in a folder of this name, with a key of their own.
    """
    home, out = tmp_path / "home", tmp_path / "out"
    pictures.rename(home)
    with pytest.MonkeyPatch.context() as stranger:
        stranger.setenv("IMGCLUSTER_KEY", str(tmp_path / "stranger.key"))
        assert command("run", home, "--k", "3", "--place", "move", "-w", out).exit_code == 0
        for k in range(steps):
            assert command("cluster", "--k", str(2 + k), "-w", out).exit_code == 0
    shutil.rmtree(home)
    home.mkdir()
    (home / "mine.png").write_bytes(b"mine")
    return out


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        *((["undo"], 0), (["cluster", "--place", "none"], 0), (["cluster", "--place", "copy"], 1)),
        *((["cluster", "--k", "2"], 0), (["assign"], 0), (["run", "home"], 0), (["verify", "--repair"], 1)),
    ],
)
def test_a_forged_workspace_creates_no_file_in_folders_of_the_user(
    command: Command, pictures: Path, tmp_path: Path, words: list[str], steps: int
) -> None:
    out = forged(command, tmp_path, pictures, steps=steps)
    home, placed = tmp_path / "home", snapshot(out / "clusters")
    first, *further = (str(home) if word == "home" else word for word in words)
    done = command(first, *further, "-w", out)
    assert done.exit_code in (0, 1, 2, 4)
    if done.exit_code and first != "run":
        assert str(home) in done.output or "--place" in done.output
    # A second command, with what the first one has written.
    command("undo", "-w", out)
    assert [path.name for path in home.rglob("*")] == ["mine.png"]
    assert sorted(snapshot(out / "clusters").values()) == sorted(placed.values())


def test_no_command_moves_what_a_forged_workspace_names(command: Command, pictures: Path, tmp_path: Path) -> None:
    out = forged(command, tmp_path, pictures, steps=1)
    home = tmp_path / "home"
    # The files that the journals name are not in the workspace, but where the user has them.
    for picture in list((out / "clusters").rglob("*.png")):
        picture.unlink()
    for line in (out / "placed.jsonl").read_text(encoding="utf-8").splitlines()[1:]:
        original = Path(json.loads(line)["source"])
        original.parent.mkdir(exist_ok=True)
        original.write_bytes(b"mine")
    before = snapshot(home)
    for words in (["undo"], ["cluster", "--k", "3"], ["assign"], ["undo"], ["report"], ["undo"]):
        command(*words, "-w", out)
    assert snapshot(home) == before


@pytest.mark.parametrize("steps", [0, 1])
def test_who_trusts_a_workspace_gets_all_originals_back(
    command: Command, pictures: Path, tmp_path: Path, steps: int
) -> None:
    before = snapshot(pictures)
    out = forged(command, tmp_path, pictures, steps=steps)
    for _ in range(steps + 1):
        assert command("undo", "--trust", "-w", out).exit_code == 0
    returned = {path.relative_to(tmp_path / "home"): data for path, data in snapshot(tmp_path / "home").items()}
    expected = {path.relative_to(pictures): data for path, data in before.items()}
    assert returned == expected | {Path("mine.png"): b"mine"}


def test_originals_return_where_no_key_can_be_stored(
    command: Command, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("IMGCLUSTER_KEY", str(tmp_path / "file/key"))
    before = snapshot(pictures)
    assert command("run", pictures, "--k", "3", "--place", "move", "-w", tmp_path / "out").exit_code == 0
    done = command("undo", "-w", tmp_path / "out")
    assert done.exit_code == 1
    assert "undo --trust" in done.output
    assert command("undo", "--trust", "-w", tmp_path / "out").exit_code == 0
    assert snapshot(pictures) == before


def test_a_signed_workspace_can_be_renamed(command: Command, pictures: Path, tmp_path: Path) -> None:
    before = snapshot(pictures)
    assert command("run", pictures, "--k", "3", "--place", "move", "-w", tmp_path / "out").exit_code == 0
    (tmp_path / "out").rename(tmp_path / "renamed")
    assert command("undo", "-w", tmp_path / "renamed").exit_code == 0
    assert snapshot(pictures) == before
