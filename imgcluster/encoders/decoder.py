"""Decoders: from embeddings to images. The decoder of ``NAME.onnx`` is ``NAME.decoder.onnx`` in the same folder.

It takes ``float32 (n, latent)`` and returns ``float32 (n, height, width, channels)`` in [0, 1]. Only autoencoders have
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np

from imgcluster.encoders.device_names import split_devices
from imgcluster.encoders.devices import open_session, run_limited
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.precision import split_precision
from imgcluster.errors import EncoderError
from imgcluster.fileio.path_text import to_text
from imgcluster.types import Values

__all__ = ["DECODER_PREFIX", "Content", "Decoder", "DecoderInfo", "Prior"]

Prior = Literal["none", "normal"]
Content = Literal["image", "chrominance"]
DECODER_PREFIX: Final = "imgcluster.decoder."


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderInfo:
    """The description of a decoder, stored in the metadata of its ONNX file.

    Attributes:
        name: The encoder it belongs to.
        version: The version of that encoder; embeddings of other versions cannot be decoded.
        latent: Values per embedding.
        prior: ``normal`` if embeddings drawn from a standard normal distribution decode to new images (a variational
            autoencoder).
        content: ``image``, or ``chrominance`` if it returns only the two color channels (Cb, Cr centered at ½).
    """

    name: str
    version: str
    latent: int
    prior: Prior = "none"
    content: Content = "image"

    def to_metadata(self) -> dict[str, str]:
        """Return the texts to store in an ONNX file's ``metadata_props``."""
        fields = ("name", "version", "latent", "prior", "content")
        return {DECODER_PREFIX + field: str(getattr(self, field)) for field in fields}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> DecoderInfo:
        """Read what `to_metadata` wrote.

        Raises:
            EncoderError: The metadata is not that of a decoder, or invalid.
        """
        texts = {key.removeprefix(DECODER_PREFIX): text for key, text in metadata.items()}
        prior, content = texts.get("prior", ""), texts.get("content", "")
        if prior not in ("none", "normal") or content not in ("image", "chrominance"):
            raise EncoderError(
                "this file is not a decoder: its metadata lacks the prior or the content; export it again"
            )
        try:
            name, version, latent = texts["name"], texts["version"], int(texts["latent"])
        except (KeyError, ValueError):
            raise EncoderError("the decoder's metadata is incomplete; export it again") from None
        return cls(name=name, version=version, latent=latent, prior=cast(Prior, prior), content=cast(Content, content))


def _path_of(encoder: PixelEncoder) -> Path:
    """Return the file of an encoder's decoder: named like the encoder's, else as its metadata says.

    Raises:
        EncoderError: It has none, or the file is not there.
    """
    info = encoder.info
    if not info.decoder:
        raise EncoderError(
            f"encoder {info.name} has no decoder, so its embeddings cannot become images; "
            "use an autoencoder such as mnist-16, or train one with train-encoder"
        )
    own = encoder.path.with_name(f"{split_precision(encoder.path.stem)[0]}.decoder.onnx")
    # Both files may have been renamed. The name in the metadata can be a stranger's, with folders in it.
    for path in (own, encoder.path.parent / Path(info.decoder).name):
        if path.is_file():
            return path
    raise EncoderError(f"the decoder of {to_text(encoder.path)} is missing; put it beside the encoder as {own.name}")


class Decoder:
    """The decoder of an encoder, ready to run on the encoder's device.

    Args:
        encoder: The encoder whose embeddings it decodes.

    Attributes:
        info: Its description.
        shape: ``(height, width, channels)`` of its images.

    Raises:
        EncoderError: The encoder has no decoder, or its decoder is missing, cannot be read, or is of another version.
    """

    def __init__(self, encoder: PixelEncoder) -> None:
        info = encoder.info
        path = _path_of(encoder)
        self._session = open_session(path, split_devices(encoder.device)[0], self._inspect).session
        if (self.info.latent, self.info.version) != (info.embedding_size, info.version):
            raise EncoderError(f"{path.name} belongs to another version of encoder {info.name}; export both again")

    def decode(self, codes: Values) -> Values:
        """Return images ``float32 (n, height, width, channels)`` in [0, 1] for embeddings ``float32 (n, latent)``."""
        if len(codes) == 0:
            return np.empty((0, *self.shape), dtype=np.float32)
        return np.asarray(run_limited(self._session, None, {self._input: codes})[0], dtype=np.float32)

    def _inspect(self, session: Any) -> None:
        """Read the description, and the shape of the images from a trial run."""
        self.info = DecoderInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
        self._input = session.get_inputs()[0].name
        (images,) = run_limited(session, None, {self._input: np.zeros((1, self.info.latent), dtype=np.float32)})
        height, width, channels = images.shape[1:]
        self.shape: tuple[int, int, int] = (height, width, channels)
