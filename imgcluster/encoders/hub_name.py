"""The names of encoders of the Hugging Face hub: of a row, or ``hub:OWNER/REPO[@REVISION][:FILE]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from imgcluster.encoders.named_encoders import NAMED_ENCODERS, NamedEncoder
from imgcluster.encoders.onnx_graph import is_inside
from imgcluster.errors import UsageError

__all__ = ["HubName", "hub_name"]

_SYNTAX: Final = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([^:@\s]+))?(?::(.+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubName:
    """What an encoder of the hub is called by.

    Attributes:
        name: The name in the lock file: that of a row, or without the file.
        repository: ``OWNER/REPO``.
        revision: A branch, tag or commit; None for the default branch.
        file: The ONNX file, if it is given.
        row: The row of `NAMED_ENCODERS`, if it is one.
    """

    name: str
    repository: str
    revision: str | None = None
    file: str | None = None
    row: NamedEncoder | None = None


def hub_name(text: str) -> HubName | None:
    """Return what the text that names an encoder means on the hub; None if it does not name one of the hub.

    Raises:
        UsageError: It begins with ``hub:`` but is not ``hub:OWNER/REPO[@REVISION][:FILE.onnx]``.
    """
    if text in NAMED_ENCODERS:
        row = NAMED_ENCODERS[text]
        return HubName(name=text, repository=row.repository, row=row)
    if not text.startswith("hub:"):
        return None
    match = _SYNTAX.fullmatch(text)
    repository, revision, file = match.groups() if match else ("", None, None)
    # The hub allows neither in names.
    if not match or any(part in f"{repository}@{revision}" for part in ("..", "--")):
        raise UsageError(
            f"{text} is not the name of an encoder; write hub:OWNER/REPO, hub:OWNER/REPO@REVISION or …:FILE.onnx"
        )
    if file is not None and not (file.endswith(".onnx") and is_inside(file)):
        raise UsageError(
            f"{file} of {repository} is not used: encoders are .onnx files, and nothing else is downloaded"
        )
    name = f"hub:{repository}" + (f"@{revision}" if revision else "")
    return HubName(name=name, repository=repository, revision=revision, file=file)
