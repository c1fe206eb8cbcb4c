"""Shards and merged workspaces: the same files as from one process, whatever happens on the way."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import imgcluster
from imgcluster import EmbedSummary, NoImagesError, UsageError, WorkspaceError
from imgcluster.errors import WorkspaceInUseError
from imgcluster.images import optional_decoders
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.work_shards import WorkShard, work_shards
from interruptions import interrupt_at, killing_at

Embed = Callable[..., EmbedSummary]


@pytest.fixture
def embed(tiny_encoder: Path) -> Embed:
    """`imgcluster.embed` with the tiny encoder."""

    def run(folder: Path, out: Path, **options: object) -> EmbedSummary:
        return imgcluster.embed(folder, workspace=out, encoder=tiny_encoder, device="cpu", workers=1, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def mixed(pictures: Path) -> Path:
    """Pictures, one that is damaged, and a file that is not an image."""
    (pictures / "red/damaged.jpg").write_bytes((pictures / "red/00.png").read_bytes()[:60])
    (pictures / "notes.txt").write_text("not an image")
    return pictures


def embed_all(embed: Embed, folder: Path, out: Path, count: int, **options: object) -> list[EmbedSummary]:
    return [embed(folder, out, shard=f"{number}/{count}", **options) for number in range(count)]


def contents(out: Path) -> tuple[str, bytes, object]:
    """Return what is stored, without clustering it."""
    return embeddings(out).fingerprint, (out / "skipped.csv").read_bytes(), Workspace(out).manifest["counts"]


def results(out: Path) -> list[bytes]:
    """Cluster, and return what is written about every image."""
    imgcluster.cluster(workspace=out, k=3, place="none")
    counts = json.dumps(json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"])
    return [(out / "assignments.csv").read_bytes(), (out / "skipped.csv").read_bytes(), counts.encode()]


def embeddings(out: Path) -> Embeddings:
    workspace = Workspace(out)
    return load(workspace.embeddings, workspace.manifest["encoder"]["identity"])


COUNTS = ("found", "embedded", "skipped", "new", "changed", "unchanged", "vanished", "renamed", "ignored", "roots")


def counts(summary: EmbedSummary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in COUNTS}


@pytest.mark.parametrize("count", [3, *(pytest.param(count, marks=pytest.mark.slow) for count in (1, 12))])
def test_shards_give_the_files_of_one_process(mixed: Path, tmp_path: Path, embed: Embed, count: int) -> None:
    single = embed(mixed, tmp_path / "single")
    summaries = embed_all(embed, mixed, tmp_path / "out", count)
    assert [summary.shard for summary in summaries] == [f"{number}/{count}" for number in range(count)]
    assert sum(summary.new for summary in summaries) == 24
    assert imgcluster.shards_status(tmp_path / "out").complete
    assert counts(imgcluster.finish_shards(tmp_path / "out")) == counts(single)
    assert results(tmp_path / "out") == results(tmp_path / "single")
    assert not (tmp_path / "out/shards").exists()
    assert imgcluster.shards_status(tmp_path / "out").shards == ()


def change(pictures: Path) -> None:
    """Add, change, touch, damage, remove and rename pictures."""
    Image.new("RGB", (9, 9), (240, 10, 10)).save(pictures / "red/new.png")
    Image.new("RGB", (9, 9), (10, 240, 10)).save(pictures / "green/01.png")
    os.utime(pictures / "green/02.png", (1_000_000_000, 1_000_000_000))
    (pictures / "green/03.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (pictures / "blue/04.png").unlink()
    for number in (5, 6, 7):
        (pictures / f"blue/0{number}.png").rename(pictures / f"red/renamed {number}.png")


def test_shards_update_a_workspace_as_one_process_does(mixed: Path, tmp_path: Path, embed: Embed) -> None:
    single, out = tmp_path / "single", tmp_path / "out"
    embed(mixed, single)
    imgcluster.cluster(workspace=single, k=3, place="none")
    shutil.copytree(single, out)
    change(mixed)
    embed_all(embed, mixed, out, 4)
    assert counts(imgcluster.finish_shards(out)) == counts(embed(mixed, single))
    assert results(out) == results(single)
    imgcluster.undo(workspace=out)
    imgcluster.undo(workspace=single)
    assert (out / "assignments.csv").read_bytes() == (single / "assignments.csv").read_bytes()
    assert imgcluster.load(out).paths == imgcluster.load(single).paths


@pytest.mark.parametrize("command", ["assign", "run"])
def test_assign_and_run_join_shards(
    pictures: Path, tmp_path: Path, embed: Embed, command: str, tiny_encoder: Path
) -> None:
    out, red = tmp_path / "out", pictures / "red"
    embed(pictures, out)
    imgcluster.cluster(workspace=out, k=3, place="none")
    (red / "new.png").write_bytes((red / "00.png").read_bytes() + b"more")
    embed(pictures, out, shard="0/2")

    def go(**options: bool) -> int:
        if command == "assign":
            return imgcluster.assign(workspace=out, **options).assigned
        options |= {"encoder": tiny_encoder, "device": "cpu", "workers": 1}  # type: ignore[dict-item]
        result = imgcluster.run(pictures, workspace=out, **options).cluster
        return getattr(result, "assigned")  # noqa: B009

    with pytest.raises(WorkspaceError, match="1/2"):
        go()
    embed(pictures, out, shard="1/2")
    with pytest.raises(WorkspaceError, match="--finish"):
        go(dry_run=True)
    assert (go(), work_shards(Workspace(out))) == (1, [])


def test_moved_originals_stay(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    out = tmp_path / "out"
    embed(pictures, out)
    imgcluster.cluster(workspace=out, k=3, place="move")
    before = (out / "assignments.csv").read_bytes()
    assert sum(summary.unchanged for summary in embed_all(embed, pictures, out, 3)) == 24
    imgcluster.cluster(workspace=out, k=3)
    assert (out / "assignments.csv").read_bytes() == before
    imgcluster.undo(workspace=out)
    imgcluster.undo(workspace=out)
    assert len(list(pictures.rglob("*.png"))) == 24


def test_a_complete_shard_is_skipped_and_an_interrupted_one_continued(
    pictures: Path, tmp_path: Path, embed: Embed
) -> None:
    out = tmp_path / "out"
    embed(pictures, out, shard="0/2")
    with pytest.raises(KeyboardInterrupt):
        embed(pictures, out, shard="1/2", batch_size=1, on_progress=interrupt_at("embed", 8))
    states = [shard.state for shard in imgcluster.shards_status(out).shards]
    assert states == ["complete", "incomplete"]
    with pytest.raises(WorkspaceError, match="1-of-2"):
        imgcluster.cluster(workspace=out)
    continued = embed(pictures, out, shard="1/2")
    assert 0 < continued.unchanged < continued.embedded
    again = embed(pictures, out, shard="0/2")
    assert (again.new, again.unchanged) == (0, again.embedded)
    assert imgcluster.finish_shards(out).embedded == 24


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_an_interrupted_join_is_completed_by_repeating_it(
    mixed: Path, tmp_path: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    single, start = tmp_path / "single", tmp_path / "start"
    embed(mixed, start)
    imgcluster.cluster(workspace=start, k=3, place="none")
    shutil.copytree(start, single)
    change(mixed)
    embed(mixed, single)
    embed_all(embed, mixed, start, 2)
    expected = contents(single)
    number = 0
    while True:
        out = tmp_path / f"out{number}"
        shutil.copytree(start, out)
        with monkeypatch.context() as patch:
            killing_at(patch, number)
            try:
                imgcluster.finish_shards(out)
                break
            except KeyboardInterrupt:
                pass
        if work_shards(Workspace(out)):
            imgcluster.finish_shards(out)
        assert contents(out) == expected
        assert Workspace(out).manifest["fingerprint"] == expected[0]
        number += step
    assert number > 9


def test_shards_of_the_image_of_a_container(
    pictures: Path, tmp_path: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlay of a container cannot rename folders of its image."""
    out, rename = tmp_path / "out", os.rename
    embed_all(embed, pictures, out, 2)

    def refuse_folders(source: Path, target: Path) -> None:
        if Path(source) == out / "shards":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fspath(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_folders)
    assert imgcluster.finish_shards(out).embedded == 24
    assert not (out / "shards").exists()
    assert imgcluster.cluster(workspace=out, k=3).images == 24


