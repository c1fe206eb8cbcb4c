"""A training keeps the best weights, resumes bit for bit, and stops with advice when it goes wrong."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster.errors import DeviceError, UsageError  # noqa: E402
from imgcluster_training.data.batches import ordered_batches  # noqa: E402
from imgcluster_training.data.images import ArrayImages  # noqa: E402
from imgcluster_training.data.splits import split_images  # noqa: E402
from imgcluster_training.devices import choose_device  # noqa: E402
from imgcluster_training.errors import TrainingError  # noqa: E402
from imgcluster_training.fit.autoencoder import AutoencoderTask, fit  # noqa: E402
from imgcluster_training.fit.loop import TrainingLoop  # noqa: E402
from imgcluster_training.fit.losses import LOSSES  # noqa: E402
from imgcluster_training.fit.schedules import learning_rate  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.parser import parse_recipe, with_changes  # noqa: E402
from imgcluster_training.recipe.transforms import GaussianNoise  # noqa: E402
from tiny import TINY, Interrupted, interrupt_at, on_cpu, same_weights  # noqa: E402

CPU = torch.device("cpu")


def train(images, recipe, checkpoint=None, **run):
    split = split_images(images, recipe)
    model = model_for(recipe, images.train.shape, seed=recipe.training.seed)
    result = fit(model, split, recipe, on_cpu(**run), seed=recipe.training.seed, checkpoint=checkpoint)
    return model, result, split


def train_with(objective, images, recipe):
    """Train with another loss than the recipe's."""
    model = model_for(recipe, images.train.shape, seed=0)
    task = AutoencoderTask(model, split_images(images, recipe), recipe, seed=0, device=CPU)
    task.objective = objective
    TrainingLoop(task, on_cpu(), None, {}).follow()


@pytest.fixture
def noisy_recipe(tiny_recipe):
    recipe = with_changes(tiny_recipe, training={"average": 0.9, "schedule": "one-cycle"})
    return recipe.model_copy(update={"corruption": (GaussianNoise(sd=0.2),)})


def test_training_lowers_the_loss_and_is_repeatable(tiny_images, tiny_recipe):
    first, result, _ = train(tiny_images, tiny_recipe)
    second, again, _ = train(tiny_images, tiny_recipe)
    assert result.history[-1].loss < 0.7 * result.history[0].loss
    assert [record.loss for record in result.history] == [record.loss for record in again.history]
    assert same_weights(first, second)
    other, _, _ = train(tiny_images, with_changes(tiny_recipe, training={"seed": 1}))
    assert not same_weights(first, other)


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_mixed_precision_computes_losses_and_weights_in_float32(tiny_images, tiny_recipe, monkeypatch, loss):
    def train_on(has_bfloat16):
        # Processors without these instructions imitate them.
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bfloat16}, raising=False)
        return train(tiny_images, with_changes(tiny_recipe, training={"loss": loss}))

    single, expected, _ = train_on(False)
    mixed, result, _ = train_on(True)
    assert not same_weights(single, mixed)
    assert {value.dtype for value in mixed.parameters()} == {torch.float32}
    assert result.history[-1].validation_loss == pytest.approx(expected.history[-1].validation_loss, rel=0.05)


