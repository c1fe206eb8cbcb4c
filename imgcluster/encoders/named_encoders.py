"""The encoders of the Hugging Face hub that have a name of their own; one row each.

A row states what is known of the repository. The input, the output and the embedding size are compared with the graph,
and the preprocessing with the repository's ``preprocessor_config.json``, when the encoder is loaded. A value that is
None comes from that file alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from imgcluster.options import EncoderOptions
from imgcluster.types import Metric, Precision

__all__ = ["NAMED_ENCODERS", "NamedEncoder", "TextTower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower:
    """The part of an encoder that turns text into vectors that are compared with those of images.

    Attributes:
        files: The ONNX file of each precision, the highest first.
        output: Name of the graph's output.
        length: The number of tokens that every text is padded or cut to, as in training.
        padding: The token that fills up shorter texts.
        prompt: The sentence that a single word is put into, at ``{}``.
        megabytes: Size of the fp32 file in 10⁶ bytes, roughly.
    """

    files: Mapping[Precision, str]
    output: str
    length: int
    padding: str
    prompt: str
    megabytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEncoder:
    """An encoder of the hub.

    Attributes:
        name: The name for ``--encoder``.
        repository: ``OWNER/REPO`` on the hub.
        files: The ONNX file of each precision, the highest first.
        input: Name of the graph's input.
        embedding_size: Values per image.
        options: Preprocessing, output and pooling.
        metric: How vectors are compared.
        license: License of the weights (SPDX).
        license_source: Where the license is stated.
        megabytes: Size of the fp32 file in 10⁶ bytes, roughly.
        trained_on: The data the weights were trained on, in words.
        text: Its text part; None if it has none.
    """

    name: str
    repository: str
    files: Mapping[Precision, str]
    input: str = "pixel_values"
    embedding_size: int
    options: EncoderOptions = field(default_factory=EncoderOptions)
    metric: Metric = "cosine"
    license: str
    license_source: str
    megabytes: int
    trained_on: str
    text: TextTower | None = None


_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)

_DINOV2: Final = EncoderOptions(
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
    scale=1 / 255,
    resize="crop",
    image_size=(224, 224),
    resize_edge=256,
    resample="bicubic",
    pool="cls",
    output="last_hidden_state",
)


def _files(stem: str) -> Mapping[Precision, str]:
    """Return the files of each precision as transformers.js names them."""
    return MappingProxyType(
        {"fp32": f"onnx/{stem}.onnx", "fp16": f"onnx/{stem}_fp16.onnx", "int8": f"onnx/{stem}_quantized.onnx"}
    )


_ROWS: Final = (
    NamedEncoder(
        name="dinov2-small",
        repository="onnx-community/dinov2-small",
        files=_files("model"),
        embedding_size=384,
        options=_DINOV2,
        license="Apache-2.0",
        license_source="https://github.com/facebookresearch/dinov2",
        megabytes=88,
        trained_on="LVD-142M, without labels",
    ),
    NamedEncoder(
        name="dinov2-base",
        repository="onnx-community/dinov2-base",
        files=_files("model"),
        embedding_size=768,
        options=_DINOV2,
        license="Apache-2.0",
        license_source="https://github.com/facebookresearch/dinov2",
        megabytes=347,
        trained_on="LVD-142M, without labels",
    ),
    NamedEncoder(
        name="dinov2-small-registers",
        repository="onnx-community/dinov2-with-registers-small",
        files=_files("model"),
        embedding_size=384,
        options=_DINOV2,
        license="Apache-2.0",
        license_source="https://github.com/facebookresearch/dinov2",
        megabytes=88,
        trained_on="LVD-142M, without labels",
    ),
    NamedEncoder(
        name="clip-vit-b32",
        repository="Xenova/clip-vit-base-patch32",
        files=_files("vision_model"),
        embedding_size=512,
        options=EncoderOptions(
            mean=_CLIP_MEAN,
            std=_CLIP_STD,
            scale=1 / 255,
            resize="crop",
            image_size=(224, 224),
            resize_edge=224,
            resample="bicubic",
            output="image_embeds",
        ),
        license="MIT",
        license_source="https://github.com/openai/CLIP",
        megabytes=352,
        trained_on="400 million images with captions",
        text=TextTower(
            files=_files("text_model"),
            output="text_embeds",
            length=77,
            padding="<|endoftext|>",
            prompt="a photo of a {}.",
            megabytes=254,
        ),
    ),
    NamedEncoder(
        name="siglip2-base",
        repository="onnx-community/siglip2-base-patch16-224-ONNX",
        files=_files("vision_model"),
        embedding_size=768,
        options=EncoderOptions(
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            scale=1 / 255,
            resize="stretch",
            image_size=(224, 224),
            output="pooler_output",
        ),
        license="Apache-2.0",
        license_source="https://huggingface.co/google/siglip2-base-patch16-224",
        megabytes=372,
        trained_on="WebLI, images with captions in many languages",
        # The text is pooled at its last token, which is padding: the length and the token have to be those of training.
        text=TextTower(
            files=_files("text_model"),
            output="pooler_output",
            length=64,
            padding="<pad>",
            prompt="This is a photo of {}.",
            megabytes=1130,
        ),
    ),
    NamedEncoder(
        name="nomic-vision",
        repository="nomic-ai/nomic-embed-vision-v1.5",
        files=_files("model"),
        embedding_size=768,
        # The rest is only in the repository.
        options=EncoderOptions(image_size=(224, 224), pool="cls", output="last_hidden_state"),
        license="Apache-2.0",
        license_source="https://huggingface.co/nomic-ai/nomic-embed-vision-v1.5",
        megabytes=374,
        trained_on="DFN-2B, images with captions",
    ),
)

NAMED_ENCODERS: Final[Mapping[str, NamedEncoder]] = MappingProxyType({row.name: row for row in _ROWS})
