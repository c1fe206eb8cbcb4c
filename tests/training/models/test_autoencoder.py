"""Models have exactly the reference systems' parameters, and Keras's padding, initialization and normalization."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812

from imgcluster.errors import UsageError  # noqa: E402
from imgcluster_training.models.autoencoder import build_model, count_parameters, model_for  # noqa: E402
from imgcluster_training.models.layers import ResidualUnit, SameConv, SameConvTranspose  # noqa: E402
from imgcluster_training.recipe.parser import load_recipe, parse_recipe, with_changes  # noqa: E402
from imgcluster_training.recipe.schema import ModelSettings  # noqa: E402
from tiny import TINY  # noqa: E402

GRAY, COLOR, LARGE = (28, 28, 1), (32, 32, 3), (224, 224, 1)


def make(name, shape, seed=0):
    return model_for(load_recipe(name), shape, seed=seed)


@pytest.mark.parametrize(
    ("name", "shape", "everything", "trainable"),
    [
        ("a-mnist", GRAY, 148_675, 148_515),
        ("a-cifar10", COLOR, 180_531, 180_371),
        ("d-mnist-16", GRAY, 178_769, 178_385),
        ("e-strokes-denoise", LARGE, 309_841, 308_593),
    ],
)
def test_parameter_counts_are_the_references(name, shape, everything, trainable):
    counts = count_parameters(make(name, shape))
    assert (counts.all, counts.trainable) == (everything, trainable)


def test_d_has_the_references_encoder_decoder_and_frozen_counts():
    model = make("d-mnist-16", GRAY)
    counts = count_parameters(model.encoder), count_parameters(model.decoder), count_parameters(model)
    assert (counts[0].all, counts[1].all, counts[2].frozen) == (69_392, 109_377, 384)


def test_b_has_nine_layers_and_the_references_stages():
    model = make("b-cifar10-nine-layer", COLOR)
    kinds = torch.nn.Conv2d | torch.nn.MaxPool2d | torch.nn.Upsample
    assert sum(isinstance(part, kinds) for part in model.modules()) == 9
    sizes, image = [], torch.zeros(1, 3, 32, 32)
    for layer in model.encoder.blocks:
        image = layer(image)
        if isinstance(layer, torch.nn.Conv2d):
            sizes.append(image.numel())
    assert sizes == [8_192, 3_072, 1_024]
    assert model(torch.zeros(2, 3, 32, 32)).code.shape == (2, 1_024)


@pytest.mark.parametrize(("name", "shape"), [("a-mnist", GRAY), ("a-cifar10", COLOR)])
def test_a_clips_the_normalized_map_before_its_dense_layers(name, shape):
    blocks = make(name, shape).encoder.blocks
    seen = []
    after_the_map = next(at for at, layer in enumerate(blocks) if isinstance(layer, torch.nn.BatchNorm2d) and at > 8)
    blocks[after_the_map + 1].register_forward_hook(lambda _, given, made: seen.append((given[0], made)))
    blocks(torch.rand(4, shape[2], *shape[:2], generator=torch.Generator().manual_seed(0)))
    assert (seen[0][0] < 0).any()
    torch.testing.assert_close(seen[0][1], seen[0][0].clamp(min=0))


def test_the_colorizer_sees_gray_and_makes_color_or_chrominance():
    recipe = load_recipe("b-cifar10-colorize")
    assert model_for(recipe, COLOR, seed=0)(torch.zeros(2, 1, 32, 32)).reconstruction.shape == (2, 3, 32, 32)
    chrominance = with_changes(recipe, data={"target": "chrominance"})
    assert model_for(chrominance, COLOR, seed=0)(torch.zeros(2, 1, 32, 32)).reconstruction.shape == (2, 2, 32, 32)


@pytest.mark.parametrize("size", [7, 8, 28, 29])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (4, 2), (5, 1), (2, 2), (5, 3)])
def test_same_padding_is_tensorflows(size, kernel, stride):
    """TensorFlow: output ⌈size / stride⌉, the padding's odd pixel at the end."""
    conv = SameConv(1, 1, kernel, stride)
    image = torch.randn(1, 1, size, size)
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    before, after = total // 2, total - total // 2
    expected = F.conv2d(F.pad(image, (before, after, before, after)), conv.weight, conv.bias, stride=stride)
    assert conv(image).shape[2:] == (math.ceil(size / stride),) * 2
    torch.testing.assert_close(conv(image), expected)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 26), (3, 2, 13), (4, 2, 13), (5, 3, 8), (28, 1, 1)])
