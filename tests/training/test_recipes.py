"""Recipes are read strictly: what is not understood is named, with the valid choices."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from imgcluster.errors import UsageError
from imgcluster_training.recipe.blocks import BLOCKS, Conv
from imgcluster_training.recipe.schema import (
    DEFAULT_RECIPES,
    RECIPES_FOLDER,
    ClusterSettings,
    DataSettings,
    ExportSettings,
    Loss,
    ModelSettings,
    SplitSettings,
    TrainingSettings,
    load_recipe,
    parse_recipe,
    recipe_names,
    with_changes,
)
from imgcluster_training.recipe.stages import STAGES
from imgcluster_training.recipe.transforms import TRANSFORMS, SaltAndPepper
from tiny import TINY


def test_every_recipe_that_is_shipped_loads():
    names = recipe_names()
    assert set(names) >= {
        "a-mnist",
        "a-cifar10",
        "b-cifar10-nine-layer",
        "b-cifar10-colorize",
        "c-fashion-cae",
        "c-fashion-vae",
        "d-mnist-16",
        "e-strokes-denoise",
        "folder",
        *DEFAULT_RECIPES.values(),
    }
    for name in names:
        assert load_recipe(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "epoch = 3", r"unknown key 'epoch'; valid are .*epochs"),
        ("epochs = 3", 'epochs = "3"', r"training: epochs = '3' is not allowed; it must be a whole number"),
        ("epochs = 3", "epochs = true", r"epochs = True is not allowed; it must be a whole number"),
        ("epochs = 3", "epochs = 0", r"epochs = 0 is not possible; it must be above 0"),
        ("epochs = 3", "epochs = 2.5", r"epochs = 2.5 is not allowed"),
        ("epochs = 3", "", r"the key 'epochs' is missing"),
        ('loss = "mse"', 'loss = "msq"', r"loss = 'msq' is unknown; choose one of 'mse', 'bce', 'mse\+cosine', 'vae'"),
        ('loss = "mse"', 'loss = "vae"', r"'vae' and 'gaussian' go together"),
        ('type = "conv",', 'type = "konv",', r"encoder\[0\]: type = 'konv' is unknown; choose one of conv, "),
        ("filters = 4", "filters = 0", r"\(conv\): filters = 0 is not possible"),
        ("filters = 4", 'filters = "picture"', r"filters = 'picture' is not allowed; it must be a whole number"),
        ("filters = 4", "filter = 4", r"encoder\[0\] \(conv\): unknown key 'filter'; valid are filters, kernel"),
        ("validation = 0.2", "validation = 1.2", r"leaves nothing to train on"),
        ("[split]", "[spilt]", r"unknown key 'spilt'; valid are .*split"),
        ('title = "tiny"', 'title = "tiny"\naugmentation = 3', r"augmentation must be a list of tables, not 3"),
        ('title = "tiny"', 'title = "tiny"\ndata = 3', r"this is not TOML"),
        ('dataset = "mnist"', 'dataset = "mnist"\nresize = "squash"', r"choose one of 'crop', 'stretch', 'pad'"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_the_valid_ones(old, new, message):
    assert old in TINY
    with pytest.raises(UsageError, match=message):
        parse_recipe(TINY.replace(old, new, 1), "tiny")


def test_an_unknown_recipe_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"recipe 'nope' is unknown; choose one of a-cifar10, .*, or a FILE.toml"):
        load_recipe("nope")


def test_a_users_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TINY.replace('title = "tiny"', 'title = "ü"\ncorruption = [{ type = "salt-and-pepper" }]'), "utf-8")
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.title, recipe.corruption) == ("mine", "ü", (SaltAndPepper(amount=0.2),))
    assert recipe.model.encoder[0] == Conv(filters=4, stride=2, activation="relu", norm="after-activation")
    assert recipe.encoder_name == "mine"


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.toml"))


def test_whole_numbers_are_numbers(tiny_recipe):
    assert parse_recipe(TINY.replace("learning_rate = 1e-2", "learning_rate = 1"), "x").training.learning_rate == 1.0


def test_with_changes_replaces_by_section_and_checks(tiny_recipe):
    changed = with_changes(tiny_recipe, training={"epochs": 9}, data={"dataset": "cifar10"})
    assert (changed.training.epochs, changed.data.dataset, changed.model) == (9, "cifar10", tiny_recipe.model)
    with pytest.raises(UsageError, match="epochs = -1"):
        with_changes(tiny_recipe, training={"epochs": -1})


def test_codes_are_compared_by_direction_after_stages_that_train_directions():
    folder = load_recipe("folder")
    assert folder.metric == "euclidean"
    assert with_changes(folder, cluster={"clusters": "auto"}).metric == "cosine"
    assert with_changes(load_recipe("a-mnist"), cluster={"clusters": 10}).metric == "euclidean"


def test_the_readme_names_every_recipe_block_transform_and_setting():
    text = (RECIPES_FOLDER.parent / "README.md").read_text(encoding="utf-8")
    settings = (DataSettings, ModelSettings, TrainingSettings, ClusterSettings, SplitSettings, ExportSettings)
    settings += tuple(STAGES.values())
    keys = [item.name for kind in settings for item in dataclasses.fields(kind)]
    words = [*recipe_names(), *BLOCKS, *TRANSFORMS, *STAGES, *get_args(Loss), *keys]
    missing = [word for word in words if f"`{word}`" not in text]
    assert missing == []
