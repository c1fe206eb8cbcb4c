"""Exceptions of training, as branches of imgcluster's exception tree."""

from __future__ import annotations

from imgcluster.errors import ImgclusterError

__all__ = ["DatasetError", "TrainingError"]


class DatasetError(ImgclusterError):
    """A data set that is missing, damaged, or cannot be downloaded."""


class TrainingError(ImgclusterError):
    """A training that diverged, or a checkpoint that cannot be used."""
