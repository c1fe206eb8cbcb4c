"""Encoders: finding them by name, reading their descriptions, and running them."""

from imgcluster.encoders.catalogue import DEFAULT_ENCODER, find_encoder, list_encoders
from imgcluster.encoders.info import EncoderInfo, Metric
from imgcluster.encoders.session import Encoder, EncoderOptions, describe

__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "EncoderInfo",
    "EncoderOptions",
    "Metric",
    "describe",
    "find_encoder",
    "list_encoders",
]
