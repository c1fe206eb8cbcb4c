"""Stages make codes fall into clusters, survive kills bit for bit, and say what is not possible."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.data.batches import split_images  # noqa: E402
from imgcluster_training.data.datasets import ArrayImages  # noqa: E402
from imgcluster_training.deep_clustering.refine import MODULES, refine  # noqa: E402
from imgcluster_training.errors import TrainingError  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.schema import parse_recipe, with_changes  # noqa: E402
from imgcluster_training.recipe.stages import STAGES, Contrastive, Dec, Idec, Neighbours  # noqa: E402
from imgcluster_training.recipe.transforms import GaussianNoise  # noqa: E402
from imgcluster_training.reporting.scores import cluster_scores, encode  # noqa: E402

CPU = torch.device("cpu")
NOISE = (GaussianNoise(sd=0.05),)
SMALL = {
    "contrastive": Contrastive(epochs=4, augmentation=NOISE, projection=4, batch_size=16),
    "neighbours": Neighbours(augmentation=NOISE, neighbours=4, epochs=4, self_label=2, confidence=0.3, batch_size=16),
    "dec": Dec(epochs=4, updates=5, tolerance=0.0, batch_size=16),
    "idec": Idec(epochs=4, updates=5, tolerance=0.0, batch_size=16, start="graph"),
}


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.fixture
def run(tiny_images, tiny_recipe):
    """Refine an untrained model on `tiny_images`, and return it and what came of it."""

    def carry_out(*stages, clusters=3, images=None, seed=0, **options):
        recipe = with_changes(tiny_recipe, cluster={"clusters": clusters, "stages": stages})
        images = images or split_images(tiny_images, recipe).train
        model = model_for(recipe, images.shape, seed=0)
        return model, refine(model, images, recipe, seed=seed, device=CPU, **options)

    return carry_out


def weights(model):
    return [value.clone() for value in model.state_dict().values()]


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def test_every_stage_has_a_module_and_is_tested_here():
    assert set(MODULES) == set(STAGES.values())
    assert set(SMALL) == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lowers_its_loss_and_is_repeatable(run, name):
    first, result = run(SMALL[name])
    again, _ = run(SMALL[name])
    other, _ = run(SMALL[name], seed=1)
    (stage,) = result.stages
    assert (stage.name, len(stage.history)) == (name, SMALL[name].total_epochs)
    assert equal(first, again)
    assert not equal(first, other)
    # Targets become sharper as DEC goes on, and labels as neighbours agree: losses compare within one phase.
    if name == "contrastive":
        assert stage.history[-1].loss < stage.history[0].loss
    assert not first.training


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 3), (4, 2)])
def test_a_killed_stage_resumes_to_the_same_weights(run, tmp_path, monkeypatch, name, epoch, step):
    # A checkpoint after every batch: the kill falls between any two.
    monkeypatch.setattr("imgcluster_training.deep_clustering.running._CHECKPOINT_SECONDS", 0.0)
    stages = (SMALL["contrastive"], SMALL[name])
    undisturbed, expected = run(*stages)

    def kill(progress):
        if (progress.stage, progress.epoch, progress.step) == (name, epoch, step):
            raise Killed

    with pytest.raises(Killed):
        run(*stages, folder=tmp_path, on_progress=kill)
    torch.manual_seed(99)
    resumed, result = run(*stages, folder=tmp_path, resume=True)
    assert equal(undisturbed, resumed)
    for ours, theirs in zip(result.stages, expected.stages, strict=True):
        for a, b in zip(ours.history, theirs.history, strict=True):
            assert (a.loss, a.learning_rate) == (b.loss, b.learning_rate)


def test_finished_stages_are_taken_from_their_checkpoints(run, tmp_path):
    done, _ = run(SMALL["contrastive"], SMALL["neighbours"], folder=tmp_path)

    def never(progress):
        raise AssertionError("nothing is left to do")

    again, _ = run(SMALL["contrastive"], SMALL["neighbours"], folder=tmp_path, resume=True, on_progress=never)
    assert equal(done, again)
    assert {path.name for path in tmp_path.iterdir()} == {"stage-1-contrastive.pt", "stage-2-neighbours.pt"}


def test_another_trainings_checkpoint_is_refused(run, tmp_path):
    run(SMALL["dec"], folder=tmp_path)
    with pytest.raises(TrainingError, match="was made with clusters = 3, now it is 2"):
        run(SMALL["dec"], clusters=2, folder=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="with stage = .*'learning_rate': 0.01}, now it is .*'learning_rate': 0.5}"):
        run(dataclasses.replace(SMALL["dec"], learning_rate=0.5), folder=tmp_path, resume=True)


@pytest.mark.parametrize("name", ["neighbours", "dec", "idec"])
def test_clusters_become_clearer(run, tiny_images, tiny_recipe, name):
    settings = {
        "neighbours": dataclasses.replace(SMALL["neighbours"], epochs=20),
        "dec": dataclasses.replace(SMALL["dec"], epochs=20, learning_rate=0.1),
        "idec": dataclasses.replace(SMALL["idec"], epochs=20, gamma=1.0, learning_rate=1e-2),
    }
    untrained = model_for(tiny_recipe, tiny_images.train.shape, seed=0)
    model, _ = run(settings[name])

    def separation(encoder):
        codes, labels = encode(encoder, tiny_images.test, tiny_recipe, CPU), tiny_images.test_labels
        codes = codes / np.linalg.norm(codes, axis=1, keepdims=True)
        centres = np.stack([codes[labels == label].mean(axis=0) for label in range(3)])
        within = np.linalg.norm(codes - centres[labels], axis=1).mean()
        return np.linalg.norm(centres[:, np.newaxis] - centres, axis=2).max() / within

    assert separation(model) > 1.2 * separation(untrained)
    codes = encode(model, tiny_images.test, tiny_recipe, CPU)
    assert cluster_scores(codes, tiny_images.test_labels, cosine=True, seed=0).hungarian_accuracy > 0.95


def test_dec_stops_where_nothing_changes(run, tmp_path):
    lazy = dataclasses.replace(SMALL["dec"], epochs=50, tolerance=0.5)
    model, result = run(lazy, folder=tmp_path)
    assert len(result.stages[0].history) == 1
    again, resumed = run(lazy, folder=tmp_path, resume=True)
    assert equal(model, again)
    assert [record.seconds for record in resumed.stages[0].history] == [
        record.seconds for record in result.stages[0].history
    ]


def test_a_longer_dec_goes_on_from_a_shorter_one(run, tmp_path):
    run(SMALL["dec"], folder=tmp_path)
    longer = dataclasses.replace(SMALL["dec"], epochs=6)
    resumed, result = run(longer, folder=tmp_path, resume=True)
    at_once, _ = run(longer)
    assert len(result.stages[0].history) == 6
    assert equal(resumed, at_once)


def test_only_idec_keeps_the_decoder(run):
    _, kept = run(SMALL["idec"])
    _, left = run(SMALL["dec"])
    assert (kept.decodes, left.decodes) == (True, False)
    assert left.summary == "dec (4 epochs); 3 clusters, a number given"
    _, unclustered = run(SMALL["contrastive"])
    assert unclustered.summary == "contrastive (4 epochs)"


def test_the_number_of_clusters_is_found(run, monkeypatch):
    asked = []

    def count(codes, metric, *, seed):
        asked.append((tuple(codes.shape), metric, seed))
        return 4

    monkeypatch.setattr("imgcluster_training.deep_clustering.refine.count_clusters", count)
    _, result = run(SMALL["contrastive"], SMALL["neighbours"], SMALL["dec"], clusters="auto", seed=5)
    assert asked == [((48, 3), "cosine", 5)]
    assert (result.clusters, result.found) == (4, True)
    assert result.summary.endswith("4 clusters, found without labels")


def test_a_loss_that_is_no_number_stops_with_advice(run, monkeypatch):
    monkeypatch.setattr("imgcluster_training.deep_clustering.dec.divergence", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match=r"stage dec became nan in epoch 1.*learning_rate below 0.01 \(try 0.003\)"):
        run(SMALL["dec"])


@pytest.mark.parametrize("name", ["neighbours", "dec", "idec"])
def test_more_clusters_than_images_are_refused(run, name):
    few = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8))
    with pytest.raises(UsageError, match="--refine 6 is not possible with 5 images; 1 to 5 are"):
        run(SMALL[name], clusters=6, images=few)


@pytest.mark.parametrize("name", STAGES)
def test_one_cluster_and_fewer_images_than_a_batch(run, name):
    few = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8))
    model, result = run(SMALL[name], clusters=1, images=few)
    assert len(result.stages[0].history) >= 1
    assert all(torch.isfinite(value).all() for value in weights(model) if value.is_floating_point())


def test_one_image_is_too_few(run):
    with pytest.raises(TrainingError, match="1 images are too few to refine on"):
        run(SMALL["contrastive"], clusters=1, images=ArrayImages(np.zeros((1, 8, 8, 1), np.uint8)))


@pytest.mark.parametrize("name", ["dec", "idec", "neighbours"])
def test_images_that_are_all_the_same(run, name):
    same = ArrayImages(np.full((20, 8, 8, 1), 7, dtype=np.uint8))
    settings = SMALL[name] if name == "neighbours" else dataclasses.replace(SMALL[name], start="k-means")
    if name == "neighbours":
        # Their neighbours are arbitrary, and so are the clusters: nothing breaks.
        model, _ = run(settings, images=same)
        assert all(torch.isfinite(value).all() for value in weights(model) if value.is_floating_point())
        return
    with pytest.raises(TrainingError, match="have 1 different codes, which cannot make 3 clusters"):
        run(settings, images=same)


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
    result = refine(model, tiny_images.train, recipe, seed=0, device=CPU)
    assert [stage.name for stage in result.stages] == ["contrastive", "neighbours"]
    assert not result.decodes
    assert encode(model, tiny_images.test, recipe, CPU).shape == (21, 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'type = "contrastive",',
            'type = "contrast",',
            r"stages\[0\]: type = 'contrast' is unknown; choose one of con",
        ),
        ("epochs = 2,", "epoch = 2,", r"stages\[0\] \(contrastive\): unknown key 'epoch'; valid are epochs, augment"),
        ("epochs = 2,", "epochs = 0,", r"stages\[0\] \(contrastive\): epochs = 0 is not possible"),
        ("epochs = 2,", "", r"the key 'epochs' is missing"),
        ("clusters = 3", "clusters = -1", r"clusters = -1 is not possible; it is 'auto', 1 or more, or 0"),
        ("clusters = 3", "clusters = 0", r"clusters = 0 is not enough for these stages; set a number, or 'auto'"),
        ("clusters = 3", 'clusters = "many"', r"clusters = 'many' is not allowed; it must be a whole number"),
        ("epochs = 2,", "epochs = 2, temperature = 0,", r"temperature = 0.0 is not possible; it must be above 0"),
        ('type = "neighbours",', 'type = "neighbours", confidence = 1.0,', r"confidence = 1.0 is not possible"),
        ('type = "neighbours",', 'type = "neighbours", neighbours = 0,', r"neighbours = 0 is not possible"),
        ('{ type = "crop", side = 0.75 }', '{ type = "crop", side = 0 }', r"area = 0.2, side = 0.0 is not possible"),
        ('{ type = "neighbours", aug', '{ type = "idec" }, { type = "neighbours", aug', r"and hold no 'idec'"),
        ('type = "contrastive", epochs = 2', 'type = "neighbours"', r"must begin with a stage that needs no autoencod"),
        ("[cluster]\n", "[decoder]\n", r"unknown key 'decoder'; valid are .*cluster"),
    ],
)
def test_a_wrong_stage_is_named_with_what_is_valid(old, new, message):
    assert old in ALONE
    with pytest.raises(UsageError, match=message):
        parse_recipe(ALONE.replace(old, new, 1), "alone")


def test_a_decoder_needs_a_training_and_clusters_need_stages():
    from tiny import TINY

    head, _, rest = TINY.partition("[training]")
    with pytest.raises(UsageError, match="the key 'training' is missing"):
        parse_recipe(head + "[split]" + rest.partition("[split]")[2], "tiny")
    with pytest.raises(UsageError, match="clusters = 3 needs stages"):
        parse_recipe(TINY + "[cluster]\nclusters = 3\nstages = []\n", "tiny")


@pytest.mark.parametrize(("values", "message"), [({"tolerance": 1.0}, "tolerance = 1.0"), ({"updates": 0}, "updates")])
@pytest.mark.parametrize("kind", [Dec, Idec])
def test_impossible_settings_of_dec_are_refused(kind, values, message):
    with pytest.raises(UsageError, match=f"{message}.* is not possible"):
        kind(**values)