def test_valid_padding_adds_no_pixels(kernel, stride, side):
    block = {"type": "conv", "filters": 2, "kernel": kernel, "stride": stride, "padding": "valid"}
    settings = ModelSettings(latent=2 * side * side, code="flatten", encoder=[block])
    model = build_model(settings, input_shape=(1, 28, 28), output_shape=(1, 28, 28), seed=0)
    conv = model.encoder.blocks[0]
    image = torch.randn(1, 1, 28, 28)
    expected = F.conv2d(image, conv.weight, conv.bias, stride=stride)
    assert expected.shape[2:] == (side, side)
    torch.testing.assert_close(model.encoder(image), expected.flatten(1))


def test_a_valid_convolution_larger_than_its_input_is_refused():
    block = {"type": "conv", "filters": 2, "kernel": 29, "padding": "valid"}
    settings = ModelSettings(latent=2, code="flatten", encoder=[block])
    with pytest.raises(UsageError, match=r"encoder\[0\].*1×28×28.*29"):
        build_model(settings, input_shape=(1, 28, 28), output_shape=(1, 28, 28), seed=0)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (4, 2), (5, 1), (2, 2), (5, 3), (4, 1)])
def test_the_transposed_convolution_is_the_adjoint_of_the_convolution(kernel, stride):
    conv = SameConv(2, 3, kernel, stride, bias=False).double()
    back = SameConvTranspose(3, 2, kernel, stride, bias=False).double()
    back.weight = conv.weight
    large, small = torch.randn(1, 2, 6 * stride, 6 * stride).double(), torch.randn(1, 3, 6, 6).double()
    assert back(small).shape == large.shape
    torch.testing.assert_close((conv(large) * small).sum(), (large * back(small)).sum())


@pytest.mark.parametrize("stride", [1, 2])
def test_the_transposed_convolution_adds_its_bias(stride):
    layer = SameConvTranspose(3, 2, 3, stride)
    bias = torch.nn.init.uniform_(layer.bias).clone()
    images = torch.randn(1, 3, 6, 6)
    without = layer(images) - bias[:, None, None]
    torch.nn.init.zeros_(layer.bias)
    torch.testing.assert_close(without, layer(images))


@pytest.mark.parametrize(("side", "kernel", "stride", "bias"), [(3, 3, 1, True), (8, 4, 2, False), (7, 5, 2, True)])
def test_training_in_bfloat16_has_the_gradients_of_float32(side, kernel, stride, bias):
    torch.manual_seed(0)
    layer = SameConv(8, 16, kernel, stride, bias=bias)
    images = torch.randn(32, 8, side, side, requires_grad=True)

    def gradients(in_bfloat16):
        layer.zero_grad()
        images.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bfloat16):
            maps = layer(images)
        assert maps.dtype == (torch.bfloat16 if in_bfloat16 else torch.float32)
        maps.float().square().mean().backward()
        return [images.grad.clone(), *(weight.grad.clone() for weight in layer.parameters())]

    for expected, found in zip(gradients(False), gradients(True), strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).norm() < 0.02 * expected.norm()


def test_initialization_is_glorot_uniform_and_zero_and_seeded():
    first, same, other = make("a-mnist", GRAY), make("a-mnist", GRAY), make("a-mnist", GRAY, seed=1)
    conv = first.encoder.blocks[0]
    limit = math.sqrt(6 / (49 * 1 + 49 * 32))
    assert 0.95 * limit < conv.weight.abs().max() <= limit
    assert not conv.bias.any()
    assert torch.equal(conv.weight, same.encoder.blocks[0].weight)
    assert not torch.equal(conv.weight, other.encoder.blocks[0].weight)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    make("d-mnist-16", GRAY)
    assert torch.equal(torch.rand(1), expected)


def test_normalization_is_kerass():
    norms = [part for part in make("a-mnist", GRAY).modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    norm = norms[0].train()
    for _ in range(1000):
        norm(torch.zeros(1, 32, 2, 2))
    norm(torch.ones(1, 32, 2, 2))
    torch.testing.assert_close(norm.running_mean, torch.full((32,), 0.01))


def test_running_statistics_forget_their_start_after_few_batches():
    norm = next(part for part in make("a-mnist", GRAY).modules() if isinstance(part, torch.nn.BatchNorm2d)).train()
    images = 5 + 0.1 * torch.randn(64, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        norm(images)
    torch.testing.assert_close(norm.eval()(images), norm.train()(images), atol=0.05, rtol=0.05)


def test_a_variational_model_draws_in_training_only():
    model = make("c-fashion-vae", GRAY)
    images = torch.rand(4, 1, 28, 28)
    model.train()
    outputs = model(images)
    assert outputs.mean.shape == outputs.log_variance.shape == outputs.code.shape == (4, 2)
    assert not torch.equal(outputs.code, outputs.mean)
    model.eval()
    outputs = model(images)
    assert torch.equal(outputs.code, outputs.mean)
    assert torch.equal(model.encoder(images), outputs.mean)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latent = 3", 'latent = 3\ncode = "flatten"', "latent = 3.* 64 values"),
        (
            '{ type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" }',
            '{ type = "conv", filters = "image" }',
            "1×4×4.*1×8×8",
        ),
        ('{ type = "dense-to-map" }', '{ type = "up-sample" }', r"decoder\[0\].*feature map"),
        ('{ type = "dense-to-map" }', '{ type = "reshape" }', "3 values.*4×4×4"),
        (
            '{ type = "conv", filters = 4,',
            '{ type = "max-pool", size = 9 }, { type = "conv", filters = 4,',
            "too small",
        ),
    ],
)
def test_blocks_that_do_not_fit_are_an_error(old, new, message):
    assert old in TINY
    recipe = parse_recipe(TINY.replace(old, new, 1), "tiny")
    with pytest.raises(UsageError, match=message):
        build_model(recipe.model, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)


