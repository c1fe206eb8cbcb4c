"""Data set and options are resolved to a recipe, a name and folders, or refused with what is allowed."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("torch")

from imgcluster.errors import DeviceError, NoImagesError, UsageError
from imgcluster.options import TrainingOptions
from imgcluster_training.progress import ignore_progress
from imgcluster_training.request import resolve_request
from tiny import FOLDER_RECIPE, TINY


def resolve(dataset, **options):
    return resolve_request(str(dataset), TrainingOptions(**options), ignore_progress)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_files_go_to_the_users_encoder_folder_by_default(photos, recipe, own_folder):
    request = resolve(photos, recipe=recipe, name="own")
    assert (request.files.encoder, request.files.folder) == (own_folder / "own.onnx", own_folder / "own.training")


def test_options_replace_values_of_the_recipe(photos):
    request = resolve(photos, epochs=3, image_size=32, seed=5, refine="auto", patience=2, steps_per_epoch=7)
    training = request.recipe.training
    assert (training.epochs, training.patience, training.seed, training.steps_per_epoch) == (3, 2, 5, 7)
    assert (request.images.train.shape, request.recipe.cluster.clusters) == ((32, 32, 3), "auto")
    assert request.planned.training.epochs == 60


def test_without_a_decoder_the_epochs_are_those_of_the_first_stage(small_mnist):
    planned = resolve("mnist", recipe="clusters-colour", data_dir=small_mnist).recipe.cluster.stages
    changed = resolve("mnist", recipe="clusters-colour", data_dir=small_mnist, epochs=2).recipe.cluster.stages
    assert changed[0].epochs == 2
    assert changed[1:] == planned[1:]


@pytest.mark.parametrize("option", ["patience", "steps_per_epoch"])
def test_an_option_for_autoencoders_is_refused_without_a_decoder(small_mnist, option):
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} 3 .*clusters-colour"):
        resolve("mnist", recipe="clusters-colour", data_dir=small_mnist, **{option: 3})


def test_the_default_name_is_that_of_the_folder_or_the_recipe(photos, recipe, own_folder):
    assert resolve(photos).files.name == "my photos"
    assert resolve(photos, recipe=recipe).files.name == "small"


@pytest.mark.parametrize("output", [False, True])
def test_the_default_name_is_never_that_of_a_bundled_encoder(photos, small_mnist, own_folder, tmp_path, output):
    options = {"output": tmp_path / "elsewhere"} if output else {}
    assert resolve("mnist", data_dir=small_mnist, **options).files.name == "my-mnist"
    assert resolve(photos.rename(photos.with_name("photos")), **options).files.name == "my-photos"


def test_the_name_of_a_bundled_encoder_is_refused_where_it_would_hide_it(photos, recipe, own_folder, tmp_path):
    own_folder.mkdir()
    for options in ({}, {"output": own_folder}, {"output": tmp_path / "mine" / ".." / "mine"}):
        with pytest.raises(UsageError, match="--name cifar10 .*my-cifar10.*--output"):
            resolve(photos, recipe=recipe, name="cifar10", **options)
    assert resolve(photos, recipe=recipe, name="cifar10", output=tmp_path / "elsewhere").files.name == "cifar10"


def test_the_name_of_an_encoder_of_the_hub_is_treated_like_that_of_a_bundled_one(photos, recipe, own_folder):
    with pytest.raises(UsageError, match="--name dinov2-small .*my-dinov2-small.*--output"):
        resolve(photos, recipe=recipe, name="dinov2-small")
    assert resolve(photos.rename(photos.with_name("dinov2-small"))).files.name == "my-dinov2-small"


@pytest.mark.parametrize("name", ["mine.decoder", "mine.int8", "mine.fp32", "mine.onnx"])
def test_a_name_by_which_the_encoder_would_not_be_found_is_refused(photos, recipe, own_folder, name):
    with pytest.raises(UsageError, match=rf"--name '{name}' .*\.int8"):
        resolve(photos, recipe=recipe, name=name)
    with pytest.raises(UsageError, match=rf"--dataset .*{name}.*--name"):
        resolve(photos.rename(photos.with_name(name)))


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_folder_whose_name_cannot_be_that_of_an_encoder_needs_a_name(photos, recipe, own_folder, name):
    folder = os.fsdecode(os.path.join(os.fsencode(photos.parent), name))
    try:
        os.rename(photos, folder)
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(UsageError, match="characters .*--name"):
        resolve(folder)
    assert resolve(folder, name="mine").images.train.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "no-such-folder"}, r"--dataset no-such-folder .*mnist, "),
        ({"recipe": "nope"}, "'nope'"),
        ({"recipe": "a-mnist"}, r"a-mnist .*data\.image_size"),
        ({"epochs": 0}, "--epochs 0 "),
        ({"folds": -1}, "--folds -1 .*at least 0"),
        ({"refine": -1}, r"cluster\.clusters = -1"),
        ({"limit": 1}, "--limit 1"),
        ({"name": "a/b"}, "--name 'a/b'"),
        ({"name": ".."}, r"--name '\.\.'"),
        ({"dataset": "strokes", "image_size": 33, "recipe": None}, "--image-size .*strokes"),
        ({"device": "tpu"}, "'tpu'.*cpu"),
    ],
)
def test_wrong_options_are_named(photos, recipe, options, message):
    given = {"dataset": photos, "recipe": recipe} | options
    with pytest.raises((UsageError, DeviceError), match=message):
        resolve(**given)


@pytest.mark.parametrize("name", ["../../outside", "a/b", ".hidden", "two\\nlines"])
def test_a_recipe_cannot_name_a_file_elsewhere(photos, tmp_path, name):
    (tmp_path / "r.toml").write_text(f'{FOLDER_RECIPE}\n[export]\nname = "{name}"\n')
    with pytest.raises(UsageError, match=r"recipe r: export\.name = .*--output"):
        resolve(photos, recipe=str(tmp_path / "r.toml"), output=tmp_path / "out")


@pytest.mark.parametrize("ending", [".onnx", ".decoder.onnx", ".md", ".png"])
def test_a_file_that_no_training_wrote_is_not_overwritten(photos, recipe, tmp_path, ending):
    (tmp_path / f"mine{ending}").write_text("the only copy")
    with pytest.raises(UsageError, match=rf"mine{ending} .*overwritten.*--name"):
        resolve(photos, recipe=recipe, name="mine", output=tmp_path)
    # Also if it appeared while a training was interrupted.
    (tmp_path / "mine.training").mkdir()
    (tmp_path / "mine.training" / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=rf"mine{ending} .*overwritten.*no results.*--name"):
        resolve(photos, recipe=recipe, name="mine", output=tmp_path, resume=True)
    # That of an earlier training is replaced.
    (tmp_path / "mine.training" / "scores.json").write_text("{}")
    assert resolve(photos, recipe=recipe, name="mine", output=tmp_path).files.name == "mine"


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_another_precision_of_an_earlier_encoder_is_not_left_beside_the_new_one(photos, recipe, tmp_path, precision):
    (tmp_path / f"mine.{precision}.onnx").write_text("of the earlier encoder")
    (tmp_path / "mine.training").mkdir()
    (tmp_path / "mine.training" / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=rf"mine\.{precision}\.onnx .*--encoder mine .*--name"):
        resolve(photos, recipe=recipe, name="mine", output=tmp_path)


def test_the_user_is_told_that_a_training_continues_or_is_not_there(photos, recipe, tmp_path, caplog):
    def warnings(**options):
        caplog.clear()
        resolve(photos, recipe=recipe, name="mine", output=tmp_path, **options)
        return [record.getMessage() for record in caplog.records]

    assert warnings() == []
    (message,) = warnings(resume=True)
    assert "no training" in message
    (tmp_path / "mine.training").mkdir()
    (tmp_path / "mine.training" / "checkpoint.pt").write_bytes(b"")
    assert warnings(resume=True) == []
    (message,) = warnings()
    for part in (str(tmp_path / "mine.training"), "continues", "--fresh", "--name"):
        assert part in message
    assert warnings(fresh=True) == []
    with pytest.raises(UsageError, match="--resume.*--fresh"):
        warnings(resume=True, fresh=True)


def test_a_folder_that_no_training_wrote_is_not_written_to(photos, recipe, tmp_path):
    folder = tmp_path / "mine.training"
    folder.mkdir()
    # Empty, or with what a killed training left, it is no obstacle.
    (folder / ".imgcluster-00000000-1-1.tmp").write_bytes(b"")
    assert resolve(photos, recipe=recipe, name="mine", output=tmp_path).files.folder == folder
    (folder / "history.csv").write_text("the only copy")
    (tmp_path / "other.training").write_text("a file")
    for name in ("mine", "other"):
        with pytest.raises(UsageError, match=rf"{name}\.training .*--name"):
            resolve(photos, recipe=recipe, name=name, output=tmp_path)


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="empty"):
        resolve(tmp_path / "empty")


def test_the_recipe_of_another_data_set_may_be_used(small_mnist, tmp_path):
    (tmp_path / "t.toml").write_text(TINY.replace('dataset = "mnist"', 'dataset = "fashion-mnist"'))
    assert resolve("mnist", recipe=str(tmp_path / "t.toml"), data_dir=small_mnist).recipe.data.dataset == "mnist"
