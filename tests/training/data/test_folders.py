"""A folder of images is decoded as in use, in memory or streamed, and its damaged files are counted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import imgcluster
from imgcluster import machine
from imgcluster.errors import NoImagesError, UsageError
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster_training.data.folders import FileImages, load_folder
from imgcluster_training.data.images import ArrayImages, images_digest
from tiny_models import mean_colour
from vectors import peak_bytes

SPEC = InputSpec(width=8, height=8, channels=3, resize="crop")


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name in ("b.png", "a.jpg", "sub/c.png", ".hidden.png", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    (tmp_path / "broken.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_images_are_found_by_content_in_sorted_order(folder):
    streamed, _ = load_folder(folder, SPEC, memory_bytes=0)
    assert [file.path for file in streamed.train.files] == ["a.jpg", "b.png", "sub/c.png"]


def test_what_imgcluster_wrote_into_a_workspace_is_not_trained_on(folder, tmp_path_factory):
    encoder = mean_colour(tmp_path_factory.mktemp("encoder") / "e.onnx")
    workspace = folder / "imgcluster-out"
    imgcluster.embed(folder, workspace=workspace, encoder=encoder, device="cpu")
    # As `cluster --place copy` does.
    (workspace / "clusters" / "0").mkdir(parents=True)
    shutil.copyfile(folder / "b.png", workspace / "clusters" / "0" / "b.png")
    images, lost = load_folder(folder, SPEC)
    assert (len(images.train), lost) == (3, 1)


def test_memory_and_stream_give_the_same_pixels_as_use(folder):
    kept, lost = load_folder(folder, SPEC)
    streamed, lost_too = load_folder(folder, SPEC, memory_bytes=0)
    assert lost == lost_too == 1
    assert isinstance(kept.train, ArrayImages)
    assert isinstance(streamed.train, FileImages)
    assert len(kept.train) == len(streamed.train) == 3
    order = np.array([2, 0, 1, 0])
    assert np.array_equal(kept.train.take(order), streamed.train.take(order))
    assert np.array_equal(kept.train.take(np.array([1]))[0], decode((folder / "b.png").read_bytes(), SPEC).pixels)
    assert kept.train_labels is None
    assert images_digest(kept.train) == images_digest(streamed.train)


def test_images_are_in_memory_once(tmp_path):
    for number in range(30):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    spec = InputSpec(width=256, height=256, channels=3)
    images, _ = load_folder(tmp_path, spec)
    assert images.train.take(np.arange(30))[:, 0, 0, 0].tolist() == list(range(30))
    assert peak_bytes(lambda: load_folder(tmp_path, spec)) < 1.5 * images.train.pixels.nbytes


@pytest.mark.parametrize("room", [2, 3])
def test_images_are_in_memory_all_or_none(folder, room):
    images, _ = load_folder(folder, SPEC, memory_bytes=room * 8 * 8 * 3)
    assert isinstance(images.train, ArrayImages if room == 3 else FileImages)
    assert len(images.train) == 3


def test_images_that_need_too_much_memory_are_left_out(folder, monkeypatch):
    Image.new("RGB", (3000, 3000)).save(folder / "large.png")
    monkeypatch.setattr(machine, "memory_bytes", lambda: 8 << 23)
    images, lost = load_folder(folder, SPEC)
    assert (len(images.train), lost) == (3, 2)


def test_a_file_that_vanishes_is_black(folder):
    streamed, _ = load_folder(folder, SPEC, memory_bytes=0)
    (folder / "a.jpg").unlink()
    taken = streamed.train.take(np.array([0, 1]))
    assert not taken[0].any()
    assert taken[1].any()


def test_no_folder_and_no_image_are_errors(tmp_path):
    with pytest.raises(UsageError, match="none is not a folder"):
        load_folder(tmp_path / "none", SPEC)
    with pytest.raises(NoImagesError, match="no readable image"):
        load_folder(tmp_path, SPEC)
