"""The exception tree of imgcluster and the exit code of each exception.

An error is raised where the fact is known. Its message is one line with the value, what is allowed and what to do
next; the command line prints it and exits with `exit_code`.
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
    "RayClusterError",
    "SourceError",
    "UsageError",
    "WorkspaceError",
    "WorkspaceInUseError",
    "one_line",
]


class ImgclusterError(Exception):
    """Base class: an error that the user can act on."""

    exit_code = 1


class UsageError(ImgclusterError):
    """A wrong option or argument."""

    exit_code = 2


class NoImagesError(ImgclusterError):
    """The given paths contain no readable image."""

    exit_code = 4


class DeviceError(ImgclusterError):
    """The requested device is not available."""

    exit_code = 5


class SourceError(ImgclusterError):
    """Object storage that cannot be listed, or refuses the credentials."""


class EncoderError(ImgclusterError):
    """An encoder that is missing, unreadable, or has unsupported inputs or outputs."""


class WorkspaceError(ImgclusterError):
    """A workspace that is missing, locked, outdated, damaged, or made with another encoder."""


class WorkspaceInUseError(WorkspaceError):
    """A workspace that another process is using."""


class RayClusterError(ImgclusterError):
    """A Ray cluster that is missing, too small, or whose workers end again and again."""


class ClusteringError(ImgclusterError):
    """The embeddings cannot be clustered with the requested options."""


class PlacementError(ImgclusterError):
    """A file could not be placed or moved, or the journal is damaged."""


class PlanError(ImgclusterError):
    """A file that is not a valid plan for the current clustering."""


def one_line(error: BaseException) -> str:
    """Return the message of a third-party exception in one line, or its type's name if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
