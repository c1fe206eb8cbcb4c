"""The named encoders, golden: tiny models of transformers with random weights, exported as those on the hub are.

The vectors of the command line are compared with transformers' own image processor and model in PyTorch.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import imgcluster
from imgcluster.cli.app import app
from imgcluster.encoders import precision as precision_module
from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.preprocessing import read_preprocessing
from imgcluster.errors import EncoderError
from imgcluster.images.resize import prepare
from imgcluster.images.types import InputSpec
from local_hub import LocalHub, Repo, serve

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP_VALUES = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
SIZES = ((300, 200), (200, 333), (64, 64), (225, 256), (1000, 30))


def processor(kind: str, **settings: Any) -> Any:
    """Return one of transformers' image processors (those that need Pillow only)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import importlib

        name = kind.lower().removesuffix("imageprocessor")
        module = importlib.import_module(f"transformers.models.{name}.image_processing_pil_{name}")
        return getattr(module, f"{kind}Pil")(**settings)


def pictures() -> list[Image.Image]:
    """Return pictures of several sizes with edges and smooth parts."""
    generator = np.random.default_rng(0)
    found = []
    for width, height in SIZES:
        coarse = generator.integers(0, 256, (7, 9, 3), dtype=np.uint8)
        found.append(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return found


def settings_of(config: dict[str, Any], folder: Path) -> tuple[Any, InputSpec]:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    options = read_preprocessing(path)
    assert options.image_size is not None
    spec = InputSpec(
        width=options.image_size[0],
        height=options.image_size[1],
        channels=3,
        resize=options.resize,  # type: ignore[arg-type]
        filter=options.resample or "",
        resize_edge=options.resize_edge or 0,
    )
    return options, spec


RULES: list[tuple[str, dict[str, Any]]] = [
    ("BitImageProcessor", {"size": {"shortest_edge": 256}, **IMAGENET}),
    ("BitImageProcessor", {"size": {"shortest_edge": 57}, "crop_size": {"height": 33, "width": 50}, "resample": 2}),
    ("CLIPImageProcessor", {}),
    ("CLIPImageProcessor", {"size": 224, "crop_size": 224, "resample": 0}),
    ("CLIPImageProcessor", {"size": {"height": 256, "width": 256}, "crop_size": 224}),
    ("CLIPImageProcessor", {"size": {"height": 90, "width": 60}, "do_center_crop": False, "do_normalize": False}),
    ("SiglipImageProcessor", {"resample": 2}),
    ("SiglipImageProcessor", {"size": {"height": 64, "width": 48}, "do_rescale": False, "do_normalize": False}),
    ("ViTImageProcessor", {}),
    ("ViTImageProcessor", {"size": 96, "rescale_factor": 1 / 127.5, "resample": 1}),
    ("DeiTImageProcessor", {}),
    ("DeiTImageProcessor", {"size": {"height": 111, "width": 111}, "crop_size": {"height": 40, "width": 80}}),
    ("BeitImageProcessor", {}),
    ("BlipImageProcessor", {"size": {"height": 48, "width": 48}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 100}, "crop_pct": 0.9}),
    ("ConvNextImageProcessor", {}),
]