def test_no_process_can_begin_a_shard_while_the_joined_ones_are_removed(
    pictures: Path, tmp_path: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "out", os.rename
    embed_all(embed, pictures, out, 2)
    errors = []

    def beginning_another(source: Path, target: Path) -> None:
        if Path(source) == out / "shards":
            with pytest.raises(WorkspaceError) as error:
                embed(pictures, out, shard="0/2")
            errors.append(error.type)
        rename(source, target)

    monkeypatch.setattr(os, "rename", beginning_another)
    imgcluster.finish_shards(out)
    assert errors == [WorkspaceInUseError]


def test_an_image_of_several_workspaces_counts_once(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    embed(pictures, tmp_path / "all")
    Image.new("RGB", (12, 10), (190, 40, 40)).save(pictures / "red/00.png")
    embed(pictures / "red", tmp_path / "red")
    embed(pictures / "blue", tmp_path / "out")
    merged = imgcluster.merge([tmp_path / "all", tmp_path / "red"], workspace=tmp_path / "out")
    assert (merged.embedded, merged.new, merged.changed, merged.unchanged) == (24, 16, 0, 8)
    again = imgcluster.merge([tmp_path / "all", tmp_path / "red"], workspace=tmp_path / "out")
    assert (again.embedded, again.new, again.unchanged + again.changed) == (24, 0, 24)


def test_gaps_and_strangers_are_refused(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    out = tmp_path / "out"
    embed(pictures, out, shard="0/3")
    embed(pictures, out, shard="2/3")
    with pytest.raises(WorkspaceError, match="1/3"):
        imgcluster.cluster(workspace=out)
    with pytest.raises(WorkspaceError, match="--finish"):
        embed(pictures, out)
    with pytest.raises(WorkspaceError, match="--finish"):
        imgcluster.cluster(workspace=out, dry_run=True)
    embed(pictures, out, shard="1/3", exclude=("*1.png",))
    with pytest.raises(WorkspaceError, match="exclude"):
        imgcluster.finish_shards(out)
    embed(pictures, out, shard="1/3")
    with pytest.raises(WorkspaceError, match="I/3"):
        embed(pictures, out, shard="0/2")
    # Another machine began at the same moment.
    embed(pictures, tmp_path / "other", shard="0/2")
    shutil.copytree(tmp_path / "other/shards/0-of-2", out / "shards/0-of-2")
    with pytest.raises(WorkspaceError, match=r"0-of-2 and shards of 3, such as .*-of-3; delete"):
        imgcluster.finish_shards(out)
    shutil.rmtree(out / "shards/0-of-2")
    lost = next((out / "shards/1-of-3/embeddings").iterdir())
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(WorkspaceError, match="has 0 of its"):
        imgcluster.finish_shards(out)
    lost.write_bytes(kept)
    (out / "shards/1-of-3/of a user.txt").write_text("kept")
    assert imgcluster.finish_shards(out).embedded == 24
    assert (out / "joined_shards/1-of-3/of a user.txt").read_text() == "kept"


def test_a_damaged_manifest_is_refused_and_its_shard_embedded_again(
    pictures: Path, tmp_path: Path, embed: Embed
) -> None:
    out = tmp_path / "out"
    embed_all(embed, pictures, out, 2)
    file = out / "shards/1-of-2/manifest.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"rows"', '"lost"'), encoding="utf-8")
    with pytest.raises(WorkspaceError, match="rows is missing"):
        imgcluster.finish_shards(out)
    again = embed(pictures, out, shard="1/2")
    assert (again.new, again.unchanged) == (0, again.embedded)
    assert imgcluster.finish_shards(out).embedded == 24


def test_shards_of_an_earlier_state_are_refused(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    out = tmp_path / "out"
    embed(pictures / "red", out)
    embed_all(embed, pictures, out, 2)
    aside = tmp_path / "aside"
    (out / "shards").rename(aside)
    embed(pictures / "green", out)
    aside.rename(out / "shards")
    with pytest.raises(WorkspaceError, match="changed"):
        imgcluster.finish_shards(out)
    assert [summary.new for summary in embed_all(embed, pictures, out, 2)] != [0, 0]
    assert imgcluster.finish_shards(out).embedded == 24


def test_fresh_shards_replace_everything(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    out = tmp_path / "out"
    embed(pictures / "red", out)
    imgcluster.cluster(workspace=out, k=1, place="none")
    embed_all(embed, pictures / "green", out, 2, fresh=True)
    assert imgcluster.finish_shards(out).embedded == 8
    assert set(embeddings(out).locations) == {str(path) for path in (pictures / "green").iterdir()}
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["base"] == str(pictures / "green")
    imgcluster.undo(workspace=out)
    assert len(embeddings(out).locations) == 8


@pytest.mark.parametrize("shard", ["2/2", "-1/2", "0/0", "1", "a/b", "0/2/3", ""])
def test_a_shard_is_one_of_several(pictures: Path, tmp_path: Path, embed: Embed, shard: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        embed(pictures, tmp_path / "out", shard=shard)
    assert not (tmp_path / "out").exists()


def test_without_images_nothing_is_joined(tmp_path: Path, embed: Embed) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("not an image")
    embed_all(embed, tmp_path / "empty", tmp_path / "out", 2)
    with pytest.raises(NoImagesError):
        imgcluster.finish_shards(tmp_path / "out")


def test_a_machine_without_the_files_completes_no_shard(pictures: Path, tmp_path: Path, embed: Embed) -> None:
    """The folder of a file system that is not mounted is there, and empty."""
    out, unmounted = tmp_path / "out", tmp_path / "unmounted"
    for _ in range(2):
        embed(pictures, out, shard="0/2")
        pictures.rename(unmounted)
        pictures.mkdir()
        with pytest.raises(NoImagesError, match="no files"):
            embed(pictures, out, shard="1/2")
        with pytest.raises(WorkspaceError, match="1/2"):
            imgcluster.finish_shards(out)
        pictures.rmdir()
        unmounted.rename(pictures)
        embed(pictures, out, shard="1/2")
        assert imgcluster.finish_shards(out).embedded == 24


def test_processes_that_would_divide_the_files_differently_are_refused(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paths of listed files are relative to the current folder, and differ with it."""
    out, files = tmp_path / "out", sorted(pictures.rglob("*.png"))

    def embed(number: int, folder: Path) -> EmbedSummary:
        monkeypatch.chdir(folder)
        return imgcluster.embed(
            files=files, workspace=out, shard=f"{number}/3", encoder=tiny_encoder, device="cpu", workers=1
        )

    for number, folder in enumerate((tmp_path, pictures / "red", tmp_path)):
        embed(number, folder)
    with pytest.raises(WorkspaceError, match=r"1-of-3.*current folder"):
        imgcluster.finish_shards(out)
    assert embed(1, tmp_path).unchanged == 0
    assert imgcluster.finish_shards(out).embedded == 24


def test_another_request_that_is_interrupted_at_its_start_changes_nothing(
    pictures: Path, tmp_path: Path, embed: Embed
) -> None:
    out = tmp_path / "out"
    embed_all(embed, pictures, out, 2)
    with pytest.raises(KeyboardInterrupt):
        embed(pictures / "red", out, shard="1/2", on_progress=interrupt_at("embed"))
    again = embed(pictures, out, shard="1/2")
    assert (again.new, again.notes) == (0, ("Shard 1/2 was complete already.",))
    assert imgcluster.finish_shards(out).embedded == 24


@pytest.mark.parametrize("number", range(4))
def test_another_request_replaces_a_shard_whenever_it_is_killed(
    pictures: Path, tmp_path: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    out = tmp_path / "out"
    embed_all(embed, pictures, out, 2)
    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        killing_at(patch, number)
        embed(pictures / "red", out, shard="1/2")
    for shard in ("0/2", "1/2"):
        embed(pictures / "red", out, shard=shard)
    assert imgcluster.finish_shards(out).embedded == 8
    assert set(embeddings(out).locations) == {str(path) for path in (pictures / "red").iterdir()}


def test_a_complete_shard_is_skipped_also_after_an_interrupted_join(
    pictures: Path, tmp_path: Path, embed: Embed
) -> None:
    out = tmp_path / "out"
    embed_all(embed, pictures, out, 3)
    with pytest.raises(KeyboardInterrupt):
        imgcluster.finish_shards(out, on_progress=interrupt_at("join", 2))
    again = embed(pictures, out, shard="2/3")
    assert (again.new, again.notes) == (0, ("Shard 2/3 was complete already.",))
    assert imgcluster.finish_shards(out).embedded == 24


class TestMerge:
    def test_shards_of_several_machines(self, mixed: Path, tmp_path: Path, embed: Embed) -> None:
        embed(mixed, tmp_path / "single")
        machines = [tmp_path / f"machine{number}" for number in range(3)]
        for number, machine in enumerate(machines):
            embed(mixed, machine, shard=f"{number}/3")
        with pytest.raises(WorkspaceError, match="2/3"):
            imgcluster.merge(machines[:2], workspace=tmp_path / "out")
        with pytest.raises(UsageError, match="twice"):
            imgcluster.merge([*machines, machines[0]], workspace=tmp_path / "out")
        imgcluster.merge(machines, workspace=tmp_path / "out")
        assert contents(tmp_path / "out") == contents(tmp_path / "single")
        # The machines' workspaces are unchanged, so that it can be repeated.
        assert imgcluster.merge(machines, workspace=tmp_path / "again").embedded == 24
        assert imgcluster.merge(machines, workspace=machines[1]).embedded == 24
        assert not (machines[1] / "shards").exists()

    def test_shards_of_the_target_that_are_not_joined_stay(self, pictures: Path, tmp_path: Path, embed: Embed) -> None:
        out, machines = tmp_path / "out", [tmp_path / "machine0", tmp_path / "machine1"]
        embed(pictures / "red", out, shard="0/4")
        for number, machine in enumerate(machines):
            embed(pictures, machine, shard=f"{number}/2")
        embed(pictures / "blue", tmp_path / "blue")
        for sources in (machines, [tmp_path / "blue"]):
            with pytest.raises(WorkspaceError, match="--finish"):
                imgcluster.merge(sources, workspace=out)
        assert [path.name for path in (out / "shards").iterdir()] == ["0-of-4"]

    def test_whole_workspaces(self, mixed: Path, tmp_path: Path, embed: Embed) -> None:
        out = tmp_path / "out"
        embed(mixed, tmp_path / "single")
        for color in ("red", "green", "blue"):
            embed(mixed / color, tmp_path / color)
        merged = imgcluster.merge([tmp_path / color for color in ("red", "green", "blue")], workspace=out)
        assert (merged.embedded, merged.new, merged.skipped) == (24, 24, 1)
        assert contents(out) == contents(tmp_path / "single")
        again = imgcluster.merge([tmp_path / "red"], workspace=out)
        assert (again.embedded, again.new, again.unchanged) == (24, 0, 8)
        assert contents(out) == contents(tmp_path / "single")

    def test_a_file_that_only_one_workspace_could_read(self, mixed: Path, tmp_path: Path, embed: Embed) -> None:
        out, other = tmp_path / "out", tmp_path / "other"
        for first, second in ((other, out), (out, other)):
            # It was still being copied.
            (mixed / "red/00.png").rename(tmp_path / "whole.png")
            (mixed / "red/00.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
            assert embed(mixed, first).skipped == 2
            (tmp_path / "whole.png").rename(mixed / "red/00.png")
            embed(mixed, second)
            merged = imgcluster.merge(other, workspace=out)
            assert (merged.found, merged.embedded, merged.skipped) == (25, 24, 1)
            assert not imgcluster.verify(workspace=out).findings
            shutil.rmtree(out)
            shutil.rmtree(other)

    def test_a_raw_file_that_was_skipped_is_the_second_file_of_a_picture(
        self, pictures: Path, tmp_path: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)
        out, other, raw = tmp_path / "out", tmp_path / "other", pictures / "red/new.dng"
        raw.write_bytes(b"raw")
        assert embed(pictures, out).skipped == 1
        skipped = (out / "skipped.csv").read_bytes()
        Image.new("RGB", (9, 9), "red").save(raw.with_suffix(".jpg"))
        assert embed(pictures, other).paired == 1
        merged = imgcluster.merge(other, workspace=out)
        assert (merged.found, merged.embedded, merged.skipped) == (25, 25, 0)
        assert not imgcluster.verify(workspace=out).findings
        # As an earlier version wrote it.
        (out / "skipped.csv").write_bytes(skipped)
        manifest = Workspace(out).manifest
        manifest["counts"] |= {"found": 26, "skipped": 1}
        Workspace(out).write_manifest(manifest)
        (finding,) = imgcluster.verify(workspace=out).findings
        assert (finding.level, finding.paths) == ("problem", ("red/new.dng",))

    def test_a_new_file_at_the_path_of_a_moved_original_stays_skipped(
        self, pictures: Path, tmp_path: Path, embed: Embed
    ) -> None:
        out = tmp_path / "out"
        embed(pictures / "blue", tmp_path / "blue")
        embed(pictures / "red", out)
        imgcluster.cluster(workspace=out, k=1, place="move")
        Image.new("RGB", (9, 9), "white").save(pictures / "red/00.png")
        assert embed(pictures / "red", out).skipped == 1
        merged = imgcluster.merge(tmp_path / "blue", workspace=out)
        assert (merged.found, merged.embedded, merged.skipped) == (17, 16, 1)

    def test_what_cannot_be_merged(self, pictures: Path, tmp_path: Path, embed: Embed) -> None:
        out = tmp_path / "out"
        embed(pictures, out)
        with pytest.raises(UsageError, match="itself"):
            imgcluster.merge([out], workspace=out)
        with pytest.raises(UsageError, match="no workspaces"):
            imgcluster.merge([], workspace=out)
        with pytest.raises(WorkspaceError, match="missing does not exist; check the path"):
            imgcluster.merge([tmp_path / "missing"], workspace=out)
        embed(pictures, tmp_path / "other", encoder_options=imgcluster.EncoderOptions(resize="stretch"))
        with pytest.raises(WorkspaceError, match="mixed"):
            imgcluster.merge([tmp_path / "other"], workspace=out)
        imgcluster.cluster(workspace=out, k=3, place="move")
        with pytest.raises(WorkspaceError, match="undo"):
            imgcluster.merge([out], workspace=tmp_path / "target")


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and not text.startswith("/")), st.integers(1, 50))
def test_each_file_belongs_to_one_shard(path: str, count: int) -> None:
    owners = [number for number in range(count) if WorkShard(number, count).takes(path)]
    assert len(owners) == 1


@given(st.text("abé", min_size=1), st.integers(1, 50))
def test_a_raw_file_belongs_to_the_shard_of_its_jpeg(stem: str, count: int) -> None:
    shard = WorkShard(0, count)
    assert shard.takes(f"photos/{stem}.jpg") == shard.takes(f"photos/{stem}.CR2") == shard.takes(f"photos/{stem}.Jpeg")
