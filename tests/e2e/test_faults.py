"""Kills and failing file-system calls at every call of every command that changes something.

After each the workspace opens, repeating the command gives what it gives undisturbed, and every original exists exactly
once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pytest
from faults import FILLER, FaultServer, Outcome, fill, some_calls
from PIL import Image

import imgcluster
import pages
from samples import paint
from tiny_models import mean_colour

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="needs fork")

# The commands before the tested one, and that one: PICTURES, ENCODER and PLAN stand for paths.
_EMBED = ["embed", "PICTURES", "--encoder", "ENCODER", "--workers", "1", "--device", "cpu"]
# One start of k-means takes less time, and touches the same files.
_K3: Final = ["--k", "3", "--n-init", "1"]
_RUN = ["run", *_EMBED[1:], *_K3]
SCENARIOS: Final[dict[str, tuple[list[list[str]], list[str]]]] = {
    "embed": ([], _EMBED),
    "embed with readers": ([["MANY"]], [*_EMBED[:4], "--workers", "2", "--device", "cpu"]),
    "embed again": ([_EMBED, ["CHANGE"]], _EMBED),
    "embed fresh": ([_RUN, ["CHANGE"]], [*_EMBED, "--fresh"]),
    "embed shard": ([[*_EMBED, "--shard", "0/2"]], [*_EMBED, "--shard", "1/2"]),
    "embed finish": ([[*_EMBED, "--shard", "0/2"], [*_EMBED, "--shard", "1/2"]], ["embed", "--finish"]),
    "cluster": ([_EMBED], ["cluster", *_K3]),
    "cluster move": ([_EMBED], ["cluster", *_K3, "--place", "move"]),
    "cluster again": ([[*_RUN, "--place", "move"]], ["cluster", "--k", "2", *_K3[2:]]),
    "cluster otherwise": ([[*_RUN, "--place", "copy"]], ["cluster", *_K3, "--place", "move"]),
    "run": ([], [*_RUN, "--place", "move"]),
    "assign": ([[*_RUN, "--place", "move"], ["ADD"], _EMBED], ["assign"]),
    "assign copies": ([[*_RUN, "--place", "copy"], ["CHANGE"], ["EDIT"], _EMBED], ["assign"]),
    "apply": ([[*_RUN, "--place", "move"], ["PLAN", "names", "merges", "misplaced"]], ["apply", "PLAN"]),
    "set aside": ([["COPY"], _RUN, ["duplicates"], ["PLAN", "set_aside"]], ["apply", "PLAN"]),
    "undo": ([[*_RUN, "--place", "move"], ["PLAN", "names", "merges"], ["apply", "PLAN"]], ["undo"]),
    "undo set aside": ([["COPY"], _RUN, ["PLAN", "set_aside"], ["apply", "PLAN"]], ["undo"]),
    "undo placement": ([[*_RUN, "--place", "move"]], ["undo"]),
}
_PLAN: Final[dict[str, Any]] = {
    "names": {"0": "first"},
    "merges": [{"from": 1, "into": 2}],
    "misplaced": [{"path": "red/00.png", "to": 2}],
    "set_aside": ["red/copy.png"],
}
_ERRORS: Final = ("EIO", "ENOSPC", "EACCES")


class Case:
    """A scenario up to the tested command, which can be restored and run again.

    Attributes:
        pictures: The folder of the originals.
        out: The workspace.
        expected: The state after the undisturbed command.
        calls: The number of its file-system calls.
        seconds: Its wall-clock time.
    """

    def __init__(self, server: FaultServer, name: str, folder: Path, other: Path | None = None) -> None:
        self._server, self._kept = server, folder / "kept"
        self.out, self.pictures = folder / "work/out", (other or folder / "work") / "pictures"
        self._encoder, self._plan = folder / "tiny.onnx", folder / "plan.json"
        mean_colour(self._encoder)
        self.out.parent.mkdir(parents=True)
        paint(self.pictures, per_folder=3)
        before, self.words = SCENARIOS[name]
        for words in before:
            self._prepare(words)
        self.out.mkdir(exist_ok=True)
        self.originals = self._originals()
        shutil.copytree(self.out, self._kept / "out", symlinks=True)
        shutil.copytree(self.pictures, self._kept / "pictures", symlinks=True)
        outcome = self.run()
        assert outcome.code == 0, outcome.stderr
        self.calls, self.seconds, self.expected = outcome.calls, outcome.seconds, self.state()
        assert self._originals() == self.originals

    def run(self, **fault: Any) -> Outcome:
        """Run the tested command."""
        return self._server.run(self._words(self.words), [self.out, self.pictures], **fault)

    def restore(self) -> None:
        """Restore the state before the tested command."""
        for folder in (self.out, self.pictures):
            shutil.rmtree(folder)
            shutil.copytree(self._kept / folder.name, folder, symlinks=True)

    def disturb(self, *, full: tuple[Path, int] | None = None, **fault: Any) -> None:
        """Run the command with a fault, then undisturbed, and check that nothing is lost.

        A fault can also be that a disk is `full` but for some KB.
        """
        self.restore()
        if full is not None:
            fill(full[0], left=full[1])
        outcome = self.run(**fault)
        if full is not None:
            (full[0] / FILLER).unlink()
            assert outcome.code in (0, 3) or str(full[0]) in outcome.stderr, (full, outcome.stderr)
        assert "Traceback" not in outcome.stderr, (fault, outcome.stderr)
        assert self._originals() >= self.originals, (fault, outcome.stderr)
        problems = self._problems()
        # A command that went on without what failed, such as a cache or an unreadable picture, succeeded.
        if outcome.code not in (0, 3) and (problems or self.state() != self.expected):
            again = self.run()
            assert again.code == 0, (fault, outcome.stderr, again.stderr)
            assert self.state() == self.expected, (fault, outcome.stderr)
            problems = self._problems()
        assert self._originals() == self.originals, (fault, outcome.stderr)
        assert not problems, (fault, outcome.stderr, problems)

    def _problems(self) -> list[imgcluster.Finding]:
        if not (self.out / ".imgcluster").exists():
            return []
        found = imgcluster.verify(workspace=self.out, quick=True).findings
        return [finding for finding in found if finding.level == "problem"]

    def state(self) -> dict[str, str]:
        """Return the tables, the vectors, the placed files, the originals and the steps."""
        tables = ("assignments.csv", "clusters.csv", "skipped.csv", "decisions.json")
        found = {name: digest(self.out / name) for name in tables if (self.out / name).exists()}
        for shard in self.out.rglob("embeddings/*.parquet"):
            if "applied" not in shard.parts:
                rows = pq.read_table(shard, columns=["path", "embedding"], partitioning=None).to_pylist()
                found |= {f"row {row['path']}": str(row["embedding"]) for row in rows}
        if (self.out / ".imgcluster").exists():
            found["steps"] = str([step.command for step in imgcluster.history(workspace=self.out).steps])
        for folder in (self.out / "clusters", self.out / "duplicates", self.pictures):
            for path in folder.rglob("*"):
                if path.is_symlink() or path.is_file():
                    found[f"{folder.name}/{path.relative_to(folder)}"] = digest(path)
        return found

    def _originals(self) -> Counter[str]:
        """Return how often each content exists, links and copies of files that are in their folders excepted."""
        here = list(self.pictures.rglob("*.png"))
        known = set(map(digest, here))
        placed = [path for path in (self.out / "clusters").rglob("*.png") if not path.is_symlink()]
        journal = self.out / "placed.jsonl"
        moved = (
            journal.exists() and json.loads(journal.read_text(encoding="utf-8").partition("\n")[0])["mode"] == "move"
        )
        files = [path for path in placed if moved or digest(path) not in known]
        files += (self.out / "duplicates").rglob("*.png")
        known |= set(map(digest, files))
        # Copies that were put away, because they could not be compared, count where they are the only ones.
        files += [path for path in (self.out / "outdated").rglob("*.png") if digest(path) not in known]
        return Counter(map(digest, [*here, *files]))

    def _words(self, words: list[str]) -> list[str]:
        paths = {"PICTURES": str(self.pictures), "ENCODER": str(self._encoder), "PLAN": str(self._plan)}
        return [*(paths.get(word, word) for word in words), "-w", str(self.out), "-q"]

    def _prepare(self, words: list[str]) -> None:
        if words[0] == "CHANGE":
            (self.pictures / "red/00.png").unlink()
            (self.pictures / "red/01.png").rename(self.pictures / "red/renamed.png")
            self._add()
        elif words[0] == "EDIT":
            Image.new("RGB", (12, 10), (30, 60, 210)).save(self.pictures / "blue/00.png")
        elif words[0] == "ADD":
            self._add()
        elif words[0] == "MANY":
            paint(self.pictures, per_folder=40)
        elif words[0] == "COPY":
            shutil.copyfile(self.pictures / "red/00.png", self.pictures / "red/copy.png")
        elif words[0] == "PLAN":
            identity = pages.read(self.out / "report.html").document["identity"]
            plan = {"imgcluster_plan": 1, "clustering": identity, **{name: _PLAN[name] for name in words[1:]}}
            self._plan.write_text(json.dumps(plan), encoding="utf-8")
        else:
            outcome = self._server.run(self._words(words), [self.out])
            assert outcome.code == 0, outcome.stderr

    def _add(self) -> None:
        generator = np.random.default_rng(7)
        for number in range(2):
            pixels = np.clip(np.array((200, 30, 30)) + generator.normal(0, 12, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(self.pictures / f"new {number}.png")


def digest(path: Path) -> str:
    return os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    yield server
    server.close()


@pytest.fixture
def other_device(tmp_path: Path) -> Iterator[Path]:
    """A folder on another device than the workspace."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or os.stat(shared).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no other device")
    folder = Path(tempfile.mkdtemp(prefix="imgcluster-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["embed again", "apply"])
def test_a_kill_at_some_calls(server: FaultServer, tmp_path: Path, name: str) -> None:
    case = Case(server, name, tmp_path)
    for at in np.random.default_rng().choice(case.calls, 2, replace=False).tolist():
        case.disturb(fault="kill", at=at)


def test_a_failing_call(server: FaultServer, tmp_path: Path) -> None:
    case = Case(server, "cluster move", tmp_path)
    for error, at in zip(_ERRORS, np.random.default_rng().choice(case.calls, 3).tolist(), strict=True):
        case.disturb(fault=error, at=at)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_every_call(server: FaultServer, tmp_path: Path, name: str) -> None:
    case = Case(server, name, tmp_path)
    for at in some_calls(case.calls):
        case.disturb(fault="kill", at=at)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_kills_at_random_moments(server: FaultServer, tmp_path: Path, name: str) -> None:
    case = Case(server, name, tmp_path)
    for after in np.random.default_rng().uniform(0, case.seconds, len(some_calls(100))).tolist():
        case.disturb(fault="kill", after=after)


MOVING: Final = [name for name in SCENARIOS if not name.startswith("embed") and name != "cluster"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVING)
def test_a_kill_at_every_call_across_devices(
    server: FaultServer, tmp_path: Path, other_device: Path, name: str
) -> None:
    case = Case(server, name, tmp_path, other_device)
    for at in some_calls(case.calls):
        case.disturb(fault="kill", at=at)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("turn", range(3))
def test_an_error_at_every_call(server: FaultServer, tmp_path: Path, turn: int, name: str) -> None:
    """Every turn tries every call, with another error."""
    case = Case(server, name, tmp_path)
    for at in some_calls(case.calls):
        case.disturb(fault=_ERRORS[(at + turn) % 3], at=at)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("turn", range(3))
def test_every_write(server: FaultServer, tmp_path: Path, turn: int, name: str) -> None:
    """Also of libraries in C++, and when files are flushed; every turn tries every call, with another fault."""
    if not server.sees_writes:
        pytest.skip("there is no C compiler, or this is not Linux")
    case = Case(server, name, tmp_path)
    case.restore()
    for at in some_calls(case.run(writes=True).calls):
        case.disturb(fault=("kill", "EIO", "ENOSPC")[(at + turn) % 3], at=at, writes=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_short_writes(server: FaultServer, tmp_path: Path, name: str) -> None:
    case = Case(server, name, tmp_path)
    for most_bytes in (0, 1, 100, 300, 1000, 3000, 6000, 10_000, 30_000, 100_000):
        case.disturb(fault="EFBIG", most_bytes=most_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_full_disks(server: FaultServer, small_disk: Path, name: str) -> None:
    case = Case(server, name, small_disk)
    for left in (0, 4, 8, 16, 32, 64, 128, 256):
        case.disturb(full=(small_disk, left))
