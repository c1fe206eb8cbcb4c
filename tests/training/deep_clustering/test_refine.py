"""Stages make codes form clusters, resume bit for bit, and say what is not possible."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.data.images import ArrayImages  # noqa: E402
from imgcluster_training.data.splits import split_images  # noqa: E402
from imgcluster_training.deep_clustering.refine import STAGES, refine  # noqa: E402
from imgcluster_training.errors import TrainingError  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.models.encode import encode  # noqa: E402
from imgcluster_training.recipe.parser import parse_recipe, with_changes  # noqa: E402
from imgcluster_training.recipe.stages import Contrastive, Dec, Idec, Neighbors, Stage  # noqa: E402
from imgcluster_training.recipe.transforms import GaussianNoise  # noqa: E402
from imgcluster_training.reporting.scores import cluster_scores  # noqa: E402
from tiny import Interrupted, interrupt_at, on_cpu, same_weights  # noqa: E402

CPU = torch.device("cpu")
NOISE = (GaussianNoise(sd=0.05),)
SMALL = {
    "contrastive": Contrastive(epochs=4, augmentation=NOISE, projection=4, batch_size=16),
    "neighbours": Neighbors(augmentation=NOISE, neighbors=4, epochs=4, self_label=2, confidence=0.3, batch_size=16),
    "dec": Dec(epochs=4, updates=5, tolerance=0.0, batch_size=16),
    "idec": Idec(epochs=4, updates=5, tolerance=0.0, batch_size=16, start="graph"),
}
NAMES = list(SMALL)


def changed(name, **values):
    return SMALL[name].model_copy(update=values)


@pytest.fixture
def run(tiny_images, tiny_recipe):
    """Refine an untrained model on `tiny_images`, and return it with the result."""

    def carry_out(*stages, clusters=3, images=None, seed=0, weights=0, folder=None, **settings):
        recipe = with_changes(tiny_recipe, cluster={"clusters": clusters, "stages": stages})
        images = images or split_images(tiny_images, recipe).train
        model = model_for(recipe, images.shape, seed=weights)
        return model, refine(model, images, recipe, on_cpu(**settings), seed=seed, folder=folder)

    return carry_out


def is_finite(model):
    return all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_every_stage_has_a_task_and_is_tested_here():
    assert set(STAGES) == set(get_args(Stage)) == {type(stage) for stage in SMALL.values()}


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_lowers_its_loss_and_is_repeatable(run, name):
    first, result = run(SMALL[name])
    again, _ = run(SMALL[name])
    other, _ = run(SMALL[name], seed=1)
    (stage,) = result.stages
    assert (stage.name, len(stage.history)) == (name, SMALL[name].total_epochs)
    assert same_weights(first, again)
    assert not same_weights(first, other)
    # Targets become sharper as DEC goes on, and labels as neighbours agree: losses compare within one phase.
    if name == "contrastive":
        assert stage.history[-1].loss < stage.history[0].loss
    assert not first.training


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (4, 2)])
def test_an_interrupted_stage_resumes_to_the_same_weights(run, tmp_path, name, epoch, step):
    stages = (changed("contrastive", epochs=1), SMALL[name]) if name != "contrastive" else (SMALL[name],)
    undisturbed, expected = run(*stages)
    with pytest.raises(Interrupted):
        run(*stages, folder=tmp_path, on_progress=interrupt_at(stage=name, epoch=epoch, step=step))
    torch.manual_seed(99)
    resumed, result = run(*stages, folder=tmp_path)
    assert same_weights(undisturbed, resumed)
    for ours, theirs in zip(result.stages, expected.stages, strict=True):
        for a, b in zip(ours.history, theirs.history, strict=True):
            assert (a.loss, a.learning_rate) == (b.loss, b.learning_rate)


def test_finished_stages_are_taken_from_their_checkpoints(run, tmp_path):
    done, _ = run(SMALL["contrastive"], SMALL["neighbours"], folder=tmp_path)

    def never(progress):
        raise AssertionError("nothing is left to do")

    again, _ = run(SMALL["contrastive"], SMALL["neighbours"], folder=tmp_path, on_progress=never)
    assert same_weights(done, again)
    assert {path.name for path in tmp_path.iterdir()} == {"stage-1-contrastive.pt", "stage-2-neighbours.pt"}


def test_the_checkpoint_of_another_stage_is_refused(run, tmp_path):
    run(SMALL["dec"], folder=tmp_path)
    with pytest.raises(TrainingError, match="clusters = 3, .*clusters = 2"):
        run(SMALL["dec"], clusters=2, folder=tmp_path)
    with pytest.raises(TrainingError, match=r"stage\.learning_rate = 0\.01, .*stage\.learning_rate = 0\.5"):
        run(changed("dec", learning_rate=0.5), folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_checkpoint_of_other_images_is_refused(run, tiny_images, tmp_path, name):
    run(SMALL[name], images=tiny_images.train, folder=tmp_path)
    pixels = tiny_images.train.pixels.copy()
    pixels[30] = 255 - pixels[30]
    with pytest.raises(TrainingError, match="images = 60.*with --fresh"):
        run(SMALL[name], images=ArrayImages(pixels), folder=tmp_path)


@pytest.mark.parametrize("name", ["neighbours", "dec", "idec"])
def test_clusters_become_clearer(run, tiny_images, tiny_recipe, name):
    settings = {
        "neighbours": changed("neighbours", epochs=20),
        "dec": changed("dec", epochs=20, learning_rate=0.1),
        "idec": changed("idec", epochs=20, gamma=1.0, learning_rate=1e-2),
    }
    # Weights whose codes are not clustered yet.
    untrained = model_for(tiny_recipe, tiny_images.train.shape, seed=1)
    model, _ = run(settings[name], weights=1)

    def separation(encoder):
        codes, labels = encode(encoder, tiny_images.test, tiny_recipe, CPU).numpy(), tiny_images.test_labels
        codes = codes / np.linalg.norm(codes, axis=1, keepdims=True)
        centers = np.stack([codes[labels == label].mean(axis=0) for label in range(3)])
        within = np.linalg.norm(codes - centers[labels], axis=1).mean()
        return np.linalg.norm(centers[:, np.newaxis] - centers, axis=2).max() / within

    assert separation(model) > 1.2 * separation(untrained)
    codes = encode(model, tiny_images.test, tiny_recipe, CPU).numpy()
    assert cluster_scores(codes, tiny_images.test_labels, cosine=True, seed=0).hungarian_accuracy > 0.95


def test_dec_stops_where_nothing_changes(run, tmp_path):
    lazy = changed("dec", epochs=50, tolerance=0.5)
    model, result = run(lazy, folder=tmp_path)
    assert len(result.stages[0].history) == 1
    again, resumed = run(lazy, folder=tmp_path)
    assert same_weights(model, again)
    assert [record.seconds for record in resumed.stages[0].history] == [
        record.seconds for record in result.stages[0].history
    ]


def test_a_longer_dec_goes_on_from_a_shorter_one(run, tmp_path):
    run(SMALL["dec"], folder=tmp_path)
    longer = changed("dec", epochs=6)
    resumed, result = run(longer, folder=tmp_path)
    at_once, _ = run(longer)
    assert len(result.stages[0].history) == 6
    assert same_weights(resumed, at_once)


def test_only_idec_keeps_the_decoder(run):
    _, kept = run(SMALL["idec"])
    _, left = run(SMALL["dec"])
    assert (kept.decodes, left.decodes) == (True, False)
    assert left.summary == "dec (4 epochs); 3 clusters (given)"
    _, unclustered = run(SMALL["contrastive"])
    assert unclustered.summary == "contrastive (4 epochs)"


def test_the_number_of_clusters_is_estimated_before_the_first_stage_that_needs_it(run):
    _, result = run(changed("contrastive", epochs=20), changed("dec", epochs=1), clusters="auto")
    assert (result.clusters, result.found) == (3, True)
    assert "3 clusters (estimated" in result.summary


@pytest.mark.parametrize("name", ["contrastive", "idec"])
def test_a_loss_that_is_not_finite_stops_with_advice(run, name):
    with pytest.raises(TrainingError, match=rf"(nan|inf) in epoch 1 in stage {name}.*learning_rate below 1e\+30"):
        run(changed(name, learning_rate=1e30))


@pytest.mark.parametrize("name", ["neighbours", "dec", "idec"])
def test_more_clusters_than_images_are_refused(run, name):
    few = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8))
    with pytest.raises(UsageError, match="--refine 6 .*5 training images.*1 to 5"):
        run(SMALL[name], clusters=6, images=few)


@pytest.mark.parametrize("name", NAMES)
def test_one_cluster_and_fewer_images_than_a_batch(run, name):
    few = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8))
    model, result = run(SMALL[name], clusters=1, images=few)
    assert len(result.stages[0].history) >= 1
    assert is_finite(model)


def test_one_image_is_too_few(run):
    with pytest.raises(TrainingError, match="1 image .*contrastive.*2 images"):
        run(SMALL["contrastive"], clusters=1, images=ArrayImages(np.zeros((1, 8, 8, 1), np.uint8)))


@pytest.mark.parametrize("name", ["dec", "idec", "neighbours"])
def test_images_that_are_all_the_same_are_an_error(run, name):
    same = ArrayImages(np.full((20, 8, 8, 1), 7, dtype=np.uint8))
    with pytest.raises(TrainingError, match="1 different.* 3 clusters"):
        run(SMALL[name], images=same)


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


def test_an_encoder_without_decoder_is_refined_from_scratch(tiny_images):
    recipe = parse_recipe(ALONE, "alone")
    model = model_for(recipe, tiny_images.train.shape, seed=0)
    result = refine(model, tiny_images.train, recipe, on_cpu(), seed=0)
    assert [stage.name for stage in result.stages] == ["contrastive", "neighbours"]
    assert not result.decodes
    assert encode(model, tiny_images.test, recipe, CPU).shape == (21, 4)


@pytest.mark.parametrize("values", [{"tolerance": 1.0}, {"updates": 0}])
@pytest.mark.parametrize("kind", [Dec, Idec])
def test_impossible_settings_of_dec_are_refused(kind, values):
    with pytest.raises(ValueError, match=next(iter(values))):
        kind(**values)
