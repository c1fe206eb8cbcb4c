"""From a recipe and a data set to exported files, cards and pictures, as the command line calls it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster.errors import ImgclusterError, UsageError  # noqa: E402
from imgcluster.options import TrainingOptions  # noqa: E402
from imgcluster_training.data.datasets import load_dataset  # noqa: E402
from imgcluster_training.errors import TrainingError  # noqa: E402
from imgcluster_training.export.to_onnx import run_onnx  # noqa: E402
from imgcluster_training.recipe.parser import load_recipe, recipe_names, recipes_folder  # noqa: E402
from imgcluster_training.train import train_encoder  # noqa: E402
from tiny import FOLDER_RECIPE, TINY, Interrupted, interrupt_at, write_idx  # noqa: E402


def train(dataset, on_progress=None, **options):
    return train_encoder(str(dataset), TrainingOptions(**options), on_progress=on_progress)


def metadata(path):
    return EncoderInfo.from_metadata({prop.key: prop.value for prop in onnx.load(path).metadata_props})


def test_a_folder(photos, recipe, tmp_path):
    seen = []
    result = train(photos, recipe=recipe, output=tmp_path / "out", on_progress=seen.append)
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


def test_the_card_shows_any_name_and_title(photos, tmp_path):
    (tmp_path / "small.toml").write_text(FOLDER_RECIPE.replace('"small"', '"left | right\\nend"'))
    name = "my (best) photos"
    folder = photos.rename(photos.with_name("a | b"))
    result = train(folder, recipe=str(tmp_path / "small.toml"), name=name, output=tmp_path / "out", epochs=1)
    card = result.card.read_text()
    assert "](my%20%28best%29%20photos.png)" in card
    assert "| `small`: left \\| right end |" in card
    assert r"of the folder 'a \| b'," in card


def test_a_data_set_with_labels_and_folds(small_mnist, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    result = train(
        "mnist", data_dir=small_mnist, recipe=str(path), name="t", output=tmp_path / "out", folds=2, epochs=1
    )
    assert result.name == "t"
    assert len(result.folds.folds) == 2
    best = result.folds.best
    assert result.fit.history == best.fit.history
    assert result.test == best.test
    assert result.clusters == best.clusters
    card = result.card.read_text()
    assert "1 of the recipe's 3" in card
    assert "| license of the images | CC-BY-SA-3.0 |" in card
    assert "## Cross-validation: 2 of 2 folds" in card
    assert f"fold {best.fold}" in card
    assert f"seed {best.fold - 1}" in card
    assert "k-means" in metadata(result.encoder).score
    # After one epoch the reconstructions are gray.
    assert "--epochs" in result.note
    assert result.note in card
    assert result.options == TrainingOptions(
        recipe=str(path), name="t", output=tmp_path / "out", data_dir=small_mnist, folds=2, epochs=1
    )


def test_the_card_tells_epochs_of_all_images_from_those_of_some_batches(photos, recipe, tmp_path):
    card = train(photos, recipe=recipe, output=tmp_path / "out", epochs=1, steps_per_epoch=3).card.read_text()
    assert "| 1 of 3 batches each; the recipe has 2 of all training images; " in card


@pytest.mark.slow
def test_the_card_says_that_patience_ended_the_training(photos, recipe, tmp_path):
    result = train(photos, recipe=recipe, output=tmp_path / "out", epochs=60, patience=1)
    epochs = len(result.fit.history)
    assert result.fit.best_epoch == epochs - 1
    assert f"| {epochs} of the recipe's 2, ended by a patience of 1; the weights are those of epoch {epochs - 1} |" in (
        result.card.read_text()
    )


STAGES = """
[cluster]
stages = [{ type = "dec", epochs = 2, updates = 3, batch_size = 8, tolerance = 0.0 }]
"""


def test_a_folder_is_refined(photos, recipe, tmp_path):
    (tmp_path / "refined.toml").write_text(FOLDER_RECIPE + STAGES)
    seen = []
    result = train(
        photos,
        recipe=str(tmp_path / "refined.toml"),
        refine=3,
        output=tmp_path / "out",
        on_progress=seen.append,
    )
    assert [progress.stage for progress in seen] == [""] * 4 + ["dec"] * 6
    assert (result.refinement.clusters, result.refinement.found) == (3, False)
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
    for text in ("stage `dec` | 2 epochs of at most 2", "clusters trained for | 3, given", "each cluster"):
        assert text in card


@pytest.mark.slow
def test_a_refined_encoder_with_its_decoder(photos, tmp_path):
    # IDEC is the stage that keeps the decoder.
    text = FOLDER_RECIPE.replace('code = "gaussian"', 'code = "dense"').replace('loss = "vae"', 'loss = "mse"')
    (tmp_path / "kept.toml").write_text(text + STAGES.replace('"dec"', '"idec"') + "clusters = 3\n")
    result = train(photos, recipe=str(tmp_path / "kept.toml"), output=tmp_path / "out")
    codes = run_onnx(result.encoder, np.zeros((2, 16, 16, 3), dtype=np.uint8))
    assert run_onnx(result.decoder, codes).shape == (2, 16, 16, 3)
    assert result.test.mse > 0


@pytest.mark.slow
def test_every_fold_is_refined_and_scored(small_mnist, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY + STAGES)
    result = train(
        "mnist",
        data_dir=small_mnist,
        recipe=str(tmp_path / "tiny.toml"),
        refine=3,
        output=tmp_path / "out",
        folds=2,
        epochs=1,
    )
    with (result.folder / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["refine_clusters"] for row in rows] == ["3", "3"]
    assert {"majority_accuracy", "training_loss"} <= set(rows[0])
    assert "test_mse" not in rows[0]
    assert result.clusters == result.folds.best.clusters
    assert (result.folder / "fold-2" / "stage-1-dec.pt").is_file()


def test_an_encoder_without_decoder_has_no_folds(small_mnist, tmp_path):
    with pytest.raises(UsageError, match="--folds.*clusters-colour"):
        train("mnist", data_dir=small_mnist, recipe="clusters-colour", folds=2, output=tmp_path)


def test_an_encoder_without_decoder_goes_all_the_way(small_mnist, tmp_path):
    result = train("mnist", data_dir=small_mnist, recipe="clusters-colour", refine=3, epochs=1, output=tmp_path)
    assert [len(stage.history) for stage in result.refinement.stages] == [1, 5]
    assert result.fit.history == ()
    card = result.card.read_text()
    assert "stage `contrastive` | 1 epochs of at most 150" in card
    assert "in the encoder" in card
    assert result.clusters is not None
    assert run_onnx(result.encoder, np.zeros((2, 8, 8, 1), dtype=np.uint8)).shape == (2, 256)


@pytest.mark.slow
def test_contrastive_learning_alone_needs_no_number_of_clusters(small_mnist, tmp_path):
    text = (recipes_folder() / "clusters-colour.toml").read_text()
    first, _, rest = text.partition('[[cluster.stages]]\ntype = "neighbours"')
    alone = first.replace("clusters = 10", "") + "[split]" + rest.partition("[split]")[2]
    (tmp_path / "alone.toml").write_text(alone)
    result = train(
        "mnist", data_dir=small_mnist, recipe=str(tmp_path / "alone.toml"), epochs=1, output=tmp_path / "out"
    )
    assert (result.refinement.clusters, metadata(result.encoder).refined) == (0, "contrastive (1 epochs)")
    assert "clusters trained for" not in result.card.read_text()


def test_resuming_a_finished_training_trains_nothing_and_writes_the_same(photos, tmp_path):
    (tmp_path / "normed.toml").write_text(FOLDER_RECIPE.replace('"relu" }', '"relu", norm = "after-activation" }'))
    recipe = str(tmp_path / "normed.toml")
    first = train(photos, recipe=recipe, output=tmp_path / "out")
    weights = first.encoder.read_bytes()
    seen = []
    again = train(photos, recipe=recipe, output=tmp_path / "out", on_progress=seen.append)
    assert seen == []
    assert again.encoder.read_bytes() == weights


OTHER_RECIPES = {
    "other layers": FOLDER_RECIPE.replace("filters = 4", "filters = 5"),
    # Its first checkpoint is another file than that of an autoencoder.
    "no decoder": """
