"""The exceptions of imgcluster, one tree, and the exit code each of them ends the command line with.

An error is raised where the fact is known, with the value, what is allowed and what to do next in its
message; the command line turns it into one line. Nothing else in the package knows exit codes.
"""

from __future__ import annotations

__all__ = [
    "ClusteringError",
    "DeviceError",
    "EncoderError",
    "ImgclusterError",
    "NoImagesError",
    "PlacementError",
    "PlanError",
    "UsageError",
    "WorkspaceError",
    "one_line",
]


class ImgclusterError(Exception):
    """Anything that imgcluster gives up on, with a message made for the person who ran it."""

    exit_code = 1


class UsageError(ImgclusterError):
    """A wrong option or argument."""

    exit_code = 2


class NoImagesError(ImgclusterError):
    """The paths that were given hold no image that can be read."""

    exit_code = 4


class DeviceError(ImgclusterError):
    """The device that was asked for does not run here."""

    exit_code = 5


class EncoderError(ImgclusterError):
    """An encoder that is not there, cannot be read, or does not take or give what is needed."""


class WorkspaceError(ImgclusterError):
    """A workspace that is missing, locked, out of date, made by another encoder, or not ours."""


class ClusteringError(ImgclusterError):
    """Embeddings that cannot be clustered as asked."""


class PlacementError(ImgclusterError):
    """Files that could not be placed, or taken back."""


class PlanError(ImgclusterError):
    """A plan that is none, is for another clustering, or contradicts itself."""


def one_line(error: BaseException) -> str:
    """Return what an error of somebody else's code says, in one line; its type's name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