@pytest.mark.parametrize(("kind", "settings"), RULES, ids=lambda value: value if isinstance(value, str) else "")
def test_preprocessing_is_that_of_transformers(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    reference = processor(kind, **settings)
    options, spec = settings_of(json.loads(reference.to_json_string()), tmp_path)
    for picture in pictures():
        expected = reference(picture, return_tensors="np")["pixel_values"][0]
        pixels = np.asarray(prepare(picture, spec), dtype=np.float32)
        found = (pixels * np.float32(options.scale) - options.mean) / options.std
        np.testing.assert_allclose(found.transpose(2, 0, 1), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"image_processor_type": "MobileViTImageProcessor"}, "MobileViTImageProcessor"),
        ({}, "not named"),
        ({"image_processor_type": "CLIPImageProcessor", **CLIP_VALUES, "do_resize": False}, "do_resize"),
        ({"image_processor_type": "CLIPImageProcessor", **CLIP_VALUES, "size": {"longest_edge": 9}}, "longest_edge"),
        (
            {"image_processor_type": "CLIPImageProcessor", **CLIP_VALUES, "size": 224, "do_center_crop": False},
            "aspect ratio",
        ),
        ({"image_processor_type": "CLIPImageProcessor", "size": 224, "crop_size": 224}, "image_mean"),
        ({"image_processor_type": "ViTImageProcessor", **CLIP_VALUES, "size": 224, "resample": 4}, "resample is 4"),
        ({"image_processor_type": "ViTImageProcessor", **CLIP_VALUES, "size": 224, "do_pad": True}, "do_pad"),
        ({"image_processor_type": "ViTImageProcessor", **CLIP_VALUES}, "size"),
        ({"image_processor_type": "CLIPImageProcessor", **CLIP_VALUES, "size": 8, "crop_size": "x"}, "unexpected"),
        (
            {"image_processor_type": "ViTImageProcessor", **CLIP_VALUES, "size": 8, "rescale_factor": 10**400},
            "unexpected",
        ),
    ],
)
def test_unknown_preprocessing_says_what_it_is(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    with pytest.raises(EncoderError, match=f"(?s){says}.*--mean"):
        settings_of(config, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"size": ', "[" * 100_000], ids=range(5))
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(EncoderError, match="JSON"):
        read_preprocessing(tmp_path / "preprocessor_config.json")


@pytest.mark.parametrize("suffix", ["Fast", "Pil"])
def test_variants_of_a_processor_are_the_same(tmp_path: Path, suffix: str) -> None:
    config = {**CLIP_VALUES, "size": {"height": 8, "width": 8}}
    names = ("ViTImageProcessor", f"ViTImageProcessor{suffix}")
    first, second = (settings_of({"image_processor_type": name, **config}, tmp_path) for name in names)
    old = settings_of({"feature_extractor_type": "ViTFeatureExtractor", **config}, tmp_path)
    assert first == second == old


def small(**settings: Any) -> dict[str, Any]:
    return {"num_hidden_layers": 1, "num_attention_heads": 2, "attn_implementation": "eager", **settings}


def dinov2(size: int) -> Any:
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**small(hidden_size=size, mlp_ratio=1, patch_size=28, image_size=224)))


def dinov2_registers(size: int) -> Any:
    from transformers.models.dinov2_with_registers import modeling_dinov2_with_registers as module

    settings = small(hidden_size=size, mlp_ratio=1, patch_size=28, image_size=224, num_register_tokens=4)
    model = module.Dinov2WithRegistersModel(module.Dinov2WithRegistersConfig(**settings))
    # The exporter does not know the smoothed interpolation, which does nothing at this size.
    embeddings = model.embeddings
    embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings
    return model


def clip(size: int) -> Any:
    from transformers.models.clip.modeling_clip import CLIPVisionConfig, CLIPVisionModelWithProjection

    settings = small(hidden_size=64, intermediate_size=64, projection_dim=size, image_size=224, patch_size=32)
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**settings))


def siglip(size: int) -> Any:
    from transformers.models.siglip.modeling_siglip import SiglipVisionConfig, SiglipVisionModel

    return SiglipVisionModel(
        SiglipVisionConfig(**small(hidden_size=size, intermediate_size=64, image_size=224, patch_size=28))
    )


TOKENS = ("last_hidden_state", "pooler_output")
# The model, the outputs of its graph on the hub, and the image processor of its repository.
FAMILIES: dict[str, tuple[Callable[[int], Any], tuple[str, ...], str, dict[str, Any]]] = {
    "dinov2-small": (dinov2, TOKENS, "BitImageProcessor", {"size": {"shortest_edge": 256}, **IMAGENET}),
    "dinov2-base": (dinov2, TOKENS[:1], "BitImageProcessor", {"size": {"shortest_edge": 256}, **IMAGENET}),
    "dinov2-small-registers": (
        dinov2_registers,
        TOKENS,
        "BitImageProcessor",
        {"size": {"shortest_edge": 256}, **IMAGENET},
    ),
    "clip-vit-b32": (clip, ("image_embeds", "last_hidden_state"), "CLIPImageProcessor", {}),
    "siglip2-base": (siglip, TOKENS, "SiglipImageProcessor", {"resample": 2}),
    # The hub's is a model of its own; its graph has the tokens of a vision transformer alone.
    "nomic-vision": (dinov2, TOKENS[:1], "CLIPImageProcessor", {}),
}