title = "other"

[data]
dataset = "folder"
image_size = 16
channels = 3

[model]
latent = 4
code = "flatten"
encoder = [{ type = "conv", filters = 4, stride = 2, activation = "relu" }, { type = "global-average" }]

[[cluster.stages]]
type = "contrastive"
epochs = 1
augmentation = [{ type = "flip" }]
""",
}


@pytest.mark.parametrize("other", OTHER_RECIPES)
def test_a_finished_training_is_replaced_only_with_fresh(photos, recipe, tmp_path, other):
    out = tmp_path / "out"
    first = train(photos, recipe=recipe, name="mine", output=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "other.toml").write_text(OTHER_RECIPES[other])
    changed = {"recipe": str(tmp_path / "other.toml"), "name": "mine", "output": out}
    with pytest.raises(ImgclusterError, match="--name.*--fresh"):
        train(photos, **changed)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    again = train(photos, **changed, fresh=True)
    assert again.encoder == first.encoder
    assert again.encoder.read_bytes() != before[first.encoder]


def epochs_trained(dataset, **options):
    """Train, and return the result and the epochs that were trained, in their order."""
    seen = []
    result = train(dataset, on_progress=lambda progress: seen.append((progress.fold, progress.epoch)), **options)
    return result, list(dict.fromkeys(seen))


def test_fresh_trains_again_and_repeated_after_an_interruption_continues(photos, recipe, tmp_path):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out"}
    train(photos, **options)
    first = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.onnx")}
    copy = tmp_path / "out" / "mine.training" / "checkpoint copy.pt"
    copy.write_text("the user's")
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(photos, on_progress=interrupt_at(epoch=2), fresh=True, **options)
    _, epochs = epochs_trained(photos, fresh=True, **options)
    assert [epoch for _, epoch in epochs] == [2]
    assert {path: path.read_bytes() for path in first} == first
    _, epochs = epochs_trained(photos, fresh=True, **options)
    assert [epoch for _, epoch in epochs] == [1, 2]
    assert copy.read_text() == "the user's"


def test_an_interrupted_fresh_training_continues_without_fresh_too_and_is_finished_then(photos, recipe, tmp_path):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out"}
    with pytest.raises(Interrupted):
        train(photos, on_progress=interrupt_at(epoch=2), fresh=True, **options)
    _, epochs = epochs_trained(photos, **options)
    assert [epoch for _, epoch in epochs] == [2]
    _, epochs = epochs_trained(photos, fresh=True, **options)
    assert [epoch for _, epoch in epochs] == [1, 2]


def test_fresh_replaces_also_what_another_interrupted_fresh_began(photos, recipe, tmp_path):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out"}
    with pytest.raises(Interrupted):
        train(photos, on_progress=interrupt_at(epoch=2), fresh=True, **options)
    result, epochs = epochs_trained(photos, fresh=True, seed=5, **options)
    assert [epoch for _, epoch in epochs] == [1, 2]
    expected = train(photos, recipe=recipe, name="mine", output=tmp_path / "other", seed=5)
    assert result.encoder.read_bytes() == expected.encoder.read_bytes()


def test_fresh_trains_every_fold_again_whatever_an_earlier_training_left(photos, recipe, tmp_path):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out", "folds": 2}
    train(photos, epochs=3, **options)
    _, epochs = epochs_trained(photos, fresh=True, **options)
    assert epochs == [(1, 1), (1, 2), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    "changes", [{"image_size": 15}, {"folds": 1000}, {"refine": 1000}], ids=["image size", "folds", "clusters"]
)
def test_a_fresh_training_that_is_not_possible_removes_nothing(photos, recipe, tmp_path, changes):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out"}
    train(photos, **options)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(ImgclusterError):
        train(photos, fresh=True, **options, **changes)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_fresh_killed_while_it_removes_checkpoints_removes_the_others_next_time(photos, recipe, tmp_path, monkeypatch):
    options = {"recipe": recipe, "name": "mine", "output": tmp_path / "out", "folds": 2}
    with pytest.raises(Interrupted):
        train(photos, on_progress=interrupt_at(fold=2, folds=2, epoch=2), **options)
    unlink, removed = Path.unlink, []

    def unlink_one(path, **keywords):
        if removed:
            raise Interrupted
        removed.append(path)
        unlink(path, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_one)
        with pytest.raises(Interrupted):
            train(photos, fresh=True, **options)
    assert removed[0].suffix == ".pt"
    _, epochs = epochs_trained(photos, fresh=True, **options)
    assert epochs == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_folder_that_cannot_be_written_to_is_noticed_before_the_training(photos, recipe, tmp_path):
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(OSError, match="file"):
        train(photos, recipe=recipe, output=tmp_path / "file" / "out", on_progress=seen.append)
    assert seen == []


def test_a_model_that_does_not_fit_into_memory_is_one_line(photos, tmp_path):
    (tmp_path / "huge.toml").write_text(FOLDER_RECIPE.replace("filters = 4", f"filters = {10**9}"))
    with pytest.raises(TrainingError, match="not enough memory.*--image-size"):
        train(photos, recipe=str(tmp_path / "huge.toml"), output=tmp_path / "out")


@pytest.mark.slow
def test_an_encoder_may_have_no_weights(photos, tmp_path):
    head, tail = FOLDER_RECIPE.split("encoder = ")
    tail = tail.partition("decoder")[2].replace("dense-to-map", "reshape").replace('"vae"', '"mse"')
    text = (
        head.replace("latent = 2", "latent = 192").replace("gaussian", "flatten")
        + 'encoder = [{ type = "max-pool" }]\n'
    )
    (tmp_path / "pooled.toml").write_text(f"{text}decoder{tail}")
    assert train(photos, recipe=str(tmp_path / "pooled.toml"), output=tmp_path / "out", epochs=1).encoder.is_file()


def test_a_training_into_the_folder_of_images_leaves_them_alone_and_resumes(photos, recipe):
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    with pytest.raises(UsageError, match=r"3\.png .*overwritten.*--name"):
        train(photos, recipe=recipe, name="3", output=photos)
    train(photos, recipe=recipe, output=photos)
    assert {name: (photos / name).read_bytes() for name in before} == before
    # The pictures of the first training are not images to train on.
    seen = []
    train(photos, recipe=recipe, output=photos, on_progress=seen.append)
    assert seen == []


@pytest.fixture
def random_sets(tmp_path):
    """A folder with the published files of MNIST, Fashion-MNIST and CIFAR-10: twelve images of noise each."""
    random = np.random.default_rng(0)
    labels = (np.arange(12) % 3).astype(np.uint8)
    for name in ("mnist", "fashion-mnist"):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for part in ("train", "t10k"):
            write_idx(
                tmp_path / "sets" / name / f"{part}-images-idx3-ubyte",
                random.integers(0, 256, (12, 28, 28), dtype=np.uint8),
            )
            write_idx(tmp_path / "sets" / name / f"{part}-labels-idx1-ubyte", labels)
    (tmp_path / "sets" / "cifar10").mkdir()
    for part in ("data_batch_1", "test_batch"):
        records = random.integers(0, 256, (12, 1 + 3 * 32 * 32), dtype=np.uint8)
        records[:, 0] = labels
        (tmp_path / "sets" / "cifar10" / f"{part}.bin").write_bytes(records.tobytes())
    return tmp_path / "sets"


@pytest.mark.parametrize(("target", "channels"), [pytest.param("image", 3, marks=pytest.mark.slow), ("chrominance", 2)])
def test_a_colorizer_sees_gray_and_is_shown_in_color(random_sets, tmp_path, target, channels):
    text = (recipes_folder() / "b-cifar10-colorize.toml").read_text()
    path = tmp_path / "colours.toml"
    path.write_text(text.replace('input = "grey"', f'input = "grey"\ntarget = "{target}"'))
    result = train("cifar10", recipe=str(path), output=tmp_path / "out", data_dir=random_sets, epochs=1)
    assert metadata(result.encoder).channels == 1
    codes = run_onnx(result.encoder, np.zeros((2, 32, 32, 1), dtype=np.uint8))
    assert run_onnx(result.decoder, codes).shape == (2, 32, 32, channels)
    with Image.open(tmp_path / "out" / "colours.png") as picture:
        # Three columns (gray, colored, original) for the two test images.
        assert picture.width / picture.height == pytest.approx(3 / 2, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_goes_all_the_way(random_sets, photos, tmp_path, name):
    loaded = load_recipe(name)
    dataset = loaded.data.dataset
    result = train(
        photos if dataset == "folder" else dataset,
        data_dir=random_sets,
        recipe=name,
        output=tmp_path / "out",
        epochs=1,
        steps_per_epoch=2 if loaded.model.decoder else None,
        limit=12,
    )
    assert metadata(result.encoder).embedding_size == loaded.model.latent
    assert result.card.is_file()


def test_resuming_with_other_images_of_the_same_number_is_refused(photos, recipe, tmp_path):
    with pytest.raises(Interrupted):
        train(photos, recipe=recipe, output=tmp_path / "out", on_progress=interrupt_at(epoch=2))
    first = sorted(photos.glob("*.png"))[0]
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(first)
    with pytest.raises(TrainingError, match="images.*with --fresh"):
        train(photos, recipe=recipe, output=tmp_path / "out", resume=True)


@pytest.mark.parametrize("count", [20, pytest.param(10_000, marks=pytest.mark.slow)])
def test_png_files_of_digits_get_the_same_codes_as_the_arrays(data_dir, tmp_path, count):
    from imgcluster.commands.embed import embed
    from imgcluster.workspace.shards import list_shards, load
    from imgcluster_training.data.images import ArrayImages
    from imgcluster_training.models.autoencoder import model_for
    from imgcluster_training.models.encode import encode

    result = train("mnist", recipe="d-mnist-16", output=tmp_path, data_dir=data_dir, limit=64, epochs=1)
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
    model.load_state_dict(
        {key.removeprefix("best."): value for key, value in state["task"].items() if key.startswith("best.")}
    )
    codes = encode(model, ArrayImages(digits), recipe, torch.device("cpu")).numpy()
    assert np.abs(embedded.vectors - codes).max() < 1e-4
