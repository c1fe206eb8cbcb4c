"""The published files are read in all their forms; damaged or hostile ones are refused."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from imgcluster.images.types import InputSpec
from imgcluster_training.data.archives import read_cifar_binary, read_cifar_python, read_idx, read_image_zip
from imgcluster_training.errors import DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1])


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def binary(pixels, labels):
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1).tobytes()


def python2_batch(pixels, labels):
    """The batch as Python 2 pickled it: protocol 2, byte strings, numpy's old module names."""
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1))
    data = pickle.dumps({b"data": planes, b"labels": [int(label) for label in labels]}, protocol=2)
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_idx(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(idx(PIXELS[..., 0])))
    assert np.array_equal(read_idx(path), PIXELS[..., 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x00\x00\x0d\x01" + bytes(8), "not an IDX file"),
        (b"\x00\x00\x08\x03\x00\x00", "ends within its header"),
        (idx(PIXELS)[:-1], "12287 values, .* 12288"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "its header says"),
        (gzip.compress(idx(PIXELS))[:-20], "cannot be read"),
        (b"\x1f\x8bnonsense", "cannot be read"),
    ],
)
def test_damaged_idx(tmp_path, data, message):
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_idx(path)


def test_cifar_binary_in_its_archive_or_beside(tmp_path):
    members = {
        "cifar-10-batches-bin/data_batch_1.bin": binary(PIXELS[:2], LABELS[:2]),
        "cifar-10-batches-bin/data_batch_2.bin": binary(PIXELS[2:3], LABELS[2:3]),
        "cifar-10-batches-bin/test_batch.bin": binary(PIXELS[3:], LABELS[3:]),
        "cifar-10-batches-bin/readme.html": b"<p>",
    }
    files = []
    for name, data in members.items():
        if name.endswith(".bin"):
            files.append(tmp_path / name.split("/")[1])
            files[-1].write_bytes(data)
    for source in (tar(tmp_path / "c.tar.gz", members), files):
        parts = read_cifar_binary(source)
        assert np.array_equal(parts["train"][0], PIXELS[:3])
        assert np.array_equal(parts["test"][0], PIXELS[3:])
        assert parts["train"][1].tolist() == [3, 1, 4]


def test_cifar_python_as_python_2_wrote_it(tmp_path):
    members = {
        "cifar-10-batches-py/batches.meta": b"not looked at",
        "cifar-10-batches-py/data_batch_1": python2_batch(PIXELS[:3], LABELS[:3]),
        "cifar-10-batches-py/test_batch": python2_batch(PIXELS[3:], LABELS[3:]),
    }
    parts = read_cifar_python(tar(tmp_path / "c.tar.gz", members))
    assert np.array_equal(parts["train"][0], PIXELS[:3])
    assert np.array_equal(parts["test"][0], PIXELS[3:])
    assert parts["test"][1].tolist() == [1]


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        Hostile(os.system, "true"),
        Hostile(eval, "1"),
        Hostile(getattr, 1, "real"),
        Hostile(np.load, "file"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path, payload, protocol):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": payload}, protocol=protocol))
    with pytest.raises(DatasetError, match="do not trust this file"):
        read_cifar_python([path])


@pytest.mark.parametrize("data", [b"", b"\x80\x02}q", b"garbage"])
def test_a_damaged_pickle_is_an_error(tmp_path, data):
    path = tmp_path / "data_batch_1"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="data_batch_1 is damaged"):
        read_cifar_python([path])


@pytest.mark.parametrize(
    "content",
    [
        [1],
        {b"data": PIXELS.reshape(4, -1).tolist()},
        {b"data": [1], b"labels": [1]},
        {b"data": PIXELS.reshape(4, -1).tolist(), b"labels": [0, 1, 2]},
        {b"data": [300] * 3072, b"labels": [0]},
        {b"data": [0] * 3072, b"labels": [2**64]},
    ],
)
def test_a_pickle_of_something_else_is_an_error(tmp_path, content):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DatasetError, match="not a CIFAR-10 batch"):
        read_cifar_python([path])


def test_an_incomplete_or_damaged_cifar_is_an_error(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(binary(PIXELS, LABELS))
    with pytest.raises(DatasetError, match="incomplete"):
        read_cifar_binary([path])
    path.write_bytes(binary(PIXELS, LABELS)[:-1])
    with pytest.raises(DatasetError, match="3073 bytes"):
        read_cifar_binary([path])
    path.unlink()
    with pytest.raises(DatasetError, match=r"^[^\[]* cannot be read: .*data_batch_1\.bin"):
        read_cifar_binary([path])
    archive = tmp_path / "c.tar.gz"
    archive.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"c.tar.gz cannot be read"):
        read_cifar_binary(archive)


def image_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            data = io.BytesIO()
            Image.fromarray(PIXELS[number % 4]).save(data, format="PNG")
            archive.writestr(name, data.getvalue())
    return path


def test_a_zip_of_folders_of_images(tmp_path):
    names = ["train/dog/1.png", "train/cat/1.png", "test/dog/1.png", "test/cat/2.png"]
    spec = InputSpec(width=32, height=32, channels=3, resize="stretch")
    parts = read_image_zip(image_zip(tmp_path / "a.zip", names), spec)
    images, labels, classes = parts["train"]
    assert classes == ("cat", "dog")
    assert labels.tolist() == [0, 1]
    assert np.array_equal(images, PIXELS[[1, 0]])


def test_a_zip_of_another_form_is_an_error(tmp_path):
    spec = InputSpec(width=32, height=32, channels=3, resize="stretch")
    with pytest.raises(DatasetError, match="PART/CLASS/NAME"):
        read_image_zip(image_zip(tmp_path / "a.zip", ["1.png"]), spec)
    broken = tmp_path / "b.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("train/cat/1.png", b"no image")
    with pytest.raises(DatasetError, match=r"train/cat/1.png in .*b.zip"):
        read_image_zip(broken, spec)
    # The bit says that the first file is encrypted.
    encrypted = bytearray(image_zip(tmp_path / "a.zip", ["train/cat/1.png"]).read_bytes())
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    for content in (b"PK", encrypted):
        broken.write_bytes(content)
        with pytest.raises(DatasetError, match="cannot be read"):
            read_image_zip(broken, spec)
