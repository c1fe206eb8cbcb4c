"""The encoders that are shipped: complete, small, and as good as their cards say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from imgcluster.encoders.catalogue import bundled_folder
from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.session import Encoder

NAMES = sorted(path.name.removesuffix(".decoder.onnx") for path in bundled_folder().glob("*.decoder.onnx"))
IMAGES = 500


def test_the_promised_ones_are_there():
    assert set(NAMES) >= {"mnist", "mnist-16", "fashion-mnist", "fashion-mnist-vae", "cifar10", "strokes"}


def test_they_are_small():
    files = [path for name in NAMES for path in bundled_folder().glob(f"{name}.*")]
    assert sum(path.stat().st_size for path in files) < 12_000_000


@pytest.mark.parametrize("name", NAMES)
def test_each_is_complete_and_describes_itself(name):
    encoder = Encoder(name, device="cpu")
    decoder = Decoder(encoder)
    assert decoder.shape[:2] == (encoder.info.height, encoder.info.width)
    assert decoder.info.name == encoder.info.name == name
    assert decoder.info.prior == ("normal" if name.endswith("-vae") else "none")
    for field in ("trained_on", "score", "licence", "source"):
        assert getattr(encoder.info, field)
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert re.search(r"epochs trained \| \d+ of ", card)
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (bundled_folder() / picture).is_file()


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("mnist", "mnist"),
        ("mnist-16", "mnist"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist-vae", "fashion-mnist"),
    ],
)
def test_test_images_are_reconstructed_as_well_as_the_card_says(data_dir, name, dataset):
    from training.datasets import load_dataset

    images = load_dataset(dataset, data_dir=data_dir).test.take(np.arange(IMAGES))
    encoder = Encoder(name, device="cpu")
    made = Decoder(encoder).decode(encoder.encode(images))
    error = float(np.square(made - images / np.float32(255)).mean())
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    said = re.search(r"\| mse \| ([\d.]+) \|", card)
    # The first images of the set are not its average.
    assert error == pytest.approx(float(said[1]), rel=0.15)
