"""Workspaces in object storage: the same results as in a folder, and nothing lost, whatever the store does."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from local_s3 import Bucket
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster import ImgclusterError, UsageError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.commands.support.stored_workspace import local_workspace
from imgcluster.errors import SourceError, WorkspaceInUseError
from imgcluster.images.remote import RemoteImages
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.workspace.local_copy import local_copy
from samples import paint

STORE = "s3://bucket/ws"
LIST = "ws/imgcluster-workspace.json"
OBJECTS = "ws/imgcluster-files/"
TABLES = ("assignments.csv", "clusters.csv", "skipped.csv", "placed.jsonl", "report.html", "decisions.json")


@pytest.fixture
def embed(tiny_encoder: Path) -> Callable[..., imgcluster.EmbedSummary]:
    def run(workspace: str | Path = STORE, paths: str | Path = "s3://bucket/in") -> imgcluster.EmbedSummary:
        return imgcluster.embed(paths, workspace=workspace, encoder=tiny_encoder, device="cpu", workers=1)

    return run


_MADE: dict[str, bytes] = {}


@pytest.fixture
def made(bucket: Bucket, embed: Callable[..., imgcluster.EmbedSummary]) -> Bucket:
    """A bucket with a clustering of its pictures, which is computed once."""
    if not _MADE:
        embed()
        imgcluster.cluster(workspace=STORE, k=3)
        _MADE.update(state(bucket))
    bucket.objects |= _MADE
    bucket.times[LIST] = "2026-01-02T03:30:00"
    imgcluster.history(workspace=STORE)
    return bucket


def stored(bucket: Bucket) -> dict[str, bytes]:
    """Return the files of the workspace as another computer reads them."""
    files = json.loads(bucket.objects[LIST])["files"]
    return {path: bucket.objects[OBJECTS + file["sha256"]] for path, file in files.items()}


def state(bucket: Bucket) -> dict[str, bytes]:
    return {key: data for key, data in bucket.objects.items() if key.startswith("ws/")}


def other_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "other") -> None:
    monkeypatch.setenv("IMGCLUSTER_COPIES", str(tmp_path / name))


def rename(out: str | Path, folder: Path, name: str = "Sea", **options: object) -> None:
    """Give cluster 0 a name, by a plan of the page."""
    if out == STORE:
        imgcluster.history(workspace=STORE)  # fetches it
    page = pages.read((local_copy(STORE) if out == STORE else Path(out)) / "report.html")
    plan = {"imgcluster_plan": 1, "clustering": page.document["identity"], "names": {"0": name}}
    file = folder / f"plan-{name}.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(file, workspace=out)


def test_all_commands_give_the_files_of_a_local_workspace(
    bucket: Bucket,
    embed: Callable[..., imgcluster.EmbedSummary],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def step(number: int, out: str | Path) -> None:
        if number == 0:
            embed(out)
            imgcluster.cluster(workspace=out, k=3)
        elif number == 1:
            rename(out, tmp_path)
            bucket.objects["in/red/new.png"] = bucket.objects["in/red/00.png"] + b"more"
            embed(out)
            imgcluster.assign(workspace=out)
        elif number == 2:
            imgcluster.duplicates(workspace=out)
        else:
            imgcluster.undo(workspace=out)

    local = tmp_path / "local"
    for number in range(4):
        for out in (local, STORE):
            step(number, out)
        files = stored(bucket)
        for name in TABLES:
            path = local / name
            assert (name in files) == path.exists(), (number, name)
            if path.exists():
                expected = path.read_bytes().replace(str(local).encode(), STORE.encode())
                assert files[name] == expected, (number, name)
        # The next step on another computer.
        other_computer(monkeypatch, tmp_path, f"computer-{number}")
    everything = b"".join(state(bucket).values())
    assert str(tmp_path).encode() not in everything
    assert b"the-secret" not in everything
    assert not imgcluster.verify(workspace=STORE).findings
    past, expected_past = imgcluster.history(workspace=STORE), imgcluster.history(workspace=local)
    assert [step.command for step in past.steps] == [step.command for step in expected_past.steps]
    assert imgcluster.load(STORE).paths == imgcluster.load(local).paths


def test_only_what_changed_is_transferred(made: Bucket) -> None:
    made.requests.clear()
    imgcluster.history(workspace=STORE)
    imgcluster.report_page(workspace=STORE)
    assert not [key for method, key in made.requests if key.startswith(OBJECTS) or method in ("PUT", "POST")]
    imgcluster.cluster(workspace=STORE, k=2)
    written = {key for method, key in made.requests if method == "PUT" and key.startswith(OBJECTS)}
    shards = {
        OBJECTS + file["sha256"]
        for path, file in json.loads(made.objects[LIST])["files"].items()
        if path.startswith("embeddings/")
    }
    assert shards
    assert not written & shards
    assert not [key for method, key in made.requests if method == "GET" and key.startswith(OBJECTS)]


def change(name: str, on_progress: OnProgress = ignore_progress) -> None:
    """Change files of the workspace as a command does: a large one, a small one, and one that is removed."""
    with local_workspace(STORE, on_progress) as folder:
        Path(folder, "report.html").write_text(name * 1000, encoding="utf-8")
        Path(folder, "decisions.json").write_text(name, encoding="utf-8")
        Path(folder, "placed.jsonl").unlink(missing_ok=True)


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_an_upload_can_be_interrupted_at_every_request(
    made: Bucket, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers see the old state or the new one, and repeating the command completes it."""
    for number in itertools.count(0, step):
        before = stored(made)
        requests = 0

        def fail(method: str, key: str, count: int, last: int = number) -> int:
            nonlocal requests
            requests += 1
            return 403 if requests > last else 0

        made.fail = fail
        text = f"decided {number}"
        try:
            change(text)
        except SourceError:
            assert stored(made) == before
        made.fail = lambda *_: 0
        is_done = requests <= number
        other_computer(monkeypatch, tmp_path, f"reader-{number}")
        with local_workspace(STORE, ignore_progress) as folder:
            seen = {path: Path(folder, path).read_bytes() for path in stored(made)}
        assert seen == stored(made)
        other_computer(monkeypatch, tmp_path, "copies")
        change(text)
        assert stored(made)["decisions.json"] == text.encode()
        if is_done:
            break
    assert number > 20
    assert not list(local_copy(STORE).parent.glob("not-uploaded-*"))


