"""An ONNX graph as a model of images: what it takes and returns, and how images become its input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.input_settings import default_notes, image_size, normalization, resizing
from imgcluster.encoders.lanes import Run
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.onnx_io import (
    InputSignature,
    check_names,
    choose_output,
    describe_output,
    pool,
    read_input,
    transformers_output,
)
from imgcluster.encoders.precision import REFERENCE_KEY, reference_images
from imgcluster.encoders.source import EncoderSource
from imgcluster.errors import EncoderError
from imgcluster.options import EncoderOptions
from imgcluster.types import Pixels, Pooling, Vectors

__all__ = ["ImageModel", "read_model"]

# Fields of the metadata that must agree with the graph.
_GRAPH_FIELDS: Final = ("width", "height", "channels", "embedding_size")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageModel:
    """What is known of an encoder before it has run.

    Attributes:
        metadata: What imgcluster's metadata say, if the file has them.
        reference: The reference vectors in the metadata, as text; "" if there are none.
        signature: The input.
        scale: What pixels are multiplied by.
        mean: Then subtracted.
        std: Then divided by.
        output: The output that is the embedding.
        outputs: All outputs with their shapes, as text.
        options: The options, with the pooling that is used.
        trial: Images for a first run, in the input's size.
        notes: What the user should know of choices made by default, in sentences.
    """

    metadata: EncoderInfo | None
    reference: str
    signature: InputSignature
    scale: float
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    output: str
    outputs: tuple[str, ...]
    options: EncoderOptions
    trial: Pixels
    notes: tuple[str, ...]

    def run(self, run: Run, images: Pixels, outputs: list[str]) -> list[Vectors]:
        """Return these outputs of the graph for images, each ``float32 (n, values)``.

        Raises:
            EncoderError: The model does not return one vector for each image.
        """
        parts = [self._run_once(run, part, outputs) for part in _parts(images, self.signature.batch)]
        return [np.concatenate(values)[: len(images)] for values in zip(*parts, strict=True)]

    def _run_once(self, run: Run, images: Pixels, outputs: list[str]) -> list[Vectors]:
        batch = self.signature.arrange(images, scale=self.scale, mean=self.mean, std=self.std)
        # Only these outputs are computed.
        results = run(outputs, {self.signature.name: batch})
        pooling = cast("Pooling | None", self.options.pool)
        pooled = [pool(values, self.signature.layout, pooling) for values in results]
        for values in pooled:
            if len(values) != len(images):
                raise EncoderError(
                    f"the model returns {len(values)} vectors for {len(images)} images; one each is needed"
                )
        return pooled

    def describe(self, source: EncoderSource, path: Path, embedding_size: int) -> EncoderInfo:
        """Return the description of the encoder, whose vectors have `embedding_size` values.

        Raises:
            EncoderError: The metadata of the file, or the row of a named encoder, say something else.
        """
        options = self.options
        height, width, channels = self.trial.shape[1:]
        info = EncoderInfo(
            name=source.name,
            embedding_size=embedding_size,
            width=width,
            height=height,
            channels=channels,
            output=self.output if len(self.outputs) > 1 else "",
            **resizing(options),
            **{"version": "", "metric": "cosine", **source.facts},
        )
        if source.row is not None and embedding_size != source.row.embedding_size:
            raise EncoderError(
                f"encoder {source.name} has {source.row.embedding_size} values; {path} returns {embedding_size}"
            )
        if self.metadata is None:
            return info
        said, shape = (
            ", ".join(f"{name} {getattr(described, name)}" for name in _GRAPH_FIELDS)
            for described in (self.metadata, info)
        )
        if said != shape:
            raise EncoderError(f"the metadata of {path} has {said}; its graph has {shape}; export it again")
        return replace(self.metadata, output=info.output, **resizing(options))


def read_model(session: Any, source: EncoderSource, options: EncoderOptions, *, one_by_one: bool) -> ImageModel:
    """Return what is known of the graph of a session.

    Args:
        session: The session of ONNX Runtime.
        source: Where the encoder comes from.
        options: The options with the defaults of `source`.
        one_by_one: Whether the result for an image depends on the others of its batch.

    Raises:
        EncoderError: Its input or outputs are not supported.
        UsageError: An option does not fit it.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    stored = EncoderInfo.from_metadata(metadata)
    # The shape of a small image can be ambiguous; exported encoders are always NHWC.
    signature = read_input(session.get_inputs(), layout="NHWC" if stored else None)
    outputs = session.get_outputs()
    if source.row is not None:
        check_names(source.row, signature, outputs)
    if one_by_one and signature.batch is None:
        signature = replace(signature, batch=1)
    pooling = cast("Pooling | None", options.pool)
    requested = options.output or (stored.output if stored else None)
    if source.from_hub:
        requested = requested or transformers_output(outputs, pooling)
    output = choose_output(outputs, pooling, requested)
    shapes = {entry.name: entry.shape for entry in outputs}
    if source.from_hub and pooling is None and len(shapes[output] or ()) == 3:
        options = replace(options, pool="cls")
    scale, mean, std = normalization(signature, options)
    notes = () if stored or source.row else tuple(default_notes(signature, outputs, output, options))
    width, height = image_size(signature, stored, options, source.name if source.row else "")
    return ImageModel(
        metadata=stored,
        reference=metadata.get(REFERENCE_KEY, ""),
        signature=signature,
        scale=scale,
        mean=mean,
        std=std,
        output=output,
        outputs=tuple(map(describe_output, outputs)),
        options=options,
        trial=reference_images(width, height, signature.channels),
        notes=notes,
    )


def _parts(images: Pixels, batch: int | None) -> Iterator[Pixels]:
    """Split images into batches of a fixed size, the last one padded with black images; one batch if any size fits."""
    if batch is None:
        yield images
        return
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        if len(part) < batch:
            filler = np.zeros((batch - len(part), *part.shape[1:]), dtype=np.uint8)
            part = np.concatenate([part, filler])
        yield part
