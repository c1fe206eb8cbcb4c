"""What a decoder says about itself in its ONNX file: the way back from an embedding to an image.

A decoder lies beside its encoder as ``NAME.decoder.onnx``. It takes ``float32 (n, latent)`` and gives
``float32 (n, height, width, channels)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from imgcluster.errors import EncoderError

__all__ = ["DECODER_PREFIX", "Content", "DecoderInfo", "Prior"]

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
        return cls(
            name=name,
            version=version,
            latent=latent,
            prior=cast(Prior, prior),
            content=cast(Content, content),
        )
