"""Embeddings as they are compared: for the cosine with vectors of length 1."""

from __future__ import annotations

import dataclasses
from typing import Any

from imgcluster.features.normalize import normalize_lengths
from imgcluster.workspace.results import encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["with_normalized_lengths"]


def with_normalized_lengths(embeddings: Embeddings, manifest: dict[str, Any], *, in_place: bool = False) -> Embeddings:
    """Return embeddings whose vectors are scaled to length 1 if the encoder's metric is the cosine.

    With `in_place` the given vectors are overwritten, which saves the memory of a copy.
    """
    metric = encoder_metric(manifest)
    return dataclasses.replace(embeddings, vectors=normalize_lengths(embeddings.vectors, metric, in_place=in_place))