def test_an_interrupted_command_is_completed_by_the_next(made: Bucket) -> None:
    before = state(made)

    def interrupt(step: imgcluster.Progress) -> None:
        if step.stage == "report":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgcluster.cluster(workspace=STORE, k=2, on_progress=interrupt)
    imgcluster.history(workspace=STORE)
    assert state(made) == before
    imgcluster.cluster(workspace=STORE, k=2)
    assert len(imgcluster.load(STORE).clusters) == 2
    assert not imgcluster.verify(workspace=STORE).findings


def test_undo_that_was_not_uploaded_is_not_repeated(made: Bucket) -> None:
    for k in (2, 4):
        imgcluster.cluster(workspace=STORE, k=k)
    before = state(made)
    made.fail = lambda method, key, count: 403 if method in ("PUT", "POST") else 0
    with pytest.raises(SourceError, match="next command"):
        imgcluster.undo(workspace=STORE)
    assert state(made) == before
    made.fail = lambda *_: 0
    assert imgcluster.undo(workspace=STORE).what == "cluster"
    assert len(imgcluster.history(workspace=STORE).steps) == 1
    assert imgcluster.undo(workspace=STORE).what == "cluster"
    assert not imgcluster.history(workspace=STORE).steps


def test_an_answer_that_is_lost_is_no_conflict(made: Bucket, tmp_path: Path) -> None:
    """The list is written, but the command does not hear of it."""

    def fail(method: str, key: str, count: int) -> int:
        if key == LIST and method == "POST" and "ws/lost" not in made.objects:
            made.objects["ws/lost"] = b""
            return 403
        return 0

    made.fail = fail
    with pytest.raises(SourceError):
        rename(STORE, tmp_path)
    del made.objects["ws/lost"]
    made.fail = lambda *_: 0
    home = local_copy(STORE).parent
    made.objects[LIST] = (home / "sent.json").read_bytes()
    imgcluster.report_page(workspace=STORE)
    assert imgcluster.load(STORE).clusters[0]["name"] == "Sea"
    assert not list(home.glob("not-uploaded-*"))