def test_a_saturated_output_has_a_finite_loss_in_bfloat16(tiny_images, tiny_recipe):
    model = model_for(tiny_recipe, tiny_images.train.shape, seed=0)
    with torch.no_grad():
        model.decoder.blocks[-2].bias.fill_(20.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(torch.rand(2, 1, 8, 8))
    assert outputs.reconstruction.dtype == torch.float32
    assert LOSSES["bce"](outputs.float(), torch.zeros(2, 1, 8, 8)).isfinite()


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("step", [1, 4, 6])
def test_an_interrupted_training_resumes_to_the_same_weights(tiny_images, noisy_recipe, tmp_path, epoch, step):
    undisturbed, expected, _ = train(tiny_images, noisy_recipe)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        train(tiny_images, noisy_recipe, path, on_progress=interrupt_at(epoch=epoch, step=step))
    torch.manual_seed(99)
    resumed, result, _ = train(tiny_images, noisy_recipe, path)
    assert same_weights(undisturbed, resumed)
    for a, b in zip(result.history, expected.history, strict=True):
        assert dataclasses.replace(a, seconds=0) == dataclasses.replace(b, seconds=0)


def test_a_variational_training_resumes_to_the_same_weights(tiny_images, tmp_path):
    text = TINY.replace("latent = 3", 'latent = 3\ncode = "gaussian"').replace('loss = "mse"', 'loss = "vae"')
    recipe = parse_recipe(text, "vae")
    undisturbed, _, _ = train(tiny_images, recipe)
    with pytest.raises(Interrupted):
        train(tiny_images, recipe, tmp_path / "c.pt", on_progress=interrupt_at(epoch=2, step=3))
    resumed, _, _ = train(tiny_images, recipe, tmp_path / "c.pt")
    assert same_weights(undisturbed, resumed)


def test_a_longer_training_at_a_constant_rate_goes_on_from_a_shorter_one(tiny_images, tiny_recipe, tmp_path):
    path = tmp_path / "c.pt"
    longer = with_changes(tiny_recipe, training={"epochs": 5})
    train(tiny_images, tiny_recipe, path)
    resumed, result, _ = train(tiny_images, longer, path)
    at_once, _, _ = train(tiny_images, longer)
    assert len(result.history) == 5
    assert same_weights(at_once, resumed)


@pytest.mark.parametrize("step", [1, 4, 6])
def test_the_epochs_before_an_interrupted_one_are_a_training_of_their_own(tiny_images, noisy_recipe, tmp_path, step):
    recipe = with_changes(noisy_recipe, training={"schedule": "constant"})
    path = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        train(tiny_images, recipe, path, on_progress=interrupt_at(epoch=3, step=step))
    before = path.read_bytes()
    shorter = with_changes(recipe, training={"epochs": 2})
    taken, result, _ = train(tiny_images, shorter, path)
    at_once, expected, _ = train(tiny_images, shorter)
    assert same_weights(taken, at_once)
    assert [record.loss for record in result.history] == [record.loss for record in expected.history]
    assert result.best_epoch == expected.best_epoch
    assert path.read_bytes() == before


def test_a_shorter_training_is_not_taken_from_the_checkpoint_of_a_longer_one(tiny_images, tiny_recipe, tmp_path):
    path = tmp_path / "c.pt"
    train(tiny_images, tiny_recipe, path)
    before = path.read_bytes()
    shorter = with_changes(tiny_recipe, training={"epochs": 2})
    with pytest.raises(TrainingError, match=r"c\.pt has reached epoch 3.* 2;.*--name"):
        train(tiny_images, shorter, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("patience", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_training_ends_when_its_patience_does(tiny_images, tiny_recipe, tmp_path, patience):
    recipe = with_changes(tiny_recipe, training={"epochs": 40, "learning_rate": 0.1})
    _, all_epochs, _ = train(tiny_images, recipe)
    patient = with_changes(recipe, training={"patience": patience})
    with pytest.raises(Interrupted):
        train(tiny_images, patient, tmp_path / "c.pt", on_progress=interrupt_at(epoch=2, step=3))
    model, result, _ = train(tiny_images, patient, tmp_path / "c.pt")
    losses = [record.validation_loss for record in all_epochs.history]
    ends = next(n for n in range(1, 41) if n - (1 + np.argmin(losses[:n])) == patience)
    assert ends < 40
    assert [record.validation_loss for record in result.history] == losses[:ends]
    assert result.best_epoch == ends - patience
    shorter, _, _ = train(tiny_images, with_changes(recipe, training={"epochs": ends}))
    assert same_weights(model, shorter)
    again, _, _ = train(tiny_images, patient, tmp_path / "c.pt")
    assert same_weights(model, again)


def test_a_finished_training_is_taken_from_its_checkpoint(tiny_images, tiny_recipe, tmp_path):
    model, _, _ = train(tiny_images, tiny_recipe, tmp_path / "c.pt")

    def never(progress):
        raise AssertionError("nothing is left to train")

    again, _, _ = train(tiny_images, tiny_recipe, tmp_path / "c.pt", on_progress=never)
    assert same_weights(model, again)


def test_a_checkpoint_of_another_model_is_refused_with_the_block_that_differs(tiny_images, tmp_path):
    plain = TINY.replace("filters = 4, stride = 2", "filters = 4")
    first, second = (
        parse_recipe(plain.replace("encoder = [", f'encoder = [{{ type = "{pool}" }}, '), "tiny")
        for pool in ("max-pool", "average-pool")
    )
    train(tiny_images, first, tmp_path / "c.pt")
    with pytest.raises(TrainingError, match="model = .*max-pool.*model = .*average-pool") as caught:
        train(tiny_images, second, tmp_path / "c.pt")
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tiny_images, tiny_recipe, tmp_path):
    path = tmp_path / "c.pt"
    train(tiny_images, tiny_recipe, path)
    other = with_changes(tiny_recipe, training={"batch_size": 16})
    with pytest.raises(TrainingError, match=r"training\.batch_size = 8, .*= 16; .*with --fresh"):
        train(tiny_images, other, path)
    with pytest.raises(TrainingError, match=r" seed = 0, but now seed = 1; .*--name"):
        train(tiny_images, with_changes(tiny_recipe, training={"seed": 1}), path)
    torch.save({"fingerprint": {"seed": "0"}, "model": {}}, path)
    with pytest.raises(TrainingError, match="earlier version.*with --fresh"):
        train(tiny_images, tiny_recipe, path)
    path.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"c.pt cannot be read .*with --fresh"):
        train(tiny_images, tiny_recipe, path)


def test_a_checkpoint_of_a_version_without_patience_is_continued(tiny_images, tiny_recipe, tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        train(tiny_images, tiny_recipe, path, on_progress=interrupt_at(epoch=2, step=3))
    state = torch.load(path, weights_only=True)
    del state["fingerprint"]["training.patience"]
    torch.save(state, path)
    with pytest.raises(TrainingError, match=r"training\.patience = 0, but now training\.patience = 2"):
        train(tiny_images, with_changes(tiny_recipe, training={"patience": 2}), path)
    resumed, _, _ = train(tiny_images, tiny_recipe, path)
    undisturbed, _, _ = train(tiny_images, tiny_recipe)
    assert same_weights(resumed, undisturbed)


@pytest.mark.parametrize("changed", [0, 59])
def test_a_checkpoint_of_other_data_of_the_same_size_is_refused(tiny_images, tiny_recipe, tmp_path, changed):
    path = tmp_path / "c.pt"
    train(tiny_images, tiny_recipe, path)
    pixels = tiny_images.train.pixels.copy()
    pixels[changed] = 255 - pixels[changed]
    other = dataclasses.replace(tiny_images, train=ArrayImages(pixels))
    with pytest.raises(TrainingError, match="images = .*digest.*with --fresh"):
        train(other, tiny_recipe, path)


def test_the_best_validation_epoch_is_kept(tiny_images, tiny_recipe):
    recipe = with_changes(tiny_recipe, training={"epochs": 6, "learning_rate": 0.05})
    model, result, split = train(tiny_images, recipe)
    losses = [record.validation_loss for record in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    with torch.no_grad():
        again = [
            LOSSES["mse"](model(inputs), target).item() * len(target)
            for inputs, target in ordered_batches(split.validation, recipe, CPU)
        ]
    assert sum(again) / len(split.validation) == pytest.approx(min(losses), rel=1e-6)


def test_without_validation_images_the_last_epoch_is_kept(tiny_images, tiny_recipe):
    recipe = with_changes(tiny_recipe, split={"validation": 0.0})
    _, result, _ = train(tiny_images, recipe)
    assert result.best_epoch == 3
    assert math.isnan(result.history[0].validation_loss)


def test_a_batch_of_one_image_cannot_be_normalized(tiny_images):
    block = 'norm = "after-activation" }]'
    recipe = parse_recipe(TINY.replace(block, f'{block[:-1]}, {{ type = "dense", units = 5, {block}'), "tiny")
    with pytest.raises(TrainingError, match="normalization.*batch_size"):
        train(tiny_images, with_changes(recipe, training={"batch_size": 1}))


def test_a_loss_that_is_not_finite_stops_with_advice(tiny_images, tiny_recipe):
    recipe = with_changes(tiny_recipe, training={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"(nan|inf) in epoch 1.*training\.learning_rate below 1e\+30"):
        train_with(lambda outputs, target: outputs.reconstruction.sum() * torch.inf, tiny_images, recipe)


def test_a_loss_that_explodes_stops_with_advice(tiny_images, tiny_recipe):
    calls = iter(range(10_000))

    def worse_and_worse(outputs, target):
        return LOSSES["mse"](outputs, target) * 3.0 ** next(calls)

    with pytest.raises(TrainingError, match=r"rose from .* in epoch 2.*training\.learning_rate"):
        train_with(worse_and_worse, tiny_images, tiny_recipe)


def test_one_batch_with_a_huge_loss_is_no_divergence(tiny_images, tiny_recipe):
    calls = iter(range(10_000))

    def once_huge(outputs, target):
        # Each epoch has six batches to train on and one to validate on.
        return LOSSES["mse"](outputs, target) + (1e6 if next(calls) == 9 else 0)

    train_with(once_huge, tiny_images, tiny_recipe)


def test_an_output_that_died_stops_with_advice(tiny_images, tiny_recipe):
    split = split_images(tiny_images, tiny_recipe)
    model = model_for(tiny_recipe, tiny_images.train.shape, seed=0)
    last = model.decoder.blocks[-2]
    torch.nn.init.zeros_(last.weight)
    last.weight.requires_grad_(False)
    with pytest.raises(TrainingError, match="same reconstruction.*--seed"):
        fit(model, split, tiny_recipe, on_cpu(), seed=0)


def test_copies_of_one_image_have_the_same_reconstruction(tiny_images, tiny_recipe):
    copies = ArrayImages(tiny_images.train.pixels[:1].repeat(20, axis=0))
    _, result, _ = train(dataclasses.replace(tiny_images, train=copies), tiny_recipe)
    assert len(result.history) == 3


def test_averaged_weights_are_what_is_kept(tiny_images, tiny_recipe):
    plain, _, _ = train(tiny_images, tiny_recipe)
    averaged, _, _ = train(tiny_images, with_changes(tiny_recipe, training={"average": 0.9}))
    assert not torch.equal(plain.state_dict()["encoder.mean.weight"], averaged.state_dict()["encoder.mean.weight"])


def test_averaged_weights_forget_the_initial_ones_in_a_short_training(tiny_images, tiny_recipe):
    # 180 updates, each of which would change the average by a thousandth.
    recipe = with_changes(tiny_recipe, training={"epochs": 30})
    _, plain, _ = train(tiny_images, recipe)
    _, averaged, _ = train(tiny_images, with_changes(recipe, training={"average": 0.999}))
    assert averaged.history[-1].validation_loss == pytest.approx(plain.history[-1].validation_loss, rel=0.2)


def test_a_short_training_validates_as_it_trains(tiny_images, tiny_recipe):
    _, result, _ = train(tiny_images, with_changes(tiny_recipe, training={"epochs": 10}))
    last = result.history[-1]
    assert last.validation_loss == pytest.approx(last.loss, rel=0.2)


def test_progress_counts_to_the_end(tiny_images, tiny_recipe):
    seen = []
    train(tiny_images, tiny_recipe, on_progress=seen.append)
    assert [(item.epoch, item.step) for item in seen] == [(e, s) for e in (1, 2, 3) for s in range(1, 7)]
    assert seen[-1].seconds_left == 0
    assert math.isnan(seen[0].validation_loss)
    assert math.isfinite(seen[-1].validation_loss)
    assert all(item.images_per_second > 0 for item in seen)


def test_the_remaining_time_does_not_count_the_start_of_an_epoch_for_every_batch(tiny_images, tiny_recipe):
    class Slow(AutoencoderTask):
        def start_epoch(self, epoch):
            if epoch == 0:
                time.sleep(1.0)
            return True

    seen = []
    model = model_for(tiny_recipe, tiny_images.train.shape, seed=0)
    task = Slow(model, split_images(tiny_images, tiny_recipe), tiny_recipe, seed=0, device=CPU)
    history = TrainingLoop(task, on_cpu(on_progress=seen.append), None, {}).follow()
    assert seen[0].seconds_left < 10
    assert history[0].seconds > 1


def test_schedules():
    def rates(schedule, steps=100):
        return [learning_rate(schedule, 0.1, step, steps) for step in range(steps)]

    assert rates("constant") == [0.1] * 100
    cosine = rates("cosine")
    assert cosine == sorted(cosine, reverse=True)
    assert (cosine[0], cosine[50]) == (0.1, pytest.approx(0.05))
    cycle = rates("one-cycle")
    assert max(cycle) == pytest.approx(0.1)
    assert cycle.index(max(cycle)) == 29
    assert cycle[0] == pytest.approx(0.1 / 25)
    assert cycle[-1] == pytest.approx(0.1 / 25e4)
    assert all(rate > 0 for rate in rates("one-cycle", steps=1))


def test_the_one_cycle_schedule_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=50, cycle_momentum=False)
    for step in range(50):
        assert learning_rate("one-cycle", 0.1, step, 50) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        if step < 49:
            schedule.step()


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="'tpu'.*auto, cuda, mps, cpu"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda.*--device cpu"):
            choose_device("cuda")
