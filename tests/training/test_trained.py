"""A recipe carried out once is its training and then its stages, and every fold is that."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.cross_validation import cross_validate, fold_checkpoint  # noqa: E402
from imgcluster_training.data.batches import fold_split, split_images  # noqa: E402
from imgcluster_training.deep_clustering.refine import refine  # noqa: E402
from imgcluster_training.fit.checkpoints import state_digest  # noqa: E402
from imgcluster_training.fit.loop import fit  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.schema import parse_recipe  # noqa: E402
from imgcluster_training.train_model import train_model  # noqa: E402
from tiny import TINY  # noqa: E402

CPU = torch.device("cpu")
STAGE = """
[cluster]
clusters = 3
stages = [{ type = "%s", epochs = 1, updates = 3, batch_size = 8, tolerance = 0.0 }]
"""


@pytest.mark.parametrize(("stage", "decodes"), [("", True), ("dec", False), ("idec", True)])
def test_it_is_the_training_and_then_the_stages(tiny_images, tmp_path, stage, decodes):
    recipe = parse_recipe(TINY + (STAGE % stage if stage else ""), "tiny")
    split = split_images(tiny_images, recipe)
    seen = []
    trained = train_model(
        split, recipe, seed=4, device=CPU, checkpoint=tmp_path / "a/checkpoint.pt", on_progress=seen.append
    )
    model = model_for(recipe, tiny_images.train.shape, seed=4)
    fitted = fit(model, split, recipe, seed=4, device=CPU)
    if stage:
        refine(model, split.train, recipe, seed=4, device=CPU)
    assert state_digest(trained.model) == state_digest(model)
    assert [record.loss for record in trained.fit.history] == [record.loss for record in fitted.history]
    assert trained.decodes == decodes
    assert (trained.refinement is None) == (not stage)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == ["", *([stage] if stage else [])]
    kept = {path.name for path in (tmp_path / "a").iterdir()}
    assert kept == {"checkpoint.pt", *([f"stage-1-{stage}.pt"] if stage else [])}


def test_a_fold_is_one_of_another_seed(tiny_images, tmp_path):
    recipe = parse_recipe(TINY + STAGE % "dec", "tiny")
    summary = cross_validate(tiny_images, recipe, folds=2, folder=tmp_path, device=CPU)
    again = train_model(
        fold_split(tiny_images, recipe, fold=1, folds=2),
        recipe,
        seed=recipe.training.seed + 1,
        device=CPU,
        checkpoint=tmp_path / "again/checkpoint.pt",
    )
    losses = [[record.loss for record in fitted.history] for fitted in (again.fit, summary.folds[1].fit)]
    assert losses[0] == losses[1]
    found = [torch.load(folder / "stage-1-dec.pt") for folder in (tmp_path / "again", tmp_path / "fold-2")]
    assert found[0]["fingerprint"] == found[1]["fingerprint"]
    # What the fold left is read back, and nothing is trained.
    seen = []
    back = train_model(
        fold_split(tiny_images, recipe, fold=1, folds=2),
        recipe,
        seed=recipe.training.seed + 1,
        device=CPU,
        checkpoint=fold_checkpoint(tmp_path, 2),
        resume=True,
        on_progress=seen.append,
    )
    assert not seen
    assert state_digest(back.model) == state_digest(again.model)


def test_without_a_decoder_there_are_only_stages_and_they_are_taken_up(tiny_images, tmp_path):
    head, _, rest = TINY.partition("decoder = [")
    stage = '[[cluster.stages]]\ntype = "contrastive"\nepochs = 2\nbatch_size = 8\naugmentation = [{ type = "flip" }]\n'
    recipe = parse_recipe(head + "[training]" + rest.partition("[training]")[2] + stage, "tiny")
    split = split_images(tiny_images, recipe)
    place = {"seed": 4, "device": CPU, "checkpoint": tmp_path / "checkpoint.pt"}
    trained = train_model(split, recipe, **place)
    assert (trained.fit.history, trained.decodes) == ((), False)
    assert {path.name for path in tmp_path.iterdir()} == {"stage-1-contrastive.pt"}
    seen = []
    again = train_model(split, recipe, **place, resume=True, on_progress=seen.append)
    assert not seen
    assert state_digest(again.model) == state_digest(trained.model)