def outputs_of(model: Any, names: tuple[str, ...], pixels: Any) -> tuple[Any, ...]:
    result = model(pixel_values=pixels)
    return tuple(getattr(result, name) for name in names)


def export(model: Any, names: tuple[str, ...]) -> bytes:
    """Return the model as ONNX with the input, outputs and open axes of the hub's files."""
    import torch

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Any) -> Any:
            return outputs_of(self.model, names, pixel_values)

    buffer = io.BytesIO()
    axes = {"pixel_values": dict(enumerate(("batch_size", "num_channels", "height", "width")))}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(),
            (torch.randn(2, 3, 224, 224),),
            buffer,
            input_names=["pixel_values"],
            output_names=list(names),
            dynamic_axes=axes | {name: {0: "batch_size"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Any, bytes, Any]]:
    """The model, its ONNX file and its image processor, by name; filled at the first use of each."""
    return {}


def family(name: str, made: dict[str, tuple[Any, bytes, Any]]) -> tuple[Any, bytes, Any]:
    if name not in made:
        import torch

        torch.manual_seed(0)
        build, names, kind, settings = FAMILIES[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = build(NAMED_ENCODERS[name].embedding_size).eval()
        made[name] = (model, export(model, names), processor(kind, **settings))
    return made[name]


def publish(hub: LocalHub, name: str, made: dict[str, tuple[Any, bytes, Any]]) -> Repo:
    row = NAMED_ENCODERS[name]
    _, model, reference = family(name, made)
    files = {row.files["fp32"]: model, "preprocessor_config.json": reference.to_json_string().encode()}
    hub.repos[row.repository] = Repo(files)
    return hub.repos[row.repository]


def save(folder: Path) -> Path:
    for number, picture in enumerate(pictures()):
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{number}.png")
    return folder


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def embedded(pictures: Path, workspace: Path, *words: str) -> npt.NDArray[np.float32]:
    result = invoke("embed", pictures, "-w", workspace, "--device", "cpu", *words)
    assert result.exit_code == 0, result.output
    return imgcluster.load(workspace).vectors


def test_every_row_is_tested() -> None:
    assert set(FAMILIES) == set(NAMED_ENCODERS)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_vectors_of_a_row_are_those_of_transformers(
    hub: LocalHub, made: dict[str, tuple[Any, bytes, Any]], tmp_path: Path, name: str
) -> None:
    import torch

    publish(hub, name, made)
    vectors = embedded(save(tmp_path / "in"), tmp_path / "out", "--encoder", name)
    model, _, reference = made[name]
    pixels = torch.from_numpy(np.stack([reference(p, return_tensors="np")["pixel_values"][0] for p in pictures()]))
    row = NAMED_ENCODERS[name]
    with torch.no_grad():
        (expected,) = outputs_of(model, (row.options.output or "",), pixels.float())
    if expected.ndim == 3:
        expected = expected[:, 0]
    np.testing.assert_allclose(vectors, expected.numpy(), atol=2e-4, rtol=1e-3)
    # The same repository without its row: the output is found by its name.
    same = imgcluster.Encoder(f"hub:{row.repository}", device="cpu")
    wanted = "pooler_output" if name.startswith("dinov2-small") else row.options.output
    assert (same.info.output or wanted) == wanted
    images = np.stack([np.asarray(prepare(picture, same.info.input_spec)) for picture in pictures()])
    np.testing.assert_allclose(same.encode(images), vectors, atol=2e-4, rtol=1e-3)


def test_a_text_model_is_no_encoder_of_images(hub: LocalHub) -> None:
    import torch
    from transformers.models.clip.modeling_clip import CLIPTextConfig, CLIPTextModelWithProjection

    settings = small(hidden_size=32, intermediate_size=32, projection_dim=512, vocab_size=99)
    text = CLIPTextModelWithProjection(CLIPTextConfig(**settings)).eval()

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = text

        def forward(self, input_ids: Any) -> Any:
            return self.text(input_ids=input_ids).text_embeds

    buffer = io.BytesIO()
    ids = torch.ones(1, 8, dtype=torch.long)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(),
            (ids,),
            buffer,
            input_names=["input_ids"],
            output_names=["text_embeds"],
            opset_version=17,
            dynamo=False,
        )
    hub.repos["test/text"] = Repo({"onnx/text_model.onnx": buffer.getvalue()})
    result = invoke("encoders", "pull", "hub:test/text")
    assert result.exit_code == 1
    assert all(part in result.stderr for part in ("input_ids", "int64", "uint8, float32 or float16"))


