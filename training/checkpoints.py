"""Checkpoints on disk: written whole or not at all, and only continued by the training that wrote them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from imgcluster.store.atomic import atomic_path
from training.errors import TrainingError

__all__ = ["load_checkpoint", "save_checkpoint", "state_digest"]

_DIGITS: Final = 12


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, texts, lists and dicts of them) to `path`."""
    with atomic_path(path) as draft:
        torch.save(state, draft)


def load_checkpoint(path: Path, fingerprint: dict[str, str]) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote under the same `fingerprint`.

    Raises:
        TrainingError: The file is damaged, or another training wrote it; the message names what differs.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs = dict(state["fingerprint"])
    # torch raises whatever the damaged bytes happen to mean.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"the checkpoint {path} cannot be read ({reason}); train without --resume") from None
    for key in sorted({*theirs, *fingerprint}):
        if theirs.get(key) != fingerprint.get(key):
            raise TrainingError(
                f"the checkpoint {path} was made with {key} = {theirs.get(key)}, now it is {fingerprint.get(key)}; "
                "train with the same recipe and options, or without --resume"
            )
    return state


def state_digest(module: nn.Module) -> str:
    """Return a text that is another one whenever the weights of `module` are."""
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]
