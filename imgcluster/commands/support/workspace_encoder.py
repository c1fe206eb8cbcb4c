"""The encoder that a workspace was made with: used again where no other is requested."""

from __future__ import annotations

import os
from typing import Any

from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.registry import list_encoders
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.options import DEFAULT_ENCODER, EmbedOptions, EncoderOptions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED

__all__ = ["encoder_name", "has_known_encoder", "recorded_options"]


def encoder_name(options: EmbedOptions, workspace: Workspace, manifest: dict[str, Any]) -> str:
    """Return the requested encoder, by default that of the workspace, at first and with ``--fresh`` `DEFAULT_ENCODER`.

    Raises:
        WorkspaceError: The encoder of the workspace cannot be found by its name.
    """
    if options.encoder is not None:
        return os.fspath(options.encoder)
    present = manifest.get("encoder")
    if not present or options.fresh:
        return DEFAULT_ENCODER
    name = str(present["name"])
    if name == IMPORTED:
        raise WorkspaceError(
            f"{workspace.path} holds imported vectors ({name!r}), and no encoder makes vectors like them: start over "
            "with --fresh, or choose another workspace with -w DIR"
        )
    if not has_known_encoder(manifest):
        raise WorkspaceError(
            f"the encoder {name!r} of {workspace.path} is not among those of this computer: name its file with "
            "--encoder FILE.onnx, start over with --fresh, or choose another workspace with -w DIR"
        )
    return name


def has_known_encoder(manifest: dict[str, Any]) -> bool:
    """Return whether the name in the manifest is that of a bundled, own or hub encoder.

    A workspace from somebody else must not choose which file is read, so files have to be named by the user.
    """
    name = str(manifest["encoder"]["name"])
    return name in {*list_encoders(), *NAMED_ENCODERS} or name.startswith("hub:")


def recorded_options(workspace: Workspace, manifest: dict[str, Any]) -> EncoderOptions:
    """Return the options of the encoder with which the workspace's images were embedded.

    Raises:
        WorkspaceError: The manifest has other ones.
    """
    recorded: dict[str, Any] = manifest.get("embed", {}).get("options", {})
    values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in recorded.items()}
    try:
        return EncoderOptions(**values)
    except (TypeError, UsageError) as error:
        raise WorkspaceError(
            f"{workspace.manifest_file} does not describe the encoder's options ({error}): embed with --fresh"
        ) from None
