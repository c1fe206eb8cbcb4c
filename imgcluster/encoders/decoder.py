"""The way back from an embedding to an image: the decoder that lies beside an encoder as ``NAME.decoder.onnx``.

It takes ``float32 (n, latent)`` and gives ``float32 (n, height, width, channels)`` in [0, 1]. Only autoencoders,
which `training` builds, have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np

from imgcluster.encoders.devices import open_session
from imgcluster.encoders.encoder import Encoder
from imgcluster.errors import EncoderError
from imgcluster.types import Values

__all__ = ["DECODER_PREFIX", "Content", "Decoder", "DecoderInfo", "Prior"]

Prior = Literal["none", "normal"]
Content = Literal["image", "chrominance"]
DECODER_PREFIX: Final = "imgcluster.decoder."


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderInfo:
    """The description that travels inside a decoder's ONNX file.

    Attributes:
        name: The encoder it belongs to.
        version: That encoder's version; another one's embeddings mean nothing to it.
        latent: Values per embedding.
        prior: ``normal`` where standard normal embeddings make new images (a variational autoencoder).
        content: ``image``, or ``chrominance`` where it makes the two colour channels (Cb, Cr around ½) alone.
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
            EncoderError: The metadata is not a decoder's, or not understood.
        """
        texts = {key.removeprefix(DECODER_PREFIX): text for key, text in metadata.items()}
        prior, content = texts.get("prior", ""), texts.get("content", "")
        if prior not in ("none", "normal") or content not in ("image", "chrominance"):
            raise EncoderError("this file is no decoder of imgcluster's: its metadata does not say so; export it again")
        try:
            name, version, latent = texts["name"], texts["version"], int(texts["latent"])
        except (KeyError, ValueError):
            raise EncoderError("the decoder's metadata is incomplete; export it again") from None
        return cls(name=name, version=version, latent=latent, prior=cast(Prior, prior), content=cast(Content, content))


class Decoder:
    """The decoder of an encoder, ready to run on the same device, or an exception.

    Args:
        encoder: Whose embeddings it is to decode.

    Attributes:
        info: What it says about itself.
        shape: ``(height, width, channels)`` of the images it makes.

    Raises:
        EncoderError: The encoder has no decoder, or one that cannot be read or does not fit it.
    """

    def __init__(self, encoder: Encoder) -> None:
        told = encoder.info
        path = encoder.path.with_name(told.decoder) if told.decoder else None
        if path is None or not path.is_file():
            raise EncoderError(
                f"encoder {told.name} has no decoder, so nothing can be made from its embeddings; "
                "use an autoencoder such as mnist-16, or train one with train-encoder"
            )
        self._session = open_session(path, encoder.device, self._settle).session
        if (self.info.latent, self.info.version) != (told.embedding_size, told.version):
            raise EncoderError(f"{path.name} belongs to another version of encoder {told.name}; export both again")

    def decode(self, codes: Values) -> Values:
        """Return images ``float32 (n, height, width, channels)`` in [0, 1] for embeddings ``float32 (n, latent)``."""
        if len(codes) == 0:
            return np.empty((0, *self.shape), dtype=np.float32)
        return np.asarray(self._session.run(None, {self._input: codes})[0], dtype=np.float32)

    def _settle(self, session: Any) -> None:
        """Read the description and run a trial, which tells the images' shape."""
        self.info = DecoderInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
        self._input = session.get_inputs()[0].name
        (made,) = session.run(None, {self._input: np.zeros((1, self.info.latent), dtype=np.float32)})
        height, width, channels = made.shape[1:]
        self.shape: tuple[int, int, int] = (height, width, channels)
