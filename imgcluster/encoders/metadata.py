"""What an encoder says about itself, and how that is written into and read from an ONNX file's metadata.

The metadata of an exported encoder holds one text per field, under ``imgcluster.`` and the field's name, so that
any ONNX viewer shows it. Foreign models have none of it: what the graph and the user say fills an `EncoderInfo`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from imgcluster.errors import EncoderError, UsageError
from imgcluster.types import InputSpec, Metric, ResizeRule

__all__ = [
    "METADATA_PREFIX",
    "EncoderInfo",
]

METADATA_PREFIX: Final = "imgcluster."


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """The description that travels inside an encoder's ONNX file.

    Attributes:
        name: The name that ``--encoder`` finds it by.
        version: The version of the weights; another version means other embeddings.
        embedding_size: Values per image.
        metric: ``cosine`` where only the direction of an embedding means something, else ``euclidean``.
        width: Input width in pixels.
        height: Input height in pixels.
        channels: 1 (grey) or 3 (RGB).
        resize: How a picture of another shape is brought to the input's; see `InputSpec`.
        filter: The resampling filter of that.
        crop_fraction: The share of the sides that ``crop`` keeps.
        trained_on: The data the weights were trained on, in words.
        score: How well it does, in words, with the data it was measured on.
        licence: The licence of the weights (SPDX).
        source: Where the weights come from.
        decoder: File name of the decoder that lies beside it; empty where there is none.
        refined: The stages that made its embeddings fall into clusters, into how many, and how that number was
            come by, in words; empty without any.
    """

    name: str
    version: str
    embedding_size: int
    metric: Metric
    width: int
    height: int
    channels: int
    resize: ResizeRule = "crop"
    filter: str = "bicubic"
    crop_fraction: float = 1.0
    trained_on: str = ""
    score: str = ""
    licence: str = ""
    source: str = ""
    decoder: str = ""
    refined: str = ""

    def __post_init__(self) -> None:
        if self.metric not in ("cosine", "euclidean"):
            raise UsageError(f"metric {self.metric!r} is unknown; choose cosine or euclidean")
        _ = self.input_spec  # refuses what no picture can be brought to

    @property
    def input_spec(self) -> InputSpec:
        """The picture this encoder wants."""
        return InputSpec(
            width=self.width,
            height=self.height,
            channels=self.channels,
            resize=self.resize,
            filter=self.filter,
            crop_fraction=self.crop_fraction,
        )

    def to_metadata(self) -> dict[str, str]:
        """Return the texts to store in an ONNX file's ``metadata_props``."""
        return {METADATA_PREFIX + key: str(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> EncoderInfo | None:
        """Read what `to_metadata` wrote; None where the file is not one of ours.

        Raises:
            EncoderError: The metadata is ours but incomplete or not understood.
        """
        if METADATA_PREFIX + "name" not in metadata:
            return None
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            text = metadata.get(METADATA_PREFIX + field.name)
            if text is None:
                if field.default is dataclasses.MISSING:
                    raise EncoderError(
                        f"the encoder's metadata lacks {METADATA_PREFIX + field.name!r}; export it again"
                    )
                continue
            convert = {"int": int, "float": float}.get(cast(str, field.type), str)
            try:
                values[field.name] = convert(text)
            except ValueError:
                raise EncoderError(
                    f"the encoder's metadata says {field.name} = {text!r}, which is no number; export it again"
                ) from None
        try:
            return cls(**values)
        except UsageError as error:
            raise EncoderError(f"the encoder's metadata is not usable: {error}") from None
