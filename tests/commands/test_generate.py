"""`generate` draws new images, the same for a seed, and images similar to a given one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny_decoders import autoencoder

from imgcluster.commands.generate import generate
from imgcluster.errors import EncoderError, NoImagesError, UsageError


@pytest.fixture
def variational(tmp_path):
    return autoencoder(tmp_path, changes={"prior": "normal"})


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_single_images_and_a_grid(variational, tmp_path) -> None:
    summary = generate(encoder=variational, count=70, output=tmp_path / "out", device="cpu")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*(f"{number:04}.png" for number in range(1, 71)), "grid.png"]
    assert pixels(tmp_path / "out" / "grid.png").shape == (8 * 4, 9 * 4, 3)
    assert np.array_equal(pixels(tmp_path / "out" / "grid.png")[:4, 4:8], pixels(tmp_path / "out" / "0002.png"))
    assert (summary.images, summary.around) == (70, None)


def test_a_seed_makes_the_same_images(variational, tmp_path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate(encoder=variational, count=2, seed=seed, output=tmp_path / name, device="cpu")
    a, b, c = (pixels(tmp_path / name / "0002.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_around_an_image(variational, tmp_path) -> None:
    Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / "a.png")
    generate(encoder=variational, count=3, around=tmp_path / "a.png", spread=2.0, output=tmp_path / "out", device="cpu")
    first, second = pixels(tmp_path / "out" / "0001.png"), pixels(tmp_path / "out" / "0002.png")
    assert set(map(tuple, first.reshape(-1, 3))) == {(200, 100, 50)}
    assert 0 < np.abs(second.astype(int) - first).max() < 20


@pytest.mark.parametrize("name", ["0002.png", "grid.png"])
def test_files_of_the_user_are_not_replaced(variational, tmp_path, name) -> None:
    for _ in range(2):
        generate(encoder=variational, count=2, output=tmp_path / "out", device="cpu")
    Image.new("RGB", (9, 9)).save(tmp_path / "out" / name)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match=rf"{name} exists and was not written by imgcluster; choose another folder"):
        generate(encoder=variational, count=2, seed=1, output=tmp_path / "out", device="cpu")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_the_image_to_stay_near_is_not_replaced(variational, tmp_path) -> None:
    generate(encoder=variational, count=2, output=tmp_path / "out", device="cpu")
    chosen = tmp_path / "out" / "0002.png"
    before = chosen.read_bytes()
    with pytest.raises(UsageError, match=r"--around .*0002\.png would be replaced; choose another folder"):
        generate(encoder=variational, count=2, around=chosen, output=tmp_path / "out", device="cpu")
    assert chosen.read_bytes() == before
    generate(encoder=variational, count=2, around=chosen, output=tmp_path / "near", device="cpu")


def test_an_encoder_that_is_not_variational_is_refused(tmp_path) -> None:
    with pytest.raises(EncoderError, match=r"encoder auto is not variational.*fashion-mnist-vae"):
        generate(encoder=autoencoder(tmp_path), output=tmp_path / "out", device="cpu")


@pytest.mark.parametrize("options", [{"count": 0}, {"seed": -1}, {"spread": -0.1}, {"spread": float("nan")}])
def test_the_impossible_option_alone_is_named(variational, tmp_path, options) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=rf"^--{name} {value} is not allowed; [^-]+$"):
        generate(encoder=variational, around=tmp_path / "a.png", output=tmp_path / "out", device="cpu", **options)


def test_spread_needs_an_image_to_stay_near(variational, tmp_path) -> None:
    with pytest.raises(UsageError, match="--spread is for --around: add --around IMAGE"):
        generate(encoder=variational, spread=0.2, output=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_around_must_be_an_image(variational, tmp_path) -> None:
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(NoImagesError, match=r"note\.txt"):
        generate(encoder=variational, around=tmp_path / "note.txt", output=tmp_path / "out", device="cpu")
    with pytest.raises(UsageError, match="is a folder"):
        generate(encoder=variational, around=tmp_path, output=tmp_path / "out", device="cpu")
    with pytest.raises(UsageError, match="no such file"):
        generate(encoder=variational, around=tmp_path / "none.png", output=tmp_path / "out", device="cpu")
