"""From a recipe and a data set to exported files, cards and pictures, as the command line calls it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster.errors import NoImagesError, UsageError  # noqa: E402
from training.datasets import load_dataset  # noqa: E402
from training.export import run_onnx  # noqa: E402
from training.recipes import RECIPES_FOLDER, load_recipe, recipe_names  # noqa: E402
from training.train import train_encoder  # noqa: E402

RECIPE = """
title = "small"
augmentation = [{ type = "flip" }]
corruption = [{ type = "salt-and-pepper", amount = 0.1 }]

[data]
dataset = "folder"
image_size = 16
channels = 3

[model]
latent = 2
code = "gaussian"
encoder = [{ type = "conv", filters = 4, stride = 2, activation = "relu" }]
decoder = [
  { type = "dense-to-map" },
  { type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" },
]

[training]
loss = "vae"
batch_size = 8
epochs = 2

[split]
validation = 0.2
test = 0.2
"""


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def small_mnist(monkeypatch, tiny_images):
    monkeypatch.setattr("training.train.load_dataset", lambda *_, **__: tiny_images)


def metadata(path):
    return EncoderInfo.from_metadata({prop.key: prop.value for prop in onnx.load(path).metadata_props})


def test_a_folder_of_ones_own(photos, recipe, tmp_path):
    seen = []
    result = train_encoder(str(photos), recipe=recipe, output=tmp_path / "out", on_progress=seen.append)
    assert (result.name, result.unreadable) == ("small", 1)
    assert result.clusters is None
    assert len(seen) == 2 * 2
    info = metadata(result.encoder)
    assert (info.name, info.width, info.channels, info.embedding_size) == ("small", 16, 3, 2)
    assert info.decoder == result.decoder.name
    assert "24 images of the folder 'my photos'" in info.trained_on
    codes = run_onnx(result.encoder, np.zeros((3, 16, 16, 3), dtype=np.uint8))
    assert codes.shape == (3, 2)
    assert run_onnx(result.decoder, codes).shape == (3, 16, 16, 3)
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        "small.onnx",
        "small.decoder.onnx",
        "small.md",
        "small.png",
        "checkpoint.pt",
        "history.csv",
        "scores.json",
        "curves.png",
        "filters.png",
        "latent.png",
        "generated.png",
    }
    with (result.folder / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    scores = json.loads((result.folder / "scores.json").read_text())
    assert scores["epochs"] == 2
    assert 0 <= scores["test"]["restored"] <= 1
    card = result.card.read_text()
    for text in ("# small", "2 of the recipe's 2", "small.png", "ONNX Runtime and torch differ by", "| restored |"):
        assert text in card


def test_a_data_set_with_labels_and_folds(small_mnist, tmp_path):
    from tiny import TINY

    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    result = train_encoder("mnist", recipe=str(path), name="t", output=tmp_path / "out", folds=2, epochs=1)
    assert result.name == "t"
    assert len(result.folds.folds) == 2
    best = result.folds.best
    assert result.fit.history == best.fit.history
    assert result.test == best.test
    assert result.clusters == best.clusters
    card = result.card.read_text()
    assert "1 of the recipe's 3" in card
    assert "## Cross-validation: 2 of 2 folds" in card
    assert f"fold {best.fold}" in card
    assert f"seed {best.fold - 1}" in card
    assert "k-means" in metadata(result.encoder).score


STAGES = """
[cluster]
stages = [{ type = "dec", epochs = 2, updates = 3, batch_size = 8, tolerance = 0.0 }]
"""


@pytest.mark.parametrize("refine", [3, "auto"])
def test_a_folder_is_refined(photos, recipe, tmp_path, monkeypatch, refine):
    monkeypatch.setattr("training.clustering.refine.count_clusters", lambda *_, **__: 3)
    (tmp_path / "refined.toml").write_text(RECIPE + STAGES)
    seen = []
    result = train_encoder(
        str(photos),
        recipe=str(tmp_path / "refined.toml"),
        refine=refine,
        output=tmp_path / "out",
        on_progress=seen.append,
    )
    assert [progress.stage for progress in seen] == [""] * 4 + ["dec"] * 6
    assert (result.refinement.clusters, result.refinement.found) == (3, refine == "auto")
    assert result.test is None
    assert result.decoder is None
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        "refined.onnx",
        "refined.md",
        "refined.png",
        "checkpoint.pt",
        "stage-1-dec.pt",
        "stage-1-dec.csv",
        "history.csv",
        "scores.json",
        "curves.png",
    }
    info = metadata(result.encoder)
    assert info.decoder == ""
    assert info.refined == result.refinement.summary
    assert run_onnx(result.encoder, np.zeros((3, 16, 16, 3), dtype=np.uint8)).shape == (3, 2)
    card = result.card.read_text()
    how = "found among the codes, without labels" if refine == "auto" else "given"
    for text in ("stage `dec` | 2 epochs of the recipe's 2", f"clusters trained for | 3, {how}", "of each cluster"):
        assert text in card
    plain = train_encoder(str(photos), recipe=recipe, output=tmp_path / "out")
    assert plain.refinement is None
    assert metadata(plain.encoder).version != info.version


def test_a_refined_encoder_with_its_decoder(photos, tmp_path):
    # IDEC is the stage that keeps the decoder.
    text = RECIPE.replace('code = "gaussian"', 'code = "dense"').replace('loss = "vae"', 'loss = "mse"')
    (tmp_path / "kept.toml").write_text(text + STAGES.replace('"dec"', '"idec"') + "clusters = 3\n")
    result = train_encoder(str(photos), recipe=str(tmp_path / "kept.toml"), output=tmp_path / "out")
    codes = run_onnx(result.encoder, np.zeros((2, 16, 16, 3), dtype=np.uint8))
    assert run_onnx(result.decoder, codes).shape == (2, 16, 16, 3)
    assert result.test.mse > 0
    weights = result.encoder.read_bytes()
    again = train_encoder(str(photos), recipe=str(tmp_path / "kept.toml"), output=tmp_path / "out", resume=True)
    assert again.encoder.read_bytes() == weights


def test_every_fold_is_refined_and_scored(small_mnist, tmp_path):
    from tiny import TINY

    (tmp_path / "tiny.toml").write_text(TINY + STAGES)
    result = train_encoder(
        "mnist", recipe=str(tmp_path / "tiny.toml"), refine=3, output=tmp_path / "out", folds=2, epochs=1
    )
    with (result.folder / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["refine_clusters"] for row in rows] == ["3", "3"]
    assert {"majority_accuracy", "training_loss"} <= set(rows[0])
    assert "test_mse" not in rows[0]
    assert result.clusters == result.folds.best.clusters
    assert (result.folder / "fold-2" / "stage-1-dec.pt").is_file()


def test_an_encoder_without_decoder_has_no_folds(small_mnist, tmp_path):
    with pytest.raises(UsageError, match="recipe clusters-colour has no decoder; leave out --folds"):
        train_encoder("mnist", recipe="clusters-colour", folds=2, output=tmp_path)


def test_an_encoder_without_decoder_goes_all_the_way(small_mnist, tmp_path):
    result = train_encoder("mnist", recipe="clusters-colour", refine=3, epochs=1, output=tmp_path)
    assert [len(stage.history) for stage in result.refinement.stages] == [1, 5]
    assert result.fit.history == ()
    card = result.card.read_text()
    assert "stage `contrastive` | 1 epochs of the recipe's 20 at most" in card
    assert "in the encoder" in card
    assert result.clusters is not None
    assert run_onnx(result.encoder, np.zeros((2, 8, 8, 1), dtype=np.uint8)).shape == (2, 160)


def test_contrastive_learning_alone_needs_no_number_of_clusters(small_mnist, tmp_path):
    text = (RECIPES_FOLDER / "clusters-colour.toml").read_text()
    first, _, rest = text.partition('[[cluster.stages]]\ntype = "neighbours"')
    alone = first.replace("clusters = 10", "") + "[split]" + rest.partition("[split]")[2]
    (tmp_path / "alone.toml").write_text(alone)
    result = train_encoder("mnist", recipe=str(tmp_path / "alone.toml"), epochs=1, output=tmp_path / "out")
    assert (result.refinement.clusters, metadata(result.encoder).refined) == (0, "contrastive (1 epochs)")
    assert "clusters trained for" not in result.card.read_text()


def test_a_second_call_with_resume_trains_nothing_and_writes_the_same(photos, recipe, tmp_path):
    first = train_encoder(str(photos), recipe=recipe, output=tmp_path / "out")
    weights = first.encoder.read_bytes()
    seen = []
    again = train_encoder(str(photos), recipe=recipe, output=tmp_path / "out", resume=True, on_progress=seen.append)
    assert seen == []
    assert again.encoder.read_bytes() == weights
    other = train_encoder(str(photos), recipe=recipe, output=tmp_path / "other", seed=1)
    assert metadata(other.encoder).version != metadata(first.encoder).version


def test_the_users_encoder_folder_is_the_default(photos, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "mine"))
    result = train_encoder(str(photos), recipe=recipe, name="own", epochs=1)
    assert result.encoder == tmp_path / "mine" / "own.onnx"


def test_the_default_recipe_of_a_folder_is_named_after_it(photos, tmp_path):
    result = train_encoder(str(photos), output=tmp_path, epochs=1, image_size=32)
    assert result.name == "my photos"
    assert metadata(result.encoder).width == 32


@pytest.fixture
def random_sets(monkeypatch):
    """Every data set by name, twelve images of noise each."""
    from training.datasets import ArrayImages, ImageSet

    shapes = {"cifar10": (32, 32, 3), "strokes": (224, 224, 1)}

    def load(name, **_):
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (24, *shapes.get(name, (28, 28, 1))), dtype=np.uint8)
        labels = np.arange(12) % 3
        return ImageSet(
            name=name,
            description="noise",
            licence="CC0-1.0",
            train=ArrayImages(pixels[:12]),
            test=ArrayImages(pixels[12:]),
            train_labels=labels,
            test_labels=labels,
            classes=("a", "b", "c"),
        )

    monkeypatch.setattr("training.train.load_dataset", load)


@pytest.mark.parametrize(("target", "channels"), [("image", 3), ("chrominance", 2)])
def test_a_colouriser_sees_grey_and_is_shown_in_colour(random_sets, tmp_path, target, channels):
    text = (RECIPES_FOLDER / "b-cifar10-colorize.toml").read_text()
    path = tmp_path / "colours.toml"
    path.write_text(text.replace('input = "grey"', f'input = "grey"\ntarget = "{target}"'))
    result = train_encoder("cifar10", recipe=str(path), output=tmp_path / "out", epochs=1)
    assert metadata(result.encoder).channels == 1
    codes = run_onnx(result.encoder, np.zeros((2, 32, 32, 1), dtype=np.uint8))
    assert run_onnx(result.decoder, codes).shape == (2, 32, 32, channels)
    with Image.open(tmp_path / "out" / "colours.png") as picture:
        # Three columns (grey, coloured, original) for the two test images.
        assert picture.width / picture.height == pytest.approx(3 / 2, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_goes_all_the_way(random_sets, photos, tmp_path, name):
    dataset = load_recipe(name).data.dataset
    result = train_encoder(
        str(photos) if dataset == "folder" else dataset,
        recipe=name,
        output=tmp_path / "out",
        epochs=1,
        steps_per_epoch=2,
        limit=12,
    )
    assert metadata(result.encoder).embedding_size == load_recipe(name).model.latent
    assert result.card.is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "no-such-place"}, r"neither a data set \(mnist, .*\) nor a folder of images"),
        ({"recipe": "nope"}, "recipe 'nope' is unknown"),
        ({"recipe": "a-mnist"}, "does not say which size folders of images are brought to"),
        ({"epochs": 0}, "epochs = 0 is not possible"),
        ({"refine": -1}, "clusters = -1 is not possible"),
        ({"limit": 1}, "--limit 1 is not possible"),
        ({"name": "a/b"}, "--name 'a/b' is not possible"),
        ({"name": ".."}, "--name '..' is not possible"),
        ({"folds": 1}, "--folds 1 is not possible"),
        ({"image_size": 33, "recipe": None}, "makes images of 3×48×48, the data's are 3×33×33"),
        ({"dataset": "strokes", "image_size": 33, "recipe": None}, "--image-size is for folders of images"),
    ],
)
def test_wrong_options_are_named(photos, recipe, tmp_path, options, message):
    asked = {"dataset": str(photos), "recipe": recipe, "output": tmp_path / "out"} | options
    with pytest.raises(UsageError, match=message):
        train_encoder(asked.pop("dataset"), **asked)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="holds no image"):
        train_encoder(str(tmp_path / "empty"), output=tmp_path / "out")


@pytest.mark.parametrize("count", [20, pytest.param(10_000, marks=pytest.mark.slow)])
def test_png_files_of_digits_get_the_same_codes_as_the_arrays(data_dir, tmp_path, count):
    from imgcluster.commands.embed import embed
    from imgcluster.workspace.shards import list_shards, load
    from training.datasets import ArrayImages
    from training.evaluation import encode
    from training.models import model_for
    from training.recipes import load_recipe

    result = train_encoder("mnist", recipe="d-mnist-16", output=tmp_path, data_dir=data_dir, limit=64, epochs=1)
    digits = load_dataset("mnist", data_dir=data_dir).test.take(np.arange(count))
    (tmp_path / "in").mkdir()
    for number, digit in enumerate(digits):
        Image.fromarray(digit[:, :, 0]).save(tmp_path / f"in/{number:05}.png")
    embed([tmp_path / "in"], workspace=tmp_path / "out", encoder=result.encoder, device="cpu")
    shards = tmp_path / "out/embeddings"
    identity = json.loads((tmp_path / "out/manifest.json").read_text())["encoder"]["identity"]
    assert list_shards(shards, identity)
    embedded = load(shards, identity)
    assert len(embedded.locations) == count
    recipe = load_recipe("d-mnist-16")
    model = model_for(recipe, (28, 28, 1), seed=0)
    state = torch.load(result.folder / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["best"])
    codes = encode(model, ArrayImages(digits), recipe, torch.device("cpu"))
    assert np.abs(embedded.vectors - codes).max() < 1e-4
