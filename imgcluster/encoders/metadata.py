"""The description of an encoder, and how it is stored in the metadata of an ONNX file.

The metadata of an exported encoder has one text per field, named ``imgcluster.`` and the field's name, so that any ONNX
viewer shows it. Other models have none: their `EncoderInfo` is made from the graph and the user's options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from imgcluster.errors import EncoderError, UsageError
from imgcluster.images.types import InputSpec
from imgcluster.types import METRICS, Metric, ResizeRule

__all__ = [
    "METADATA_PREFIX",
    "EncoderInfo",
]

METADATA_PREFIX: Final = "imgcluster."
# Files have another name for this field.
_STORED_NAMES: Final = {"license": "licence"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """The description of an encoder.

    Attributes:
        name: The name that ``--encoder`` finds it by.
        version: The version of the weights; another version means other embeddings.
        embedding_size: Values per image.
        metric: ``cosine`` if only the direction of an embedding has meaning, else ``euclidean``.
        width: Input width in pixels.
        height: Input height in pixels.
        channels: 1 (gray) or 3 (RGB).
        resize: How images are resized to the input; see `InputSpec`.
        filter: Resampling filter.
        crop_fraction: The fraction of the sides that ``crop`` keeps, in (0, 1].
        resize_edge: The size in pixels before the center is cropped; 0 for a single step.
        trained_on: The data the weights were trained on, in words.
        score: Its score, in words, with the data it was measured on.
        license: The license of the weights (SPDX).
        source: Where the weights come from.
        decoder: File name of the decoder in the same folder; empty if there is none.
        refined: The deep clustering stages it was trained with, the number of clusters, and how that number was chosen,
            in words; empty if there were none.
        output: The output of the graph that embeddings are taken from; empty if the graph has only one.
        precision: The precision of the weights, if the encoder has files of several; else empty.
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
    license: str = ""
    source: str = ""
    decoder: str = ""
    refined: str = ""
    output: str = ""
    precision: str = ""
    resize_edge: int = 0

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UsageError(f"metric {self.metric!r} is unknown; choose {' or '.join(METRICS)}")
        _ = self.input_spec  # raises if the values are not possible

    @property
    def input_spec(self) -> InputSpec:
        """The input image of this encoder."""
        return InputSpec(
            width=self.width,
            height=self.height,
            channels=self.channels,
            resize=self.resize,
            filter=self.filter,
            crop_fraction=self.crop_fraction,
            resize_edge=self.resize_edge,
        )

    def to_metadata(self) -> dict[str, str]:
        """Return the texts to store in an ONNX file's ``metadata_props``."""
        return {METADATA_PREFIX + key: str(value) for key, value in self.by_stored_name().items()}

    def by_stored_name(self) -> dict[str, Any]:
        """Return the values by the names that they have in ONNX files and manifests."""
        return {_STORED_NAMES.get(name, name): value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> EncoderInfo | None:
        """Read what `to_metadata` wrote; None if the model was not exported by imgcluster.

        Raises:
            EncoderError: The metadata is incomplete or invalid.
        """
        if METADATA_PREFIX + "name" not in metadata:
            return None
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            key = METADATA_PREFIX + _STORED_NAMES.get(field.name, field.name)
            text = metadata.get(key)
            if text is None:
                if field.default is dataclasses.MISSING:
                    raise EncoderError(f"the encoder's metadata lacks {key!r}; export it again")
                continue
            convert = {"int": int, "float": float}.get(cast(str, field.type), str)
            try:
                values[field.name] = convert(text)
            except ValueError:
                raise EncoderError(
                    f"the encoder's metadata has {field.name} = {text!r}, which is not a number; export it again"
                ) from None
        try:
            return cls(**values)
        except UsageError as error:
            raise EncoderError(f"the encoder's metadata is invalid: {error}") from None
