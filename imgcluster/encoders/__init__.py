"""Encoders: finding them by name, reading their descriptions, and running them."""

from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.started import Started

__all__ = ["EncoderInfo", "PixelEncoder", "Started"]
