"""`search`: the images of a workspace that a text describes, the most similar first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.stored_images import FoundImage, read_images
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.text import info_of, open_text, require_text
from imgcluster.errors import UsageError
from imgcluster.features.blocks import of_all
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity

__all__ = ["SearchSummary", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """The result of `search`.

    Attributes:
        workspace: The workspace folder.
        encoder: The encoder of its images.
        query: The text.
        without: The texts of ``--not``.
        images: Images in the workspace.
        left_out: Images that are at least as similar to a text of `without` as to `query`.
        base: The folder that the paths are relative to.
        results: The most similar images.
    """

    workspace: str
    encoder: str
    query: str
    without: tuple[str, ...]
    images: int
    left_out: int
    base: str
    results: tuple[FoundImage, ...]


@in_object_storage_too
def search(
    query: str,
    *,
    without: Sequence[str] = (),
    limit: int = 50,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    device: str = "auto",
    on_progress: OnProgress = ignore_progress,
) -> SearchSummary:
    """Return the images that a text describes, the most similar first.

    Args:
        query: The text, in a language that the encoder knows.
        without: Texts; an image that is at least as similar to one of them as to `query` is left out.
        limit: The number of images to return.
        workspace: The workspace folder, embedded with an encoder that has a text part.
        device: Where the text part runs: ``auto`` or a device.
        on_progress: Called with each step.

    Raises:
        UsageError: A text is empty, the limit is less than 1, or the encoder has no text part.
        WorkspaceError: Nothing is embedded, or another process uses the workspace.
        EncoderError: The text part cannot be used, or does not belong to the images.
    """
    without = (without,) if isinstance(without, str) else tuple(without)
    if not all(text.strip() for text in (query, *without)):
        raise UsageError('the text is empty; describe what the images show, such as "red shoes"')
    if limit < 1:
        raise UsageError(f"--limit {limit} is not allowed; it is at least 1")
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(read_only=True) as manifest:
        encoder_identity(workspace, manifest)
        info = info_of(manifest)
        require_text(info.name)
        images = read_images(workspace, manifest, on_progress)
        text = open_text(info, device=device, on_progress=on_progress)
        assert text is not None
        vectors = with_normalized_lengths(images.embeddings, manifest, in_place=True).vectors
        # Without rounding, cosines of equal vectors differ in the last digit.
        texts = text.encode([query, *without])
        scores = np.round(of_all(vectors, lambda block: block @ texts.T, len(texts)), 6)
    matching: npt.NDArray[np.bool_] = np.all(scores[:, :1] > scores[:, 1:], axis=1)
    # Equal scores in the order of the paths.
    ranked = np.argsort(-scores[:, 0], kind="stable")
    order = ranked[matching[ranked]][:limit].tolist()
    return SearchSummary(
        workspace=workspace.name,
        encoder=info.name,
        query=query,
        without=without,
        images=len(matching),
        left_out=int((~matching).sum()),
        base=images.base,
        results=images.ranked(order, scores[:, 0]),
    )
