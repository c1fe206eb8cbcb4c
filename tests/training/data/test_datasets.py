"""Data sets are found in a folder, or the error says what to do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from imgcluster.errors import UsageError
from imgcluster_training.data.datasets import DATASET_NAMES, load_dataset
from imgcluster_training.data.strokes import draw_strokes
from imgcluster_training.errors import DatasetError
from tiny import write_idx


@pytest.fixture
def small(tmp_path):
    random = np.random.default_rng(0)
    for part, count, ending in (("train", 6, ".gz"), ("t10k", 3, "")):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", random.integers(0, 255, (count, 28, 28), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{ending}", np.arange(count, dtype=np.uint8))
    return tmp_path


def test_files_are_found_in_the_folder_or_in_the_sets_folder_in_it(small):
    for folder in (small, small.parent):
        if folder != small:
            small.rename(small.parent / "mnist")
        images = load_dataset("mnist", data_dir=folder)
        assert (len(images.train), len(images.test), images.train.shape) == (6, 3, (28, 28, 1))
        assert images.train_labels.tolist() == [0, 1, 2, 3, 4, 5]
        assert images.train.take(np.array([5, 0])).shape == (2, 28, 28, 1)


def test_images_and_labels_must_agree(small):
    write_idx(small / "t10k-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    with pytest.raises(DatasetError, match=r"t10k .*\(3, 28, 28\).*\(4,\)"):
        load_dataset("mnist", data_dir=small)


def test_an_unknown_name_or_folder_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=", ".join(DATASET_NAMES)):
        load_dataset("imagenet")
    with pytest.raises(UsageError, match="--data-dir .*none"):
        load_dataset("mnist", data_dir=tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [("mnist", (28, 28, 1), (60_000, 10_000)), ("fashion-mnist", (28, 28, 1), (60_000, 10_000))],
)
def test_the_real_sets(data_dir, name, shape, sizes):
    images = load_dataset(name, data_dir=data_dir)
    assert (len(images.train), len(images.test)) == sizes
    assert images.train.shape == shape
    assert np.bincount(images.test_labels).min() > 800


@pytest.mark.slow
def test_the_jpeg_copy_of_cifar(data_dir):
    images = load_dataset("cifar10", data_dir=data_dir)
    assert (len(images.train), len(images.test), images.train.shape) == (50_000, 10_000, (32, 32, 3))
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert "JPEG copy" in images.description


def test_strokes_are_black_on_white_seeded_and_prefix_stable():
    strokes = draw_strokes(12, seed=3)
    assert strokes.shape == (12, 224, 224, 1)
    assert set(np.unique(strokes)) == {0, 255}
    ink = (strokes == 0).mean(axis=(1, 2, 3))
    assert ink.min() > 0.003
    assert ink.max() < 0.25
    assert np.array_equal(strokes[:5], draw_strokes(5, seed=3))
    assert not np.array_equal(strokes, draw_strokes(12, seed=4))
    # Every stroke is another one, and lies within the image.
    assert len({stroke.tobytes() for stroke in strokes}) == 12
    assert (strokes[:, [0, -1]] == 255).all()