def quantized(model: bytes, folder: Path) -> bytes:
    """Return the model with dynamic quantization, as the files model_quantized.onnx of the hub have it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    (folder / "fp32.onnx").write_bytes(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)
    return (folder / "int8.onnx").read_bytes()


def half(model: bytes) -> bytes:
    """Return the model in fp16 with inputs and outputs in float32, as the files model_fp16.onnx of the hub have it."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True).SerializeToString())


def test_precisions_of_a_row(
    hub: LocalHub, made: dict[str, tuple[Any, bytes, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_int8_dot_products", lambda: True)
    name, row = "dinov2-small", NAMED_ENCODERS["dinov2-small"]
    repository = publish(hub, name, made)
    model = made[name][1]
    repository.files |= {row.files["fp16"]: half(model), row.files["int8"]: quantized(model, tmp_path)}
    folder = save(tmp_path / "in")

    # Without reference vectors, auto is fp32, and nothing else is downloaded.
    full = embedded(folder, tmp_path / "fp32", "--encoder", name)
    assert recorded(tmp_path / "fp32") == "fp32"
    assert not hub.asked("GET", "quantized")
    for precision in ("fp16", "int8"):
        found = embedded(folder, tmp_path / precision, "--encoder", name, "--precision", precision)
        assert recorded(tmp_path / precision) == precision
        assert precision_module.cosines(found, full).min() > 0.98
    # Dynamic quantization would make a vector depend on the batch.
    single = embedded(folder, tmp_path / "single", "--encoder", name, "--precision", "int8", "--batch-size", "1")
    np.testing.assert_array_equal(single, imgcluster.load(tmp_path / "int8").vectors)

    checked = invoke("encoders", "info", name, "--check")
    assert checked.exit_code == 0, checked.output
    lines = [line for line in checked.stdout.splitlines() if "cosine to fp32" in line]
    assert [line.split(":")[0] for line in lines] == ["fp32", "fp16", "int8"]
    assert lines[0].endswith("1.0000")
    # Now int8 can be checked, so that auto takes it; workspaces stay as they are.
    embedded(folder, tmp_path / "auto", "--encoder", name)
    assert recorded(tmp_path / "auto") == "int8"
    embedded(folder, tmp_path / "fp32", "--encoder", name)
    assert recorded(tmp_path / "fp32") == "fp32"


def recorded(workspace: Path) -> str:
    return str(json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]["precision"])


def test_a_check_needs_two_precisions(hub: LocalHub, made: dict[str, tuple[Any, bytes, Any]]) -> None:
    publish(hub, "dinov2-small", made)
    missing = invoke("encoders", "info", "dinov2-small", "--check")
    assert (missing.exit_code, "pull dinov2-small" in missing.stderr) == (1, True)
    assert invoke("encoders", "pull", "dinov2-small").exit_code == 0
    single = invoke("encoders", "info", "dinov2-small", "--check")
    assert (single.exit_code, "only" in single.stderr) == (2, True)
    absent = invoke("encoders", "pull", "dinov2-small", "--precision", "fp16")
    assert absent.exit_code == 2
    assert "--precision fp16" in absent.stderr
    assert "it has fp32" in absent.stderr


def clip_text() -> Any:
    from transformers.models.clip.modeling_clip import CLIPTextConfig, CLIPTextModelWithProjection

    # As on the hub, the text is pooled where the number of its token is largest.
    settings = small(hidden_size=32, intermediate_size=32, projection_dim=512, vocab_size=300, eos_token_id=2)
    return CLIPTextModelWithProjection(CLIPTextConfig(**settings))


def siglip_text() -> Any:
    from transformers.models.siglip.modeling_siglip import SiglipTextConfig, SiglipTextModel

    settings = small(hidden_size=32, intermediate_size=32, projection_size=768, vocab_size=300)
    return SiglipTextModel(SiglipTextConfig(max_position_embeddings=64, **settings))


def clip_tokenizer() -> Any:
    """Return the tokenizer of CLIP with letters and a few merges, and the special tokens last as on the hub."""
    from tokenizers import pre_tokenizers
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "e"), ("re", "d</w>"), ("s", "h")]
    tokens = [*letters, "a</w>", "d</w>", "e</w>", "s</w>", "t</w>", ".</w>", "re", "red</w>", "sh"]
    vocabulary = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def siglip_tokenizer() -> Any:
    """Return a tokenizer as that of SigLIP 2: characters with fallback to bytes, and one token at the end."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"adersto"]
    vocabulary = {token: number for number, token in enumerate([*tokens, "re", "red"])}
    merges = [("r", "e"), ("re", "d")]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", padding_side="right")


def export_text(model: Any, output: str, length: int, *, masked: bool) -> bytes:
    """Return the text part as ONNX; some of those on the hub have an attention mask."""
    import torch

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            return getattr(self.model(input_ids=input_ids, attention_mask=attention_mask), output)

    buffer = io.BytesIO()
    names = ["input_ids", "attention_mask"] if masked else ["input_ids"]
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in names}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(),
            tuple(torch.ones(2, length, dtype=torch.long) for _ in names),
            buffer,
            input_names=names,
            output_names=[output],
            dynamic_axes=axes | {output: {0: "batch_size"}},
            opset_version=17,
            dynamo=False,
        )
    return buffer.getvalue()


TEXT_FAMILIES: dict[str, tuple[Callable[[], Any], Callable[[], Any], str, int]] = {
    "clip-vit-b32": (clip_text, clip_tokenizer, "text_embeds", 77),
    "siglip2-base": (siglip_text, siglip_tokenizer, "pooler_output", 64),
}
TEXTS = ("Red SHOES", "a red  rose.", "Ärger & Straße", "red " * 100)


def test_every_text_part_is_tested() -> None:
    assert set(TEXT_FAMILIES) == {name for name, row in NAMED_ENCODERS.items() if row.text}


@pytest.mark.parametrize(
    ("name", "masked"),
    [("clip-vit-b32", False), ("clip-vit-b32", True), pytest.param("siglip2-base", False, marks=pytest.mark.slow)],
)
def test_texts_are_compared_as_in_transformers(
    hub: LocalHub, made: dict[str, tuple[Any, bytes, Any]], tmp_path: Path, name: str, masked: bool
) -> None:
    import torch

    row = NAMED_ENCODERS[name]
    assert row.text is not None
    build, make_tokenizer, output, length = TEXT_FAMILIES[name]
    torch.manual_seed(1)
    model, tokenizer = build().eval(), make_tokenizer()
    repository = publish(hub, name, made)
    repository.files |= {
        row.text.files["fp32"]: export_text(model, output, length, masked=masked),
        "tokenizer.json": tokenizer.backend_tokenizer.to_str().encode(),
    }
    images = embedded(save(tmp_path / "in"), tmp_path / "out", "--encoder", name)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    lower = [text.lower() for text in TEXTS]
    tokens = tokenizer(lower, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    # Both models see the padding: CLIP ignores it without a mask, SigLIP was trained so.
    with torch.no_grad():
        expected = getattr(model(input_ids=tokens["input_ids"]), output).numpy()
    for text, vector in zip(TEXTS, expected, strict=True):
        result = invoke("search", text, "-w", tmp_path / "out", "--device", "cpu", "--json")
        assert result.exit_code == 0, result.output
        scores = {found["path"]: found["score"] for found in json.loads(result.stdout)["results"]}
        cosines = images @ (vector / np.linalg.norm(vector))
        found = [scores[path] for path in imgcluster.load(tmp_path / "out").paths]
        np.testing.assert_allclose(found, cosines, atol=3e-4)
