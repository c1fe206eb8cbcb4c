"""Checkpoints on disk: written whole or not at all, and only continued by the training that wrote them."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from imgcluster.fileio.atomic import atomic_path
from training.errors import TrainingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["load_checkpoint", "save_checkpoint", "settings_of", "state_digest"]

_DIGITS: Final = 12

# Characters shown of what differs, before and after the place.
_BEFORE: Final = 40
_AFTER: Final = 80


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
            before, now = _around_difference(str(theirs.get(key)), str(fingerprint.get(key)))
            raise TrainingError(
                f"the checkpoint {path} was made with {key} = {before}, now it is {now}; "
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


def settings_of(settings: DataclassInstance) -> dict[str, Any]:
    """Return a dataclass's values by name.

    Unlike those of `dataclasses.asdict` they keep their types, and their texts tell a max-pool from an average-pool.
    """
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def _around_difference(first: str, second: str) -> tuple[str, str]:
    """Return what is about the first difference of two texts: a whole model is longer than anybody reads."""
    same = next(
        (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    start = max(same - _BEFORE, 0)
    return _excerpt(first, start), _excerpt(second, start)


def _excerpt(text: str, start: int) -> str:
    end = start + _BEFORE + _AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
