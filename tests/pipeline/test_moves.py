"""Moved originals: what renaming, interrupting and undoing must not lose."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import imgcluster
import pages
from imgcluster import ImgclusterError, UsageError, WorkspaceError
from imgcluster.pipeline import cluster as cluster_module


@pytest.fixture
def moved(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> Path:
    out = tmp_path / "out"
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place_by="move")
    assert not list(pictures.rglob("*.png"))
    return out


def test_a_renamed_workspace_gives_the_originals_back(moved: Path, pictures: Path) -> None:
    renamed = moved.rename(moved.with_name("sorted"))
    with pytest.raises(WorkspaceError, match="images were moved into .*sorted/clusters"):
        imgcluster.cluster(workspace=renamed, k=2)
    assert imgcluster.undo(workspace=renamed).taken_back == 24
    assert len(list(pictures.rglob("*.png"))) == 24


def test_the_page_follows_an_undo(moved: Path) -> None:
    imgcluster.undo(workspace=moved)
    links = pages.read(moved / "report.html").links
    assert "../pictures/red/00.png" in links
    assert not any(link.startswith("clusters/") for link in links)


def test_a_renamed_cluster_folder_keeps_its_entries(moved: Path, pictures: Path) -> None:
    (moved / "clusters/cluster_000").rename(moved / "clusters/mine")
    answer = imgcluster.undo(workspace=moved)
    assert (answer.taken_back, len(answer.left)) == (16, 8)
    # Going on is possible, and the record of the others is kept.
    imgcluster.cluster(workspace=moved, k=2)
    assert len((moved / "outdated/placed.jsonl").read_text(encoding="utf-8").splitlines()) == 9
    assert len(list((moved / "clusters/mine").iterdir())) == 8
    assert len(list(pictures.rglob("*.png"))) == 16


def test_an_interrupted_move_is_taken_back_by_the_same_command(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    def command() -> object:
        return imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3, place_by="move")

    with monkeypatch.context() as patch:
        patch.setattr(cluster_module, "write_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            command()
    assert not list(pictures.rglob("*.png"))
    command()
    assert len(list((out / "clusters").rglob("*.png"))) == 24
    assert imgcluster.undo(workspace=out).taken_back == 24
    assert len(list(pictures.rglob("*.png"))) == 24


def test_a_dry_run_of_everything_changes_nothing(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    options = {"workspace": out, "encoder": tiny_encoder, "device": "cpu", "k": 3}
    assert imgcluster.run([pictures], dry_run=True, **options).cluster.placed == {"symlink": 24}  # type: ignore[arg-type]
    assert not out.exists()
    imgcluster.run([pictures], place_by="copy", **options)  # type: ignore[arg-type]
    Image.new("RGB", (8, 8), "white").save(pictures / "new.png")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    summary = imgcluster.run([pictures], dry_run=True, **options)  # type: ignore[arg-type]
    assert (summary.embed.new, summary.embed.unchanged, summary.cluster.images) == (1, 24, 25)
    assert summary.embed.workspace == summary.cluster.workspace == str(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_folder_names_of_one_folder_are_no_labels(pictures: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    imgcluster.run([pictures / "red"], workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", k=2)
    with pytest.raises(UsageError, match="all images lie in one folder, so folder names say nothing"):
        imgcluster.evaluate(workspace=tmp_path / "out")


def test_what_a_method_would_ignore_is_refused(moved: Path) -> None:
    with pytest.raises(ImgclusterError, match="--min-cluster-size is for hdbscan and evoc"):
        imgcluster.cluster(workspace=moved, k=2, min_cluster_size=5, dry_run=True)
