"""Encoders: finding them by name, reading their descriptions, and running them."""

from imgcluster.encoders.encoder import PixelEncoder, describe
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.registry import find_encoder, list_encoders
from imgcluster.encoders.started import Started
from imgcluster.options import EncoderOptions

__all__ = [
    "EncoderInfo",
    "EncoderOptions",
    "PixelEncoder",
    "Started",
    "describe",
    "find_encoder",
    "list_encoders",
]
