"""`imgcluster.Encoder` takes files, Pillow images and arrays of any size, one or several."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tiny_models
from imgcluster import Encoder, NoImagesError, UsageError, embed, encoders
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import load
from pictures import encoded, noise

PICTURE = noise(40, 30)


@pytest.fixture
def encoder(tiny_encoder: Path) -> Encoder:
    return Encoder(tiny_encoder, device="cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(PICTURE, "PNG"))
    return path


def test_files_pillow_images_and_arrays_give_the_vector_that_embed_gives(
    encoder: Encoder, tiny_encoder: Path, file: Path, tmp_path: Path
) -> None:
    embed([file], workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu")
    expected = load(Workspace(tmp_path / "out").embeddings, encoder.identity).vectors
    array = np.asarray(PICTURE)
    for image in (file, str(file), PICTURE, array):
        vectors = encoder.encode(image)
        assert (vectors.dtype, vectors.shape) == (np.float32, (1, 48))
        np.testing.assert_array_equal(vectors, expected)
    for images in ([file, str(file), PICTURE, array], iter([file] * 4), np.stack([array] * 4), (PICTURE,) * 4):
        np.testing.assert_array_equal(encoder.encode(images), np.repeat(expected, 4, axis=0))


def test_arrays_of_the_encoders_size_are_taken_as_they_are(tmp_path: Path) -> None:
    info = dataclasses.replace(tiny_models.TINY, resize="crop", crop_fraction=0.5)
    encoder = Encoder(tiny_models.mean_colour(tmp_path / "crop.onnx", info), device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    expected = pixels.reshape(2, -1).astype(np.float32) - 100
    np.testing.assert_array_equal(encoder.encode(pixels), expected)
    np.testing.assert_array_equal(encoder.encode(list(pixels)), expected)
    np.testing.assert_array_equal(encoder.encode(pixels[0]), expected[:1])
    assert not np.array_equal(encoder.encode(Image.fromarray(pixels[0])), expected[:1])


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (9, 7, 4), (4, 4), (4, 4, 1)])
def test_gray_and_transparent_arrays(encoder: Encoder, shape: tuple[int, ...]) -> None:
    image = np.full(shape, 255, np.uint8)
    np.testing.assert_array_equal(encoder.encode(image), np.full((1, 48), 155, np.float32))


def test_images_of_different_sizes_keep_their_order(encoder: Encoder) -> None:
    images = [np.full((5 + number % 7, 6, 3), number, np.uint8) for number in range(100)]
    np.testing.assert_array_equal(encoder.encode(images)[:, 0], np.arange(100, dtype=np.float32) - 100)


def test_a_pillow_image_that_was_not_loaded_can_be_given_twice(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(noise(400, 300), "JPEG"))
    with Image.open(tmp_path / "a.jpg") as picture:
        vectors = encoder.encode([picture] * 8)
    assert (vectors == vectors[0]).all()


@pytest.mark.parametrize("images", [[], (), np.empty((0, 4, 4, 3), np.uint8), np.empty((0, 9, 9, 3), np.uint8)])
def test_no_images_give_no_vectors(encoder: Encoder, images: Any) -> None:
    assert encoder.encode(images).shape == (0, 48)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (np.zeros((9, 9, 3), np.float32), "float32"),
        (np.zeros((2, 4, 4, 3), np.float64), "float64"),
        (np.zeros((5, 28, 28), np.uint8), "(n, height, width, channels)"),
        (np.zeros(9, np.uint8), "(9,)"),
        (np.zeros((0, 9, 3), np.uint8), "(0, 9, 3)"),
        ([7], "int"),
        ([None], "NoneType"),
    ],
)
def test_other_values_are_refused(encoder: Encoder, image: Any, named: str) -> None:
    with pytest.raises(UsageError) as error:
        encoder.encode(image)
    assert named in str(error.value)


def test_files_that_cannot_be_read_are_named(encoder: Encoder, file: Path, tmp_path: Path) -> None:
    for name, content in (("note.txt", b"no image"), ("bad.png", encoded(PICTURE, "PNG")[:200])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NoImagesError, match=name):
            encoder.encode([file, tmp_path / name])
    with pytest.raises(UsageError, match="gone.png"):
        encoder.encode(tmp_path / "gone.png")
    with pytest.raises(UsageError, match="folder"):
        encoder.encode(tmp_path)
    with Image.open(tmp_path / "bad.png") as picture, pytest.raises(NoImagesError):
        encoder.encode(picture)


def test_it_is_an_encoder(encoder: Encoder) -> None:
    assert isinstance(encoder, encoders.PixelEncoder)
