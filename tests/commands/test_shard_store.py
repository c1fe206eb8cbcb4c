"""Shards in object storage: written whole or not at all, and merged as if one process had embedded all images."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from local_s3 import Bucket
from typer.testing import CliRunner

import imgcluster
from imgcluster import EmbedSummary, UsageError, WorkspaceError
from imgcluster.cli.app import app
from imgcluster.errors import SourceError

Embed = Callable[..., EmbedSummary]
STORE = "s3://bucket/ws"


@pytest.fixture
def embed(tiny_encoder: Path, pictures: Path) -> Embed:
    def run(shard: str, *paths: str | Path, **options: object) -> EmbedSummary:
        return imgcluster.embed_into_store(
            paths or (pictures,), workspace=STORE, shard=shard, encoder=tiny_encoder, device="cpu", workers=1, **options
        )

    return run


def result(out: Path) -> bytes:
    imgcluster.cluster(workspace=out, k=3, place="none")
    return (out / "assignments.csv").read_bytes()


def test_shards_in_a_store_give_the_files_of_one_process(
    bucket: Bucket, pictures: Path, tmp_path: Path, embed: Embed, tiny_encoder: Path
) -> None:
    (pictures / "red/damaged.png").write_bytes((pictures / "red/00.png").read_bytes()[:60])
    done = [embed(f"{number}/3") for number in range(3)]
    assert sorted(key for key in bucket.objects if key.startswith("ws/")) == [
        f"ws/shards/{number}-of-3.zip" for number in range(3)
    ]
    assert {summary.workspace for summary in done} == {STORE}
    status = imgcluster.shards_status(STORE)
    assert (status.complete, sum(shard.images for shard in status.shards)) == (True, 24)
    merged = imgcluster.merge([STORE], workspace=tmp_path / "out")
    assert (merged.embedded, merged.skipped) == (24, 1)
    imgcluster.embed(pictures, workspace=tmp_path / "single", encoder=tiny_encoder, device="cpu")
    assert result(tmp_path / "out") == result(tmp_path / "single")
    assert (tmp_path / "out/skipped.csv").read_bytes() == (tmp_path / "single/skipped.csv").read_bytes()
    stored = b"".join(bucket.objects[key] for key in bucket.objects if key.startswith("ws/"))
    assert b"the-secret" not in stored


def test_a_shard_that_is_there_is_skipped(bucket: Bucket, pictures: Path, embed: Embed) -> None:
    embed("0/2")
    bucket.requests.clear()
    again = embed("0/2")
    assert (again.new, again.unchanged > 0) == (0, True)
    assert not [key for method, key in bucket.requests if method in ("PUT", "POST")]
    shutil.rmtree(pictures / "red")
    # Another request starts over.
    other = embed("0/2", pictures / "green", pictures / "blue")
    assert other.new == other.embedded
    assert len([key for key in bucket.objects if key.startswith("ws/")]) == 1


def test_nothing_is_lost_when_the_store_fails(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("0/2")
    before = dict(bucket.objects)
    bucket.fail = lambda method, key, count: 403 if method in ("PUT", "POST") else 0
    with pytest.raises(SourceError, match="credentials"):
        embed("1/2")
    assert bucket.objects == before
    with pytest.raises(WorkspaceError, match="1/2"):
        imgcluster.merge([STORE], workspace=tmp_path / "out")
    # The first answers are refusals, as of a server with too much to do.
    bucket.fail = lambda method, key, count: 503 if count < 2 and key.endswith(".zip") else 0
    bucket.requests.clear()
    embed("1/2")
    assert imgcluster.merge([STORE], workspace=tmp_path / "out").embedded == 24


def test_an_object_that_ends_early_is_read_again(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    """It is not damaged: nothing must be deleted."""
    embed("0/1")
    key = "ws/shards/0-of-1.zip"

    def cut_once(method: str, requested: str, count: int) -> int:
        if (method, requested) == ("GET", key):
            (bucket.truncate.discard if count else bucket.truncate.add)(key)
        return 0

    bucket.fail = cut_once
    for call in (
        lambda: imgcluster.shards_status(STORE).complete,
        lambda: embed("0/1").notes == ("Shard 0/1 was complete already.",),
        lambda: imgcluster.merge([STORE], workspace=tmp_path / "out").embedded == 24,
    ):
        bucket.requests.clear()
        assert call()
    bucket.fail = lambda method, key, count: 0
    bucket.truncate.add(key)
    with pytest.raises(SourceError, match="cannot be read"):
        imgcluster.shards_status(STORE)


def test_a_shard_of_another_number_is_refused(bucket: Bucket, embed: Embed) -> None:
    embed("0/2")
    with pytest.raises(WorkspaceError, match="I/2"):
        embed("0/3")


def test_damaged_and_strange_objects_are_refused(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("0/1")
    key = "ws/shards/0-of-1.zip"
    whole = bucket.objects[key]
    bucket.objects[key] = whole[: len(whole) // 2]
    for call in (
        lambda: imgcluster.merge([STORE], workspace=tmp_path / "out"),
        lambda: imgcluster.shards_status(STORE),
    ):
        with pytest.raises(WorkspaceError, match="0/1 .* damaged"):
            call()
    archive = BytesIO(whole)
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr("../../outside.txt", "x")
        changed.writestr("embeddings/other.txt", "x")
    bucket.objects[key] = archive.getvalue()
    bucket.objects["ws/shards/notes.txt"] = b"not a shard"
    assert imgcluster.merge([STORE], workspace=tmp_path / "out").embedded == 24
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_encrypted_object_is_refused(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("0/1")
    key = "ws/shards/0-of-1.zip"
    # The first bit of the flags of each member.
    for header in (b"PK\x03\x04\x14\0", b"PK\x01\x02\x14\x03\x14\0"):
        assert header + b"\0" in bucket.objects[key]
        bucket.objects[key] = bucket.objects[key].replace(header + b"\0", header + b"\1")
    out = tmp_path / "out"
    for call in (lambda: imgcluster.merge([STORE], workspace=out), lambda: imgcluster.shards_status(STORE)):
        with pytest.raises(WorkspaceError, match="0/1 .* damaged"):
            call()


def test_an_object_that_unpacks_to_more_than_itself_is_refused(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("0/1")
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("manifest.json", b" " * 1_000_000)
    bucket.objects["ws/shards/0-of-1.zip"] = archive.getvalue()
    out = tmp_path / "out"
    for call in (lambda: imgcluster.merge([STORE], workspace=out), lambda: imgcluster.shards_status(STORE)):
        with pytest.raises(WorkspaceError, match="larger"):
            call()


def test_what_is_given_twice_or_missing_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="twice"):
        imgcluster.merge([STORE, STORE + "/"], workspace=tmp_path / "out")
    with pytest.raises(WorkspaceError, match="does not exist"):
        imgcluster.merge([STORE], workspace=tmp_path / "out")
    with pytest.raises(WorkspaceError, match="no shards"):
        imgcluster.finish_shards(STORE)


def test_the_command_line(bucket: Bucket, pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    embed = ["embed", str(pictures), "--encoder", str(tiny_encoder), "--device", "cpu", "-w", STORE, "--json"]
    done = CliRunner().invoke(app, [*embed, "--shard", "0/1"])
    assert (done.exit_code, json.loads(done.stdout)["embedded"]) == (0, 24)
    status = CliRunner().invoke(app, ["embed", "--status", "-w", STORE, "--json"])
    assert json.loads(status.stdout)["complete"] is True
    merged = CliRunner().invoke(app, ["merge", STORE, "-w", str(tmp_path / "out"), "--json"])
    assert json.loads(merged.stdout)["embedded"] == 24
