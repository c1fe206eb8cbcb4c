"""One training is the autoencoder's, then the stages; every fold of a cross-validation is one training."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.cross_validation import cross_validate, fold_checkpoint  # noqa: E402
from imgcluster_training.data.splits import fold_split, split_images  # noqa: E402
from imgcluster_training.deep_clustering.refine import refine  # noqa: E402
from imgcluster_training.errors import TrainingError  # noqa: E402
from imgcluster_training.fit.autoencoder import fit  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.parser import parse_recipe, with_changes  # noqa: E402
from imgcluster_training.train_model import train_model  # noqa: E402
from tiny import TINY, on_cpu, same_weights  # noqa: E402

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
        split, recipe, on_cpu(on_progress=seen.append), seed=4, checkpoint=tmp_path / "a/checkpoint.pt"
    )
    model = model_for(recipe, tiny_images.train.shape, seed=4)
    fitted = fit(model, split, recipe, on_cpu(), seed=4)
    if stage:
        refine(model, split.train, recipe, on_cpu(), seed=4)
    assert same_weights(trained.model, model)
    assert [record.loss for record in trained.fit.history] == [record.loss for record in fitted.history]
    assert trained.decodes == decodes
    assert (trained.refinement is None) == (not stage)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == ["", *([stage] if stage else [])]
    kept = {path.name for path in (tmp_path / "a").iterdir()}
    assert kept == {"checkpoint.pt", *([f"stage-1-{stage}.pt"] if stage else [])}


def test_too_many_clusters_are_refused_before_the_autoencoder_is_trained(tiny_images, tmp_path):
    recipe = with_changes(parse_recipe(TINY + STAGE % "dec", "tiny"), cluster={"clusters": 49})
    seen = []
    with pytest.raises(UsageError, match="--refine 49 .*1 to 48"):
        train_model(
            split_images(tiny_images, recipe),
            recipe,
            on_cpu(on_progress=seen.append),
            seed=0,
            checkpoint=tmp_path / "checkpoint.pt",
        )
    assert (seen, list(tmp_path.iterdir())) == ([], [])


def test_a_stage_that_began_from_another_autoencoder_is_trained_anew(tiny_images, tmp_path):
    recipe = parse_recipe(TINY + STAGE % "dec", "tiny")
    split, path = split_images(tiny_images, recipe), tmp_path / "checkpoint.pt"
    train_model(split, with_changes(recipe, training={"epochs": 2}), on_cpu(), seed=4, checkpoint=path)
    again = train_model(split, recipe, on_cpu(), seed=4, checkpoint=path)
    undisturbed = train_model(split, recipe, on_cpu(), seed=4, checkpoint=tmp_path / "new/checkpoint.pt")
    assert same_weights(again.model, undisturbed.model)


def test_another_stage_on_the_same_autoencoder_does_not_replace_the_earlier_one(tiny_images, tmp_path):
    recipe = parse_recipe(TINY + STAGE % "dec", "tiny")
    split, path = split_images(tiny_images, recipe), tmp_path / "checkpoint.pt"
    train_model(split, recipe, on_cpu(), seed=4, checkpoint=path)
    before = (tmp_path / "stage-1-dec.pt").read_bytes()
    other = with_changes(recipe, cluster={"clusters": 4})
    with pytest.raises(TrainingError, match="clusters = 3, but now clusters = 4; .*--name"):
        train_model(split, other, on_cpu(), seed=4, checkpoint=path)
    assert (tmp_path / "stage-1-dec.pt").read_bytes() == before


def test_a_fold_is_a_training_with_another_seed(tiny_images, tmp_path):
    recipe = parse_recipe(TINY + STAGE % "dec", "tiny")
    summary, _, _ = cross_validate(tiny_images, recipe, on_cpu(), folds=2, folder=tmp_path)
    split, seed = fold_split(tiny_images, recipe, fold=1, folds=2), recipe.training.seed + 1
    again = train_model(split, recipe, on_cpu(), seed=seed, checkpoint=tmp_path / "again/checkpoint.pt")
    losses = [[record.loss for record in fitted.history] for fitted in (again.fit, summary.folds[1].fit)]
    assert losses[0] == losses[1]
    # The fold's checkpoints are those of this training, which has nothing left to train.
    seen = []
    run = on_cpu(on_progress=seen.append)
    resumed = train_model(split, recipe, run, seed=seed, checkpoint=fold_checkpoint(tmp_path, 2))
    assert not seen
    assert same_weights(resumed.model, again.model)


def test_without_a_decoder_there_are_only_stages_and_they_are_taken_up(tiny_images, tmp_path):
    head, _, rest = TINY.partition("decoder = [")
    stage = '[[cluster.stages]]\ntype = "contrastive"\nepochs = 2\nbatch_size = 8\naugmentation = [{ type = "flip" }]\n'
    recipe = parse_recipe(head + "[training]" + rest.partition("[training]")[2] + stage, "tiny")
    split = split_images(tiny_images, recipe)
    trained = train_model(split, recipe, on_cpu(), seed=4, checkpoint=tmp_path / "checkpoint.pt")
    assert (trained.fit.history, trained.decodes) == ((), False)
    assert {path.name for path in tmp_path.iterdir()} == {"stage-1-contrastive.pt"}
    seen = []
    run = on_cpu(on_progress=seen.append)
    again = train_model(split, recipe, run, seed=4, checkpoint=tmp_path / "checkpoint.pt")
    assert not seen
    assert same_weights(again.model, trained.model)
