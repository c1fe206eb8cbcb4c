"""The bundled encoders are complete, small, and as good as their cards say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.registry import bundled_encoders, bundled_folder

TRAINED = sorted(set(bundled_encoders()) - {"photos", "photos-fast"})
NAMES = sorted(path.name.removesuffix(".decoder.onnx") for path in bundled_folder().glob("*.decoder.onnx"))
REFINED = sorted(set(TRAINED) - set(NAMES))
IMAGES = 500


def test_the_promised_ones_are_there():
    references = {"a-mnist", "mnist-16", "c-fashion-cae", "fashion-mnist-vae", "a-cifar10", "e-strokes-denoise"}
    assert set(NAMES) >= references | {"strokes"}
    assert REFINED == ["cifar10", "fashion-mnist", "mnist"]


def test_they_are_small():
    files = [path for name in TRAINED for path in bundled_folder().glob(f"{name}.*")]
    assert sum(path.stat().st_size for path in set(files)) < 15_000_000


@pytest.mark.parametrize("name", NAMES)
def test_each_is_complete_and_describes_itself(name):
    encoder = PixelEncoder(name, device="cpu")
    decoder = Decoder(encoder)
    assert decoder.shape[:2] == (encoder.info.height, encoder.info.width)
    assert decoder.info.name == encoder.info.name == name
    assert decoder.info.prior == ("normal" if name.endswith("-vae") else "none")
    for field in ("trained_on", "score", "license", "source"):
        assert getattr(encoder.info, field)
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert re.search(r"epochs trained \| \d+ of ", card)
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (bundled_folder() / picture).is_file()


@pytest.mark.parametrize("name", REFINED)
def test_each_made_to_cluster_says_how(name):
    info = PixelEncoder(name, device="cpu").info
    assert (info.name, info.decoder, info.metric) == (name, "", "cosine")
    assert re.search(r"10 clusters\b.*\bgiven\b", info.refined)
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert re.search(r"stage `neighbours` \| (\d+) epochs of .*\1", card)
    assert "clusters trained for | 10, given" in card
    assert (bundled_folder() / f"{name}.png").is_file()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_test_images_cluster_as_well_as_the_card_says(data_dir, name):
    from imgcluster_training.data.datasets import load_dataset
    from imgcluster_training.reporting.scores import cluster_scores

    images = load_dataset(name, data_dir=data_dir)
    codes = PixelEncoder(name, device="cpu").encode(images.test.take(np.arange(4 * IMAGES)))
    found = cluster_scores(codes, images.test_labels[: 4 * IMAGES], cosine=True, seed=0)
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    said = re.search(r"\| hungarian_accuracy \| ([\d.]+) \|", card)
    # The first images of the set are not its average.
    assert found.hungarian_accuracy == pytest.approx(float(said[1]), abs=0.04)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("a-mnist", "mnist"),
        ("mnist-16", "mnist"),
        ("c-fashion-cae", "fashion-mnist"),
        ("fashion-mnist-vae", "fashion-mnist"),
    ],
)
def test_test_images_are_reconstructed_as_well_as_the_card_says(data_dir, name, dataset):
    from imgcluster_training.data.datasets import load_dataset

    images = load_dataset(dataset, data_dir=data_dir).test.take(np.arange(IMAGES))
    encoder = PixelEncoder(name, device="cpu")
    made = Decoder(encoder).decode(encoder.encode(images))
    error = float(np.square(made - images / np.float32(255)).mean())
    card = (bundled_folder() / f"{name}.md").read_text(encoding="utf-8")
    said = re.search(r"\| mse \| ([\d.]+) \|", card)
    # The first images of the set are not its average.
    assert error == pytest.approx(float(said[1]), rel=0.15)
