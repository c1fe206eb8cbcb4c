"""Encoders and decoders come out as ONNX files that agree with torch and say all about themselves."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from imgcluster.encoders.decoder import DecoderInfo  # noqa: E402
from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster.errors import EncoderError  # noqa: E402
from imgcluster_training.export.to_onnx import export_decoder, export_encoder, run_onnx  # noqa: E402
from imgcluster_training.models.autoencoder import model_for  # noqa: E402
from imgcluster_training.recipe.parser import load_recipe  # noqa: E402


def describe(name, shape, latent):
    height, width, channels = shape
    return EncoderInfo(
        name=name,
        version="1",
        embedding_size=latent,
        metric="euclidean",
        width=width,
        height=height,
        channels=channels,
        resize="stretch",
        decoder=f"{name}.decoder.onnx",
    )


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("a-mnist", (28, 28, 1), marks=pytest.mark.slow),
        ("c-fashion-vae", (28, 28, 1)),
        pytest.param("a-cifar10", (32, 32, 3), marks=pytest.mark.slow),
    ],
)
def test_encoder_and_decoder_agree_with_torch_and_describe_themselves(tmp_path, name, shape):
    recipe = load_recipe(name)
    model = model_for(recipe, shape, seed=0)
    # Normalization that does nothing would hide an error in it.
    model.train()
    with torch.no_grad():
        model(torch.rand(16, shape[2], *shape[:2]))
    model.eval()
    encoder, decoder = tmp_path / f"{name}.onnx", tmp_path / f"{name}.decoder.onnx"
    info = describe(name, shape, recipe.model.latent)
    assert export_encoder(model.encoder, info, encoder, mean=0.0, scale=255.0) < 1e-4
    decoder_info = DecoderInfo(name=name, version="1", latent=info.embedding_size, prior="normal")
    assert export_decoder(model.decoder, decoder_info, decoder) < 1e-4

    random = np.random.default_rng(1)
    for count in (1, 3, 17):
        images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        with torch.no_grad():
            codes = model.encoder(torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0)
            made = model.decoder(codes).clamp(0, 1).permute(0, 2, 3, 1)
        assert np.abs(run_onnx(encoder, images) - codes.numpy()).max() < 1e-4
        assert np.abs(run_onnx(decoder, codes.numpy()) - made.numpy()).max() < 1e-4

    files = onnx.load(encoder), onnx.load(decoder)
    metadata = [{prop.key: prop.value for prop in file.metadata_props} for file in files]
    assert EncoderInfo.from_metadata(metadata[0]) == info
    assert DecoderInfo.from_metadata(metadata[1]) == decoder_info
    # A decoder is not an encoder.
    assert EncoderInfo.from_metadata(metadata[1]) is None
    assert files[0].opset_import[0].version >= 20


def test_a_graph_that_differs_from_torch_is_not_written(tmp_path):
    class Moody(torch.nn.Module):
        def forward(self, images):
            # The exporter keeps the first branch for good.
            return images.flatten(1)[:, :2] + (0.0 if torch.compiler.is_exporting() else 1.0)

    with pytest.raises(EncoderError, match=r"x\.onnx differs from torch"):
        export_encoder(Moody(), describe("x", (4, 4, 1), 2), tmp_path / "x.onnx", mean=0.0, scale=255.0)
    assert list(tmp_path.iterdir()) == []


def test_decoded_images_are_clipped_and_channels_last(tmp_path):
    info = DecoderInfo(name="x", version="1", latent=4)
    export_decoder(torch.nn.Unflatten(1, (1, 2, 2)), info, tmp_path / "x.decoder.onnx")
    images = run_onnx(tmp_path / "x.decoder.onnx", np.array([[-1.0, 0.5, 2.0, 1.0]], dtype=np.float32))
    assert images.shape == (1, 2, 2, 1)
    assert images.flatten().tolist() == [0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imgcluster.decoder.prior": "uniform"}, "not a decoder.*prior"),
        ({"imgcluster.decoder.latent": "many"}, "incomplete"),
    ],
)
def test_metadata_that_is_not_understood_is_an_error(change, message):
    metadata = DecoderInfo(name="x", version="1", latent=2).to_metadata() | change
    with pytest.raises(EncoderError, match=message):
        DecoderInfo.from_metadata(metadata)
