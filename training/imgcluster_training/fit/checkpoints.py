"""Checkpoint files: written atomically, and continued only by the training that wrote them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from imgcluster.fileio.atomic import atomic_path
from imgcluster_training.errors import OtherTrainingError, TrainingError

__all__ = ["load_checkpoint", "save_checkpoint", "state_digest"]

_FORMAT: Final = 2
_DIGITS: Final = 12

# Settings that an earlier version did not have, with the value for what it did.
_ADDED: Final = {"training.patience": "0"}
_IMAGES: Final = "images"
_REPLACE: Final = "train under another --name, or with --fresh, which replaces the checkpoint"

# Characters shown before and after the first difference of two long values.
_BEFORE: Final = 40
_AFTER: Final = 80


def save_checkpoint(path: Path, state: dict[str, Any], fingerprint: dict[str, str]) -> None:
    """Write `state` (tensors, numbers, texts, lists and dicts of them) and `fingerprint` to `path`."""
    # Given a path, torch reports a full disk as an internal error.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": _FORMAT, "fingerprint": fingerprint, **state}, file)


def load_checkpoint(path: Path, fingerprint: dict[str, str]) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote with the same `fingerprint`.

    Raises:
        OtherTrainingError: It was written by another training.
        TrainingError: The file is damaged, or was written by an earlier version.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        stored = dict(state["fingerprint"])
    # torch raises any kind of exception for damaged bytes.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"the checkpoint {path} cannot be read ({reason}); {_REPLACE}") from None
    if state.get("format") != _FORMAT:
        raise TrainingError(f"the checkpoint {path} was written by an earlier version of imgcluster; {_REPLACE}")
    stored = {key: value for key, value in _ADDED.items() if key in fingerprint} | stored
    different = [key for key in {*stored, *fingerprint} if stored.get(key) != fingerprint.get(key)]
    if different:
        # The images come last: another seed, for one, selects other images.
        key = min(different, key=lambda key: (key == _IMAGES, key))
        before, now = _around_difference(str(stored.get(key)), str(fingerprint.get(key)))
        raise OtherTrainingError(
            f"the checkpoint {path} was made with {key} = {before}, but now {key} = {now}; use the same images, recipe "
            f"and options, or {_REPLACE}",
            frozenset(different),
        )
    return state


def state_digest(module: nn.Module) -> str:
    """Return a digest of the weights of `module`."""
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]


def _around_difference(first: str, second: str) -> tuple[str, str]:
    """Return both texts around their first difference: the settings of a model are too long for one line."""
    pairs = enumerate(zip(first, second, strict=False))
    same = next((index for index, (a, b) in pairs if a != b), min(len(first), len(second)))
    start = max(same - _BEFORE, 0)
    return _excerpt(first, start), _excerpt(second, start)


def _excerpt(text: str, start: int) -> str:
    end = start + _BEFORE + _AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