def test_two_commands_at_once(made: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imgcluster.history(workspace=STORE)
    other_computer(monkeypatch, tmp_path)
    rename(STORE, tmp_path, "Forest")
    other_computer(monkeypatch, tmp_path, "copies")
    winner = dict(state(made))

    # The other command ends while this one has begun.
    def report(step: imgcluster.Progress) -> None:
        if step.stage == "load":
            made.objects.update(winner)

    begun = winner | {LIST: (local_copy(STORE).parent / "list.json").read_bytes()}
    made.objects.update(begun)
    with pytest.raises(WorkspaceInUseError, match="not-uploaded-1") as error:
        imgcluster.cluster(workspace=STORE, k=2, on_progress=report)
    assert len(str(error.value).splitlines()) == 1
    assert state(made) == winner
    kept = local_copy(STORE).parent / "not-uploaded-1"
    assert len(imgcluster.load(kept).clusters) == 2
    # Repeated, the command works on what the other one left.
    imgcluster.cluster(workspace=STORE, k=3)
    assert "Forest" in {row["name"] for row in imgcluster.load(STORE).clusters}


def test_changes_that_were_not_uploaded_are_kept(made: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.fail = lambda method, key, count: 403 if method in ("PUT", "POST") else 0
    with pytest.raises(SourceError, match="credentials"):
        rename(STORE, tmp_path)
    made.fail = lambda *_: 0
    other_computer(monkeypatch, tmp_path)
    imgcluster.cluster(workspace=STORE, k=2)
    after = state(made)
    other_computer(monkeypatch, tmp_path, "copies")
    with pytest.raises(WorkspaceInUseError, match="not-uploaded-1"):
        imgcluster.history(workspace=STORE)
    assert state(made) == after
    assert imgcluster.load(local_copy(STORE).parent / "not-uploaded-1").clusters[0]["name"] == "Sea"
    assert len(imgcluster.load(STORE).clusters) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell when a file was changed")
def test_a_change_that_keeps_size_and_time_is_uploaded(made: Bucket) -> None:
    for _ in range(2):  # by then the digests of all files are remembered
        imgcluster.history(workspace=STORE)
    file = local_copy(STORE) / "assignments.csv"
    before, time = file.read_bytes(), file.stat().st_mtime_ns
    file.write_bytes(before.swapcase())
    os.utime(file, ns=(time, time))
    imgcluster.history(workspace=STORE)
    assert stored(made)["assignments.csv"] == before.swapcase() != before


def test_one_process_of_a_computer_at_a_time(made: Bucket) -> None:
    def report(_: imgcluster.Progress) -> None:
        with pytest.raises(WorkspaceInUseError, match=STORE):
            imgcluster.history(workspace=STORE)

    imgcluster.cluster(workspace=STORE, k=2, on_progress=report)


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "answers that end early"])
def test_damaged_objects_are_named(made: Bucket, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = OBJECTS + json.loads(made.objects[LIST])["files"]["assignments.csv"]["sha256"]
    data = made.objects[key]
    if damage == "changed":
        made.objects[key] = bytes(reversed(data))
    elif damage == "cut":
        made.objects[key] = data[:-1]
    elif damage == "missing":
        del made.objects[key]
    else:
        made.truncate.add(key)
    other_computer(monkeypatch, tmp_path)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(ImgclusterError, match="assignments.csv"):
        imgcluster.load(STORE)
    made.truncate.clear()
    made.objects[key] = data
    assert len(imgcluster.load(STORE).paths) == 24


def test_lists_of_strangers_are_checked(made: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(made.objects[LIST])
    file = content["files"]["assignments.csv"]
    other_computer(monkeypatch, tmp_path)
    for path in (
        "../outside.csv",
        "embeddings/../../x",
        "/etc/x",
        "clusters/a/b.png",
        ".lock",
        "notes.txt",
        "figures\\x",
    ):
        made.objects[LIST] = json.dumps(content | {"files": {**content["files"], path: file}}).encode()
        with pytest.raises(WorkspaceError, match="damaged"):
            imgcluster.load(STORE)
    for wrong in (b"", b"{", b"[]", json.dumps(content | {"format": 2}).encode()):
        made.objects[LIST] = wrong
        with pytest.raises(WorkspaceError, match="damaged|newer"):
            imgcluster.load(STORE)
    made.objects[LIST] = json.dumps(content | {"files": {"manifest.json": file | {"sha256": "../x"}}}).encode()
    with pytest.raises(WorkspaceError, match="damaged"):
        imgcluster.load(STORE)


def test_objects_of_others_are_never_touched(made: Bucket) -> None:
    made.objects |= {"mine/notes.txt": b"mine", "other/x": b"mine"}
    with pytest.raises(WorkspaceError, match="other objects"), local_workspace("s3://bucket/mine", ignore_progress):
        pass
    made.objects |= {"ws/notes.txt": b"mine", OBJECTS + "notes.txt": b"mine", "ws/figures/x.png": b"mine"}
    strange = {key: data for key, data in made.objects.items() if data == b"mine"}
    for number in range(3):
        change(f"{number}")
    assert {key: data for key, data in made.objects.items() if data == b"mine"} == strange


def test_objects_that_no_reader_needs_are_removed(
    made: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = OBJECTS + "0" * 64
    made.objects[leftover] = b"of an interrupted upload"
    before = {OBJECTS + file["sha256"] for file in json.loads(made.objects[LIST])["files"].values()}
    change("1")
    assert leftover not in made.objects
    # A reader that has begun still finds all files.
    assert before <= made.objects.keys()
    running = OBJECTS + "1" * 64
    for number in range(2, 5):
        made.objects[running] = b"of a command that runs"
        made.ticks += 10
        made.times[running] = "2026-02-01T00:00:00"
        change(f"{number}")
        assert running in made.objects
    assert not before <= made.objects.keys()


def test_placing_files_is_refused(made: Bucket, tmp_path: Path, pictures: Path) -> None:
    assert imgcluster.load(STORE).clusters
    before = state(made)
    for call in (
        lambda: imgcluster.cluster(workspace=STORE, k=2, place="copy"),
        lambda: imgcluster.assign(workspace=STORE, place="move"),
        lambda: imgcluster.run("s3://bucket/in", workspace=STORE, place="symlink"),
        lambda: imgcluster.embed("s3://bucket/ws", workspace=STORE),
        lambda: imgcluster.embed("s3://bucket/in", workspace=STORE, shard="0/2"),
    ):
        with pytest.raises(UsageError, match=STORE):
            call()
    assert state(made) == before
    assert imgcluster.cluster(workspace=STORE, k=2, place="none").place == "none"


def test_images_on_this_computer(bucket: Bucket, embed: Callable[..., imgcluster.EmbedSummary], pictures: Path) -> None:
    embed(paths=pictures)
    done = imgcluster.cluster(workspace=STORE, k=3)
    assert (done.workspace, done.place) == (STORE, "manifest")
    links = pages.read(Path(done.report)).links
    assert links[0] == (pictures / "blue/00.png").as_uri()
    assert not (local_copy(STORE) / "clusters").exists()


def test_a_workspace_below_the_images_is_not_searched(made: Bucket) -> None:
    made.objects["ws/imgcluster-files/x.png"] = made.objects["in/red/00.png"]
    found = RemoteImages(("s3://bucket",)).find(lambda *_, **__: True, recursive=True)
    assert sorted(file.path for file in found) == sorted(key for key in made.objects if key.startswith("in/"))


def test_an_address_without_a_workspace(bucket: Bucket, tmp_path: Path, tiny_encoder: Path) -> None:
    for call in (imgcluster.cluster, imgcluster.history, imgcluster.load, imgcluster.verify):
        with pytest.raises(WorkspaceError, match=f"{STORE} does not exist"):
            call(workspace=STORE)
    with pytest.raises(SourceError, match="no bucket other"):
        imgcluster.embed("s3://bucket/in", workspace="s3://other/ws", encoder=tiny_encoder)
    assert not state(bucket)
    assert not list((tmp_path / "copies").glob("*"))


def test_the_command_line(bucket: Bucket, tmp_path: Path, tiny_encoder: Path) -> None:
    arguments = ["run", "s3://bucket/in", "--encoder", str(tiny_encoder), "--device", "cpu", "-k", "3", "-w", STORE]
    dry = CliRunner().invoke(app, [*arguments, "--dry-run", "--json"])
    assert (dry.exit_code, json.loads(dry.stdout)["cluster"]["place"]) == (0, "manifest")
    assert not state(bucket)
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["embed"]["workspace"] == summary["cluster"]["workspace"] == STORE
    assert Path(summary["cluster"]["report"]).is_file()
    # A path makes one slash of two.
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(app, ["report", "-w", "s3:/bucket/ws", "--output", str(page)])
    assert (shown.exit_code, page.is_file()) == (0, True)
    undone = CliRunner().invoke(app, ["undo", "-w", STORE])
    assert undone.exit_code == 0, undone.stderr
    ray = CliRunner().invoke(app, ["cluster", "--ray", "-w", STORE])
    assert (ray.exit_code, STORE in ray.stderr) == (2, True)
    both = CliRunner().invoke(app, ["evaluate", STORE, "--json"])
    assert json.loads(both.stdout)["rows"][0]["workspace"] == STORE


def test_shards_are_joined_into_the_workspace(made: Bucket, tiny_encoder: Path, tmp_path: Path) -> None:
    single = stored(made)
    for key in state(made):
        del made.objects[key]
    options = {"encoder": tiny_encoder, "device": "cpu", "workers": 1}
    for number in range(2):
        imgcluster.embed_into_store("s3://bucket/in", workspace=STORE, shard=f"{number}/2", **options)
    with pytest.raises(WorkspaceError, match="--finish"):
        imgcluster.cluster(workspace=STORE, k=3)
    joined = imgcluster.finish_shards(STORE)
    assert (joined.workspace, joined.embedded) == (STORE, 24)
    assert not [key for key in made.objects if key.endswith(".zip")]
    imgcluster.cluster(workspace=STORE, k=3)
    assert stored(made)["assignments.csv"] == single["assignments.csv"]
    merged = imgcluster.merge([STORE], workspace=tmp_path / "merged")
    assert merged.embedded == 24


def test_a_shard_that_is_written_again_while_shards_are_joined(
    made: Bucket, tiny_encoder: Path, tmp_path: Path
) -> None:
    for key in state(made):
        del made.objects[key]
    options = {"workspace": STORE, "encoder": tiny_encoder, "device": "cpu", "workers": 1}
    for number in range(2):
        imgcluster.embed_into_store("s3://bucket/in", shard=f"{number}/2", **options)
    first = {key: data for key, data in made.objects.items() if key.endswith(".zip")}
    paint(tmp_path / "more", per_folder=2, seed=5)
    for file in (tmp_path / "more").rglob("*.png"):
        made.objects[f"in/more-{file.parent.name}-{file.name}"] = file.read_bytes()
    for number in range(2):
        imgcluster.embed_into_store("s3://bucket/in", shard=f"{number}/2", **options, fresh=True)
    second = {key: data for key, data in made.objects.items() if key.endswith(".zip")}
    made.objects |= first

    def write_again(method: str, key: str, count: int) -> int:
        if method == "PUT" and key == LIST:
            made.objects.update(second)
            made.times.update(dict.fromkeys(second, "2026-03-01T00:00:00"))
        return 0

    made.fail = write_again
    assert imgcluster.finish_shards(STORE).embedded == 30
    assert not [key for key in made.objects if key.endswith(".zip")]
    assert len(imgcluster.load(STORE).paths) == 30
