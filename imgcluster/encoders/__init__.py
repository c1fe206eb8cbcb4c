"""Encoders: finding them by name, reading their descriptions, and running them."""

from imgcluster.encoders.encoder import Encoder, describe
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.registry import DEFAULT_ENCODER, find_encoder, list_encoders
from imgcluster.options import EncoderOptions

__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "EncoderInfo",
    "EncoderOptions",
    "describe",
    "find_encoder",
    "list_encoders",
]
