"""What training gives up on, as branches of imgcluster's one exception tree."""

from __future__ import annotations

from imgcluster.errors import ImgclusterError

__all__ = ["DatasetError", "TrainingError"]


class DatasetError(ImgclusterError):
    """A data set that is not there, cannot be downloaded, or is not what its name says."""


class TrainingError(ImgclusterError):
    """A training that diverged, or a checkpoint that cannot be continued."""
