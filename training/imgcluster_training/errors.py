"""Exceptions of training, as branches of imgcluster's exception tree."""

from __future__ import annotations

from imgcluster.errors import ImgclusterError

__all__ = ["DatasetError", "OtherTrainingError", "TrainingError"]


class DatasetError(ImgclusterError):
    """A data set that is missing, damaged, or cannot be downloaded."""


class TrainingError(ImgclusterError):
    """A training that diverged, or a checkpoint that cannot be used."""


class OtherTrainingError(TrainingError):
    """A checkpoint of a training with other settings; `settings` are the keys that differ."""

    def __init__(self, message: str, settings: frozenset[str]) -> None:
        super().__init__(message)
        self.settings = settings
