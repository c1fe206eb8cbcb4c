"""Encoders of ours and foreign ones: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_models
from imgcluster import Encoder, EncoderError, EncoderOptions, UsageError
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.started import Started
from imgcluster.types import Vectors

IMAGES = np.random.default_rng(0).integers(1, 256, (5, 4, 4, 3), dtype=np.uint8)


def test_our_encoder_says_about_itself_what_was_stored(tiny_encoder: Path) -> None:
    encoder = Encoder(tiny_encoder, device="cpu")
    assert encoder.info == tiny_models.TINY
    assert encoder.device == "cpu"


def test_values_are_those_of_the_graph(tiny_encoder: Path) -> None:
    vectors = Encoder(tiny_encoder, device="cpu").encode(IMAGES)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, IMAGES.reshape(5, -1).astype(np.float32) - 100)


def test_no_image_gives_no_vector(tiny_encoder: Path) -> None:
    assert Encoder(tiny_encoder, device="cpu").encode(IMAGES[:0]).shape == (0, 48)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("batch", [1, 3, "n"])
def test_foreign_models_of_every_layout_type_and_batch(
    tmp_path: Path, dtype: str, layout: str, batch: int | str
) -> None:
    shape = [batch, 4, 4, 3] if layout == "NHWC" else [batch, 3, 4, 4]
    path = tiny_models.identity(tmp_path / "model.onnx", shape, dtype=dtype)
    vectors = Encoder(path, device="cpu").encode(IMAGES)
    expected = IMAGES if layout == "NHWC" else IMAGES.transpose(0, 3, 1, 2)
    scale = 1 if dtype == "uint8" else 255
    tolerance = 1e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(vectors, expected.reshape(5, -1) / np.float32(scale), rtol=tolerance, atol=tolerance)


def test_grey_model_takes_one_channel(tmp_path: Path) -> None:
    path = tiny_models.identity(tmp_path / "grey.onnx", ["n", 1, 6, 5])
    info = Encoder(path, device="cpu").info
    assert (info.width, info.height, info.channels, info.embedding_size) == (5, 6, 1, 30)


def test_scale_mean_and_std_are_applied_per_channel(tmp_path: Path) -> None:
    path = tiny_models.identity(tmp_path / "model.onnx", ["n", 4, 4, 3])
    options = EncoderOptions(scale=0.5, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    vectors = Encoder(path, device="cpu", options=options).encode(IMAGES)
    expected = (IMAGES * 0.5 - np.array([1.0, 2.0, 3.0])) / np.array([2.0, 4.0, 8.0])
    np.testing.assert_allclose(vectors, expected.reshape(5, -1), rtol=1e-6)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_feature_maps_are_averaged_over_space(tmp_path: Path, layout: str) -> None:
    shape = ["n", 4, 4, 3] if layout == "NHWC" else ["n", 3, 4, 4]
    path = tiny_models.identity(tmp_path / "map.onnx", shape, dtype="uint8", output_rank=4)
    vectors = Encoder(path, device="cpu").encode(IMAGES)
    np.testing.assert_allclose(vectors, IMAGES.mean(axis=(1, 2)), rtol=1e-6)


def test_tokens_are_pooled_as_told(tmp_path: Path) -> None:
    path = tiny_models.identity(tmp_path / "tokens.onnx", ["n", 4, 4, 3], dtype="uint8", output_rank=3)
    tokens = IMAGES.reshape(5, 4, 12).astype(np.float32)
    for pooling, expected in (("cls", tokens[:, 0]), ("mean", tokens.mean(axis=1))):
        vectors = Encoder(path, device="cpu", options=EncoderOptions(pool=pooling)).encode(IMAGES)
        np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    with pytest.raises(EncoderError, match=r"\(2, 4, 12\).*--pool cls or --pool mean"):
        Encoder(path, device="cpu")


def test_open_size_needs_the_option(tmp_path: Path) -> None:
    path = tiny_models.identity(tmp_path / "open.onnx", ["batch", "num_channels", "height", "width"])
    with pytest.raises(EncoderError, match="width.*--image-size"):
        Encoder(path, device="cpu")
    info = Encoder(path, device="cpu", options=EncoderOptions(image_size=(6, 5))).info
    assert (info.width, info.height, info.channels) == (6, 5, 3)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (["n", 48], "float32", r"'pixel_values' has shape \(n, 48\).*\(n, height, width, channels\)"),
        (["n", 5, 4, 4], "float32", r"shape \(n, 5, 4, 4\).*1 or 3 channels"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, shape: list[int | str], dtype: str, message: str) -> None:
    path = tiny_models.identity(tmp_path / "model.onnx", shape, dtype=dtype)
    with pytest.raises(EncoderError, match=message):
        Encoder(path, device="cpu")


def test_two_inputs_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"2 inputs \(image\(1, 3, 4, 4\), text"):
        Encoder(tiny_models.two_inputs(tmp_path / "two.onnx"), device="cpu")


def test_options_that_do_not_fit_are_refused(tmp_path: Path, tiny_encoder: Path) -> None:
    with pytest.raises(UsageError, match="takes bytes.*leave out --mean"):
        Encoder(tiny_encoder, device="cpu", options=EncoderOptions(mean=(0.5,)))
    path = tiny_models.identity(tmp_path / "model.onnx", ["n", 4, 4, 3])
    with pytest.raises(UsageError, match="--mean has 2 values.*1 or 3"):
        Encoder(path, device="cpu", options=EncoderOptions(mean=(0.5, 0.5)))
    with pytest.raises(UsageError, match="fixed to 4"):
        Encoder(path, device="cpu", options=EncoderOptions(image_size=(8, 8)))
    with pytest.raises(UsageError, match="resize rule 'squash' is unknown.*crop, stretch, pad"):
        EncoderOptions(resize="squash")
    with pytest.raises(UsageError, match="0 is not allowed in --std"):
        EncoderOptions(std=(0.0,))


@pytest.mark.parametrize(
    ("outputs", "chosen"),
    [
        ({"logits": ["n", 5], "embedding": ["n", 7]}, "embedding"),
        ({"probabilities": ["n", 5], "x": ["n", 7]}, "x"),
        ({"x": ["n", 6], "features": ["n", 7]}, "features"),
        ({"495": ["n", 1000], "496": ["n", 2048]}, "496"),
        ({"a": ["n", 1001], "b": ["n", 21843], "c": ["n", 7]}, "c"),
        ({"embedding": ["n", 1000], "x": ["n", 7]}, "embedding"),
        ({"classLogits": ["n", 5], "imageEmbeds": ["n", 7]}, "imageEmbeds"),
        ({"last_hidden_state": ["n", 9, 7], "pooler_output": ["n", 7]}, "pooler_output"),
        ({"logits": ["n", 5], "class_token": ["n", 7]}, "class_token"),
        ({"output": ["n", 1000], "map": ["n", 7, 2, 2]}, "map"),
        # Tokens need --pool, so class scores are used, and a note says so.
        ({"logits": ["n", 5], "last_hidden_state": ["n", 9, 7]}, "logits"),
        ({"a": ["n", 6], "b": ["n", 7]}, "a"),
        ({"a": ["n", 1000], "b": ["n", 1001]}, "a"),
    ],
)
def test_embeddings_are_preferred_to_class_scores(
    tmp_path: Path, outputs: dict[str, list[int | str]], chosen: str
) -> None:
    path = tiny_models.several_outputs(tmp_path / "model.onnx", outputs)
    encoder = Encoder(path, device="cpu")
    assert encoder.info.output == chosen
    assert set(encoder.encode(IMAGES).ravel()) == {list(outputs).index(chosen) + 1}
    (note,) = encoder.notes
    assert f"from {chosen}." in note
    assert all(name in note for name in ("--output", *outputs))


def test_a_pooling_makes_tokens_preferred(tmp_path: Path) -> None:
    outputs: dict[str, list[int | str]] = {"logits": ["n", 5], "tokens": ["n", 9, 7], "embedding": ["n", 7]}
    path = tiny_models.several_outputs(tmp_path / "model.onnx", outputs)
    assert Encoder(path, device="cpu", options=EncoderOptions(pool="cls")).info.output == "tokens"


def test_an_output_can_be_named(tmp_path: Path) -> None:
    path = tiny_models.several_outputs(tmp_path / "model.onnx", {"logits": ["n", 5], "embedding": ["n", 7], "x": ["n"]})
    encoder = Encoder(path, device="cpu", options=EncoderOptions(output="logits"))
    assert (encoder.info.output, encoder.info.embedding_size, encoder.notes) == ("logits", 5, ())
    assert encoder.outputs == ("logits (n, 5)", "embedding (n, 7)", "x (n)")
    assert set(encoder.encode(IMAGES).ravel()) == {1}
    for name in ("pooled", "x"):
        with pytest.raises(UsageError) as error:
            Encoder(path, device="cpu", options=EncoderOptions(output=name))
        assert f"--output {name}" in str(error.value)
        assert "embedding (n, 7)" in str(error.value)


def test_identity_follows_the_output_however_it_was_chosen(tmp_path: Path) -> None:
    path = tiny_models.several_outputs(tmp_path / "model.onnx", {"logits": ["n", 5], "embedding": ["n", 7]})
    default, named, other = (
        Encoder(path, device="cpu", options=EncoderOptions(output=name)).identity
        for name in (None, "embedding", "logits")
    )
    assert default == named
    assert named != other


def test_an_exported_encoder_may_name_its_output(tmp_path: Path) -> None:
    info = dataclasses.replace(tiny_models.TINY, embedding_size=5, output="logits")
    path = tiny_models.several_outputs(tmp_path / "model.onnx", {"logits": ["n", 5], "embedding": ["n", 7]}, info)
    encoder = Encoder(path, device="cpu")
    assert encoder.info == info
    assert encoder.notes == ()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mean": (123.675, 116.28, 103.53)}, ("--mean 123.7,116.3,103.5", "--scale 1", "--mean 0.485,0.456,0.406")),
        ({"mean": (0.485, 0.456, 0.406), "std": (58.395, 57.12, 57.375)}, ("--std 58.4", "--scale 1", "--std 0.229")),
        ({"mean": (127.5,), "std": (127.5,), "scale": 0.00392}, ("--mean 127.5", "--scale 1", "--mean 0.5")),
    ],
)
def test_mean_and_std_for_bytes_need_the_scale_for_bytes(options: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as error:
        EncoderOptions(**options)
    assert all(part in str(error.value) for part in named)
    EncoderOptions(**{**options, "scale": 1.0})


@pytest.mark.parametrize(
    "options",
    [
        {"mean": (0.5,), "std": (0.5,)},
        {"mean": (0.0,), "std": (1.0,)},
        {"mean": (1.0,), "scale": 1 / 128},
        {"std": (1.5,)},
    ],
)
def test_usual_normalizations_are_accepted(options: dict[str, Any]) -> None:
    EncoderOptions(**options)


def test_options_become_plain_numbers() -> None:
    options = EncoderOptions(
        mean=np.array([0.25, 0.5], np.float32),  # type: ignore[arg-type]
        scale=np.float64(0.5),
        image_size=(np.int64(8), np.int64(9)),  # type: ignore[arg-type]
    )
    assert json.loads(json.dumps(dataclasses.asdict(options)))["mean"] == [0.25, 0.5]
    assert options.image_size == (8, 9)


@pytest.mark.parametrize(
    ("dtype", "options", "hinted"),
    [
        ("float32", {}, True),
        ("float16", {"scale": 1.0}, True),
        ("float32", {"mean": (0.5,)}, False),
        ("float32", {"std": (0.5,)}, False),
        ("uint8", {}, False),
    ],
)
def test_a_float_model_without_mean_and_std_gets_a_hint(
    tmp_path: Path, dtype: str, options: dict[str, Any], hinted: bool
) -> None:
    path = tiny_models.identity(tmp_path / "model.onnx", ["n", 4, 4, 3], dtype=dtype)
    notes = Encoder(path, device="cpu", options=EncoderOptions(**options)).notes
    assert ["--mean" in note and "--std" in note for note in notes] == [True] * hinted
    if options.get("scale"):
        assert "0 to 255" in notes[0]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5, 8, 8, 3), "uint8"), ((4, 4, 3), "uint8"), ((5, 4, 4, 1), "uint8"), ((5, 4, 4, 3), "float32")],
)
def test_the_session_takes_exact_pixels_only(tiny_encoder: Path, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(UsageError) as error:
        PixelEncoder(tiny_encoder, device="cpu").encode(np.zeros(shape, dtype))  # type: ignore[arg-type]
    assert all(part in str(error.value) for part in (str(shape), dtype, "(n, 4, 4, 3)"))


def test_no_model_at_all(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no model")
    with pytest.raises(EncoderError, match=r"broken\.onnx is not a readable ONNX model"):
        Encoder(broken, device="cpu")
    with pytest.raises(UsageError, match="there is no encoder file"):
        Encoder(tmp_path / "missing.onnx", device="cpu")
    with pytest.raises(UsageError, match="'nothing' is unknown.*photos"):
        Encoder("nothing", device="cpu")


def test_metadata_that_contradicts_the_graph_is_refused(tmp_path: Path) -> None:
    lying = dataclasses.replace(tiny_models.TINY, embedding_size=7)
    with pytest.raises(EncoderError, match=r"embedding_size 7\b.*embedding_size 48\b"):
        Encoder(tiny_models.mean_colour(tmp_path / "lying.onnx", lying), device="cpu")


def test_identity_follows_weights_and_options(tmp_path: Path) -> None:
    first = tiny_models.identity(tmp_path / "a.onnx", ["n", 4, 4, 3])
    second = tiny_models.identity(tmp_path / "b.onnx", ["n", 4, 4, 1])
    plain = Encoder(first, device="cpu").identity
    assert plain == Encoder(first, device="cpu").identity
    assert plain != Encoder(second, device="cpu").identity
    assert plain != Encoder(first, device="cpu", options=EncoderOptions(mean=(0.5,))).identity


def test_a_model_that_runs_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="took longer than 0.3 s"):
        PixelEncoder(tiny_models.endless(tmp_path / "endless.onnx"), device="cpu", batch_seconds=0.3)


def test_a_later_batch_that_takes_too_long_is_ended() -> None:
    done, stuck, stopped = Future[list[Vectors]](), Future[list[Vectors]](), threading.Event()
    done.set_result([np.zeros((1, 3), np.float32)])
    with pytest.raises(EncoderError, match="took longer than 0.3 s"):
        Started([done, stuck], limit=0.3, stop=stopped.set).result()
    assert stopped.is_set()


def test_a_model_whose_vectors_have_no_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"shape \(\d+, 0\)"):
        Encoder(tiny_models.without_values(tmp_path / "empty.onnx"), device="cpu")
