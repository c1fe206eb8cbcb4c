"""Images in object storage are placed by a manifest, and copied by the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import refuse_writes
from local_s3 import Bucket
from PIL import Image

import imgcluster
import pages
from imgcluster import UsageError, WorkspaceError
from imgcluster.errors import SourceError


@pytest.fixture
def out(bucket: Bucket, tmp_path: Path, tiny_encoder: Path) -> Path:
    """A workspace with the images of the bucket."""
    imgcluster.embed("s3://bucket/in", workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    return tmp_path / "out"


def manifest(out: Path) -> dict[str, str]:
    head, *lines = (out / "placed.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(head) == {"mode": "manifest", "folder": "clusters"}
    return {entry["source"]: entry["target"] for entry in map(json.loads, lines)}


def test_images_in_a_store_are_placed_by_a_manifest(out: Path) -> None:
    summary = imgcluster.cluster(workspace=out, k=3)
    assert (summary.place, summary.placed, summary.missing) == ("manifest", {"manifest": 24}, 0)
    assert not any("no longer exist" in warning for warning in summary.warnings)
    assert not (out / "clusters").exists()
    assert pages.read(out / "report.html").links[0] == "s3://bucket/in/blue/00.png"
    placed = manifest(out)
    # Eight of each name, in three folders without a name twice.
    assert (len(placed), len(set(placed.values()))) == (24, 24)
    assert placed["s3://bucket/in/red/00.png"].rpartition("/")[2] == "00.png"
    assert not imgcluster.verify(workspace=out).findings
    assert imgcluster.cluster(workspace=out, k=2).place == "manifest"
    assert len({target.split("/")[1] for target in manifest(out).values()}) == 2
    imgcluster.undo(workspace=out)
    assert manifest(out) == placed


def test_a_manifest_keeps_names_when_images_are_added(bucket: Bucket, out: Path, tiny_encoder: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    before = manifest(out)
    bucket.objects["in/a/00.png"] = bucket.objects["in/red/00.png"] + b"more"
    imgcluster.embed("s3://bucket/in", workspace=out, encoder=tiny_encoder, device="cpu")
    assert imgcluster.assign(workspace=out).place == "manifest"
    after = manifest(out)
    new = after.pop("s3://bucket/in/a/00.png")
    assert after == before
    assert new == before["s3://bucket/in/red/00.png"].replace("00.png", "00_2.png")


def test_plans_change_a_manifest(out: Path, tmp_path: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    before = manifest(out)
    page = pages.read(out / "report.html")
    plan = {"imgcluster_plan": 1, "clustering": page.document["identity"], "names": {"0": "Sea"}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(tmp_path / "plan.json", workspace=out)
    renamed = {target for target in manifest(out).values() if target.startswith("clusters/cluster_000_sea/")}
    assert len(renamed) == sum(target.startswith("clusters/cluster_000/") for target in before.values()) > 0
    assert not imgcluster.verify(workspace=out).findings
    imgcluster.undo(workspace=out)
    assert manifest(out) == before


def test_files_can_be_placed_by_a_manifest(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "local"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=3)
    assert (out / "clusters").exists()
    imgcluster.cluster(workspace=out, k=3, place="manifest")
    assert not (out / "clusters").exists()
    assert len(manifest(out)) == 24
    assert not imgcluster.verify(workspace=out).findings
    imgcluster.cluster(workspace=out, place="copy")
    assert len(list((out / "clusters").rglob("*.png"))) == 24


@pytest.mark.parametrize("again", [imgcluster.undo, lambda workspace: imgcluster.cluster(workspace=workspace, k=3)])
def test_files_put_where_a_manifest_says_stay(
    again: Callable[..., object], pictures: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    out = tmp_path / "local"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=out, k=2)
    imgcluster.cluster(workspace=out, k=2, place="manifest")
    source, target = next(iter(manifest(out).items()))
    own = out / target
    own.parent.mkdir(parents=True)
    Path(source).rename(own)
    own.parent.with_name("of-the-user").mkdir()
    again(workspace=out)
    assert own.is_file()
    assert own.parent.with_name("of-the-user").is_dir()


def test_the_store_copies_the_images(bucket: Bucket, out: Path) -> None:
    with pytest.raises(WorkspaceError, match="--place manifest"):
        imgcluster.export("s3://bucket/sorted", workspace=out)
    imgcluster.cluster(workspace=out, k=3)
    bucket.requests.clear()
    done = imgcluster.export("s3://bucket/sorted", workspace=out)
    assert (done.output, done.images, done.missing) == ("s3://bucket/sorted", 24, 0)
    for source, target in manifest(out).items():
        copy = f"sorted/{target.removeprefix('clusters/')}"
        assert bucket.objects[copy] == bucket.objects[source.removeprefix("s3://bucket/")]
    # No content passes through this machine.
    assert not [key for (method, key) in bucket.requests if method == "GET" and key.endswith(".png")]
    bucket.requests.clear()
    imgcluster.export("s3://bucket/sorted", workspace=out)
    assert not [key for (method, key) in bucket.requests if method == "PUT"]


@pytest.mark.usefixtures("bucket")
def test_copies_of_a_workspace_that_can_only_be_read(out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    with refuse_writes(out):
        assert imgcluster.export("s3://bucket/sorted", workspace=out).missing == 0


def test_copies_continue_and_overwrite_nothing(bucket: Bucket, out: Path) -> None:
    imgcluster.cluster(workspace=out, k=3)
    del bucket.objects["in/red/07.png"]
    bucket.fail = lambda method, key, count: 403 if method == "PUT" and bucket.requests.total() > 40 else 0
    with pytest.raises(SourceError):
        imgcluster.export("s3://bucket/sorted", workspace=out)
    some = [key for key in bucket.objects if key.startswith("sorted/")]
    bucket.fail = lambda *_: 0
    assert imgcluster.export("s3://bucket/sorted", workspace=out).missing == 1
    every = [key for key in bucket.objects if key.startswith("sorted/")]
    assert (len(every), set(some) < set(every)) == (23, True)
    bucket.objects[every[0]] = b"of somebody else"
    with pytest.raises(UsageError, match="other content"):
        imgcluster.export("s3://bucket/sorted", workspace=out)
    assert bucket.objects[every[0]] == b"of somebody else"


def test_files_are_uploaded(bucket: Bucket, pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    Image.new("RGB", (9, 9), "red").save(pictures / "red.png")
    imgcluster.embed(pictures, workspace=tmp_path / "local", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=tmp_path / "local", k=3, place="manifest")
    assert imgcluster.export("s3://bucket/sorted", workspace=tmp_path / "local").missing == 0
    content = (pictures / "red.png").read_bytes()
    assert content in [data for key, data in bucket.objects.items() if key.startswith("sorted/")]
