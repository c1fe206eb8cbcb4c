"""Recipes are read strictly: an error names the file, the key, the value, and what is allowed."""

from __future__ import annotations

from typing import get_args

import pytest

from imgcluster.errors import UsageError
from imgcluster_training.data.datasets import DATASET_NAMES
from imgcluster_training.recipe.blocks import Block, Conv
from imgcluster_training.recipe.parser import (
    DEFAULT_RECIPES,
    load_recipe,
    parse_recipe,
    recipe_names,
    recipes_folder,
    with_changes,
)
from imgcluster_training.recipe.schema import (
    ClusterSettings,
    Dataset,
    DataSettings,
    ExportSettings,
    Loss,
    ModelSettings,
    SplitSettings,
    TrainingSettings,
)
from imgcluster_training.recipe.stages import Stage
from imgcluster_training.recipe.transforms import SaltAndPepper, Transform
from tiny import TINY


def test_a_recipe_can_be_for_every_data_set():
    assert get_args(Dataset) == (*DATASET_NAMES, "folder")


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
    ("old", "new", "facts"),
    [
        ("epochs = 3", "epoch = 3", ["training", "'epoch'", "epochs, patience, steps_per_epoch"]),
        ("epochs = 3", 'epochs = "3"', ["training.epochs = '3'", "whole number"]),
        ("epochs = 3", "epochs = true", ["training.epochs = True", "whole number"]),
        ("epochs = 3", "epochs = 0", ["training.epochs = 0", "greater than 0"]),
        ("epochs = 3", "epochs = 2.5", ["training.epochs = 2.5", "whole number"]),
        ("epochs = 3", "", ["training.epochs is missing"]),
        ("learning_rate = 1e-2", 'learning_rate = "fast"', ["training.learning_rate = 'fast'", "a number"]),
        ('loss = "mse"', 'loss = "msq"', ["training.loss = 'msq'", "'mse', 'bce', 'mse+cosine' or 'vae'"]),
        ('loss = "mse"', 'loss = "vae"', ["'vae'", "'gaussian'"]),
        ('type = "conv",', 'type = "konv",', ["model.encoder[0].type = 'konv'", "'conv', 'conv-transpose'"]),
        ('type = "conv",', "", ["model.encoder[0].type is missing"]),
        ("filters = 4", "filters = 0", ["model.encoder[0].filters = 0", "greater than 0", "'image'"]),
        ("filters = 4", 'filters = "picture"', ["filters = 'picture'", "whole number", "'image'"]),
        ("filters = 4", "filter = 4", ["model.encoder[0]", "'filter'", "filters, kernel"]),
        (
            "epochs = 3\n\n[split]\nvalidation = 0.2",
            "epochs = 3\npatience = 5\n\n[split]\nvalidation = 0",
            ["training.patience = 5", "split.validation"],
        ),
        ("validation = 0.2", "validation = 1.2", ["split", "1.2", "below 1"]),
        ('"mnist"', '"minst"', ["data.dataset = 'minst'", "'mnist', 'fashion-mnist'", "'folder'"]),
        ('"mnist"', '"folder"\nchannels = 2', ["data.channels = 2", "0, 1 or 3"]),
        ('"mnist"', '"mnist"\nfilter = "cubic"', ["data.filter = 'cubic'", "'bicubic'"]),
        ("[split]", "[spilt]", ["'spilt'", "split, augmentation"]),
        ('title = "tiny"', 'title = "tiny"\naugmentation = 3', ["augmentation = 3", "list of tables"]),
        ('title = "tiny"', 'title = "tiny"\ncluster = 3', ["cluster = 3", "a table"]),
        ('title = "tiny"', 'title = "tiny"\ndata = 3', ["not TOML"]),
        ("epochs = 3", f"epochs = {'9' * 6000}", ["too many digits"]),
        ("epochs = 3", f"epochs{'.a' * 20_000} = 3", ["nested too deeply"]),
        ("epochs = 3", f"epochs = {'[' * 10_000}", ["nested too deeply"]),
        (
            'dataset = "mnist"',
            'dataset = "mnist"\nresize = "squash"',
            ["data.resize = 'squash'", "'crop', 'stretch'"],
        ),
        ("learning_rate = 1e-2", "learning_rate = inf", ["training.learning_rate = inf", "finite"]),
        ("epochs = 3", f"epochs = 3\nseed = {2**63}", ["training.seed = ", "less than"]),
        ('dataset = "mnist"', 'dataset = "mnist"\ntarget = "chrominance"', ["data", "'chrominance'", "input = 'grey'"]),
        (
            'title = "tiny"',
            'title = "tiny"\ncorruption = [{ type = "crop", side = 0.5 }]',
            ["corruption", "side below 1", "stages"],
        ),
        (
            "[split]",
            """[[cluster.stages]]
            type = "contrastive"
            epochs = 1
            augmentation = [{ type = "crop", side = 0.5 }]
            [split]""",
            ["cluster.stages[0]", "side below 1", "global-average"],
        ),
        ("[split]", "[cluster]\nclusters = 3\nstages = []\n[split]", ["clusters = 3", "cluster.stages"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_the_valid_ones(old, new, facts):
    assert old in TINY
    with pytest.raises(UsageError) as caught:
        parse_recipe(TINY.replace(old, new, 1), "tiny", source="my/tiny.toml")
    for fact in ["my/tiny.toml", *facts]:
        assert fact in str(caught.value)
    assert "\n" not in str(caught.value)


ALONE = """
title = "alone"

[data]
dataset = "mnist"

[model]
latent = 4
code = "flatten"
encoder = [{ type = "residual", filters = 4, stride = 2 }, { type = "global-average" }]

[cluster]
clusters = 3
stages = [
  { type = "contrastive", epochs = 2, augmentation = [{ type = "crop", side = 0.75 }, { type = "flip" }] },
  { type = "neighbours", augmentation = [{ type = "colour-jitter" }] },
]
"""


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ('type = "contrastive",', 'type = "contrast",', ["cluster.stages[0].type = 'contrast'", "'contrastive'"]),
        ("epochs = 2,", "epoch = 2,", ["cluster.stages[0]", "'epoch'", "epochs, batch_size"]),
        ("epochs = 2,", "epochs = 0,", ["cluster.stages[0].epochs = 0"]),
        ("epochs = 2,", "", ["cluster.stages[0].epochs is missing"]),
        ("clusters = 3", "clusters = -1", ["cluster.clusters = -1", "greater than or equal to 0", "'auto'"]),
        ("clusters = 3", "clusters = 0", ["cluster.clusters = 0", "'auto'"]),
        ("clusters = 3", 'clusters = "many"', ["cluster.clusters = 'many'", "'auto'"]),
        ("epochs = 2,", "epochs = 2, temperature = 0,", ["stages[0].temperature = 0"]),
        (
            'type = "neighbours",',
            'type = "neighbours", confidence = 1.0,',
            ["confidence = 1.0", "less than 1"],
        ),
        ('type = "neighbours",', 'type = "neighbours", neighbours = 0,', ["stages[1].neighbours = 0"]),
        ("side = 0.75", "side = 0", ["stages[0].augmentation[0].side = 0"]),
        ('{ type = "neighbours", aug', '{ type = "idec" }, { type = "neighbours", aug', ["'idec'"]),
        ('type = "contrastive", epochs = 2', 'type = "neighbours"', ["begin with 'contrastive'"]),
        ("[cluster]\n", "[decoder]\n", ["'decoder'", "cluster"]),
    ],
)
def test_a_wrong_stage_is_named_with_what_is_valid(old, new, facts):
    assert old in ALONE
    with pytest.raises(UsageError) as caught:
        parse_recipe(ALONE.replace(old, new, 1), "alone")
    for fact in facts:
        assert fact in str(caught.value)


def test_a_decoder_needs_a_training():
    head, _, rest = TINY.partition("[training]")
    with pytest.raises(UsageError, match="training is missing"):
        parse_recipe(head + "[split]" + rest.partition("[split]")[2], "tiny")


def test_an_unknown_recipe_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'nope'.*a-cifar10, .*FILE\.toml"):
        load_recipe("nope")


def test_a_users_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TINY.replace('title = "tiny"', 'title = "ü"\ncorruption = [{ type = "salt-and-pepper" }]'), "utf-8")
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.title, recipe.corruption) == ("mine", "ü", (SaltAndPepper(amount=0.2),))
    assert recipe.model.encoder[0] == Conv(filters=4, stride=2, activation="relu", norm="after-activation")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
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


def test_the_recipe_in_the_readme_is_valid():
    text = (recipes_folder().parent / "README.md").read_text(encoding="utf-8")
    recipe = parse_recipe(text.split("```toml\n")[1].split("```")[0], "readme")
    assert recipe.data.image_size == 32


def test_the_readme_names_every_recipe_block_transform_and_setting():
    text = (recipes_folder().parent / "README.md").read_text(encoding="utf-8")
    settings = (DataSettings, ModelSettings, TrainingSettings, ClusterSettings, SplitSettings, ExportSettings)
    kinds = [*get_args(Block), *get_args(Transform), *get_args(Stage)]
    types = [kind.model_fields["type"].default for kind in kinds]
    keys = [
        field.validation_alias or name
        for kind in [*settings, *kinds]
        for name, field in kind.model_fields.items()
        if name != "type"
    ]
    words = [*recipe_names(), *types, *get_args(Loss), *keys]
    assert [word for word in words if f"`{word}`" not in text] == []
