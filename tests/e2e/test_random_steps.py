"""Random steps on a growing collection, with linked and with moved originals, and with kills in between.

After each step every original exists exactly once, the tables list every image once, files are in the folders of their
clusters, and decisions hold. Undoing a step restores the state before it, byte for byte.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image

import imgcluster
from imgcluster import PlanError, WorkspaceError
from interruptions import killing_at
from samples import paint
from tiny_models import mean_colour

_KILLS = st.one_of(st.none(), st.none(), st.integers(0, 30))
_ENDINGS = (".png", ".jpg", ".nef")
_INDEX = st.integers(0, 10**6)


class Collection(RuleBasedStateMachine):
    """A folder of pictures and its workspace."""

    place = "symlink"

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="random-steps-"))
        self.pictures, self.out = self.folder / "pictures", self.folder / "out"
        self.encoder = mean_colour(self.folder / "tiny.onnx")
        self.numbers = itertools.count()
        paint(self.pictures, per_folder=4)
        self.expected = digests(self.pictures)
        self.deleted: Counter[str] = Counter()
        imgcluster.run(self.pictures, workspace=self.out, encoder=self.encoder, device="cpu", k=3, place=self.place)
        self.before: list[dict[str, Any]] = []
        self.first = self.snapshot()

    # Steps of the user among the files.

    @rule(color=st.tuples(*[st.integers(0, 255)] * 3), count=st.integers(1, 3))
    def add(self, color: tuple[int, ...], count: int) -> None:
        for number in itertools.islice(self.numbers, count):
            noise = np.random.default_rng(number).normal(0, 12, (12, 10, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            path = self.pictures / f"new {number}.png"
            Image.fromarray(pixels).save(path)
            self.expected += Counter([digest(path)])

    @rule(color=st.tuples(*[st.integers(0, 255)] * 3))
    def add_pair(self, color: tuple[int, ...]) -> None:
        """Add a JPEG with its camera raw file, which by itself could not be read."""
        number = next(self.numbers)
        jpeg, raw = (self.pictures / f"pair {number}{ending}" for ending in (".jpg", ".nef"))
        Image.new("RGB", (12, 10 + number), color).save(jpeg)
        raw.write_bytes(f"raw {number}".encode())
        self.expected += digests_of([jpeg, raw])

    @rule(index=_INDEX)
    def delete(self, index: int) -> None:
        files = self.originals()
        if len(files) > 8:
            path = files[index % len(files)]
            self.expected -= Counter([digest(path)])
            self.deleted += Counter([digest(path)])
            path.unlink()

    @rule(index=_INDEX)
    def rename(self, index: int) -> None:
        files = sorted(self.pictures.rglob("*.png"))
        if files:
            path = files[index % len(files)]
            path.rename(path.with_name(f"renamed {next(self.numbers)}.png"))

    # Commands.

    @rule(kill=_KILLS)
    def grow(self, kill: int | None) -> None:
        def embed() -> object:
            return imgcluster.embed(self.pictures, workspace=self.out, encoder=self.encoder, device="cpu")

        self.step(embed, kill)
        self.step(lambda: imgcluster.assign(workspace=self.out), kill)

    @rule(k=st.integers(1, 4), level=st.sampled_from(["", "coarse", "fine"]), kill=_KILLS)
    def cluster(self, k: int, level: str, kill: int | None) -> None:
        self.step(lambda: imgcluster.cluster(workspace=self.out, k=k, level=level or None, seed=k), kill)

    @rule(index=_INDEX, to=_INDEX, kill=_KILLS)
    def correct(self, index: int, to: int, kill: int | None) -> None:
        images, clusters = self.assigned(), self.clusters()
        path = sorted(images)[index % len(images)]
        target = clusters[to % len(clusters)] if clusters else -1
        self.plan(kill, misplaced=[{"path": path, "to": target if target >= 0 else "noise"}])

    @rule(index=_INDEX, other=_INDEX, kill=_KILLS)
    def merge(self, index: int, other: int, kill: int | None) -> None:
        clusters = self.clusters()
        if len(clusters) > 1:
            source = clusters.pop(index % len(clusters))
            self.plan(kill, merges=[{"from": source, "into": clusters[other % len(clusters)]}])

    @rule(index=_INDEX, kill=_KILLS)
    def name(self, index: int, kill: int | None) -> None:
        clusters = self.clusters()
        if clusters:
            self.plan(kill, names={str(clusters[index % len(clusters)]): f"name {next(self.numbers)}"})

    @rule(index=_INDEX, kind=st.sampled_from(["unsorted", "pinned", "new", "set_aside"]), kill=_KILLS)
    def decide(self, index: int, kind: str, kill: int | None) -> None:
        images = sorted(self.assigned())
        path = images[index % len(images)]
        if kind == "new":
            self.plan(kill, new_clusters=[{"name": f"made {next(self.numbers)}", "images": [path]}])
        else:
            self.plan(kill, **{kind: [path]})

    @precondition(lambda self: self.before)
    @rule()
    def undo(self) -> None:
        imgcluster.undo(workspace=self.out)
        self.compare(self.before.pop())

    def teardown(self) -> None:
        while self.before:
            self.undo()
        if hasattr(self, "first"):
            assert imgcluster.history(workspace=self.out).steps == ()
            self.compare(self.first, but=("manifest.json", "skipped.csv"))
            imgcluster.undo(workspace=self.out)
            assert digests(self.pictures) == self.expected
        shutil.rmtree(self.folder, ignore_errors=True)

    # What holds after each step.

    @invariant()
    def every_original_exists_once(self) -> None:
        assert Counter(map(digest, self.originals())) == self.expected

    @invariant()
    def every_image_is_in_one_row(self) -> None:
        with (self.out / "assignments.csv").open(encoding="utf-8", newline="") as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        assert len(set(paths)) == len(paths)

    @invariant()
    def files_are_in_the_folders_of_their_clusters(self) -> None:
        aside = self.set_aside()
        sizes = Counter(number for path, number in self.assigned().items() if path not in aside)
        placed: Counter[int] = Counter()
        for path in (self.out / "clusters").glob("*/*"):
            if path.suffix == ".nef":
                # Its JPEG is beside it, unless the user deleted that.
                assert self.deleted or path.with_suffix(".jpg").exists()
                continue
            number = re.match(r"cluster_(\d+)", path.parent.name)
            placed[int(number[1]) if number else -1] += 1
        assert all(count <= sizes[number] for number, count in placed.items())
        # A file that was renamed after the state that `undo` restored is not found under its old name.
        if not self.deleted and not self.renamed:
            assert placed == sizes

    @invariant()
    def verify_finds_no_problem(self) -> None:
        found = imgcluster.verify(workspace=self.out, quick=True).findings
        # A moved picture that the user deleted counts as lost until the next `embed`.
        lost = [finding for finding in found if self.deleted and "at neither path" in finding.message]
        assert [finding for finding in found if finding.level == "problem" and finding not in lost] == []

    @invariant()
    def decisions_hold(self) -> None:
        path = self.out / "decisions.json"
        if not path.exists():
            return
        decisions = json.loads(path.read_text(encoding="utf-8"))
        assigned, clusters = self.assigned(), self.clusters()
        base = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))["base"]
        for image in decisions["images"]:
            name = os.path.relpath(image["path"], base)
            if name in assigned and (image["cluster"] in clusters or image["cluster"] == -1):
                assert assigned[name] == image["cluster"]
        with (self.out / "clusters.csv").open(encoding="utf-8", newline="") as file:
            names = {row["cluster"]: row["name"] for row in csv.DictReader(file)}
        for number, text in decisions["names"].items():
            assert names.get(number, text) == text

    # Helpers.

    def originals(self) -> list[Path]:
        folders = [self.pictures, self.out / "duplicates"]
        folders += [] if self.place == "symlink" else [self.out / "clusters"]
        return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in _ENDINGS)

    def set_aside(self) -> set[str]:
        """Return the paths of the images in the folder of duplicates."""
        journal = self.out / "set_aside.jsonl"
        if not journal.exists():
            return set()
        base = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))["base"]
        entries = map(json.loads, journal.read_text(encoding="utf-8").splitlines()[1:])
        return {os.path.relpath(entry["source"], base) for entry in entries if (self.out / entry["target"]).exists()}

    def assigned(self) -> dict[str, int]:
        with (self.out / "assignments.csv").open(encoding="utf-8", newline="") as file:
            return {row["path"]: int(row["cluster"]) for row in csv.DictReader(file)}

    def clusters(self) -> list[int]:
        return sorted(set(self.assigned().values()) - {-1})

    def plan(self, kill: int | None, **changes: Any) -> None:
        identity = plan_identity(self.out)
        path = self.folder / "plan.json"
        path.write_text(json.dumps({"imgcluster_plan": 1, "clustering": identity, **changes}), encoding="utf-8")
        self.step(lambda: imgcluster.apply(path, workspace=self.out), kill)

    def step(self, command: Callable[[], object], kill: int | None) -> None:
        """Run a command, once more if it was killed, and remember the state before it if it is a step."""
        before, steps = self.snapshot(), len(imgcluster.history(workspace=self.out).steps)
        if kill is not None:
            with pytest.MonkeyPatch.context() as patch:
                killing_at(patch, kill)
                try:
                    command()
                except KeyboardInterrupt:
                    self.every_original_exists_once()
                except (PlanError, WorkspaceError):
                    return
        if len(imgcluster.history(workspace=self.out).steps) == steps or not (self.out / "metrics.json").exists():
            # A plan that contradicts itself or the tables, or corrections that cannot be kept.
            with contextlib.suppress(PlanError, WorkspaceError):
                command()
        if len(imgcluster.history(workspace=self.out).steps) > steps:
            self.before.append(before)

    def snapshot(self) -> dict[str, Any]:
        """Return all files but those that `undo` does not restore; of moved and linked files their contents."""
        found: dict[str, Any] = {}
        for path in self.out.rglob("*"):
            name = path.relative_to(self.out).as_posix()
            if not path.is_dir() and not name.startswith(
                (".lock", "applied/", "outdated/", "clusters/", "reduction.npz")
            ):
                found[name] = path.read_bytes()
        found["clusters"] = {
            path.relative_to(self.out).as_posix(): os.readlink(path) if path.is_symlink() else digest(path)
            for path in (self.out / "clusters").glob("*/*")
        }
        return found

    def compare(self, before: dict[str, Any], *, but: tuple[str, ...] = ()) -> None:
        now = self.snapshot()
        if self.deleted or self.renamed:
            # What the user deleted or renamed cannot be placed again, or set aside.
            but = (*but, "placed.jsonl", "set_aside.jsonl", "report.html", "clusters")
        differing = [name for name in {*before, *now} if before.get(name) != now.get(name) and name not in but]
        assert not differing

    @property
    def renamed(self) -> bool:
        return any(path.name.startswith("renamed") for path in self.originals())


class MovedCollection(Collection):
    """The same with moved originals."""

    place = "move"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(*folders: Path) -> Counter[str]:
    return digests_of(path for folder in folders for path in folder.rglob("*") if path.suffix in _ENDINGS)


def digests_of(paths: Iterable[Path]) -> Counter[str]:
    return Counter(map(digest, paths))


def plan_identity(out: Path) -> str:
    import pages

    return str(pages.read(out / "report.html").document["identity"])


def run(machine: type[Collection], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.parametrize("machine", [Collection, MovedCollection])
def test_random_steps(machine: type[Collection]) -> None:
    run(machine, 2, 20)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Collection, MovedCollection])
def test_many_random_steps(machine: type[Collection]) -> None:
    run(machine, 60, 20)