@pytest.mark.parametrize("block", ["dense-to-map", "reshape"])
def test_a_map_may_be_mapped_again(block):
    first = '{ type = "dense-to-map" }'
    recipe = parse_recipe(TINY.replace(first, f'{first}, {{ type = "{block}" }}'), "tiny")
    model = build_model(recipe.model, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)
    assert model(torch.zeros(2, 1, 8, 8)).reconstruction.shape == (2, 1, 8, 8)


def test_a_model_without_weights_is_an_error():
    settings = ModelSettings(latent=64, code="flatten", encoder=[], decoder=[{"type": "reshape"}])
    with pytest.raises(UsageError, match="nothing to train"):
        build_model(settings, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)


def test_chrominance_of_gray_images_is_an_error():
    recipe = with_changes(load_recipe("b-cifar10-colorize"), data={"target": "chrominance"})
    with pytest.raises(UsageError, match="chrominance.*gray"):
        model_for(recipe, GRAY, seed=0)


def test_a_vector_before_the_code_returns_to_the_last_map():
    recipe = parse_recipe(
        TINY.replace('norm = "after-activation" }]', 'norm = "after-activation" }, { type = "dense", units = 9 }]'), "x"
    )
    model = build_model(recipe.model, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)
    assert model(torch.zeros(2, 1, 8, 8)).reconstruction.shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("interpolation", "row"), [("nearest", [0.0, 0.0, 4.0, 4.0]), ("bilinear", [0.0, 1.0, 3.0, 4.0])]
)
def test_up_sampling_repeats_or_interpolates_between_the_middles_of_pixels(interpolation, row):
    transposed = '{ type = "conv-transpose", filters = "image", stride = 2, activation = "sigmoid" }'
    upsampled = f'{{ type = "up-sample", interpolation = "{interpolation}" }}, {{ type = "conv", filters = "image" }}'
    assert transposed in TINY
    recipe = parse_recipe(TINY.replace(transposed, upsampled), "tiny")
    model = build_model(recipe.model, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)
    layer = next(part for part in model.modules() if isinstance(part, torch.nn.Upsample))
    assert layer(torch.tensor([[[[0.0, 4.0]]]]))[0, 0].tolist() == [row, row]


def test_an_activation_may_stand_alone():
    recipe = parse_recipe(
        TINY.replace(
            'norm = "after-activation" }]', 'norm = "after-activation" }, { type = "activation", activation = "silu" }]'
        ),
        "x",
    )
    model = build_model(recipe.model, input_shape=(1, 8, 8), output_shape=(1, 8, 8), seed=0)
    assert isinstance(model.encoder.blocks[-1], torch.nn.SiLU)


@pytest.mark.parametrize(("stride", "filters"), [(1, 4), (1, 6), (2, 4), (2, 6)])
def test_a_residual_block_is_two_convolutions_beside_a_shortcut(stride, filters):
    unit = ResidualUnit(4, filters, stride).eval()
    images = torch.randn(2, 4, 7, 5, generator=torch.Generator().manual_seed(0))
    made = unit(images)
    assert made.shape == (2, filters, -(-7 // stride), -(-5 // stride))
    assert (made >= 0).all()
    # With a branch of nothing only the shortcut is left: the image, its means, or a mixture of its channels.
    for parameter in unit.branch.parameters():
        torch.nn.init.zeros_(parameter)
    shortcut = images if stride == 1 else F.avg_pool2d(images, 2, ceil_mode=True, count_include_pad=False)
    if filters == 4:
        torch.testing.assert_close(unit(images), shortcut.relu())
    else:
        mixed = torch.einsum("oc,nchw->nohw", unit.shortcut[-1].weight[:, :, 0, 0], shortcut)
        torch.testing.assert_close(unit(images), mixed.relu())


def test_an_encoder_that_ends_in_a_mean_sees_images_of_any_size():
    model = make("clusters-colour", COLOR)
    assert count_parameters(model.decoder).all == 0
    assert model.encoder(torch.zeros(2, 3, 32, 32)).shape == (2, 256)
    assert model.encoder(torch.zeros(2, 3, 24, 24)).shape == (2, 256)
