"""Images in object storage and on web servers: as from a folder, whatever the server does."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from local_s3 import Bucket, serve
from pyarrow import fs
from typer.testing import CliRunner

import imgcluster
from imgcluster import EmbedSummary, UsageError
from imgcluster.cli.app import app
from imgcluster.errors import SourceError
from imgcluster.fileio.object_store import url_of
from imgcluster.images.remote import RemoteImages
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import load

Embed = Callable[..., EmbedSummary]


@pytest.fixture
def embed(tiny_encoder: Path, tmp_path: Path) -> Embed:
    def run(*paths: str | Path, out: Path = tmp_path / "out", **options: object) -> EmbedSummary:
        return imgcluster.embed(paths, workspace=out, encoder=tiny_encoder, device="cpu", **options)  # type: ignore[arg-type]

    return run


def reasons(out: Path) -> dict[str, str]:
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_a_bucket_gives_the_clusters_of_a_folder(bucket: Bucket, pictures: Path, tmp_path: Path, embed: Embed) -> None:
    bucket.objects |= {
        "in/notes.txt": b"text",
        "in/.hidden.png": b"x",
        "inside/no.png": b"x",
        "in/blue/old/x.gif": b"x",
    }
    bucket.page = 5
    found = embed("s3://bucket/in", exclude=["old/"])
    assert (found.embedded, found.ignored, found.roots) == (24, 1, ("s3://bucket/in",))
    embed(pictures, out=tmp_path / "single")
    for out in (tmp_path / "out", tmp_path / "single"):
        imgcluster.cluster(workspace=out, k=3, place="none")
    assert (tmp_path / "out/assignments.csv").read_bytes() == (tmp_path / "single/assignments.csv").read_bytes()
    assert bucket.requests["GET", "listing of in/"] > 2 or bucket.requests["GET", "listing of in/blue/"] > 1


def test_only_what_changed_is_read_again(bucket: Bucket, embed: Embed) -> None:
    embed("s3://bucket/in")
    bucket.requests.clear()
    assert embed("s3://bucket/in").unchanged == 24
    assert not [key for method, key in bucket.requests if key.startswith("in/")]
    bucket.objects["in/red/00.png"] = bucket.objects["in/blue/00.png"]
    bucket.times["in/red/00.png"] = "2026-02-03T04:05:06"
    bucket.objects["in/moved.png"] = bucket.objects.pop("in/green/00.png")
    again = embed("s3://bucket/in")
    assert (again.changed, again.renamed, again.unchanged, again.embedded) == (1, 1, 22, 24)


def test_shards_of_a_bucket(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    for number in range(3):
        embed("s3://bucket/in", shard=f"{number}/3")
    assert imgcluster.finish_shards(tmp_path / "out").embedded == 24
    assert max(count for (_, key), count in bucket.requests.items() if key.endswith(".png")) <= 2


def test_faults_cost_at_most_one_row_each(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    bucket.truncate = {"in/red/00.png"}
    bucket.seconds = {"in/red/01.png": 3.0}

    def fail(method: str, key: str, count: int) -> int:
        if key == "in/red/02.png" or (key in ("in/red/03.png", "listing of in/green/") and count == 0):
            return 503
        return 404 if key == "in/red/04.png" else 0

    bucket.fail = fail
    summary = embed("s3://bucket/in", read_timeout=2.0)
    assert (summary.embedded, summary.skipped, summary.found) == (20, 4, 24)
    skipped = reasons(tmp_path / "out")
    assert sorted(skipped) == [f"red/{number:02d}.png" for number in (0, 1, 2, 4)]
    assert "2 s" in skipped["red/01.png"]
    assert "does not exist" in skipped["red/04.png"]
    bucket.truncate, bucket.seconds, bucket.fail = set(), {}, lambda *_: 0
    assert (embed("s3://bucket/in").new, len(reasons(tmp_path / "out"))) == (4, 0)


def test_an_object_that_changes_while_it_is_read(bucket: Bucket, pictures: Path, tmp_path: Path, embed: Embed) -> None:
    longer, same = "in/red/00.png", "in/red/01.png"
    other = bucket.objects["in/blue/00.png"]
    bucket.objects[same] = bucket.objects[same].ljust(400, b"\0")

    def change(method: str, key: str, count: int) -> int:
        if key in (longer, same) and count == 0 and key not in bucket.times:
            bucket.objects[key] = other.ljust(400 if key == same else 500, b"\0")
            bucket.times[key] = "2026-02-03T04:05:06"
        return 0

    bucket.fail = change
    first = embed("s3://bucket/in")
    assert (first.embedded, first.skipped) == (23, 1)
    assert "changed" in reasons(tmp_path / "out")["red/00.png"]
    # One that keeps its size has another time: it is read again, and is what was stored.
    again = embed("s3://bucket/in")
    assert (again.embedded, again.skipped, again.changed) == (24, 0, 0)
    assert bucket.requests["GET", same] == 2
    workspace = Workspace(tmp_path / "out")
    stored = load(workspace.embeddings, workspace.manifest["encoder"]["identity"])
    vectors = dict(zip(stored.locations, stored.vectors, strict=True))
    expected = vectors["s3://bucket/in/blue/00.png"]
    assert all((vectors[f"s3://bucket/{key}"] == expected).all() for key in (longer, same))


def test_nothing_is_lost_when_credentials_expire(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("s3://bucket/in/red")

    def expire(method: str, key: str, count: int) -> int:
        """Refuse everything from the first image of the last folder on."""
        if method == "GET" and key.startswith("in/green"):
            bucket.fail = lambda *_: 403
            return 403
        return 0

    bucket.fail = expire
    with pytest.raises(SourceError, match="credentials"):
        embed("s3://bucket/in")
    with pytest.raises(SourceError, match="credentials"):
        embed("s3://bucket/in")
    bucket.fail = lambda *_: 0
    assert embed("s3://bucket/in").embedded == 24
    workspace = Workspace(tmp_path / "out")
    embeddings = load(workspace.embeddings, workspace.manifest["encoder"]["identity"])
    assert len(set(embeddings.locations)) == 24
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"the-key" not in stored
    assert b"the-secret" not in stored


def test_web_addresses_and_their_parameters(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    web = f"{bucket.endpoint}/bucket/in"
    listed = [f"{web}/red/00.png?size=big&X-Amz-Signature=abc123", f"{web}/blue/00.png?token=abc123", f"{web}/no.png"]
    first = embed(files=listed)
    assert (first.embedded, first.skipped) == (2, 1)
    workspace = Workspace(tmp_path / "out")
    locations = load(workspace.embeddings, workspace.manifest["encoder"]["identity"]).locations
    assert locations == sorted([f"{web}/blue/00.png", f"{web}/red/00.png?size=big"])
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"abc123" not in stored
    bucket.requests.clear()
    assert embed(files=listed).unchanged == 2
    assert bucket.requests["GET", "in/red/00.png"] == 0
    bucket.objects["in/red/00.png"] = bucket.objects["in/green/00.png"]
    assert embed(files=listed).changed == 1


def locations(out: Path) -> list[str]:
    workspace = Workspace(out)
    return list(load(workspace.embeddings, workspace.manifest["encoder"]["identity"]).locations)


def test_two_buckets_in_one_workspace(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    bucket.others["other"] = Bucket({f"in/{key}": value for key, value in bucket.objects.items()})
    folders = ("s3://bucket/in", "s3://other/in")
    assert embed(*folders, shard="0/1").embedded == 48
    assert imgcluster.finish_shards(tmp_path / "out").embedded == 48
    first = locations(tmp_path / "out")
    assert all(location.startswith(folders) for location in first)
    again = embed(*folders)
    assert (again.unchanged, again.new, again.embedded) == (48, 0, 48)
    del bucket.others["other"].objects["in/in/red/00.png"]
    assert embed(*folders).embedded == 47
    imgcluster.cluster(workspace=tmp_path / "out", k=3)
    placed = imgcluster.load(tmp_path / "out")
    assert sorted(placed.paths) == [place for place in first if place != "s3://other/in/in/red/00.png"]


def test_each_bucket_is_opened_in_its_region(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embed: Embed
) -> None:
    bucket.others["other"] = Bucket({"red/00.png": bucket.objects["in/red/00.png"]})
    regions = {"bucket": "us-east-1", "other": "eu-west-1"}
    opened, real = [], fs.S3FileSystem

    def open_system(*, region: str, endpoint_override: str | None, **options: Any) -> fs.S3FileSystem:
        opened.append(region)
        return real(region=region, endpoint_override=bucket.endpoint, **options)

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setattr(fs, "resolve_s3_region", regions.__getitem__)
    monkeypatch.setattr(fs, "S3FileSystem", open_system)
    assert embed("s3://bucket/in", "s3://other").embedded == 25
    assert opened == ["us-east-1", "eu-west-1"]
    imgcluster.cluster(workspace=tmp_path / "out", k=3, place="manifest")
    opened.clear()
    assert imgcluster.export("s3://bucket/sorted", workspace=tmp_path / "out").missing == 0
    assert set(opened) == {"us-east-1", "eu-west-1"}


def test_two_web_servers_and_a_folder_in_one_workspace(
    bucket: Bucket, pictures: Path, tmp_path: Path, embed: Embed
) -> None:
    with serve() as other:
        other.objects = {"in/red/00.png": bucket.objects["in/green/00.png"]}
        listed = [f"{server.endpoint}/bucket/in/red/00.png" for server in (bucket, other)]
        listed.append(f"{other.endpoint}/bucket/in/red/none.png")
        assert embed(files=listed).embedded == 2
        assert locations(tmp_path / "out") == sorted(listed[:2])
        assert list(reasons(tmp_path / "out")) == listed[2:]
        again = embed(pictures, files=listed)
        assert (again.unchanged, again.embedded, again.skipped) == (2, 26, 1)


SIGNED = {
    "S3, version 4": "X-Amz-Algorithm=AWS4&X-Amz-Credential=SECRET%2F1&X-Amz-Date=SECRET&X-Amz-Expires=SECRET"
    "&X-Amz-SignedHeaders=SECRET&X-Amz-Security-Token=SECRET&X-Amz-Signature=SECRET",
    "S3, version 2": "AWSAccessKeyId=SECRET&Signature=SECRET&Expires=SECRET",
    "Google, version 4": "X-Goog-Algorithm=GOOG4&X-Goog-Credential=SECRET&X-Goog-Date=SECRET&X-Goog-Expires=SECRET"
    "&X-Goog-SignedHeaders=SECRET&x-goog-signature=SECRET",
    "Google, version 2": "GoogleAccessId=SECRET&Expires=SECRET&Signature=SECRET",
    "Azure": "sv=SECRET&st=SECRET&se=SECRET&sr=b&sp=r&skoid=SECRET&sktid=SECRET&skt=SECRET&ske=SECRET&sks=b"
    "&skv=SECRET&sig=SECRET",
    "CloudFront": "Policy=SECRET&Signature=SECRET&Key-Pair-Id=SECRET",
    "Alibaba": "x-oss-signature-version=4&x-oss-credential=SECRET&x-oss-date=1&x-oss-expires=9&x-oss-signature=SECRET",
    "others": "token=SECRET&api_key=SECRET&access%5Ftoken=SECRET&password=SECRET&my-session-token=SECRET"
    "&authToken=SECRET",
}


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED.keys())
def test_signatures_are_not_part_of_an_address(query: str) -> None:
    remote = RemoteImages((f"https://host/i?key=a&{query}&size=2#part", f"https://host/i?key=b&{query}"))
    assert remote.public == ("https://host/i?key=a&size=2", "https://host/i?key=b")
    assert RemoteImages((f"https://host/i?{query}",)).public == ("https://host/i",)


@pytest.mark.parametrize(
    "query",
    ["key=1", "keyword=x", "st=1", "policy=2", "tokenize=1", "x-oss-process=image", "a=1&a=1", "monkey=1&se=a&sr=b"],
)
def test_other_parameters_are_part_of_an_address(query: str) -> None:
    assert RemoteImages((f"https://host/i?{query}",)).public == (f"https://host/i?{query}",)


def test_images_that_differ_in_what_is_not_stored(bucket: Bucket, embed: Embed) -> None:
    address = f"{bucket.endpoint}/bucket/in/red/00.png"
    for other in ("token=the-second", "sig=1"):
        with pytest.raises(UsageError, match=address) as refused:
            embed(f"{address}?token=the-first", files=[f"{address}?{other}"])
        assert "token" in str(refused.value)
        assert "the-" not in str(refused.value)
    # The same image.
    assert embed(f"{address}?token=1", f"{address}?token=1#a", files=[f"{address}?token=1#b"]).embedded == 1


def test_addresses_keep_their_slashes(bucket: Bucket, tmp_path: Path, tiny_encoder: Path) -> None:
    web = f"{bucket.endpoint}/bucket/in"
    bucket.objects |= {f"in//{name}.png": bucket.objects[f"in/red/0{name}.png"] for name in (0, 1, 2, 3)}
    bucket.objects |= {"in//2.dng": b"x", "in//2.jpg": bucket.objects.pop("in//2.png")}
    typed, listed = (
        f"{web}//0.png",
        [f"{web}//1.png", f"{web}/blue/00.png?of=https://a//b", f"{web}//{bucket.endpoint}"],
    )
    paired = [f"{web}//2.jpg", f"{web}//2.dng"]
    names = tmp_path / "list.txt"
    names.write_text("\n".join([*listed, *paired]), encoding="utf-8")
    words = [
        "embed",
        typed,
        "--files-from",
        names,
        "-w",
        tmp_path / "out",
        "--encoder",
        tiny_encoder,
        "--device",
        "cpu",
    ]
    for unchanged in (0, 4):
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert (found["embedded"], found["skipped"], found["unchanged"]) == (4, 1, unchanged)
        assert locations(tmp_path / "out") == sorted([typed, *listed[:2], paired[0]])
        assert imgcluster.load(tmp_path / "out").companions.count(paired[1]) == 1
        assert list(reasons(tmp_path / "out")) == [listed[2]]


def test_what_other_programs_get_are_addresses(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    embed("s3://bucket/in")
    address, out = "s3://bucket/in/red/00.png", tmp_path / "out"
    found = imgcluster.similar(address, workspace=out, limit=30).queries[0]
    assert (found.image, found.stored, len(found.results)) == ("red/00.png", True, 23)
    assert all(image.file == f"s3://bucket/in/{image.path}" for image in found.results)
    imgcluster.export(tmp_path / "images.csv", workspace=out)
    imgcluster.export(tmp_path / "fiftyone", workspace=out, format="fiftyone")
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        assert address in [row["file"] for row in csv.DictReader(file)]
    assert address in json.loads((tmp_path / "fiftyone/data.json").read_text(encoding="utf-8")).values()


def test_keys_that_no_file_system_has(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    image = bucket.objects["in/red/00.png"]
    bucket.objects |= {"in//a.png": image, "in/red//b.png": image, "in/red/c//d.png": image, "in/red/": b""}
    # Files with the name of a folder.
    bucket.objects |= {"in/green": image, "in/blue/00.png/e.png": image}
    summary = embed("s3://bucket/in")
    assert (summary.embedded, summary.skipped) == (26, 3)
    assert list(reasons(tmp_path / "out")) == ["s3://bucket/in//", "red//", "red/c//"]
    del bucket.objects["in/red/00.png"]
    assert embed("s3://bucket/in").embedded == 25
    with pytest.raises(SourceError, match="s3://bucket/in//red"):
        embed("s3://bucket/in//red")


def test_what_does_not_exist(bucket: Bucket, tmp_path: Path, embed: Embed) -> None:
    with pytest.raises(SourceError, match="s3://bucket/missing"):
        embed("s3://bucket/missing")
    with pytest.raises(UsageError, match="AWS_ACCESS_KEY_ID") as refused:
        embed("s3://name:password@bucket/in")
    assert "password@" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/a", "s3://bucket/a"),
        (Path("s3://bucket/a"), "s3://bucket/a"),
        ("https://host/a//b", "https://host/a//b"),
        ("https://host/i?src=https://other/a.jpg", "https://host/i?src=https://other/a.jpg"),
        (PurePosixPath("https://host/a"), "https://host/a"),
        (PureWindowsPath("s3://bucket/a/b"), "s3://bucket/a/b"),
        ("s3:/bucket", None),
        ("s3:\\bucket", None),
        ("photos", None),
        ("/nfs/s3/x", None),
        ("C:/x", None),
    ],
)
def test_urls_are_recognized(path: str | PurePath, url: str | None) -> None:
    assert url_of(path) == url
